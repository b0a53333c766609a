"""One video as numbered frames, whether it is a folder of images or a video file; decoding and resizing by cv2."""

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

logger = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"})
VIDEO_SUFFIXES = frozenset({".avi", ".mp4", ".m4v", ".mkv", ".mov", ".mpg", ".mpeg", ".webm", ".wmv"})
CUT_OFF_BELOW = 0.95  # of the frames that the container announces; a few too many are announced commonly

Frame = NDArray[np.uint8]  # (3, h, w) RGB in [0, 255]
Frames = NDArray[np.uint8]  # (n, 3, h, w)
Size = tuple[int, int]  # height, width
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

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """Decode frame ``start`` and those after it, in order."""
        ...


def natural_order(path: Path) -> list[list[tuple[int, int, str]]]:
    """Sort key in which ``f9`` comes before ``f10``, folder by folder."""
    return [
        [(0, int(digits), "") if digits.isdigit() else (1, 0, digits) for digits in re.split(r"(\d+)", part)]
        for part in path.parts
    ]


def list_images(folder: Path) -> list[Path]:
    """List the images directly in a folder, in natural order; hidden files and other suffixes are passed over."""
    images = (p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith("."))
    return sorted(images, key=natural_order)


def find_videos(folder: Path) -> list[Path]:
    """List the videos under a folder, however deep, in natural order: video files, and folders with images.

    A folder that itself holds images is one video.

    Raises:
        FileNotFoundError: the folder is missing or holds no video, or an empty folder lies between videos.
        ValueError: two videos have one name, so their labels and results could not be told apart.
    """
    if not folder.is_dir():
        msg = f"No folder at {folder}. Expected one sub-folder of images, or one video file, per video."
        raise FileNotFoundError(msg)
    if list_images(folder):
        return [folder]
    videos: list[Path] = []
    empty: list[Path] = []
    for place, _, files in os.walk(folder):
        here = Path(place)
        visible = [here / name for name in files if not name.startswith(".")]
        videos += [path for path in visible if path.suffix.lower() in VIDEO_SUFFIXES]
        if any(path.suffix.lower() in IMAGE_SUFFIXES for path in visible):
            videos.append(here)
        elif not any(here.iterdir()):
            empty.append(here)
    videos.sort(key=natural_order)
    if not videos:
        msg = (
            f"No video in {folder}. Expected one sub-folder of images ({', '.join(sorted(IMAGE_SUFFIXES))}) "
            f"or one file ({', '.join(sorted(VIDEO_SUFFIXES))}) per video."
        )
        raise FileNotFoundError(msg)
    if empty:
        msg = f"No image in {empty[0]}, which lies between videos. Fill the folder or remove it."
        raise FileNotFoundError(msg)
    first: dict[str, Path] = {}
    for path in videos:
        twin = first.setdefault(video_name(path, folder), path)
        if twin is not path:
            msg = f"{twin} and {path} are two videos of one name. Rename or remove one of them."
            raise ValueError(msg)
    return videos


def video_name(path: Path, root: Path) -> str:
    """Name a video by its path below ``root`` without suffix, such as ``gate/01``."""
    below = path.relative_to(root) if path != root else Path(path.name)
    return (below if path.is_dir() else below.with_suffix("")).as_posix()


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

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """Decode frame ``start`` and those after it, in order.

        Raises:
            ValueError: a file is damaged beyond its header.
        """
        for file in self._files[start:]:
            image = cv2.imread(str(file), cv2.IMREAD_COLOR)
            if image is None:
                msg = f"{file} cannot be decoded: the file is damaged or cut off. Restore it or remove its video."
                raise ValueError(msg)
            yield planes(image, self.size_hw)


class VideoFile:
    """A video file, decoded from its start and never sought in.

    So frame ``i`` is the ``i``-th frame that decoding yields: seeking is inexact with B-frames, and containers announce
    wrong counts. Frames are counted by decoding the file once. cv2 turns frames as the file's metadata says. Arguments
    and errors as :func:`open_video`.
    """

    can_seek = False

    def __init__(self, path: Path, size_hw: Size | None = None, damaged: Damaged = "refuse") -> None:
        self.path = path
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        decoded, first = capture.read()
        if not decoded:
            msg = f"cv2 decodes no frame of {path}: no video, empty, damaged, only sound, or in a codec that cv2 lacks."
            raise ValueError(msg)
        announced, rate = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), capture.get(cv2.CAP_PROP_FPS)
        self.num_frames = 1
        while capture.grab():
            self.num_frames += 1
        capture.release()
        self.source_hw = (first.shape[0], first.shape[1])
        self.size_hw = size_hw or self.source_hw
        self.frame_rate = rate if 0 < rate < 1000 else None  # beyond: a time base, not a rate
        self.cut_off = not check_whole(path, self.num_frames, announced, damaged)

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """Decode frame ``start`` and those after it, in order; the frames before it are decoded and dropped.

        Raises:
            ValueError: the frame size changes within the file.
        """
        capture = cv2.VideoCapture(str(self.path), cv2.CAP_FFMPEG)
        try:
            for _ in range(start):
                capture.grab()
            for index in range(start, self.num_frames):
                decoded, frame = capture.read()
                if not decoded:
                    msg = f"Frame {index} of {self.path} could be decoded before and cannot now. Has the file changed?"
                    raise ValueError(msg)
                if frame.shape[:2] != self.source_hw:
                    msg = f"Frame {index} of {self.path} is {frame.shape[:2]} pixels, the first one {self.source_hw}."
                    raise ValueError(msg)
                yield planes(frame, self.size_hw)
        finally:
            capture.release()


def check_whole(path: Path, num_frames: int, announced: int, damaged: Damaged) -> bool:
    """Return whether a video file holds, but for a few, the frames that its container announces.

    Raises:
        ValueError: it does not, and such are refused.
    """
    cut_off = num_frames < CUT_OFF_BELOW * announced
    msg = f"{path} announces {announced} frames, and {num_frames} can be decoded"
    if cut_off and damaged == "refuse":
        msg += ": it is cut off or damaged. Restore it, or use what there is with --data.damaged keep."
        raise ValueError(msg)
    if num_frames < announced:
        logger.log(logging.WARNING if cut_off else logging.INFO, "%s; using these.", msg)
    return not cut_off


def planes(image: NDArray, size_hw: Size) -> Frame:
    """Turn a decoded ``(h, w, 3)`` BGR image, bytes or floats, into a ``(3, h, w)`` RGB frame of the size wanted.

    The one resize of the package: averaging where the image shrinks, bilinear where it grows.
    """
    if image.shape[:2] != size_hw:
        shrinks = image.shape[0] >= size_hw[0] and image.shape[1] >= size_hw[1]
        image = cv2.resize(image, size_hw[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    frame = np.empty((3, *size_hw), image.dtype)
    cv2.split(image, [frame[2], frame[1], frame[0]])
    return frame


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
