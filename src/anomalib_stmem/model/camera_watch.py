"""From what is wrong with single pictures to events of the camera itself: what has lasted is told, once."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from .normal_view import TROUBLES, NormalView, PictureCheck, Planes, Trouble

CHECKS_PER_SECOND = 5.0
TOLD_AFTER = 2.0  # seconds of trouble
OVER_AFTER = 2.0  # seconds without


class CameraWatch:
    """Watches the pictures of one camera.

    From the first picture with something wrong, movement cannot be judged (:attr:`is_silent`). When that has lasted for
    :data:`TOLD_AFTER`, it is told (:attr:`trouble`), until nothing was wrong for :data:`OVER_AFTER`.

    Args:
        normal: how its pictures should be.
        rate: of them, per second.
    """

    def __init__(self, normal: NormalView, rate: float) -> None:
        self._check, self._rate = PictureCheck(normal), rate
        self._every = max(1, round(rate / CHECKS_PER_SECOND))
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self.trouble: Trouble | None = None  # that is told
        self._now: Trouble | None = None
        self._count = self._since = self._fine = 0  # frames: all, since the trouble began, without any
        self._seen: Counter[Trouble] = Counter()  # since then

    @property
    def is_silent(self) -> bool:
        """Whether movement cannot be judged."""
        return self._now is not None or self.trouble is not None

    def push(self, picture: Planes, is_new: bool = True) -> None:
        """Take the next picture; it is not looked at where it shows nothing new."""
        if is_new and self._count % self._every == 0:
            self._now = self._check(picture)
            if self._now is not None:
                self._seen[self._now] += 1
        self._count += 1
        if self._now is None:
            self._fine += 1
            if self.trouble is None or self._fine >= OVER_AFTER * self._rate:
                self.trouble, self._since = None, 0
                self._seen.clear()
            return
        self._fine = 0
        self._since += 1
        if self.trouble is None and self._since >= TOLD_AFTER * self._rate:
            self.trouble = self._seen.most_common(1)[0][0]

    def save(self) -> NDArray[np.float64]:
        """Return everything that :meth:`restore` needs."""
        named = [-1 if one is None else TROUBLES.index(one) for one in (self.trouble, self._now)]
        counts = [self._seen[one] for one in TROUBLES]
        return np.array([*named, self._count, self._since, self._fine, *counts], np.float64)

    def restore(self, saved: NDArray[np.float64]) -> None:
        """Go on where :meth:`save` was called."""
        told, now, self._count, self._since, self._fine, *counts = (int(value) for value in saved)
        self.trouble, self._now = (None if one < 0 else TROUBLES[one] for one in (told, now))
        self._seen = Counter({one: count for one, count in zip(TROUBLES, counts, strict=True) if count})
