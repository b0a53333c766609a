"""The dual-stream network (Fig. 1): clips in, expectations, errors and scores out.

Indices, from 0. A clip holds frames ``I_0 .. I_{n-1}``, ``n >= t + 1``; ``X_k = I_{k+1} - I_k``. Every frame ``f >= t``
is judged, with three errors that all speak about frame ``f``:

- spatial: ``I_hat_f - I_f``,
- temporal: ``X_hat_{f-1} - X_{f-1}``,
- sum: ``Y_hat_f - I_f`` with the final frame ``Y_hat_f = I_hat_{f-1} + X_hat_{f-1}``.

A clip of ``t + 1`` frames is the paper's window; a longer clip encodes each frame once; a stream is fed frame by frame
(:meth:`STMemModel.step`). All three give the same numbers.
"""

from collections.abc import Collection, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from .appearance import Appearance, Looks
from .autoencoder import NUM_SCALES, Architecture, StreamNetwork, StreamPrediction
from .exemptions import Exemptions
from .precision import Precision, convolving, fastest_layout
from .scoring import (
    AREAS,
    ERRORS,
    MEASUREMENTS,
    ErrorName,
    ScoreHead,
    blur,
    error_maps,
    measure,
    memory_distance,
    motion_map,
)
from .speed import speed_map
from .steady import FINE, steady_light, steady_place
from .whole import MOST, changed_share

Streams = Literal["both", "spatial", "temporal"]


class Expectation(NamedTuple):
    """What the network expected of a clip, and how it differed; ``s = n - t`` judged frames."""

    spatial: StreamPrediction | None  # frames t-1 .. n-1, so s + 1 of them
    temporal: StreamPrediction | None  # differences t-1 .. n-2, s of them
    final: Tensor  # (b, s, c, h, w): Y_hat of the judged frames
    errors: dict[ErrorName, Tensor]  # (b, s, c, h, w) each, in units of [-1, 1] frames
    judged: Tensor  # (b, s, c, h, w): the frames that were judged, steadied
    changed: Tensor  # (b, s): greatest share of the picture that changed at once in the window


State = dict[str, Tensor]  # of a stream: names and shapes are those of STMemModel.empty_state


class Judgement(NamedTuple):
    """The network's verdict on every judged frame of a clip."""

    prediction: Tensor  # (b, s, c, h, w): the final frame Y_hat
    measurements: Tensor  # (b, s, len(MEASUREMENTS))
    score: Tensor  # (b, s): S of Eq. (16), calibrated on normal video
    anomaly_map: Tensor  # (b, s, h, w): squared error on the [0, 1] scale; with speed and looks, in units of all
    nearest: Tensor | None  # (b, s): item of the memory of looks that is nearest to what looks oddest, where it counts


class Judged(NamedTuple):
    """One row per judged frame; the fields of anomalib's ``InferenceBatch``, which its components take and return."""

    pred_score: Tensor  # (n,)
    pred_label: Tensor | None  # (n,), true = abnormal; None where scores are raw
    anomaly_map: Tensor  # (n, 1, h, w)
    pred_mask: Tensor | None = None  # (n, 1, h, w), true = abnormal


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
        appearance: judges looks, where the head wants it.
        steady_size: height and width of the frames out of which light and shaking of the whole picture are taken
            before they are compared (:mod:`~.steady`), except in training. ``None`` leaves them in (the paper).
    """

    view: Tensor  # (1, 1, h / 2, w / 2): the usual view of the camera (:func:`~.steady.view_of`); zeros if unknown

    def __init__(
        self,
        architecture: Architecture,
        head: ScoreHead,
        streams: Streams = "both",
        precision: Precision = "auto",
        appearance: Appearance | None = None,
        steady_size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.window = architecture.window
        self.channels = architecture.channels
        self.divisor = architecture.divisor
        self.residual = architecture.residual
        self.spatial = StreamNetwork(architecture) if streams != "temporal" else None
        self.temporal = StreamNetwork(architecture) if streams != "spatial" else None
        self.head = head
        self.appearance = appearance
        self.exemptions = Exemptions()
        self.steadies = steady_size is not None
        height, width = steady_size or (0, 0)
        self.register_buffer("view", torch.zeros(1, 1, height // FINE, width // FINE), persistent=self.steadies)
        self.precision = precision
        self.to(memory_format=fastest_layout())

    @property
    def precision(self) -> Precision:
        """In which numbers all convolutions run."""
        return self._precision

    @precision.setter
    def precision(self, wanted: Precision) -> None:
        self._precision: Precision = wanted
        if self.appearance is not None:
            self.appearance.precision = wanted

    def compile_streams(self, **options: Any) -> None:  # noqa: ANN401
        """Let ``torch.compile`` fuse each sub-network, for clips of any number and length.

        Args:
            **options: of ``torch.compile``.
        """
        for stream in (self.spatial, self.temporal):
            if stream is not None:
                stream.compile(dynamic=True, **options)

    def expect(self, clips: Tensor) -> Expectation:
        """Predict every judged frame of ``(b, n, c, h, w)`` clips in [-1, 1]; in training, memories learn from them.

        Raises:
            ValueError: the clips are too short, or their size does not halve three times.
        """
        self._check(clips)
        return self._expect(self.in_place(clips))

    def _expect(self, clips: Tensor) -> Expectation:
        t = self.window
        before, differences = clips[:, t - 1 : -1], self.differences(clips)
        judged = before + differences[:, t - 1 :]
        spatial = temporal = None
        errors: dict[ErrorName, Tensor] = {}
        with convolving(self.precision, clips.device):
            if self.spatial is not None:
                spatial = self.spatial(clips[:, :-1])
                if self.residual:
                    spatial = spatial._replace(frames=spatial.frames + clips[:, t - 2 : -1])
            if self.temporal is not None:
                temporal = self.temporal(differences[:, :-1])
        if self.training:
            self._update_memories(spatial, temporal)
        if spatial is not None:
            errors["spatial"] = spatial.frames[:, 1:] - judged
        if temporal is not None:
            errors["temporal"] = temporal.frames - differences[:, t - 1 :]
        if spatial is not None and temporal is not None:
            final = spatial.frames[:, :-1] + temporal.frames
        elif spatial is not None:
            final = spatial.frames[:, 1:]
        else:
            final = before + temporal.frames  # type: ignore[union-attr]  # one of the two exists
        errors["sum"] = final - judged
        changed = changed_share(differences, self.exemptions.region).unfold(1, t, 1).amax(dim=-1)
        return Expectation(spatial, temporal, final, errors, judged, changed)

    def differences(self, clips: Tensor) -> Tensor:
        """``X_k`` of ``(b, n, c, h, w)`` clips, of steadied frames where this network judges: ``(b, n-1, c, h, w)``."""
        if self.training or not self.steadies:
            return frame_differences(clips)
        now, before = clips[:, 1:].flatten(0, 1), clips[:, :-1].flatten(0, 1)
        return (steady_light(now, before) - before).reshape(clips[:, 1:].shape)

    def in_place(self, frames: Tensor) -> Tensor:
        """Return ``(..., c, h, w)`` frames without the shaking of the camera, where this network judges."""
        if self.training or not self.steadies or frames.shape[-2] // FINE != self.view.shape[-2]:
            return frames
        return steady_place(frames.reshape(-1, *frames.shape[-3:]), self.view).reshape(frames.shape)

    def judge(self, clips: Tensor, first: Sequence[int] | None = None) -> Judgement:
        """Score every judged frame of ``(b, n, c, h, w)`` clips in [-1, 1].

        Args:
            clips: which.
            first: number in its video of each clip's first frame; 0 by default. It decides at which frames
                :class:`~.appearance.Appearance` looks.
        """
        self._check(clips)
        clips = self.in_place(clips)
        expected, distances = self._expect(clips), {}
        for name, stream in (("spatial", expected.spatial), ("temporal", expected.temporal)):
            if stream is not None and stream.recalls:
                by_map = memory_distance(stream.recalls[NUM_SCALES - 1])  # at the bottleneck
                by_step = by_map.unflatten(0, stream.frames.shape[1::-1])  # time first
                # Those of the features behind Y_hat. The spatial stream decodes one step more than is judged: with the
                # temporal stream Y_hat_f rests on I_hat_{f-1}, alone on I_hat_f.
                steps = slice(None, -1) if name == "spatial" and expected.temporal is not None else slice(1, None)
                distances[name] = (by_step[steps] if name == "spatial" else by_step).T
        surprise = nearest = None
        if self.appearance is not None and first is None:
            surprise, nearest = self._looks_of(clips, 0)
        elif self.appearance is not None:  # one by one: each has a phase of its own
            clip_by_clip = zip(clips.split(1), first or (), strict=True)
            looks = [self._looks_of(clip, start) for clip, start in clip_by_clip]
            surprise, nearest = (torch.cat(parts) for parts in zip(*looks, strict=True))
        before = clips[:, self.window - 1 : -1]
        measurements, anomaly_map = self._assess(
            expected.errors, expected.judged, before, distances, surprise, expected.changed
        )
        return Judgement(expected.final, measurements, self.head(measurements), anomaly_map, nearest)

    def _assess(
        self,
        errors: dict[ErrorName, Tensor],
        frames: Tensor,
        before: Tensor,
        distances: dict[str, Tensor],
        surprise: Tensor | None,
        changed: Tensor,
        wanted: Collection[str] = MEASUREMENTS,
    ) -> tuple[Tensor, Tensor]:
        """Measure ``(b, s, c, h, w)`` frames, and draw the map that explains it."""
        head, exempt = self.head, self.exemptions
        maps = {name: head.in_perspective(name, exempt.counted(error)) for name, error in error_maps(errors).items()}
        scored = self.scored_error
        blurred = {name: blur(error) for name, error in maps.items() if name == scored or wanted is MEASUREMENTS}
        blurred[scored] = exempt.beyond("motion", blurred[scored])
        motion = head.in_perspective("motion", exempt.counted(motion_map(frames - before)))
        others: dict[str, Tensor] = {}
        if "speed" in head.sources:
            others["speed"] = exempt.beyond("speed", self._speeds(frames, before))
        if surprise is not None:
            others["looks"] = surprise
        greatest = {name: values.amax(dim=(-2, -1)) for name, values in others.items()}
        greatest |= {"motion": motion.mean(dim=(-2, -1))}
        shown = head.shown(blurred, others)
        if self.steadies:
            greatest["changed"] = changed
        if self.steadies and head.fusion is not None:  # as the score is
            shown = shown * (changed <= MOST)[..., None, None]
        return measure(maps, blurred, distances, greatest, wanted), shown

    def _speeds(self, frames: Tensor, before: Tensor) -> Tensor:
        """Return the speed around each place of ``(b, s, c, h, w)`` frames: ``(b, s, h / 2, w / 2)``."""
        speed = speed_map(frames.flatten(0, 1), before.flatten(0, 1)).unflatten(0, frames.shape[:2])
        return blur(self.head.in_perspective("speed", self.exemptions.counted(speed)))

    def source_maps(self, clips: Tensor) -> dict[str, Tensor]:
        """Return the maps of motion and, where it counts, of speed of every judged frame, whatever is accepted."""
        clips = self.in_place(clips)
        expected, scored = self._expect(clips), self.scored_error
        error = self.exemptions.counted(error_maps(expected.errors)[scored])
        maps = {"motion": blur(self.head.in_perspective(scored, error))}
        if "speed" in self.head.sources:
            maps["speed"] = self._speeds(expected.judged, clips[:, self.window - 1 : -1])
        return maps

    def _looks_of(self, clips: Tensor, first: int) -> Looks:
        """Return the latest look at each judged frame, ``(b, s, ...)``; each serves until the next."""
        appearance = self.appearance
        assert appearance is not None  # noqa: S101  # the caller looked
        latest = [place - (first + place) % appearance.every for place in range(self.window, clips.shape[1])]
        seen = {place: self._look(clips[:, place], clips[:, place - 1]) for place in sorted(set(latest))}
        return Looks(*(torch.stack(parts, dim=1) for parts in zip(*(seen[place] for place in latest), strict=True)))

    def look(self, frames: Tensor, before: Tensor) -> Looks:
        """Compare how ``(b, c, h, w)`` frames look with normal video; ``before`` is of a stream's state."""
        return self._look(self.in_place(frames), before)

    def _look(self, frames: Tensor, before: Tensor) -> Looks:
        assert self.appearance is not None  # noqa: S101  # streams ask only where there is one
        cell = self.appearance.cell
        counts = self.exemptions.counted(torch.ones_like(frames[:1, 0, ::cell, ::cell]))
        return self.appearance(frames, before, steady_light(frames, before) if self.steadies else frames, counts)

    def forward(self, clips: Tensor) -> Judged:
        """Judge every judgeable frame of ``(b, n, c, h, w)`` clips, clip by clip: one row per judged frame.

        A window of ``t + 1`` frames gives ``pred_score (b,)`` and ``anomaly_map (b, 1, h, w)``.
        """
        judged = self.judge(clips)
        return Judged(judged.score.flatten(), None, judged.anomaly_map.flatten(0, 1)[:, None])

    @property
    def scored_error(self) -> ErrorName:
        """The error that counts: the head's, or that of the sum where a network of one stream has no such error."""
        own = [name for name in ("spatial", "temporal") if getattr(self, name) is not None]
        return self.head.error if len(own) == 2 or self.head.error in own else "sum"

    @property
    def measured(self) -> tuple[str, ...]:
        """Names of the measurements that this network really takes.

        The others of :data:`~.scoring.MEASUREMENTS` are errors and distances of a stream or memory that it lacks.
        """
        own = [name for name in ("spatial", "temporal") if getattr(self, name) is not None]
        remembers = [name for name in own if str(NUM_SCALES - 1) in getattr(self, name).memories]
        lacking = {f"psnr_{area}_{error}" for area in AREAS for error in ERRORS if error not in {"sum", *own}}
        if len(own) == 2:
            lacking -= {f"psnr_{area}_both" for area in AREAS}
        lacking |= {f"distance_{name}" for name in ("spatial", "temporal") if name not in remembers}
        lacking |= {name for name in ("speed", "looks") if name not in self.head.sources}
        lacking |= set() if self.steadies else {"changed"}
        return tuple(name for name in MEASUREMENTS if name not in lacking)

    # -- streams -----------------------------------------------------------------------------------------------------

    @property
    def scored_streams(self) -> dict[str, StreamNetwork]:
        """The sub-networks that decide the score, by name; a stream runs no other."""
        own = {"spatial": self.spatial, "temporal": self.temporal}
        distances = self.head.prediction_weight < 1
        wanted = {self.head.error} if self.head.error in own and own[self.head.error] and not distances else set(own)
        return {name: stream for name, stream in own.items() if stream is not None and name in wanted}

    def empty_state(self, num_videos: int, size_hw: tuple[int, int]) -> State:
        """Return the state of streams that have seen nothing; zeros, one row per video, whatever their length.

        ``frame (b, c, h, w)`` is the latest frame; ``changed (b, t - 1)`` the share of the picture that changed from
        frame to frame; ``spatial``, ``temporal`` and ``sum`` are what is expected of the
        next; ``past_*`` what the temporal shifts hold back; ``distance_*`` the memory distances behind ``sum``;
        ``surprise`` and ``nearest`` what the latest :meth:`look` has found, which :meth:`step` takes as it is.
        """
        blank = next(self.parameters()).new_zeros(num_videos, self.channels, *size_hw)
        streams = self.scored_streams
        state = {"frame": blank}
        for name, stream in streams.items():
            state[name] = blank
            state |= {f"past_{name}_{place}": left for place, left in enumerate(stream.empty_past(num_videos, size_hw))}
        if len(streams) == 2:
            state["sum"] = blank
        if self.steadies:
            state["changed"] = blank.new_zeros(num_videos, self.window - 1)
        if self.head.prediction_weight < 1:
            waits = ("distance_next_spatial",) if len(streams) == 2 else ()
            state |= dict.fromkeys((*(f"distance_{name}" for name in streams), *waits), blank[:, 0, 0, 0])
        if self.appearance is not None:
            state["surprise"] = blank.new_zeros(num_videos, *self.appearance.size)
            state["nearest"] = blank[:, 0, 0, 0]
        return state

    def step(self, frames: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """Measure the next frame of each video by what was expected of it, then say what is expected of the one after.

        Args:
            frames: ``(b, c, h, w)`` in [-1, 1].
            state: that this returned for the frames before, or :meth:`empty_state`.

        Returns:
            Measurements ``(b, len(MEASUREMENTS))``, of which only those that decide the score are filled in, and
            anomaly map ``(b, 1, h, w)`` as :meth:`judge` has them, meaningless for the first ``t`` frames of a video;
            and the new state.
        """
        frames = self.in_place(frames)
        judged = steady_light(frames, state["frame"]) if self.steadies else frames
        difference = judged - state["frame"]
        changed = changed_share(difference, self.exemptions.region)[:, None]
        if "changed" in state:
            changed = torch.cat([state["changed"], changed], dim=1)
        measurements, anomaly_map = self._measure_next(judged, difference, state, changed.amax(dim=1, keepdim=True))
        # Copies, since exporters rename what is both an input and an output.
        new = {"frame": frames} | {name: state[name].clone() for name in ("surprise", "nearest") if name in state}
        new["changed"] = changed[:, 1:].clone()
        with convolving(self.precision, frames.device):
            for name, stream in self.scored_streams.items():
                places = range(len(stream.encoder.shifts))
                seen = frames if name == "spatial" else difference
                prediction, left = stream.step(seen, [state[f"past_{name}_{place}"] for place in places])
                new[name] = prediction.frames[:, 0]
                if name == "spatial" and self.residual:
                    new[name] = new[name] + frames
                new |= {f"past_{name}_{place}": moved.float() for place, moved in zip(places, left, strict=True)}
                if f"distance_{name}" in state:
                    new[f"distance_{name}"] = _bottleneck_distance(prediction, frames[:, 0, 0, 0])
        if "sum" in state:
            new["sum"] = state["spatial"] + new["temporal"]
        if "distance_next_spatial" in state:  # that behind the next frame's sum is the one behind the frame before it
            new["distance_next_spatial"] = new["distance_spatial"]
            # A copy, since exporters rename what is both an input and an output.
            new["distance_spatial"] = state["distance_next_spatial"].clone()
        return measurements, anomaly_map, {name: new[name] for name in state}

    def _measure_next(self, frames: Tensor, difference: Tensor, state: State, changed: Tensor) -> tuple[Tensor, Tensor]:
        errors: dict[ErrorName, Tensor] = {}
        if "spatial" in state:
            errors["spatial"] = (state["spatial"] - frames)[:, None]
        if "temporal" in state:
            errors["temporal"] = (state["temporal"] - difference)[:, None]
        errors["sum"] = (state["sum"] - frames)[:, None] if "sum" in state else next(iter(errors.values()))
        distances = {
            name: state[f"distance_{name}"][:, None] for name in self.scored_streams if f"distance_{name}" in state
        }
        surprise = state["surprise"][:, None] if "surprise" in state else None
        seen, before = frames[:, None], state["frame"][:, None]
        wanted = (*self.head.wanted, "changed")
        measurements, anomaly_map = self._assess(errors, seen, before, distances, surprise, changed, wanted)
        return measurements[:, 0], anomaly_map

    def _update_memories(self, *predictions: StreamPrediction | None) -> None:
        for stream, prediction in zip((self.spatial, self.temporal), predictions, strict=True):
            if stream is not None and prediction is not None:
                stream.update_memories(prediction.recalls)

    def _check(self, clips: Tensor) -> None:
        if clips.ndim != 5 or clips.shape[1] < self.window + 1:
            msg = (
                f"STMem needs clips of at least {self.window + 1} frames, shape (batch, frames, channels, height, "
                f"width): window = {self.window} frames to look at, and the frame to judge. Got "
                f"{tuple(clips.shape)}. Set --data.clip_length_in_frames {self.window + 1}."
            )
            raise ValueError(msg)
        if clips.shape[-2] % self.divisor or clips.shape[-1] % self.divisor:
            msg = (
                f"Height and width must be multiples of {self.divisor}, because the network halves them "
                f"{NUM_SCALES - 1} times after its stem; got {clips.shape[-2]}x{clips.shape[-1]}. Change "
                "--model.image_size."
            )
            raise ValueError(msg)


def _bottleneck_distance(prediction: StreamPrediction, nothing: Tensor) -> Tensor:
    """Eq. (15) of each map, time first; zeros like ``nothing`` without memory."""
    if NUM_SCALES - 1 not in prediction.recalls:
        return torch.zeros_like(nothing)
    return memory_distance(prediction.recalls[NUM_SCALES - 1])
