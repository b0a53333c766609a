"""The one place where video is decoded: by cv2, frame after frame, from a file, a folder of images or a live source."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

import cv2
import numpy as np

from .finding import list_images
from .frame import Image

Kind = Literal["file", "camera", "stream"]
OPEN_SECONDS, READ_SECONDS = 10.0, 5.0  # until a silent address counts as lost
GREATEST_RATE = 1000  # frames per second; what is beyond is a time base
MJPEG = cv2.VideoWriter.fourcc(*"MJPG")


class Decoder(Protocol):
    """Frames in order. Advancing is cheap where no image is asked for."""

    @property
    def frame_rate(self) -> float | None:
        """Frames per second, where the source says."""
        ...

    @property
    def num_announced(self) -> int | None:
        """Frames that the source says it has; ``None`` where it has no end."""
        ...

    @property
    def has_clock(self) -> bool:
        """Whether :meth:`seconds` is the source's own time."""
        ...

    def advance(self) -> bool:
        """Go to the next frame; false at the end."""
        ...

    def image(self) -> Image | None:
        """Return the picture of the frame at hand; ``None`` if it cannot be had."""
        ...

    def seconds(self) -> float:
        """Return the time stamp of the frame at hand, by the source's clock."""
        ...

    def close(self) -> None:
        """Let go of the source."""
        ...


class ImagesDecoder:
    """A video kept as one image per frame.

    Args:
        files: in order.
        frame_rate: frames per second to count seconds with, if any.
    """

    has_clock = True

    def __init__(self, files: Sequence[Path], frame_rate: float | None = None) -> None:
        self.frame_rate, self.num_announced = frame_rate, len(files)
        self._files, self._place = files, -1

    def advance(self) -> bool:
        """Go to the next file."""
        self._place += 1
        return self._place < len(self._files)

    def image(self) -> Image:
        """Decode the file at hand.

        Raises:
            ValueError: it is damaged.
        """
        file = self._files[self._place]
        image = cv2.imread(str(file), cv2.IMREAD_COLOR)
        if image is None:
            msg = f"{file} cannot be decoded: the file is damaged or cut off. Restore it or remove its video."
            raise ValueError(msg)
        return image.astype(np.uint8, copy=False)

    def seconds(self) -> float:
        """Count from the first file."""
        return self._place / (self.frame_rate or 1)

    def close(self) -> None:
        """Nothing is open."""


class CaptureDecoder:
    """A video file, a camera or a stream, by ``cv2.VideoCapture``.

    Args:
        address: path, URL or number of a camera.
        kind: which of them.
    """

    def __init__(self, address: str, kind: Kind = "file") -> None:
        if kind == "camera":
            self._capture = cv2.VideoCapture(int(address))
        else:
            limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, int(1000 * OPEN_SECONDS)]
            limits += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, int(1000 * READ_SECONDS)]
            self._capture = cv2.VideoCapture(address, cv2.CAP_FFMPEG, [] if kind == "file" else limits)
        self.is_open = self._capture.isOpened()
        announced, rate = (self._capture.get(what) for what in (cv2.CAP_PROP_FRAME_COUNT, cv2.CAP_PROP_FPS))
        self.num_announced = int(announced) if announced > 0 else None
        self.frame_rate = rate if 0 < rate < GREATEST_RATE else None
        # Cameras and MJPEG streams have no time stamps.
        mjpeg = int(self._capture.get(cv2.CAP_PROP_FOURCC)) == MJPEG
        self.has_clock = kind == "file" or announced > 0 or not (kind == "camera" or mjpeg)

    def advance(self) -> bool:
        """Go to the next frame."""
        return self._capture.grab()

    def image(self) -> Image | None:
        """Convert the frame at hand."""
        read, image = self._capture.retrieve()
        if not read:
            return None
        if image.ndim == 2:
            image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
        return image.astype(np.uint8, copy=False)

    def seconds(self) -> float:
        """Read the source's clock."""
        return self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000

    def close(self) -> None:
        """Release it."""
        self._capture.release()


def open_recorded(path: Path, frame_rate: float | None = None) -> Decoder:
    """Open a video file or a folder of images.

    Args:
        path: of either.
        frame_rate: frames per second to count seconds with in a folder of images.
    """
    return ImagesDecoder(list_images(path), frame_rate) if path.is_dir() else CaptureDecoder(str(path))
