"""Ground truth of videos: masks per frame, and labels from a file; each checked against the frames."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .frames import Video, find_videos, list_images, read_mask

Labels = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class LabelledVideo:
    """A stretch ``first .. last-1`` of a video, with what is known about its frames.

    Frame numbers are always those of the whole video, so a stretch is reported under its own numbers.
    """

    video: Video
    first: int
    last: int
    labels: Labels | None = None  # (num_frames of the whole video,), true = abnormal
    masks: list[Path] | None = None  # one per frame of the whole video

    @property
    def name(self) -> str:
        """What tables call the video: its folder or file name without suffix."""
        return self.video.path.stem

    def label(self, frame: int) -> bool | None:
        """Whether a frame is abnormal: by the label file, else any pixel of its mask; ``None`` without either."""
        if self.labels is not None:
            return bool(self.labels[frame])
        mask = self.mask(frame)
        return None if mask is None else bool(mask.any())

    def mask(self, frame: int) -> NDArray[np.bool_] | None:
        """``(h, w)``, true where abnormal; ``None`` without masks."""
        if self.masks is None:
            return None
        mask = read_mask(self.masks[frame])
        if mask.shape != self.video.size_hw:
            msg = f"{self.masks[frame]} is {mask.shape} pixels (height, width), its frame {self.video.size_hw}."
            raise ValueError(msg)
        return mask


def load_labels(path: Path, videos: list[Video]) -> list[Labels]:
    """Load one ``.npy`` file of 0/1 values, all videos in natural order one after the other.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not one value per frame, or other values than 0 and 1.
    """
    if not path.is_file():
        msg = f"No label file at {path}. Expected a .npy array with one 0 or 1 per frame, videos in order."
        raise FileNotFoundError(msg)
    labels = np.load(path).ravel()
    counts = [video.num_frames for video in videos]
    if len(labels) != sum(counts):
        listed = ", ".join(f"{video.path.name}: {count}" for video, count in zip(videos, counts, strict=True))
        msg = f"{path} holds {len(labels)} labels, but the videos have {sum(counts)} frames ({listed})."
        raise ValueError(msg)
    if not np.isin(labels, (0, 1)).all():
        msg = f"{path} holds values other than 0 (normal) and 1 (abnormal): {np.unique(labels)[:5]}."
        raise ValueError(msg)
    return np.split(labels.astype(bool), np.cumsum(counts)[:-1])


def find_masks(folder: Path, videos: list[Video]) -> list[list[Path]]:
    """List the masks of every video: ``folder/<video name>/*.png``, one per frame, in natural order.

    Raises:
        FileNotFoundError: a video has no folder of masks.
        ValueError: a video has not as many masks as frames.
    """
    by_name = {path.name: path for path in find_videos(folder)}
    found = []
    for video in videos:
        if video.path.stem not in by_name:
            msg = f"No masks for video {video.path.name} in {folder}. Expected a folder {folder / video.path.stem}."
            raise FileNotFoundError(msg)
        masks = list_images(by_name[video.path.stem])
        if len(masks) != video.num_frames:
            own = by_name[video.path.stem]
            msg = f"{own} holds {len(masks)} masks, but {video.path} has {video.num_frames} frames."
            raise ValueError(msg)
        found.append(masks)
    return found
