"""A recorded video as numbered frames of one size, whether it is a folder of images or a video file."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Protocol

from PIL import Image as PillowImage

from .decoding import Decoder, ImagesDecoder, open_recorded
from .finding import list_images
from .frame import Image, Planes, Size, planes

logger = logging.getLogger(__name__)

CUT_OFF_BELOW = 0.95  # of the frames that the container announces; a few too many are announced commonly

Damaged = Literal["refuse", "keep"]


class Video(Protocol):
    """Frames ``0 .. num_frames-1`` of one size. Holds no decoder, so it may travel to other processes."""

    path: Path
    num_frames: int
    source_hw: Size  # of the files
    size_hw: Size  # of the frames that come out
    frame_rate: float | None  # frames per second, where the source says
    can_seek: bool  # whether starting anywhere costs nothing
    cut_off: bool  # whether these are the frames before a damage

    def frames(self, start: int = 0) -> Iterator[Planes]:
        """Decode frame ``start`` and those after it, in order."""
        ...


def open_video(path: Path, size_hw: Size | None = None, damaged: Damaged = "refuse") -> Video:
    """Open a folder of images or a video file.

    Args:
        path: of the folder or file.
        size_hw: frames are resized to; ``None`` leaves them as they are.
        damaged: whether to ``refuse`` a video that is cut off, or ``keep`` the frames before the damage.

    Raises:
        ValueError: nothing can be decoded, two frames differ in size, or the video is damaged and refused.
    """
    return FrameFolder(path, size_hw, damaged) if path.is_dir() else VideoFile(path, size_hw, damaged)


class FrameFolder:
    """A video kept as one image per frame, in natural order of the file names.

    8 and 16 bits, grey and colour; 16 bits are scaled to 8 by their full range. Arguments and errors as
    :func:`open_video`.
    """

    frame_rate: float | None = None
    can_seek = True

    def __init__(self, path: Path, size_hw: Size | None = None, damaged: Damaged = "refuse") -> None:
        self.path = path
        files = list_images(path)
        self.source_hw = _image_size(files[0])
        self._files, self.cut_off = files[:1], False
        for file in files[1:]:  # headers only, so bad files show before training
            try:
                size = _image_size(file)
            except ValueError as error:
                if damaged == "refuse":
                    raise
                logger.warning("Using the %d frames before this one: %s", len(self._files), error)
                self.cut_off = True
                break
            if size != self.source_hw:
                msg = (
                    f"{file} is {size[0]}x{size[1]} pixels (height x width), but {files[0].name} of the same "
                    f"video is {self.source_hw[0]}x{self.source_hw[1]}. All frames of a video must have one size."
                )
                raise ValueError(msg)
            self._files.append(file)
        self.num_frames = len(self._files)
        self.size_hw = size_hw or self.source_hw

    def frames(self, start: int = 0) -> Iterator[Planes]:
        """Decode frame ``start`` and those after it, in order.

        Raises:
            ValueError: a file is damaged beyond its header.
        """
        decoder = ImagesDecoder(self._files[start:])
        while decoder.advance():
            yield planes(decoder.image(), self.size_hw)


class VideoFile:
    """A video file, decoded from its start and never sought in.

    So frame ``i`` is the ``i``-th frame that decoding yields: seeking is inexact with B-frames, and containers announce
    wrong counts. Frames are counted by decoding the file once. cv2 turns frames as the file's metadata says. Arguments
    and errors as :func:`open_video`.
    """

    can_seek = False

    def __init__(self, path: Path, size_hw: Size | None = None, damaged: Damaged = "refuse") -> None:
        self.path = path
        decoder, first = _open_file(path)
        self.num_frames = 1
        while decoder.advance():
            self.num_frames += 1
        decoder.close()
        self.source_hw = (first.shape[0], first.shape[1])
        self.size_hw = size_hw or self.source_hw
        self.frame_rate = decoder.frame_rate
        self.cut_off = not check_whole(path, self.num_frames, decoder.num_announced, damaged)

    def frames(self, start: int = 0) -> Iterator[Planes]:
        """Decode frame ``start`` and those after it, in order; the frames before it are decoded and dropped.

        Raises:
            ValueError: the frame size changes within the file.
        """
        decoder = open_recorded(self.path)
        try:
            for _ in range(start):
                decoder.advance()
            for index in range(start, self.num_frames):
                image = decoder.image() if decoder.advance() else None
                if image is None:
                    msg = f"Frame {index} of {self.path} could be decoded before and cannot now. Has the file changed?"
                    raise ValueError(msg)
                _check_size(self.path, index, image, self.source_hw)
                yield planes(image, self.size_hw)
        finally:
            decoder.close()


def read_once(path: Path, size_hw: Size | None, damaged: Damaged) -> tuple[float | None, Iterator[Planes]]:
    """Open a video to be read once, from start to end; a file is not decoded beforehand to count its frames.

    Returns:
        Frames per second where the video says, and its frames.

    Raises:
        ValueError: nothing can be decoded. Where a size changes or, if such are refused, a file is cut off, the frames
            raise it when they get there.
    """
    if path.is_dir():
        folder = FrameFolder(path, size_hw, damaged)
        return folder.frame_rate, folder.frames()
    decoder, first = _open_file(path)
    size = (first.shape[0], first.shape[1])

    def frames() -> Iterator[Planes]:
        image: Image | None = first
        count = 0
        while image is not None:
            _check_size(path, count, image, size)
            yield planes(image, size_hw or size)
            count += 1
            image = decoder.image() if decoder.advance() else None
        decoder.close()
        check_whole(path, count, decoder.num_announced, damaged)

    return decoder.frame_rate, frames()


def _open_file(path: Path) -> tuple[Decoder, Image]:
    """Open a video file at its first frame."""
    decoder = open_recorded(path)
    first = decoder.image() if decoder.advance() else None
    if first is None:
        msg = f"cv2 decodes no frame of {path}: no video, empty, damaged, only sound, or in a codec that cv2 lacks."
        raise ValueError(msg)
    return decoder, first


def _check_size(path: Path, index: int, image: Image, size_hw: Size) -> None:
    if image.shape[:2] != size_hw:
        msg = f"Frame {index} of {path} is {image.shape[:2]} pixels, the first one {size_hw}."
        raise ValueError(msg)


def check_whole(path: Path, num_frames: int, announced: int | None, damaged: Damaged) -> bool:
    """Return whether a video file holds, but for a few, the frames that its container announces.

    Raises:
        ValueError: it does not, and such are refused.
    """
    cut_off = num_frames < CUT_OFF_BELOW * (announced or 0)
    msg = f"{path} announces {announced} frames, and {num_frames} can be decoded"
    if cut_off and damaged == "refuse":
        msg += ": it is cut off or damaged. Restore it, or use what there is with --data.damaged keep."
        raise ValueError(msg)
    if num_frames < (announced or 0):
        logger.log(logging.WARNING if cut_off else logging.INFO, "%s; using these.", msg)
    return not cut_off


def _image_size(path: Path) -> Size:
    try:
        with path.open("rb") as file, PillowImage.open(file) as image:
            size = image.height, image.width
            if image.format == "JPEG":
                file.seek(-min(1024, path.stat().st_size), os.SEEK_END)
                if b"\xff\xd9" not in file.read():  # end-of-image; without it cv2 fills up with grey and says nothing
                    msg = f"{path} is cut off. Restore the frame or remove its video."
                    raise ValueError(msg)
            return size
    except OSError as error:
        kind = "empty (0 bytes)" if path.stat().st_size == 0 else "not a readable image"
        msg = f"{path} is {kind}. Restore the frame or remove its video."
        raise ValueError(msg) from error
