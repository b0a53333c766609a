"""One frame of a video: its picture and when it was seen."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]  # (h, w, 3) BGR, or (h, w) where the source is grey
Image = NDArray[np.uint8]  # (h, w, 3) BGR
Planes = NDArray[np.uint8]  # (3, h, w) RGB in [0, 255], as the network reads it; (n, 3, h, w) for several frames
Size = tuple[int, int]  # height, width in pixels

MOST_PIXELS = 80_000_000  # of a picture; what is beyond is a header that lies, and would take all memory


@dataclass(frozen=True)
class Frame:
    """A frame as its source has it."""

    index: int  # in its source, from 0; frames that are left out count
    seconds: float  # since the source's first frame, by the source's clock if it has one
    image: Image
    follows_gap: bool = False  # whether frames are missing before it: what is remembered is no longer the past
    is_late: bool = False  # whether it shows the movement of more than one step, and so cannot be judged
    num_repeats: int = 0  # pictures left out before it because they repeat the one before
    file: str | None = None  # its name, in a folder of pictures
    frozen_since: float | None = None  # seconds; set where the source has hung since, and this is the same old picture


def colour(picture: Picture) -> Image:
    """Return ``(h, w, 3)`` BGR."""
    return picture if picture.ndim == 3 else cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR).astype(np.uint8, copy=False)


def halved(image: NDArray, size_hw: Size) -> NDArray:
    """Halve a picture by averages of four pixels, as long as it stays as large as the size wanted.

    cv2 averages over other areas many times slower.
    """
    while image.shape[0] >= 2 * size_hw[0] and image.shape[1] >= 2 * size_hw[1]:
        height, width = image.shape[0] // 2, image.shape[1] // 2
        image = cv2.resize(image[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)
    return image


def planes(image: NDArray, size_hw: Size) -> Planes:
    """Turn a decoded picture, ``(h, w, 3)`` BGR or ``(h, w)`` grey, into ``(3, h, w)`` RGB planes of the size wanted.

    Bytes or floats. The one resize of the package: averaging where the image shrinks, bilinear where it grows. Grey is
    resized once, not three times.
    """
    if image.shape[:2] != size_hw:
        image = halved(image, size_hw)
        shrinks = image.shape[0] >= size_hw[0] and image.shape[1] >= size_hw[1]
        image = cv2.resize(image, size_hw[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    split = np.empty((3, *size_hw), image.dtype)
    if image.ndim == 2:
        split[:] = image
    else:
        cv2.split(image, [split[2], split[1], split[0]])
    return split
