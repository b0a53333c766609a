"""Training video without the frames that repeat the one before, as ``stmem watch`` leaves them out.

A camera that gives 2.5 frames per second in a stream of 5 shows every picture twice. Trained on them, half of the
movement would be none, and the other half twice as fast as what a watch sees.
"""

import logging
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..video.frame import Planes
from ..video.frame_rate import ASSUMED_RATE
from ..video.names import shown
from ..video.recorded import Video
from ..video.repeats import Repeats
from .labels import LabelledVideo

logger = logging.getLogger(__name__)


class NewFrames:
    """A video of which only some frames count, numbered anew.

    Args:
        video: which.
        kept: numbers of the frames that count, rising.
    """

    def __init__(self, video: Video, kept: NDArray[np.int64]) -> None:
        self._video, self._kept = video, kept
        self.path, self.source_hw, self.size_hw = video.path, video.source_hw, video.size_hw
        self.frame_rate, self.can_seek, self.cut_off = video.frame_rate, video.can_seek, video.cut_off
        self.damage_said, self.num_frames = video.damage_said, len(kept)
        self.gaps = tuple(np.searchsorted(kept, video.gaps).tolist())

    def frames(self, start: int = 0) -> Iterator[Planes]:
        """Decode frame ``start`` and those after it, in order."""
        if start >= self.num_frames:
            return
        wanted = iter(self._kept[start:].tolist())
        following = next(wanted)
        for number, frame in enumerate(self._video.frames(following), start=following):
            if number == following:
                yield frame
                following = next(wanted, -1)


def without_repeats(video: LabelledVideo, rate: float | None = None) -> LabelledVideo:
    """Leave out the frames of a normal video that show nothing new; the video itself where all do.

    Args:
        video: all frames of it, without masks.
        rate: frames per second, where the video does not say.
    """
    repeats, per_second = Repeats(), video.video.frame_rate or rate or ASSUMED_RATE
    is_new = [
        not repeats.is_repeat(np.ascontiguousarray(planes[::-1].transpose(1, 2, 0)), number / per_second)
        for number, planes in enumerate(video.video.frames())
    ]
    kept = np.flatnonzero(is_new)
    if len(kept) == len(is_new):
        return video
    logger.warning(
        "%s: %d of %d frames repeat the picture before. They are left out, as `stmem watch` leaves them out.",
        shown(video.video.path),
        len(is_new) - len(kept),
        len(is_new),
    )
    labels = None if video.labels is None else video.labels[kept]
    new = NewFrames(video.video, kept)
    return replace(video, video=new, first=0, last=len(kept), labels=labels, share=len(kept) / len(is_new))
