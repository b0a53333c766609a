"""One frame of a video: its picture and when it was seen."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # (h, w, 3) BGR, as cv2 decodes it
Planes = NDArray[np.uint8]  # (3, h, w) RGB in [0, 255], as the network reads it; (n, 3, h, w) for several frames
Size = tuple[int, int]  # height, width in pixels


@dataclass(frozen=True)
class Frame:
    """A frame as its source has it."""

    index: int  # in its source, from 0; skipped frames count
    seconds: float  # since the source's first frame
    image: Image
    follows_gap: bool = False  # whether frames are missing before it


def planes(image: NDArray, size_hw: Size) -> Planes:
    """Turn a decoded ``(h, w, 3)`` BGR image, bytes or floats, into ``(3, h, w)`` RGB planes of the size wanted.

    The one resize of the package: averaging where the image shrinks, bilinear where it grows.
    """
    if image.shape[:2] != size_hw:
        shrinks = image.shape[0] >= size_hw[0] and image.shape[1] >= size_hw[1]
        image = cv2.resize(image, size_hw[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    split = np.empty((3, *size_hw), image.dtype)
    cv2.split(image, [split[2], split[1], split[0]])
    return split
