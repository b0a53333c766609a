"""Which frames form a clip and which of them is judged: the dataset that anomalib's loops draw from."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import cast

import numpy as np
import pandas as pd
import torch
from anomalib.data import VideoBatch, VideoItem
from anomalib.data.datasets.base.video import AnomalibVideoDataset, VideoTargetFrame
from anomalib.data.utils import LabelName
from torchvision.transforms.v2.functional import to_dtype
from torchvision.tv_tensors import Video as VideoTensor

from .labels import LabelledVideo


class ClipDataset(AnomalibVideoDataset):
    """Runs of consecutive frames, never across two videos; the last frame of a clip is the judged one.

    With 10 frames, clips of 6 and a stride of 2, the clips are frames 0-5, 2-7 and 4-9, judging 5, 7 and 9.

    Args:
        videos: what to draw from.
        split: ``train``, ``val`` or ``test``, for the samples table.
        clip_length_in_frames: frames per clip.
        frames_between_clips: stride between the starts of clips.

    Raises:
        ValueError: a video is shorter than a clip.
    """

    def __init__(
        self,
        videos: Sequence[LabelledVideo],
        split: str,
        clip_length_in_frames: int,
        frames_between_clips: int = 1,
    ) -> None:
        super().__init__(clip_length_in_frames, frames_between_clips, target_frame=VideoTargetFrame.LAST)
        self.videos = list(videos)
        abnormal = [video.labels is not None and video.labels[video.first : video.last].any() for video in self.videos]
        self.samples = pd.DataFrame(
            {
                "image_path": [str(video.video.path) for video in self.videos],
                "split": split,
                "label_index": [LabelName.ABNORMAL if any_ else LabelName.NORMAL for any_ in abnormal],
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
        counts = []
        for index in self.samples.video_index:
            stretch = self.videos[index]
            length = stretch.last - stretch.first
            if length < self.clip_length_in_frames:
                msg = (
                    f"{stretch.video.path} has {length} frames to draw from, fewer than one clip of "
                    f"{self.clip_length_in_frames}. Remove the video or lower the clip length."
                )
                raise ValueError(msg)
            counts.append((length - self.clip_length_in_frames) // self.frames_between_clips + 1)
        self._clip_ends = list(accumulate(counts))

    def __len__(self) -> int:
        """Return the number of clips."""
        return self._clip_ends[-1] if self._clip_ends else 0

    def __getitem__(self, index: int) -> VideoItem:
        """Read one clip.

        Returns:
            ``image (t, 3, h, w)`` in [0, 1]; ``gt_label``, ``gt_mask (h, w)`` and ``frames`` (its number) of the last
            frame, labels and masks as far as they are known.
        """
        row = bisect_right(self._clip_ends, index)
        stretch = self.videos[self.samples.video_index[row]]
        local = index - (self._clip_ends[row - 1] if row else 0)
        start = stretch.first + local * self.frames_between_clips
        judged = start + self.clip_length_in_frames - 1
        frames = torch.from_numpy(stretch.video.read(start, judged + 1)).permute(0, 3, 1, 2)
        image = to_dtype(VideoTensor(frames), torch.float32, scale=True)
        label, mask = stretch.label(judged), stretch.mask(judged)
        return VideoItem(
            image=self.augmentations(image) if self.augmentations else image,
            # From the mask at full size: a thin mask may vanish when the model's transform shrinks it.
            gt_label=None if label is None else torch.tensor(label),
            gt_mask=None if mask is None else torch.from_numpy(np.ascontiguousarray(mask)),
            video_path=str(stretch.video.path),
            frames=torch.tensor(judged),
            last_frame=torch.tensor(stretch.last - 1),
        )

    @property
    def collate_fn(self) -> Callable:
        """Collate clips of one size."""
        return collate_clips


def collate_clips(items: list[VideoItem]) -> VideoBatch:
    """Stack clips to a batch.

    Raises:
        ValueError: clips of different sizes, which no batch can hold.
    """
    shapes = {tuple(item.image.shape): item.video_path for item in items}
    if len(shapes) > 1:
        listed = "; ".join(f"{path}: {shape[-2]}x{shape[-1]}" for shape, path in shapes.items())
        msg = f"Videos of different frame sizes cannot share a batch ({listed}). Give the model an image_size."
        raise ValueError(msg)
    return cast("VideoBatch", VideoBatch.collate(items))
