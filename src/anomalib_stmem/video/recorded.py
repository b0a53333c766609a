"""A recorded video as numbered frames of one size, whether it is a folder of pictures or a video file."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from .damage import OnDamage
from .decoding import Decoder, RecordedDecoder, open_recorded
from .finding import list_images
from .frame import Picture, Planes, Size, planes
from .names import shown
from .pictures import DamagedPictureError, explain_gaps, picture_size, read_picture, starts_after_gaps
from .reasons import NoVideoError

logger = logging.getLogger(__name__)

COUNTED_RATE = 1.0  # frames per second, where times do not matter


class Video(Protocol):
    """Frames ``0 .. num_frames-1`` of one size. Holds no decoder, so it may travel to other processes."""

    path: Path
    num_frames: int
    source_hw: Size  # of the files
    size_hw: Size  # of the frames that come out
    frame_rate: float | None  # frames per second, where the source says
    can_seek: bool  # whether starting anywhere costs nothing
    cut_off: bool  # whether these are the frames before a damage
    damage_said: str | None  # a sentence about what is damaged or missing, if anything is known to be
    gaps: tuple[int, ...]  # frames before which others are missing: what was before is not their past

    def frames(self, start: int = 0) -> Iterator[Planes]:
        """Decode frame ``start`` and those after it, in order."""
        ...


def open_video(path: Path, size_hw: Size | None = None, damaged: OnDamage = "refuse") -> Video:
    """Open a folder of pictures or a video file.

    Args:
        path: of the folder or file.
        size_hw: frames are resized to; ``None`` leaves them as they are.
        damaged: whether to ``refuse`` a video that is damaged or cut off, or ``keep`` the frames that can be decoded.

    Raises:
        ValueError: nothing can be decoded, two frames differ in size, or the video is damaged and refused.
    """
    return FrameFolder(path, size_hw, damaged) if path.is_dir() else VideoFile(path, size_hw, damaged)


class FrameFolder:
    """A video kept as one picture per frame, in natural order of the file names.

    Grey and colour, turned by their EXIF orientation; 16 bits are scaled to 8 by their full range. Arguments and errors
    as :func:`open_video`.
    """

    frame_rate: float | None = None
    can_seek = True

    def __init__(self, path: Path, size_hw: Size | None = None, damaged: OnDamage = "refuse") -> None:
        self.path = path
        files = list_images(path)
        self.source_hw = picture_size(files[0])
        self._files, self.cut_off, self.damage_said = files[:1], False, None
        for file in files[1:]:  # headers only, so bad files show before training
            try:
                size = picture_size(file)
            except DamagedPictureError as error:
                if damaged == "refuse":
                    raise
                self.damage_said = f"Using the {len(self._files)} frames before this one: {error}"
                logger.warning("%s", self.damage_said)
                self.cut_off = True
                break
            if size != self.source_hw:
                msg = (
                    f"{shown(file)} is {size[0]}x{size[1]} pixels (height x width), but {files[0].name} of the same "
                    f"video is {self.source_hw[0]}x{self.source_hw[1]}. All frames of a video must have one size."
                )
                raise ValueError(msg)
            self._files.append(file)
        self.num_frames = len(self._files)
        self.size_hw = size_hw or self.source_hw
        self.gaps = tuple(starts_after_gaps(self._files))
        if self.gaps:
            logger.warning("%s", explain_gaps(self._files))

    def frames(self, start: int = 0) -> Iterator[Planes]:
        """Decode frame ``start`` and those after it, in order.

        Raises:
            ValueError: a file is damaged beyond its header.
        """
        for file in self._files[start:]:
            yield planes(read_picture(file), self.size_hw)


class VideoFile:
    """A video file, decoded from its start and never sought in.

    So frame ``i`` is the ``i``-th frame that decoding yields: seeking is inexact with B-frames, and containers announce
    wrong counts. Frames and damage are counted by decoding the file once. Arguments and errors as :func:`open_video`.
    """

    can_seek = False
    gaps: tuple[int, ...] = ()

    def __init__(self, path: Path, size_hw: Size | None = None, damaged: OnDamage = "refuse") -> None:
        self.path = path
        decoder, first = open_at_first(path)
        self.num_frames = 1
        while decoder.advance():
            self.num_frames += 1
        decoder.close()
        self.source_hw = (first.shape[0], first.shape[1])
        self.size_hw = size_hw or self.source_hw
        self.frame_rate = decoder.frame_rate
        self.damage_said, self.cut_off = check_whole(path, decoder, damaged), decoder.damage.is_grave

    def frames(self, start: int = 0) -> Iterator[Planes]:
        """Decode frame ``start`` and those after it, in order; the frames before it are decoded and dropped.

        Raises:
            ValueError: the frame size changes within the file.
        """
        decoder = open_recorded(self.path, COUNTED_RATE)
        try:
            for _ in range(start):
                decoder.advance()
            for index in range(start, self.num_frames):
                if not decoder.advance():
                    msg = f"Frame {index} of {shown(self.path)} could be decoded before and cannot now. Has it changed?"
                    raise ValueError(msg)
                picture = decoder.picture()
                _check_size(self.path, index, picture, self.source_hw)
                yield planes(picture, self.size_hw)
        finally:
            decoder.close()


class Reading(NamedTuple):
    """A video that is read once, from start to end."""

    frame_rate: float | None  # frames per second, where the video says
    source_hw: Size  # of its pictures
    frames: Iterator[Planes]


def read_once(path: Path, size_hw: Size | None, damaged: OnDamage) -> Reading:
    """Open a video to be read once, from start to end; a file is not decoded beforehand to count its frames.

    Raises:
        ValueError: nothing can be decoded. Where a size changes or, if such are refused, a file is cut off, the frames
            raise it when they get there.
    """
    if path.is_dir():
        folder = FrameFolder(path, size_hw, damaged)
        return Reading(folder.frame_rate, folder.source_hw, folder.frames())
    decoder, first = open_at_first(path)
    size = (first.shape[0], first.shape[1])

    def frames() -> Iterator[Planes]:
        picture: Picture | None = first
        count = 0
        try:
            while picture is not None:
                _check_size(path, count, picture, size)
                yield planes(picture, size_hw or size)
                count += 1
                picture = decoder.picture() if decoder.advance() else None
            check_whole(path, decoder, damaged)
        finally:
            decoder.close()

    return Reading(decoder.frame_rate, size, frames())


def check_whole(path: Path, decoder: Decoder, damaged: OnDamage) -> str | None:
    """Say what is damaged of a video that was decoded to its end; ``None`` if nothing is.

    Raises:
        ValueError: it is more than a little, and such videos are refused.
    """
    said = decoder.damage.explain(shown(path), decoder.seconds)
    if decoder.damage.is_grave and damaged == "refuse":
        msg = f"{said} Restore it, or use what can be decoded with --data.damaged keep."
        raise ValueError(msg)
    if said is not None:
        logger.warning("%s The rest is used.", said)
    return said


def open_at_first(path: Path, frame_rate: float | None = COUNTED_RATE) -> tuple[RecordedDecoder, Picture]:
    """Open a video at its first frame.

    Raises:
        ValueError: there is no video; the message says why.
    """
    try:
        decoder = open_recorded(path, frame_rate)
    except NoVideoError as error:
        msg = f"There is no video in {shown(path)}: {error}."
        raise ValueError(msg) from None
    if not decoder.advance():
        msg = f"There is no video in {shown(path)}: {decoder.why_ended}."
        raise ValueError(msg)
    return decoder, decoder.picture()


def _check_size(path: Path, index: int, picture: Picture, size_hw: Size) -> None:
    if picture.shape[:2] != size_hw:
        msg = f"Frame {index} of {shown(path)} is {picture.shape[:2]} pixels, the first one {size_hw}."
        raise ValueError(msg)
