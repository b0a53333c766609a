"""Which frames the network need not see: those in which nothing has moved for longer than it looks back."""

import cv2
import numpy as np
from numpy.typing import NDArray

CELL = 8  # pixels on a side, of the squares that are compared
Planes = NDArray[np.float32]  # (3, h, w) in [0, 1]


class Stillness:
    """Compares the pictures of one camera with the latest one that the network saw.

    A picture is still where no square of it differs by more than the noise of the camera. So what creeps is noticed,
    too, when it has gone far enough.

    Args:
        noise: mean squared difference, on the [0, 1] scale, up to which a square stands still.
        memory: frames that the network looks back; so many still ones must be seen before one may rest.
    """

    def __init__(self, noise: float, memory: int) -> None:
        self._noise, self._memory = noise, memory
        self.reset()

    def reset(self) -> None:
        """Forget what was seen."""
        self._seen: Planes | None = None
        self._still = 0  # frames in a row

    def is_at_rest(self, picture: Planes | None = None) -> bool:
        """Whether nothing has moved, up to this picture if one is given; it is not taken."""
        return self._still > self._memory and (picture is None or self._is_still(picture))

    def rests(self, picture: Planes) -> bool:
        """Take the next picture; say whether the network would have nothing new to say of it."""
        self._still = self._still + 1 if self._is_still(picture) else 0
        if self._still > self._memory:
            return True
        self._seen = picture
        return False

    def _is_still(self, picture: Planes) -> bool:
        if self._seen is None:
            return False
        squared = np.square(picture - self._seen).mean(axis=0)
        size = max(1, squared.shape[1] // CELL), max(1, squared.shape[0] // CELL)
        return float(cv2.resize(squared, size, interpolation=cv2.INTER_AREA).max()) <= self._noise
