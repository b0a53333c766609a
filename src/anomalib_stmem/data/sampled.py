"""Of long video, stretches spread over all of it, decoded once: ten hours cost what ten minutes cost.

A file is sought in here, and nowhere else: which frames these are does not matter, since they have no labels.
"""

import logging
import math
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..video.choosing import Tally, chosen_frames
from ..video.decoding import RecordedDecoder
from ..video.frame import Frame, Size, planes
from ..video.frame_rate import ASSUMED_RATE, FramePicker
from ..video.names import shown
from ..video.recorded import open_at_first
from .cache import CachedVideo

logger = logging.getLogger(__name__)

STRETCH = 20.0  # seconds


class SampledVideo(CachedVideo):
    """Frames of a video as ``stmem watch`` chooses them, decoded and resized: at one rate, none damaged, no repeats.

    Args:
        path: of the video.
        entry: file to decode into.
        size_hw: frames are resized to; ``None`` leaves them as they are.
        seconds: to take, in stretches of about :data:`STRETCH`; all of the video where it is shorter.
        rate: frames per second, as near as every n-th frame comes to it; ``None`` takes all.
        said_rate: frames per second of the video, where it does not say. Where nobody says, every frame is taken, and
            25 count as a second.

    Raises:
        ValueError: there is no video.
        OSError: the frames cannot be written.
    """

    cut_off = False
    damage_said: str | None = None

    def __init__(
        self,
        path: Path,
        entry: Path,
        size_hw: Size | None = None,
        seconds: float = math.inf,
        rate: float | None = None,
        said_rate: float | None = None,
    ) -> None:
        self.path, self._entry = path, entry
        decoder, picture = open_at_first(path, said_rate or ASSUMED_RATE)
        tally, gaps, seconds_of, self.num_frames, repeats = Tally(), [], list[float](), 0, 0
        try:
            self.source_hw = (picture.shape[0], picture.shape[1])
            self.size_hw = size_hw or self.source_hw
            with entry.open("wb") as raw:
                for start, end in _stretches(decoder.length, seconds):
                    gaps.append(self.num_frames)
                    for frame in _frames(decoder, start, end, rate, said_rate, tally):
                        raw.write(planes(frame.image, self.size_hw).data)
                        if frame.follows_gap:
                            gaps.append(self.num_frames)
                        seconds_of.append(frame.seconds)
                        self.num_frames += 1
                        repeats += frame.num_repeats
        except OSError as error:
            msg = (
                f"There is no room for the decoded frames of {shown(path)} in {entry.parent}: {error.strerror}. Name "
                "another folder with --data.cache_dir, or take fewer --data.minutes."
            )
            raise OSError(msg) from error
        finally:
            decoder.close()
        self.seconds = tuple(seconds_of)  # of each frame, in the video that it is from
        self.gaps = tuple(sorted({gap for gap in gaps if 0 < gap < self.num_frames}))
        source = decoder.frame_rate or said_rate
        stride = 1 if source is None or rate is None else max(1, round(source / rate))
        self.frame_rate = None if source is None else source / stride
        self.share = self.num_frames / max(1, self.num_frames + repeats)
        if tally.damaged:
            logger.warning("%s: %d damaged frames are left out.", shown(path), tally.damaged)


def sampled(
    paths: list[Path],
    folder: Path,
    size_hw: Size | None,
    minutes: float,
    rate: float | None = None,
    said_rate: float | None = None,
) -> Iterator[SampledVideo]:
    """Take so many minutes of several videos together, of each by its length.

    A video that does not say how long it is is taken as a whole.

    Args:
        paths: of the videos.
        folder: to decode into.
        size_hw: frames are resized to; ``None`` leaves them as they are.
        minutes: of all of them.
        rate: frames per second, as :class:`SampledVideo` has it.
        said_rate: frames per second of videos that do not say.

    Raises:
        ValueError: there is no video.
        OSError: the frames cannot be written.
    """
    lengths = []
    for path in paths:
        decoder, _ = open_at_first(path, said_rate or ASSUMED_RATE)
        lengths.append(decoder.length)
        decoder.close()
    share = min(1.0, 60 * minutes / max(1e-9, sum(length or 0.0 for length in lengths)))
    for path, length in zip(paths, lengths, strict=True):
        seconds = math.inf if length is None or share == 1 else share * length
        yield SampledVideo(path, folder / f"{uuid.uuid4().hex}.rgb", size_hw, seconds, rate, said_rate)


def _stretches(length: float | None, seconds: float) -> list[tuple[float, float]]:
    """Say from which to which second stretches go; all that there is, where that is little enough or not known."""
    if length is None or length <= seconds:
        return [(0.0, math.inf)]
    count = max(1, round(seconds / STRETCH))
    return [(start, start + seconds / count) for start in np.linspace(0, length - seconds / count, count).tolist()]


def _frames(
    decoder: RecordedDecoder, start: float, end: float, rate: float | None, said_rate: float | None, tally: Tally
) -> Iterator[Frame]:
    """Go through the frames of a stretch that show something new."""
    decoder.seek(start)
    known = decoder.frame_rate or said_rate
    picker = FramePicker(rate if known else None, known)
    going = lambda: decoder.seconds is None or decoder.seconds < end  # noqa: E731
    for frame in chosen_frames(decoder, picker, lambda seconds: seconds or 0.0, tally, going):
        if frame.frozen_since is None and start <= frame.seconds < end:
            yield frame
