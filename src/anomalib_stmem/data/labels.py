"""Which frames are abnormal: from masks, label files or intervals, each checked against the frames."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..video.damaged_files import refuse_damaged
from ..video.recorded import Video
from .masks import Mask, Masks

Labels = NDArray[np.bool_]  # (num_frames,), true = abnormal

MOST_FRAMES = 20_000  # of normal video that are judged to set a threshold: some minutes of work
STRETCH = 1000  # frames in a row, where that is not all of it
FEWEST_STRETCHES, SHORTEST = 8, 40  # that few frames are spread over, and frames of each of them


@dataclass(frozen=True, eq=False)
class LabelledVideo:
    """A stretch ``first .. last-1`` of a video, with what is known about its frames.

    Frame numbers are always those of the whole video, so a stretch is reported under its own numbers.

    Raises:
        ValueError: not as many masks or labels as frames, masks of another size than the frames.
    """

    name: str  # what tables call the video
    video: Video
    first: int
    last: int
    labels: Labels | None = None  # of the whole video
    masks: Masks | None = None  # of the whole video
    share: float = 1.0  # of the camera's frames that are among them; the others repeat the picture before

    def __post_init__(self) -> None:
        """Check that the truth is about these frames; of a video used up to its damage there may be more truth."""
        frames = self.video.num_frames
        for kind, truth in (("labels", self.labels), ("masks", self.masks)):
            if truth is None or len(truth) == frames or (self.video.cut_off and len(truth) > frames):
                continue
            source = f" in {self.masks.path}" if kind == "masks" and self.masks is not None else ""
            msg = f"There are {len(truth)} {kind}{source} for {self.video.path}, which has {frames} frames."
            raise ValueError(msg)

    def label(self, frame: int) -> bool | None:
        """Whether a frame is abnormal: by the labels, else any pixel of its mask; ``None`` without either."""
        if self.labels is not None:
            return bool(self.labels[frame])
        mask = self._full_mask(frame)
        return None if mask is None else bool(mask.any())

    def mask(self, frame: int) -> Mask | None:
        """Return the mask in the size of the frames, ``(h, w)``; ``None`` without masks."""
        mask = self._full_mask(frame)
        if mask is None or mask.shape == self.video.size_hw:
            return mask
        size = self.video.size_hw[::-1]
        return cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST).astype(bool)

    def _full_mask(self, frame: int) -> Mask | None:
        if self.masks is None:
            return None
        mask = self.masks[frame]
        if mask.shape != self.video.source_hw:
            msg = (
                f"The mask of frame {frame} in {self.masks.path} is {mask.shape[0]}x{mask.shape[1]} pixels (height x "
                f"width), its frame {self.video.source_hw[0]}x{self.video.source_hw[1]}."
            )
            raise ValueError(msg)
        return mask


def whole(name: str, video: Video, labels: Labels | None = None, masks: Masks | None = None) -> LabelledVideo:
    """Take all frames of a video."""
    return LabelledVideo(name, video, 0, video.num_frames, labels, masks)


def load_labels(path: Path) -> Labels:
    """Load a ``.npy`` file of 0/1 values as one row.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is damaged, or holds other values than 0 and 1.
    """
    if not path.is_file():
        msg = f"No label file at {path}. Expected a .npy array with one 0 (normal) or 1 (abnormal) per frame."
        raise FileNotFoundError(msg)
    with refuse_damaged(path, ".npy array"):
        labels = np.load(path).ravel()
    if labels.dtype == bool:
        labels = labels.view(np.uint8)  # a damaged byte is neither true nor false
    if not np.isin(labels, (0, 1)).all():
        msg = f"{path} holds values other than 0 (normal) and 1 (abnormal): {np.unique(labels)[:5]}."
        raise ValueError(msg)
    return labels.astype(bool)


def split_labels(path: Path, counts: dict[str, int]) -> dict[str, Labels]:
    """Load labels of several videos that stand in one ``.npy`` file, one video after the other.

    Args:
        path: of the file.
        counts: frames of each video, in the order of the file.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not one value per frame, or other values than 0 and 1.
    """
    labels = load_labels(path)
    if len(labels) != sum(counts.values()):
        listed = ", ".join(f"{name}: {count}" for name, count in counts.items())
        msg = f"{path} holds {len(labels)} labels, but the videos have {sum(counts.values())} frames ({listed})."
        raise ValueError(msg)
    parts = np.split(labels, np.cumsum(list(counts.values()))[:-1])
    return dict(zip(counts, parts, strict=True))


def load_intervals(path: Path, counts: dict[str, int]) -> dict[str, Labels]:
    """Load abnormal intervals from a CSV file with the columns ``video,start,end``.

    ``video`` is the name of a video (its path without suffix, below the folder of test videos); frames count from 0 and
    both ends are abnormal. A video without a row is normal throughout.

    Args:
        path: of the file.
        counts: frames of each video by name.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is damaged, a column is missing, a video is unknown, or an interval is empty or outside its
            video.
    """
    if not path.is_file():
        msg = f"No label file at {path}. Expected a CSV file with the columns video,start,end."
        raise FileNotFoundError(msg)
    with refuse_damaged(path, "CSV file"):
        rows = pd.read_csv(path, dtype={"video": str})
    if missing := {"video", "start", "end"} - set(rows.columns):
        msg = f"{path} lacks the columns {sorted(missing)}; it has {list(rows.columns)}. Expected video,start,end."
        raise ValueError(msg)
    labels = {name: np.zeros(count, bool) for name, count in counts.items()}
    for line, (name, start, end) in enumerate(rows[["video", "start", "end"]].to_numpy(), start=2):
        where = f"{path}, line {line}"
        if name not in labels:
            msg = f"{where}: there is no video {name!r}. The videos are {', '.join(counts)}."
            raise ValueError(msg)
        first, last = pd.to_numeric(pd.Series([start, end]), errors="coerce")
        if not 0 <= first <= last < counts[name]:  # also where one is not a number
            msg = (
                f"{where}: the interval {start} to {end} is not inside frames 0 to {counts[name] - 1} of video {name}."
            )
            raise ValueError(msg)
        labels[name][int(first) : int(last) + 1] = True
    return labels


def mark(count: int, stretches: Sequence[tuple[int, int]], where: str) -> Labels:
    """Mark stretches of frames, counted from 1, both ends included, as MATLAB annotations have them.

    Raises:
        ValueError: a stretch is empty or outside the video; ``where`` names its source.
    """
    labels = np.zeros(count, bool)
    for start, end in stretches:
        if not 1 <= start <= end <= count:
            msg = f"{where}: the interval {start}:{end} is not inside the frames 1 to {count} of the video."
            raise ValueError(msg)
        labels[start - 1 : end] = True
    return labels


def without_gaps(videos: Sequence[LabelledVideo], shortest: int) -> list[LabelledVideo]:
    """Cut videos where frames are missing, so that no clip goes across; pieces of fewer than ``shortest`` frames go."""
    pieces: list[LabelledVideo] = []
    for video in videos:
        inside = [gap for gap in video.video.gaps if video.first < gap < video.last]
        for first, last in zip([video.first, *inside], [*inside, video.last], strict=True):
            if not inside or last - first >= shortest:
                pieces.append(replace(video, first=first, last=last))
    return pieces


def spread(videos: Sequence[LabelledVideo], most: float = MOST_FRAMES) -> list[LabelledVideo]:
    """Take all frames of the videos or, of more than ``most``, about so many in stretches over all of them."""
    total = sum(video.last - video.first for video in videos)
    if total <= most:
        return list(videos)
    stretches, length = [], min(STRETCH, max(SHORTEST, most / FEWEST_STRETCHES))
    for video in videos:
        pieces = max(1, round((video.last - video.first) / length))
        cuts = np.linspace(video.first, video.last, pieces + 1).astype(int).tolist()
        stretches += [replace(video, first=first, last=last) for first, last in pairwise(cuts)]
    count = max(1, int(len(stretches) * most // total))
    return [stretches[place] for place in np.linspace(0, len(stretches) - 1, count).round().astype(int)]
