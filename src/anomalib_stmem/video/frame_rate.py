"""Which frames of a source are judged: those at the frame rate of the training video, by their time stamps."""

import logging
from collections import deque
from enum import Enum, auto
from functools import cache
from statistics import median

import numpy as np
from numpy.typing import NDArray

logger = logging.getLogger(__name__)

ASSUMED_RATE = 25.0  # frames per second, where nobody says; whoever counts seconds with it says so
STEPS = 32  # between frames, of which the usual one is the median
RATE_TOLERANCE = 0.2  # of the frame rate, beyond which speeds are no longer those of the training video
LATE = 1.5  # usual steps beyond which a frame shows more than one step of movement, by the source's clock
EXACT, ARRIVAL = 2.5, 3.0  # usual steps beyond which more are missing than one: by the source's clock, or by ours


def known_rates(rates: NDArray[np.float64], counted: str) -> NDArray[np.float64]:
    """Put :data:`ASSUMED_RATE` where a frame rate is unknown (NaN), and say so in one line.

    Args:
        rates: frames per second.
        counted: what is counted with them, as a sentence begins.
    """
    unknown = np.isnan(rates)
    if unknown.any():
        _warn_once(counted)
    return np.where(unknown, ASSUMED_RATE, rates)


@cache
def _warn_once(counted: str) -> None:
    logger.warning(
        "%s: the frame rate is not known, so %g frames per second are assumed. Say the real one with "
        "--data.frame_rate.",
        *(counted, ASSUMED_RATE),
    )


def explain_other_rate(video: str, rate: float, trained_at: float | None) -> str | None:
    """Say that a video, judged frame by frame, has another frame rate than the training video; ``None`` if it has not.

    Args:
        video: as it may be shown.
        rate: its frames per second; NaN where they are not known.
        trained_at: those of the training video, if they are known.
    """
    if not trained_at or not abs(rate / trained_at - 1) > RATE_TOLERANCE:  # so for NaN too
        return None
    return (
        f"Video {video} has {rate:.3g} frames per second, the training video had {trained_at:.3g}: movement looks "
        f"{trained_at / rate:.2g} times as fast as it is, and scores are off. `stmem watch` takes frames at the rate "
        "of the training video."
    )


class Take(Enum):
    """What to do with a frame."""

    SKIP = auto()  # it is between two frames at the training rate
    NEXT = auto()  # it follows the one before
    GAP = auto()  # frames are missing before it: what the stream remembers is no longer the past


class FramePicker:
    """Takes every n-th frame, n as near to the training rate as whole numbers allow.

    n is steady, because the network predicts the next difference: if frames were now one, now two steps apart, every
    second one would be a surprise. So a source of 30 frames per second is judged at 30, not at 25, where the training
    video had 25; one of 60 at 30; one of 10 at 10.

    Args:
        wanted: frames per second of the training video; ``None`` takes every frame.
        usual: frames per second that the source announces, if it does.
        exact: whether time stamps are of the source's clock. Else they are times of arrival, which jitter.
    """

    def __init__(self, wanted: float | None, usual: float | None = None, exact: bool = True) -> None:
        self._wanted, self._late, self._gap = wanted, LATE if exact else ARRIVAL, EXACT if exact else ARRIVAL
        self._steps: deque[float] = deque([1 / usual] if usual else [], STEPS)
        self._seen: float | None = None
        self._kept: float | None = None
        self._new: float | None = None  # of the latest frame that was taken and showed something new
        self._new_steps: deque[float] = deque(maxlen=STEPS)

    @property
    def source_rate(self) -> float | None:
        """Frames per second of the source, as they came lately."""
        return 1 / median(self._steps) if self._steps else None

    @property
    def stride(self) -> int:
        """Every how many frames one is taken."""
        rate = self.source_rate
        return 1 if rate is None or self._wanted is None else max(1, round(rate / self._wanted))

    @property
    def rate(self) -> float | None:
        """Frames per second that are taken and not repeats."""
        if self._new_steps:
            return 1 / median(self._new_steps)
        return None if self.source_rate is None else self.source_rate / self.stride

    def take(self, seconds: float) -> Take:
        """Say what to do with the frame of this time stamp."""
        step = 0.0 if self._seen is None else seconds - self._seen
        self._seen = seconds
        if step > 0:
            self._steps.append(step)
        if self._kept is None:
            self._kept = seconds
            return Take.NEXT
        since = seconds - self._kept
        if since == 0:
            return Take.SKIP  # the same picture again
        usual = median(self._steps) if self._steps else 0.0
        if 0 < since < (self.stride - 0.5) * usual and self.stride > 1:
            return Take.SKIP
        self._kept = seconds
        return Take.GAP if since < 0 or since > self._gap * self.stride * usual else Take.NEXT

    def is_late(self, seconds: float) -> bool:
        """Take note of a taken frame that shows something new; say whether it shows more than one step of movement.

        It does where one frame is missing before it, or a repeat stood in for that. Where every frame comes twice, it
        does not: then two steps are the usual one.
        """
        before, self._new = self._new, seconds
        if before is None or seconds <= before:
            return False
        usual = median(self._new_steps) if self._new_steps else None
        self._new_steps.append(seconds - before)
        return usual is not None and seconds - before > self._late * usual
