"""Pictures of normal video, one for each item of the memory of looks, on one sheet. Without torch."""

import math
from collections.abc import Collection, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 32  # pixels of a picture, each way
QUALITY = 80  # of the JPEG


class Examples:
    """A sheet of pictures, found by the number of the item.

    Args:
        sheet: JPEG file that :func:`pack` wrote.

    Raises:
        ValueError: it is no picture.
    """

    def __init__(self, sheet: bytes) -> None:
        self.sheet = sheet
        decoded = cv2.imdecode(np.frombuffer(sheet, np.uint8), cv2.IMREAD_COLOR)
        if decoded is None:
            msg = "The sheet of normal examples is damaged. Copy it anew, or export the model again."
            raise ValueError(msg)
        self._pictures: NDArray[Any] = decoded
        self._across = decoded.shape[1] // SIDE

    def and_more(self, count: int, pictures: Sequence[NDArray[np.uint8]]) -> "Examples":
        """Return a sheet with ``pictures``, as :func:`pack` takes them, after the first ``count`` of this one."""
        own = [self[item][..., ::-1].transpose(2, 0, 1) for item in range(count)]
        return Examples(pack([*own, *pictures]))

    def without(self, count: int, items: Collection[int]) -> "Examples":
        """Return a sheet of the first ``count`` pictures, but for those of some items."""
        kept = [self[item][..., ::-1].transpose(2, 0, 1) for item in range(count) if item not in items]
        return Examples(pack(kept))

    def __getitem__(self, item: int) -> NDArray[np.uint8]:
        """Return the ``(SIDE, SIDE, 3)`` BGR picture of an item."""
        top, left = SIDE * (item // self._across), SIDE * (item % self._across)
        return self._pictures[top : top + SIDE, left : left + SIDE]


def pack(pictures: Sequence[NDArray[np.uint8]]) -> bytes:
    """Put ``(channels, h, w)`` pictures, grey or RGB, on one sheet in their order."""
    across = math.ceil(math.sqrt(len(pictures)))
    sheet = np.zeros((SIDE * math.ceil(len(pictures) / across), SIDE * across, 3), np.uint8)
    for number, picture in enumerate(pictures):
        top, left = SIDE * (number // across), SIDE * (number % across)
        small = cv2.resize(picture.transpose(1, 2, 0)[..., ::-1].copy(), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        sheet[top : top + SIDE, left : left + SIDE] = small if small.ndim == 3 else small[..., None]
    _, data = cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return data.tobytes()
