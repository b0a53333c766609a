"""One sub-network: encoder with RTSM, a memory on every connection, decoder with RCAM (Fig. 5).

Axes: ``b`` clips, ``t`` frames in, ``s`` frames decoded, ``c`` channels, ``h w`` map size. Inside, time comes first:
``n = t*b`` maps, all clips' first frames, then all second ones, so that "the frame before" is a slice and no copy.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

import torch
from torch import Tensor, nn

from .attention import ResidualChannelAttention
from .memory import PrototypeMemory, Recall
from .shift import LEAK, ResidualTemporalShift

NUM_SCALES = 4  # the input size and three halvings, as in the network of Park et al. 2020


@dataclass(frozen=True)
class Architecture:
    """What the ablations of Tables II-IV switch; :class:`~anomalib_stmem.STMem` documents each field."""

    channels: int = 3
    width: int = 16
    stem: int = 2
    window: int = 5
    rtsm: bool = True
    shift_fraction: float = 0.25
    rcam: bool = True
    skips: bool = True
    residual: bool = True
    memory: Literal["all", "bottleneck", "none"] = "all"
    memory_items: int = 20
    memory_temperature: float = 0.1
    memory_momentum: float | None = 0.95
    memory_restart: int = 200
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
        if self.stem not in {1, 2, 4}:
            msg = f"stem must be 1, 2 or 4 pixels; got {self.stem}."
            raise ValueError(msg)
        if self.window < 3:
            msg = f"window (t) must be at least 3 frames, so that a difference has a past; got {self.window}."
            raise ValueError(msg)
        if not 0 <= self.shift_fraction <= 1:
            msg = f"shift_fraction must be in [0, 1]; got {self.shift_fraction}."
            raise ValueError(msg)

    @property
    def divisor(self) -> int:
        """Height and width of frames must be multiples of it."""
        return self.stem * 2 ** (NUM_SCALES - 1)

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


Past = list[Tensor]  # per shifting scale, finest first, (b, moved, h, w): what the frame before left to its successor


class Encoder(nn.Module):
    """Compress each frame to one map per scale; frames meet only in the temporal shifts."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        widths = architecture.scale_channels
        self.to_blocks = nn.PixelUnshuffle(architecture.stem)
        read = architecture.channels * architecture.stem**2
        self.blocks = nn.ModuleList(
            _two_convolutions(before, after, stride=1 if scale == 0 else 2)
            for scale, (before, after) in enumerate(zip([read, *widths], widths, strict=False))
        )
        self.shifts = nn.ModuleDict(
            {
                str(scale): ResidualTemporalShift(widths[scale], architecture.shift_fraction)
                for scale in architecture.shifting_scales
            }
        )

    def forward(self, frames: Tensor, num_clips: int) -> list[Tensor]:
        """Encode clips.

        Args:
            frames: ``(t*b, c, h, w)``, time first.
            num_clips: ``b``.

        Returns:
            One ``(t'*b, c_scale, h_scale, w_scale)`` per scale, finest first. The first frame has none before it, so it
            is used up by each shift on the way: ``t' = t - shifts so far``.
        """
        features, maps = self.to_blocks(frames), []
        for scale, block in enumerate(self.blocks):
            features = block(features)
            shift = self._shift(scale)
            if shift is not None:
                features = shift(features[num_clips:], shift.moved(features[:-num_clips]))
            maps.append(features)
        return maps

    def step(self, frames: Tensor, past: Past) -> tuple[list[Tensor], Past]:
        """Encode the next frame of each of ``b`` videos: ``(b, c, h, w)``, with what the frames before left.

        Returns:
            One map per scale, finest first, and what these frames leave.
        """
        features, maps, left = self.to_blocks(frames), [], []
        for scale, block in enumerate(self.blocks):
            features = block(features)
            shift = self._shift(scale)
            if shift is not None:
                left.append(shift.moved(features).clone())  # a view would keep the whole map alive
                features = shift(features, past[len(left) - 1])
            maps.append(features)
        return maps, left

    def _shift(self, scale: int) -> ResidualTemporalShift | None:
        return cast("ResidualTemporalShift", self.shifts[str(scale)]) if str(scale) in self.shifts else None


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
        predicted = architecture.channels * architecture.stem**2
        self.to_frame = nn.Conv2d(widths[0], predicted, kernel_size=3, padding=1)
        # Differences are a few percent of a frame. From random weights, whose first predictions are larger than any,
        # 2.5 minutes on Ped2 explained 17 % of the motion; from zeros, 59 %.
        nn.init.zeros_(self.to_frame.weight)
        nn.init.zeros_(cast("Tensor", self.to_frame.bias))
        self.from_blocks = nn.PixelShuffle(architecture.stem)

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
            return self.from_blocks(self.to_frame(features.float()))


class StreamPrediction(NamedTuple):
    """What one sub-network expected."""

    frames: Tensor  # (b, s, c, h, w): the frame (or difference) after each decoded step
    recalls: dict[int, Recall]  # by scale, 0 the finest; empty without memory; of s*b maps, time first


class StreamNetwork(nn.Module):
    """The spatial or temporal sub-network (Fig. 5); both have this structure and their own weights."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.window = architecture.window
        self.stem = architecture.stem
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
        num_clips = inputs.shape[0]
        unseen = self.window - 2 - len(self.encoder.shifts)  # oldest inputs, which no shift brings to a decoded step
        maps = self.encoder(inputs[:, unseen:].transpose(0, 1).flatten(0, 1), num_clips)
        num_steps = inputs.shape[1] - self.window + 2  # whose map of the deepest scale is left
        frames, recalls = self._decode([features[-num_steps * num_clips :] for features in maps])
        return StreamPrediction(frames.unflatten(0, (num_steps, num_clips)).transpose(0, 1), recalls)

    def step(self, frames: Tensor, past: Past) -> tuple[StreamPrediction, Past]:
        """Predict what follows the next frame of each video: ``(b, c, h, w)`` to ``(b, 1, c, h, w)``.

        Fed frame by frame, the predictions are those of :meth:`forward` once ``window - 1`` frames were seen.
        """
        maps, left = self.encoder.step(frames, past)
        predicted, recalls = self._decode(maps)
        return StreamPrediction(predicted[:, None], recalls), left

    def _decode(self, maps: list[Tensor]) -> tuple[Tensor, dict[int, Recall]]:
        """Read the memories with one map per scale, and predict from what they let through."""
        recalls: dict[int, Recall] = {}
        through: list[Tensor] = []
        for scale, features in enumerate(maps):
            if str(scale) in self.memories:
                recalls[scale] = self.memories[str(scale)](features)
                read = recalls[scale].read
                through.append(torch.cat([features, read], dim=1) if self.fusion == "concat" else read)
            else:
                through.append(features)
        return self.decoder(through[-1], through[:-1] if self.skips else []), recalls

    def update_memories(self, recalls: dict[int, Recall]) -> None:
        """Move the items towards what was read with; for training steps."""
        for scale, recall in recalls.items():
            cast("PrototypeMemory", self.memories[str(scale)]).update(recall)

    def empty_past(self, num_videos: int, size_hw: tuple[int, int]) -> Past:
        """Return the state before the first frame, zeros, for frames of ``size_hw`` pixels."""
        finest = [side // self.stem for side in size_hw]
        parameter = next(self.parameters())
        return [
            parameter.new_zeros([num_videos, shift.num_moved, *(side // 2 ** int(scale) for side in finest)])
            for scale, shift in cast("dict[str, ResidualTemporalShift]", self.encoder.shifts).items()
        ]


def _convolution(before: int, after: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, kernel_size=3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.LeakyReLU(LEAK, inplace=True),
    )


def _two_convolutions(before: int, after: int, stride: int) -> nn.Sequential:
    return nn.Sequential(_convolution(before, after, stride), _convolution(after, after))
