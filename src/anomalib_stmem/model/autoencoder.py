"""One sub-network: encoder with RTSM, a memory on every connection, decoder with RCAM (Fig. 5).

Axes: ``b`` clips, ``t`` frames in, ``s`` frames decoded, ``c`` channels, ``h w`` map size, ``n = b*s``.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn

from .attention import ResidualChannelAttention
from .memory import PrototypeMemory, Recall
from .shift import LEAK, ResidualTemporalShift

NUM_SCALES = 4  # the input size and three halvings, as in the network of Park et al. 2020


@dataclass(frozen=True)
class Architecture:
    """What the ablations of Tables II-IV switch; :class:`~anomalib_stmem.STMem` documents each field."""

    channels: int = 3
    width: int = 32
    window: int = 5
    rtsm: bool = True
    shift_fraction: float = 0.25
    rcam: bool = True
    skips: bool = True
    memory: Literal["all", "bottleneck", "none"] = "all"
    memory_items: int = 20
    memory_temperature: float = 1.0
    memory_momentum: float | None = None
    memory_restart: int = 0
    memory_learned: bool = False
    memory_fusion: Literal["concat", "read"] = "concat"

    def __post_init__(self) -> None:
        """Refuse what no network can be built from."""
        if self.channels not in {1, 3}:
            msg = f"channels must be 1 (grey) or 3 (colour); got {self.channels}."
            raise ValueError(msg)
        if self.width < 1:
            msg = f"width must be at least 1 channel; got {self.width}."
            raise ValueError(msg)
        if self.window < 3:
            msg = f"window (t) must be at least 3 frames, so that a difference has a past; got {self.window}."
            raise ValueError(msg)
        if not 0 <= self.shift_fraction <= 1:
            msg = f"shift_fraction must be in [0, 1]; got {self.shift_fraction}."
            raise ValueError(msg)

    @property
    def scale_channels(self) -> list[int]:
        """Channels of each scale, finest first."""
        return [self.width * 2**scale for scale in range(NUM_SCALES)]

    @property
    def shifting_scales(self) -> range:
        """Scales that hold an RTSM: deepest first, the finest never, at most ``window - 2``.

        So the last of the ``window - 1`` frames of a window sees all of them and nothing older: window, clip and
        stream give the same numbers, and the state of a stream stays small.
        """
        count = min(NUM_SCALES - 1, self.window - 2) if self.rtsm else 0
        return range(NUM_SCALES - count, NUM_SCALES)


class Encoder(nn.Module):
    """Compress each frame to one map per scale; frames meet only in the temporal shifts."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        widths = architecture.scale_channels
        self.blocks = nn.ModuleList(
            _two_convolutions(before, after, stride=1 if scale == 0 else 2)
            for scale, (before, after) in enumerate(zip([architecture.channels, *widths], widths, strict=False))
        )
        self.shifts = nn.ModuleDict(
            {
                str(scale): ResidualTemporalShift(widths[scale], architecture.shift_fraction)
                for scale in architecture.shifting_scales
            }
        )

    def forward(self, frames: Tensor) -> list[Tensor]:
        """Map ``(b, t, c, h, w)`` to one ``(b, t, c_scale, h_scale, w_scale)`` per scale, finest first."""
        batch = frames.shape[0]
        features, maps = rearrange(frames, "b t c h w -> (b t) c h w"), []
        for scale, block in enumerate(self.blocks):
            features = block(features)
            in_time = rearrange(features, "(b t) c h w -> b t c h w", b=batch)
            if str(scale) in self.shifts:
                in_time = self.shifts[str(scale)](in_time)
                features = rearrange(in_time, "b t c h w -> (b t) c h w")
            maps.append(in_time)
        return maps


class Decoder(nn.Module):
    """Predict a frame from what the memories let through; RCAM after each deconvolution."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        widths = architecture.scale_channels

        def let_through(scale: int, remembered: bool) -> int:
            return widths[scale] * (2 if remembered and architecture.memory_fusion == "concat" else 1)

        deepest = NUM_SCALES - 1
        self.up, self.fuse, self.attend = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        below = let_through(deepest, architecture.memory != "none")
        for scale in reversed(range(deepest)):
            skip = let_through(scale, architecture.memory == "all") if architecture.skips else 0
            self.up.append(nn.ConvTranspose2d(below, widths[scale], kernel_size=2, stride=2))
            self.fuse.append(_convolution(widths[scale] + skip, widths[scale]))
            self.attend.append(ResidualChannelAttention(widths[scale]) if architecture.rcam else nn.Identity())
            below = widths[scale]
        # Linear: a frame difference reaches [-2, 2], which no tanh does.
        self.to_frame = nn.Conv2d(widths[0], architecture.channels, kernel_size=3, padding=1)

    def forward(self, bottleneck: Tensor, skips: list[Tensor]) -> Tensor:
        """Map ``(n, c, h, w)`` of the deepest scale and the skips (finest first, or none) to frames."""
        features = bottleneck
        for up, fuse, attend, skip in zip(
            self.up, self.fuse, self.attend, reversed(skips) if skips else [None] * len(self.up), strict=True
        ):
            features = up(features)
            features = attend(fuse(features if skip is None else torch.cat([features, skip], dim=1)))
        # Outside autocast: a bfloat16 frame would be coarser than the 8-bit picture it is compared with.
        with torch.autocast(features.device.type, enabled=False):
            return self.to_frame(features.float())


class StreamPrediction(NamedTuple):
    """What one sub-network expected."""

    frames: Tensor  # (b, s, c, h, w): the frame (or difference) after each decoded step
    recalls: dict[int, Recall]  # by scale, 0 the finest; empty without memory


class StreamNetwork(nn.Module):
    """The spatial or temporal sub-network (Fig. 5); both have this structure and their own weights."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.window = architecture.window
        self.skips = architecture.skips
        self.fusion = architecture.memory_fusion
        self.encoder = Encoder(architecture)
        deepest = NUM_SCALES - 1
        remembered = {"all": range(NUM_SCALES if self.skips else 0), "bottleneck": [], "none": []}[architecture.memory]
        scales = sorted({*remembered, *([] if architecture.memory == "none" else [deepest])})
        self.memories = nn.ModuleDict(
            {
                str(scale): PrototypeMemory(
                    architecture.scale_channels[scale],
                    num_items=architecture.memory_items,
                    temperature=architecture.memory_temperature,
                    momentum=architecture.memory_momentum,
                    restart_after=architecture.memory_restart,
                    learn_items=architecture.memory_learned,
                )
                for scale in scales
            }
        )
        self.decoder = Decoder(architecture)

    def forward(self, inputs: Tensor) -> StreamPrediction:
        """Predict what follows each of the ``t`` inputs that has a full window behind it.

        Args:
            inputs: ``(b, t, c, h, w)`` consecutive frames or differences, ``t >= window - 1``.

        Returns:
            Predictions for ``s = t - window + 2`` steps: the first follows input ``window - 2``, the last ``t - 1``.
        """
        recalls: dict[int, Recall] = {}
        through: list[Tensor] = []
        for scale, in_time in enumerate(self.encoder(inputs)):
            features = rearrange(in_time[:, self.window - 2 :], "b s c h w -> (b s) c h w")
            if str(scale) in self.memories:
                recalls[scale] = self.memories[str(scale)](features)
                read = recalls[scale].read
                features = torch.cat([features, read], dim=1) if self.fusion == "concat" else read
            through.append(features)
        frames = self.decoder(through[-1], through[:-1] if self.skips else [])
        return StreamPrediction(rearrange(frames, "(b s) c h w -> b s c h w", b=len(inputs)), recalls)


def _convolution(before: int, after: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, kernel_size=3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.LeakyReLU(LEAK),
    )


def _two_convolutions(before: int, after: int, stride: int) -> nn.Sequential:
    return nn.Sequential(_convolution(before, after, stride), _convolution(after, after))
