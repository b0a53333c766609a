"""Which frames form a clip and which of them is judged: the dataset that anomalib's loops draw from."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, ClassVar, cast

import numpy as np
import pandas as pd
import torch
from anomalib.data import VideoBatch, VideoItem
from anomalib.data.datasets.base.video import AnomalibVideoDataset, VideoTargetFrame
from anomalib.data.utils import LabelName
from torch import Tensor
from torchvision.transforms.v2.functional import to_dtype
from torchvision.tv_tensors import Mask as MaskTensor
from torchvision.tv_tensors import Video as VideoTensor

from .frame_buffer import OPEN_AT_ONCE, FrameBuffer
from .labels import LabelledVideo
from .order import SHUFFLED_FRAMES


@dataclass
class ClipItem(VideoItem):
    """One clip of a :class:`ClipBatch`."""

    judged: Tensor | None = None
    video_name: str | None = None
    mask_known: Tensor | None = None
    frame_rate: Tensor | None = None
    share: Tensor | None = None


@dataclass
class ClipBatch(VideoBatch):
    """A :class:`VideoBatch` that says more about its videos, and whose image may still be bytes.

    Bytes are a quarter of the floats to copy between processes and to the device; :func:`as_floats` follows there.
    Everything but ``image`` and ``judged`` has one row per judged frame, ``j`` in all, clip by clip.
    """

    item_class: ClassVar = ClipItem
    judged: Tensor | None = None  # (b, n), which frames of each clip are judged
    video_name: list[str] | None = None
    mask_known: Tensor | None = None  # (j,), false where a video without masks has an empty mask to fill the batch
    frame_rate: Tensor | None = None  # (j,), frames per second; NaN where it is not known
    share: Tensor | None = None  # (j,), of the camera's frames that are in the video; the others are repeats

    @staticmethod
    def validate_image(image: Tensor) -> Tensor:
        """Leave bytes as they are, which anomalib would turn into floats."""
        return image if image.dtype == torch.uint8 else VideoBatch.validate_image(image)


def as_floats(batch: ClipBatch) -> ClipBatch:
    """Map the image from bytes to [0, 1], unless that is done."""
    batch.image = to_dtype(batch.image, torch.float32, scale=True)
    return batch


@dataclass(frozen=True)
class Clip:
    """Where a clip lies in its video, and from which frame on it is judged."""

    video: LabelledVideo
    start: int
    first_judged: int
    stop: int

    @property
    def judged(self) -> range:
        """Numbers of the judged frames."""
        return range(self.first_judged, self.stop)


class ClipDataset(AnomalibVideoDataset):
    """Runs of consecutive frames, never across two videos.

    By default the last frame of a clip is the judged one: with 10 frames, clips of 6 and a stride of 2, the clips are
    frames 0-5, 2-7 and 4-9, judging 5, 7 and 9. With a ``context`` every frame that has so many before it is judged,
    each in one clip: with 12 frames, clips of 9 and a context of 5 the clips are 0-8, judging 5-8, and 3-11, judging
    9-11.

    Args:
        videos: what to draw from.
        split: ``train``, ``val`` or ``test``, for the samples table.
        clip_length_in_frames: frames per clip.
        frames_between_clips: stride between the starts of clips.
        frame_rate: frames per second of videos that do not say theirs.
        context: frames before a judged frame; the stride follows from it. Where a video is shorter than a clip, all
            clips are as short as that video.

    Raises:
        ValueError: a video is shorter than a clip, or than the context and one frame.
    """

    def __init__(
        self,
        videos: Sequence[LabelledVideo],
        split: str,
        clip_length_in_frames: int,
        frames_between_clips: int = 1,
        frame_rate: float | None = None,
        context: int | None = None,
    ) -> None:
        if context is not None:
            shortest = min((video.last - video.first for video in videos), default=clip_length_in_frames)
            clip_length_in_frames = max(context + 1, min(clip_length_in_frames, shortest))
            frames_between_clips = clip_length_in_frames - context
        super().__init__(clip_length_in_frames, frames_between_clips, target_frame=VideoTargetFrame.LAST)
        self.context = context
        self.videos = list(videos)
        self.split = split
        self.frame_rate = frame_rate
        self._buffer: FrameBuffer | None = None
        abnormal = [video.labels is not None and bool(video.labels[video.first : video.last].any()) for video in videos]
        self.samples = pd.DataFrame(
            {
                "image_path": [str(video.video.path) for video in self.videos],
                "split": split,
                "label_index": [int(LabelName.ABNORMAL if it else LabelName.NORMAL) for it in abnormal],
                "mask_path": None,
                "video_index": range(len(self.videos)),
            }
        )
        self.samples.attrs["task"] = "segmentation" if any(video.masks for video in self.videos) else "classification"

    @property
    def samples(self) -> pd.DataFrame:
        """One row per video, in natural order."""
        return super().samples

    @samples.setter
    def samples(self, samples: pd.DataFrame) -> None:
        # anomalib sorts by path as text, which puts clip 10 before clip 2 and breaks labels that come "in order".
        self._samples = samples.reset_index(drop=True)
        self._setup_clips()

    def _setup_clips(self) -> None:
        """Count the clips of each video; anomalib's indexer is not used, because it demands ``av``."""
        self.clips_of_video = []
        for index in self.samples.video_index:
            stretch = self.videos[index]
            length = stretch.last - stretch.first
            if length < self.clip_length_in_frames:
                msg = (
                    f"{stretch.video.path} has {length} frames to draw from, fewer than one clip of "
                    f"{self.clip_length_in_frames}. Remove the video or lower the clip length (in training "
                    "--data.train_clip_length)."
                )
                raise ValueError(msg)
            beyond_first = length - self.clip_length_in_frames
            # Judging every frame, one more clip holds what is left at the end.
            whole = beyond_first if self.context is None else beyond_first + self.frames_between_clips - 1
            self.clips_of_video.append(whole // self.frames_between_clips + 1)
        self._clip_ends = list(accumulate(self.clips_of_video))

    def __len__(self) -> int:
        """Return the number of clips."""
        return self._clip_ends[-1] if self._clip_ends else 0

    @property
    def num_judged(self) -> int:
        """Number of frames that are judged."""
        if self.context is None:
            return len(self)
        return sum(self.videos[i].last - self.videos[i].first - self.context for i in self.samples.video_index)

    def __getstate__(self) -> dict[str, Any]:
        """Leave open decoders behind: they belong to one process."""
        return self.__dict__ | {"_buffer": None}

    def forget_decoded(self) -> None:
        """Start a buffer of this process; called where a worker begins."""
        length = self.clip_length_in_frames
        # Judging goes straight on. Training comes back within a stretch, and to the end of the stretch before; each
        # video of a stretch adds the length of a clip.
        keep = 2 * (SHUFFLED_FRAMES + OPEN_AT_ONCE * length) if self.split == "train" else length
        self._buffer = FrameBuffer(keep)

    def __getitem__(self, index: int) -> ClipItem:
        """Read one clip that is judged at its last frame.

        Returns:
            ``image (t, 3, h, w)`` in [0, 1]; ``gt_label``, ``gt_mask (h, w)`` and ``frames`` (its number) of the last
            frame, labels and masks as far as they are known.

        Raises:
            TypeError: clips are judged at every frame, and so come in batches.
        """
        if self.context is not None:
            msg = "Clips that are judged at every frame have no single label; read batches with __getitems__."
            raise TypeError(msg)
        return cast("ClipItem", as_floats(self.__getitems__([index])).items[0])

    def __getitems__(self, indices: Sequence[int]) -> ClipBatch:
        """Read several clips as a batch, ``image (b, t, 3, h, w)`` in bytes: faster than collating items."""
        if self._buffer is None:
            self.forget_decoded()
        clips = [self._clip(index) for index in indices]
        images = [self._buffer.read(clip.video.video, clip.start, clip.stop) for clip in clips]
        _check_one_size(images, [clip.video for clip in clips])
        image = torch.from_numpy(np.stack(images))
        if self.augmentations:
            image = torch.stack([self.augmentations(VideoTensor(one)) for one in image])
        judged = [(clip.video, number) for clip in clips for number in clip.judged]
        labels = [video.label(number) for video, number in judged]
        masks, known = self._masks(judged, images[0].shape[2:])
        first = torch.tensor([clip.first_judged - clip.start for clip in clips])
        return ClipBatch(
            image=image,
            judged=torch.arange(self.clip_length_in_frames) >= first[:, None],
            # From the mask at full size: a thin mask may vanish when it shrinks.
            gt_label=None if None in labels else torch.tensor(labels),
            gt_mask=masks,
            video_path=[str(video.video.path) for video, _ in judged],
            frames=torch.tensor([number for _, number in judged]),
            last_frame=torch.tensor([video.last - 1 for video, _ in judged]),
            video_name=[video.name for video, _ in judged],
            mask_known=known,
            frame_rate=torch.tensor([video.video.frame_rate or self.frame_rate or torch.nan for video, _ in judged]),
            share=torch.tensor([video.share for video, _ in judged]),
        )

    def _clip(self, index: int) -> Clip:
        """Find a clip by its number."""
        row = bisect_right(self._clip_ends, index)
        video = self.videos[self.samples.video_index[row]]
        local = index - (self._clip_ends[row - 1] if row else 0)
        start = video.first + local * self.frames_between_clips
        if self.context is None:
            stop = start + self.clip_length_in_frames
            return Clip(video, start, stop - 1, stop)
        # The last clip ends with the video, and leaves out what the one before it judges.
        first_judged = start + self.context
        start = min(start, video.last - self.clip_length_in_frames)
        return Clip(video, start, first_judged, start + self.clip_length_in_frames)

    def _masks(
        self, judged: list[tuple[LabelledVideo, int]], size: tuple[int, ...]
    ) -> tuple[MaskTensor | None, Tensor | None]:
        """Masks of the judged frames, and for which they are known; ``None`` if no video of the dataset has any."""
        if not any(video.masks for video in self.videos):
            return None, None
        masks = [video.mask(number) for video, number in judged]
        filled = np.stack([np.zeros(size, bool) if mask is None else mask for mask in masks])
        return MaskTensor(torch.from_numpy(filled)), torch.tensor([mask is not None for mask in masks])

    @property
    def collate_fn(self) -> Callable:
        """Nothing is left to collate: :meth:`__getitems__` gives batches."""
        return as_it_is


def as_it_is(batch: ClipBatch) -> ClipBatch:
    """Return a batch; a named function, so it may travel to workers."""
    return batch


def _check_one_size(clips: list[np.ndarray], videos: list[LabelledVideo]) -> None:
    shapes = {clip.shape[2:]: video.video.path for clip, video in zip(clips, videos, strict=True)}
    if len(shapes) > 1:
        listed = "; ".join(f"{path}: {shape[0]}x{shape[1]}" for shape, path in shapes.items())
        msg = f"Videos of different frame sizes cannot share a batch ({listed}). Set --data.image_size [height,width]."
        raise ValueError(msg)
