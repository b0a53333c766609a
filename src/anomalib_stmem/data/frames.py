"""One video as numbered frames, whether it is a folder of images or a video file; decoding by cv2."""

import hashlib
import logging
import os
import re
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import platformdirs
from numpy.typing import NDArray
from PIL import Image as PillowImage

logger = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"})
VIDEO_SUFFIXES = frozenset({".avi", ".mp4", ".m4v", ".mkv", ".mov", ".mpg", ".mpeg", ".webm", ".wmv"})

Frames = NDArray[np.uint8]


class Video(Protocol):
    """Frames ``0 .. num_frames-1`` of one size."""

    path: Path
    num_frames: int
    size_hw: tuple[int, int]

    def read(self, start: int, stop: int) -> Frames:
        """Return frames ``start .. stop-1`` as ``(n, h, w, 3)`` RGB in [0, 255]."""
        ...


def natural_order(path: Path) -> list[tuple[int, int, str]]:
    """Sort key in which ``f9`` comes before ``f10``."""
    parts = re.split(r"(\d+)", path.name)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]


def list_images(folder: Path) -> list[Path]:
    """List the images directly in a folder, in natural order; hidden files and other suffixes are passed over."""
    images = (p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith("."))
    return sorted(images, key=natural_order)


def find_videos(folder: Path) -> list[Path]:
    """List the videos in a folder, in natural order: sub-folders with images, and video files.

    A folder that itself holds images is one video.

    Raises:
        FileNotFoundError: the folder is missing or holds no video.
    """
    if not folder.is_dir():
        msg = f"No folder at {folder}. Expected one sub-folder of images, or one video file, per video."
        raise FileNotFoundError(msg)
    entries = sorted((p for p in folder.iterdir() if not p.name.startswith(".")), key=natural_order)
    videos = [p for p in entries if p.suffix.lower() in VIDEO_SUFFIXES or (p.is_dir() and list_images(p))]
    empty = [p for p in entries if p.is_dir() and p not in videos]
    if videos and empty:
        msg = f"No image in {empty[0]}, which lies between videos. Fill the folder or remove it."
        raise FileNotFoundError(msg)
    if not videos and list_images(folder):
        return [folder]
    if not videos:
        msg = (
            f"No video in {folder}. Expected one sub-folder of images ({', '.join(sorted(IMAGE_SUFFIXES))}) "
            f"or one file ({', '.join(sorted(VIDEO_SUFFIXES))}) per video."
        )
        raise FileNotFoundError(msg)
    return videos


def open_video(path: Path, cache_dir: Path | None = None) -> Video:
    """Open a folder of images or a video file."""
    return FrameFolder(path) if path.is_dir() else VideoFile(path, cache_dir)


class FrameFolder:
    """A video kept as one image per frame, in natural order of the file names.

    Raises:
        ValueError: a file is not a readable image, or two frames differ in size.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files = list_images(path)
        self.num_frames = len(self._files)
        sizes = [_image_size(file) for file in self._files]  # headers only, so bad files show before training
        self.size_hw = sizes[0]
        for file, size in zip(self._files, sizes, strict=True):
            if size != self.size_hw:
                msg = (
                    f"{file} is {size[0]}x{size[1]} pixels (height x width), but {self._files[0].name} of the same "
                    f"video is {self.size_hw[0]}x{self.size_hw[1]}. All frames of a video must have one size."
                )
                raise ValueError(msg)

    def read(self, start: int, stop: int) -> Frames:
        """Return frames ``start .. stop-1`` as ``(n, h, w, 3)`` RGB in [0, 255]."""
        return np.stack([_read_image(file) for file in self._files[start:stop]])


class VideoFile:
    """A video file, decoded once, in order, into a memory-mapped file of its raw frames.

    So frame ``i`` is the ``i``-th frame that decoding from the start yields (seeking would be inexact with B-frames,
    and containers announce wrong counts), and training may read clips in any order.

    Args:
        path: of the video file.
        cache_dir: where decoded frames are kept; by default in the user's cache folder. An entry is used again while
            the file's path, size and time of change stay the same.

    Raises:
        ValueError: cv2 decodes no frame of the file, or the frame size changes within it.
    """

    def __init__(self, path: Path, cache_dir: Path | None = None) -> None:
        self.path = path
        cache_dir = cache_dir or platformdirs.user_cache_path("anomalib_stmem") / "frames"
        state = path.stat()
        identity = f"{path.resolve()}\n{state.st_size}\n{state.st_mtime_ns}"
        key = hashlib.sha256(identity.encode()).hexdigest()[:24]
        # The shape stands in the name and the name appears only when the file is whole: a crash leaves no bad entry.
        self._raw = next(cache_dir.glob(f"{key}_*.rgb"), None) or self._decode(cache_dir, key)
        self.num_frames, height, width = (int(part) for part in self._raw.stem.split("_")[1].split("x"))
        self.size_hw = (height, width)

    def read(self, start: int, stop: int) -> Frames:
        """Return frames ``start .. stop-1`` as ``(n, h, w, 3)`` RGB in [0, 255]."""
        frames = np.memmap(self._raw, np.uint8, mode="r", shape=(self.num_frames, *self.size_hw, 3))
        return np.array(frames[start:stop])

    def _decode(self, cache_dir: Path, key: str) -> Path:
        cache_dir.mkdir(parents=True, exist_ok=True)
        unfinished = cache_dir / f"{key}.{os.getpid()}.part"
        capture = cv2.VideoCapture(str(self.path))
        announced = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        count, shape = 0, None
        with unfinished.open("wb") as raw:
            while True:
                decoded, frame = capture.read()
                if not decoded:
                    break
                if shape is not None and frame.shape != shape:
                    msg = f"Frame {count} of {self.path} is {frame.shape[:2]} pixels, the frames before {shape[:2]}."
                    unfinished.unlink()
                    raise ValueError(msg)
                shape = frame.shape
                raw.write(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB).tobytes())
                count += 1
        capture.release()
        if shape is None:
            unfinished.unlink()
            msg = f"cv2 decodes no frame of {self.path}. The file is empty, damaged, or in a codec that cv2 lacks."
            raise ValueError(msg)
        if announced > 0 and announced != count:
            logger.warning("%s announces %d frames and holds %d; using what it holds.", self.path, announced, count)
        return unfinished.rename(cache_dir / f"{key}_{count}x{shape[0]}x{shape[1]}.rgb")


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Read a ground-truth image as ``(h, w)``, true where any channel is above zero.

    Raises:
        ValueError: the file is not a readable image.
    """
    return _read_image(path).max(axis=-1) > 0


def _read_image(path: Path) -> Frames:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        msg = f"{path} cannot be decoded as an image: the file is damaged or cut off. Restore it or remove its video."
        raise ValueError(msg)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)  # type: ignore[return-value]  # uint8 by IMREAD_COLOR


def _image_size(path: Path) -> tuple[int, int]:
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
