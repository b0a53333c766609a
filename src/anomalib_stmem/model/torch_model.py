"""The dual-stream network (Fig. 1): clips in, expectations, errors and scores out.

Indices, from 0. A clip holds frames ``I_0 .. I_{n-1}``, ``n >= t + 1``; ``X_k = I_{k+1} - I_k``. Every frame ``f >= t``
is judged, with three errors that all speak about frame ``f``:

- spatial: ``I_hat_f - I_f``,
- temporal: ``X_hat_{f-1} - X_{f-1}``,
- sum: ``Y_hat_f - I_f`` with the final frame ``Y_hat_f = I_hat_{f-1} + X_hat_{f-1}``.

A clip of ``t + 1`` frames is the paper's window; a longer clip encodes each frame once and gives the same numbers.
"""

from typing import Literal, NamedTuple

import torch
from anomalib.data import InferenceBatch
from einops import rearrange
from torch import Tensor, nn

from .autoencoder import NUM_SCALES, Architecture, StreamNetwork, StreamPrediction
from .scoring import ErrorName, ScoreHead, error_maps, measure, memory_distance

Streams = Literal["both", "spatial", "temporal"]
Precision = Literal["auto", "float32", "bf16"]


class Expectation(NamedTuple):
    """What the network expected of a clip, and how it differed; ``s = n - t`` judged frames."""

    spatial: StreamPrediction | None  # frames t-1 .. n-1, so s + 1 of them
    temporal: StreamPrediction | None  # differences t-1 .. n-2, s of them
    final: Tensor  # (b, s, c, h, w): Y_hat of the judged frames
    errors: dict[ErrorName, Tensor]  # (b, s, c, h, w) each, in units of [-1, 1] frames


class Judgement(NamedTuple):
    """The network's verdict on every judged frame of a clip."""

    prediction: Tensor  # (b, s, c, h, w): the final frame Y_hat
    measurements: Tensor  # (b, s, len(MEASUREMENTS))
    score: Tensor  # (b, s): S of Eq. (16), calibrated on normal video
    anomaly_map: Tensor  # (b, s, h, w): squared error on the [0, 1] scale


def frame_differences(clips: Tensor) -> Tensor:
    """``X_k = I_{k+1} - I_k`` of ``(b, n, c, h, w)`` clips: ``(b, n-1, c, h, w)``, in [-2, 2]."""
    return clips[:, 1:] - clips[:, :-1]


class STMemModel(nn.Module):
    """Two sub-networks that expect the next frame and the next difference, and a head that scores the surprise.

    Args:
        architecture: shared by both streams.
        head: turns measurements into scores.
        streams: ``both``, or one alone (Table IV). The spatial stream alone takes ``Y_hat_f = I_hat_f``, the temporal
            one ``Y_hat_f = I_{f-1} + X_hat_{f-1}``, so that all rows judge the same frames.
        precision: ``bf16`` runs the convolutions in bfloat16; ``auto`` does so where the device has units for it.
    """

    def __init__(
        self,
        architecture: Architecture,
        head: ScoreHead,
        streams: Streams = "both",
        precision: Precision = "auto",
    ) -> None:
        super().__init__()
        self.window = architecture.window
        self.precision = precision
        self.spatial = StreamNetwork(architecture) if streams != "temporal" else None
        self.temporal = StreamNetwork(architecture) if streams != "spatial" else None
        self.head = head
        self.to(memory_format=fastest_layout())

    def expect(self, clips: Tensor) -> Expectation:
        """Predict every judged frame of ``(b, n, c, h, w)`` clips in [-1, 1].

        Raises:
            ValueError: the clips are too short, or their size does not halve three times.
        """
        self._check(clips)
        t = self.window
        judged, before = clips[:, t:], clips[:, t - 1 : -1]
        spatial = temporal = None
        errors: dict[ErrorName, Tensor] = {}
        with torch.autocast(clips.device.type, torch.bfloat16, enabled=self._use_bfloat16(clips.device)):
            if self.spatial is not None:
                spatial = self.spatial(clips[:, :-1])
            if self.temporal is not None:
                temporal = self.temporal(frame_differences(clips)[:, :-1])
        if spatial is not None:
            errors["spatial"] = spatial.frames[:, 1:] - judged
        if temporal is not None:
            errors["temporal"] = temporal.frames - (judged - before)
        if spatial is not None and temporal is not None:
            final = spatial.frames[:, :-1] + temporal.frames
        elif spatial is not None:
            final = spatial.frames[:, 1:]
        else:
            final = before + temporal.frames  # type: ignore[union-attr]  # one of the two exists
        errors["sum"] = final - judged
        return Expectation(spatial, temporal, final, errors)

    def judge(self, clips: Tensor) -> Judgement:
        """Score every judged frame of ``(b, n, c, h, w)`` clips in [-1, 1]."""
        expected = self.expect(clips)
        maps = error_maps(expected.errors)
        distances = {}
        for name, stream in (("spatial", expected.spatial), ("temporal", expected.temporal)):
            if stream is not None and stream.recalls:
                by_map = memory_distance(stream.recalls[NUM_SCALES - 1])  # at the bottleneck
                by_step = rearrange(by_map, "(b s) -> b s", b=len(clips))
                # The spatial stream decodes one step more; both distances are those of the features behind Y_hat.
                distances[name] = by_step[:, : expected.final.shape[1]]
        measurements = measure(maps, distances)
        return Judgement(expected.final, measurements, self.head(measurements), self.head.shown(maps))

    def forward(self, clips: Tensor) -> InferenceBatch:
        """Judge the last frame of each ``(b, n, c, h, w)`` clip: ``pred_score (b,)``, ``anomaly_map (b, 1, h, w)``."""
        judgement = self.judge(clips[:, -(self.window + 1) :])
        return InferenceBatch(pred_score=judgement.score[:, -1], anomaly_map=judgement.anomaly_map[:, -1:])

    def _use_bfloat16(self, device: torch.device) -> bool:
        return self.precision == "bf16" or (self.precision == "auto" and has_bfloat16_units(device))

    def _check(self, clips: Tensor) -> None:
        if clips.ndim != 5 or clips.shape[1] < self.window + 1:
            msg = (
                f"STMem needs clips of at least {self.window + 1} frames, shape (batch, frames, channels, height, "
                f"width): window = {self.window} frames to look at, and the frame to judge. Got "
                f"{tuple(clips.shape)}. Set --data.clip_length_in_frames {self.window + 1}."
            )
            raise ValueError(msg)
        divisor = 2 ** (NUM_SCALES - 1)
        if clips.shape[-2] % divisor or clips.shape[-1] % divisor:
            msg = (
                f"Height and width must be multiples of {divisor}, because the network halves them {NUM_SCALES - 1} "
                f"times; got {clips.shape[-2]}x{clips.shape[-1]}. Change --model.image_size."
            )
            raise ValueError(msg)


def fastest_layout() -> torch.memory_format:
    """Layout of convolutions: channels last for tensor cores and AMX, else contiguous (18 % faster with AVX2)."""
    matrix_units = torch.cuda.is_available() or has_bfloat16_units(torch.device("cpu"))
    return torch.channels_last if matrix_units else torch.contiguous_format


def has_bfloat16_units(device: torch.device) -> bool:
    """Whether bfloat16 convolutions are faster than float32 there: CUDA from Ampere on, CPUs with AMX."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    probe = getattr(torch.cpu, "_is_amx_tile_supported", None)  # private, so absent is "no"
    return device.type == "cpu" and probe is not None and probe()
