"""The batch that flows through STMem's steps: anomalib's VideoBatch with what the network measured."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

import torch
from anomalib.data import VideoBatch
from torch import Tensor
from torchvision.transforms.v2.functional import to_dtype

from ..data.clips import ClipBatch, ClipItem


@dataclass
class JudgedItem(ClipItem):
    """One clip of a :class:`JudgedBatch`."""

    prediction: torch.Tensor | None = None  # (c, h, w)
    measurements: torch.Tensor | None = None  # (len(MEASUREMENTS),)
    nearest: torch.Tensor | None = None


@dataclass
class JudgedBatch(ClipBatch):
    """A batch with three more fields, which ``VideoBatch.update`` would drop without a word."""

    item_class: ClassVar = JudgedItem
    prediction: torch.Tensor | None = None  # (j, c, h, w) in [-1, 1]: the final frame Y_hat
    measurements: torch.Tensor | None = None  # (j, len(MEASUREMENTS))
    nearest: torch.Tensor | None = None  # (j,), as the network's judgement has it


def as_judged_batch(batch: Any, window: int, root: Path | str | None = None) -> JudgedBatch:
    """Take any batch that a datamodule yields.

    Args:
        batch: of clips.
        window: frames that the model looks at.
        root: folder of the data; videos that the data does not name are named by their paths below it.

    Raises:
        TypeError: not a batch of video clips.
        ValueError: the clips are shorter than ``window + 1`` frames.
    """
    if not isinstance(batch, VideoBatch):
        msg = (
            f"STMem judges video clips, but the data yields {type(batch).__name__}. Use a video datamodule, such as "
            "--data VideoFolder, UCSDped, Avenue or ShanghaiTech."
        )
        raise TypeError(msg)
    length = batch.image.shape[1] if batch.image.ndim == 5 else 1
    judged = getattr(batch, "judged", None)
    if judged is not None:  # the first judged frame of a clip counts
        length = int(judged.any(dim=0).int().argmax()) + 1
    if length <= window:
        msg = (
            f"The data yields clips of {length} frames; STMem with window {window} needs {window + 1}: "
            f"{window} to look at and one to judge. Set --data.clip_length_in_frames {window + 1}."
        )
        raise ValueError(msg)
    kept = {field.name: getattr(batch, field.name, None) for field in fields(ClipBatch)}
    # Pictures and metrics use what the network sees; carrying the clip twice would double the memory.
    kept["original_image"] = None
    # anomalib's own datamodules do not say these.
    if kept["judged"] is None:
        number = torch.arange(batch.image.shape[1], device=batch.image.device)
        kept["judged"] = (number == number[-1]).expand(batch.image.shape[:2])
    if kept["video_name"] is None:
        kept["video_name"] = [_below(str(path), root) for path in kept["video_path"] or []] or None
    if kept["gt_mask"] is not None and kept["mask_known"] is None:
        kept["mask_known"] = torch.ones(len(batch.image), dtype=torch.bool, device=batch.image.device)
    if kept["frame_rate"] is None:
        kept["frame_rate"] = torch.full((len(batch.image),), torch.nan, device=batch.image.device)
    if kept["share"] is None:
        kept["share"] = torch.ones_like(kept["frame_rate"])
    kept["image"] = to_dtype(batch.image, torch.float32, scale=True)  # bytes, where no datamodule of ours took part
    return JudgedBatch(**kept)


def first_frames(batch: JudgedBatch, length: int | None = None) -> list[int] | None:
    """Return the number of each clip's first frame in its video, where the data says it.

    Args:
        batch: of clips.
        length: frames of each clip, up to its end, that are looked at; all by default.
    """
    if batch.frames is None:
        return None
    last = batch.judged.sum(dim=1).cumsum(dim=0) - 1  # place of each clip's last frame, which is always judged
    return (batch.frames[last] - (length or batch.judged.shape[1]) + 1).tolist()


def leave_out(batch: JudgedBatch, region: Tensor) -> None:
    """Clear the masks where the picture does not count; a frame of which nothing is left in its mask is normal.

    Args:
        batch: its masks and labels change.
        region: ``(h, w)`` or ``(1, 1)``, 1 where the picture counts and 0 elsewhere.
    """
    if batch.gt_mask is None or bool(region.all()):
        return
    was = batch.gt_mask.flatten(1).any(dim=1)
    batch.gt_mask = batch.gt_mask & (region.to(batch.gt_mask.device) > 0)
    if batch.gt_label is not None:
        batch.gt_label = batch.gt_label & ~(was & ~batch.gt_mask.flatten(1).any(dim=1))


def _below(path: str, root: Path | str | None) -> str:
    if root is not None and Path(path).resolve().is_relative_to(Path(root).resolve()):
        return Path(path).resolve().relative_to(Path(root).resolve()).as_posix()
    return path
