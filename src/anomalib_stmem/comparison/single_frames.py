"""The frames that a video model judges, one by one, for models of single images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from anomalib.data import ImageBatch, ImageItem
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.transforms.v2.functional import to_dtype

from ..data.clips import ClipBatch
from ..data.datamodule import ClipData


@dataclass
class FrameItem(ImageItem):
    """One frame of a :class:`FrameBatch`."""

    video_name: str | None = None
    frames: Tensor | None = None
    mask_known: Tensor | None = None
    frame_rate: Tensor | None = None


@dataclass
class FrameBatch(ImageBatch):
    """An ``ImageBatch`` that says which frames of which videos it holds."""

    item_class: ClassVar = FrameItem
    video_name: list[str] | None = None
    frames: Tensor | None = None  # (b,), number in its video
    mask_known: Tensor | None = None  # (b,)
    frame_rate: Tensor | None = None  # (b,)


def as_single_frames(data: ClipData) -> ClipData:
    """Make a datamodule's loaders yield the judged frames of its clips: the same frames with the same truth."""
    data.external_collate_fn = None
    make = data._loader  # noqa: SLF001  # the one place through which all its loaders come

    def loader(*args: Any, **kwargs: Any) -> DataLoader:  # noqa: ANN401
        clips = make(*args, **kwargs)
        clips.collate_fn = last_frames
        return clips

    data._loader = loader  # type: ignore[method-assign]  # noqa: SLF001
    return data


def last_frames(clips: ClipBatch) -> FrameBatch:
    """Keep the last frame of each clip; its file name is made up of video and number."""
    numbers: Sequence[int] = clips.frames.tolist() if isinstance(clips.frames, Tensor) else []
    names = list(clips.video_name or [])
    return FrameBatch(
        image=to_dtype(clips.image[:, -1], torch.float32, scale=True),
        gt_label=clips.gt_label,
        gt_mask=clips.gt_mask,
        image_path=[f"{name}/{number:06d}" for name, number in zip(names, numbers, strict=True)],
        video_name=names,
        frames=clips.frames,
        mask_known=clips.mask_known,
        frame_rate=clips.frame_rate,
    )
