"""Which part of the picture counts: what a person painted on it, or polygons in fractions of it."""

import os
import re
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from .damaged_files import picture_or_none
from .frame import Size
from .names import shown
from .proportion import refuse_other_proportion

Region = NDArray[np.bool_]  # (h, w), true where the picture counts
Polygon = list[tuple[float, float]]  # corners, from left and from top, in [0, 1]

NUMBERS = re.compile(r"[-+\d.,;\s]+")
RED, OTHERS = 180, 90  # of 255: what is painted has at least so much red, and at most so much green and blue
BLACK, WHITE = 64, 191
HOW = 'Paint on the picture of `stmem snapshot` in pure red, or give corners as fractions of it: "0,0 1,0 1,0.1 0,0.1".'


def region_of(size_hw: Size, ignore: str | None, only: str | None, trained_at: float | None = None) -> Region:
    """Say which pixels count.

    Args:
        size_hw: height and width of the region.
        ignore: what does not count. A picture on which it is painted red, a black picture in which it is white, or
            polygons: corners ``x,y`` as fractions of the picture, with blanks between them, and ``;`` between polygons.
        only: the same of what alone counts.
        trained_at: width by height of the training video's pictures, if known; a painted picture must have it.

    Returns:
        ``(h, w)``; all true where nothing is given.

    Raises:
        FileNotFoundError: there is no such picture.
        ValueError: nothing is marked, nothing is left, or what is given cannot be read.
    """
    counts = np.ones(size_hw, bool)
    if only is not None:
        counts &= _marked(only, size_hw, "only", trained_at)
    if ignore is not None:
        counts &= ~_marked(ignore, size_hw, "ignore", trained_at)
    if not counts.any():
        msg = f"Nothing of the picture is left to be judged: ignore is {ignore!r}, only is {only!r}. {HOW}"
        raise ValueError(msg)
    return counts


def outlines(region: Region) -> list[Polygon]:
    """Return what does not count as polygons, for who draws it or keeps it as text."""
    height, width = region.shape
    contours, _ = cv2.findContours((~region).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    # A contour runs through the centres of pixels.
    return [
        [(round((x + 0.5) / width, 4), round((y + 0.5) / height, 4)) for x, y in contour[:, 0].tolist()]
        for contour in contours
    ]


def _marked(given: str, size_hw: Size, option: str, trained_at: float | None) -> Region:
    if NUMBERS.fullmatch(given):
        marked = np.zeros(size_hw, np.uint8)
        for polygon in given.split(";"):
            corners = np.array(_corners(polygon, given, option)) * size_hw[::-1]
            # OpenCV counts from the centre of the first pixel.
            cv2.fillPoly(marked, [np.round(16 * (corners - 0.5)).astype(np.int32)], 1, shift=4)
        return marked.astype(bool)
    return _painted(Path(given), size_hw, option, trained_at)


def _corners(polygon: str, given: str, option: str) -> Polygon:
    try:
        corners = [(float(x), float(y)) for x, y in (corner.split(",") for corner in polygon.split())]
    except ValueError:
        corners = []
    if len(corners) < 3 or not all(0 <= value <= 1 for corner in corners for value in corner):
        msg = f"{option} {given!r} is no polygon: it needs three or more corners with values from 0 to 1. {HOW}"
        raise ValueError(msg)
    return corners


def _painted(path: Path, size_hw: Size, option: str, trained_at: float | None) -> Region:
    if not os.path.isfile(path):  # noqa: PTH113  # Path.is_file raises where a name is too long
        msg = f"There is no file {path.absolute()}, which {option} names. {HOW}"
        raise FileNotFoundError(msg)
    picture = picture_or_none(path)
    if picture is None:
        msg = f"{shown(path)}, which {option} names, is no picture. {HOW}"
        raise ValueError(msg)
    refuse_other_proportion(shown(path), (picture.shape[0], picture.shape[1]), trained_at)
    blue, green, red = cv2.split(picture)
    marked = (red >= RED) & (np.maximum(green, blue) <= OTHERS)
    grey = picture.min(axis=2)
    if not marked.any() and ((grey < BLACK) | (grey > WHITE)).all() and (grey < BLACK).any():
        marked = grey > WHITE
    if not marked.any():
        msg = f"Nothing in {shown(path)}, which {option} names, is painted red. {HOW}"
        raise ValueError(msg)
    return cv2.resize(marked.astype(np.float32), size_hw[::-1], interpolation=cv2.INTER_AREA) >= 0.5
