"""Pictures that a source shows again: a rate that is stored too high, and a camera that hangs."""

from collections import deque

import cv2
import numpy as np
from numpy.typing import NDArray

from .frame import Picture

CELL = 8  # pixels, of the squares whose mean brightness is compared
LEAST_CELLS = 8  # on a side, where the picture has as many pixels
CODING_NOISE = 2.0  # of 255: squares that differ by less may be the same picture, encoded again
STILL = 0.1  # of the greatest difference lately; what differs by more may be a scene at rest, which is new every time
LATELY = 50  # frames
FROZEN_SECONDS = 5.0  # of one picture, after which the camera hangs
NOISY = 0.1  # share of pixels that always change in a source whose silence can be told from a scene at rest
QUIETER = 0.1  # of that share
USUAL_FRAMES = 1000  # from which it is taken
LEAST_FRAMES = 30  # that must be known before


class Repeats:
    """Compares each picture with the one before it that was new.

    A picture is a **repeat** if it is identical, or if it differs by no more than coding noise where others differ by
    far more. A source is **frozen** if for :data:`FROZEN_SECONDS` it has shown one picture, and either every one was
    identical to the last bit, or far fewer pixels changed than ever in this source before: a room at rest still has the
    noise of its camera.
    """

    def __init__(self) -> None:
        self.num_repeats = 0  # since the latest new picture
        self.is_frozen = False
        self.since = 0.0  # seconds, when the picture that stands was first seen
        self._new: NDArray | None = None  # squares of the latest new picture
        self._standing: NDArray | None = None  # squares of the picture that stands
        self._before: NDArray | None = None  # the latest picture, grey
        self._lately: deque[float] = deque(maxlen=LATELY)  # differences
        self._changed: deque[float] = deque(maxlen=USUAL_FRAMES)  # shares of pixels, while the picture stands
        self._usual: deque[float] = deque(maxlen=USUAL_FRAMES)  # the same, of pictures that were new

    def is_repeat(self, picture: Picture, seconds: float) -> bool:
        """Take the next picture; say whether it shows nothing new."""
        grey = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        cells, before = _cells(grey), self._before
        self._before = grey
        if before is None or before.shape != grey.shape or self._new is None or self._standing is None:
            self._stand(cells, seconds)
            self._new, self.num_repeats = cells, 0
            return False
        changed = np.count_nonzero(grey != before) / grey.size
        if float(cv2.absdiff(cells, self._standing).max()) < CODING_NOISE:
            self._changed.append(changed)
            self.is_frozen = self.is_frozen or (seconds - self.since >= FROZEN_SECONDS and self._is_too_quiet())
        else:
            self._usual.append(changed)
            self._stand(cells, seconds)
        difference = float(cv2.absdiff(cells, self._new).max())
        self._lately.append(difference)
        if not changed or self.is_frozen or difference < min(CODING_NOISE, STILL * max(self._lately)):
            self.num_repeats += 1
            return True
        self._new, self.num_repeats = cells, 0
        return False

    def _stand(self, cells: NDArray, seconds: float) -> None:
        self._standing, self.since, self.is_frozen = cells, seconds, False
        self._changed.clear()

    def _is_too_quiet(self) -> bool:
        if not any(self._changed):
            return True
        if len(self._usual) < LEAST_FRAMES:
            return False
        usual = float(np.quantile(self._usual, 0.05))
        return usual > NOISY and float(np.mean(self._changed)) < QUIETER * usual


def _cells(grey: NDArray) -> NDArray:
    """Average over blocks of whole pixels, which cv2 does fast; what is left at the border is not compared."""
    height, width = (max(1, side // max(min(side, LEAST_CELLS), side // CELL)) for side in grey.shape)
    rows, columns = grey.shape[0] // height, grey.shape[1] // width
    whole = grey[: rows * height, : columns * width].astype(np.float32)
    return cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)
