"""From the scores of a video to its alarms. Without torch, and the same in a test, a prediction, a stream and a watch.

A single frame is no event: a lost picture, a flash or a flaw of the encoding raises one score. So what decides is the
**level**, the median of the latest scores. An alarm begins when the level rises above ``on``, has lasted for the least
duration, and ends when it falls below ``off``. The median commutes with every rising scale, so it does not matter
whether scores are raw or calibrated.
"""

import math
from collections import deque
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

SECONDS = 0.8  # of video whose scores are looked at (docs/results.md, "From scores to an alarm")
HELD = 0.75  # of the way from a usual score to ``on`` lies ``off``
OFF = 0.4  # the same on the calibrated scale, on which a usual score is 0.25 and the threshold 0.5
LOW = 0.0  # no calibrated score is lower
LEAST_FRAMES = 9  # at any rate: fewer say too little (docs/results.md, "Hours of a room")


@dataclass(frozen=True)
class Rule:
    """When an alarm begins and ends; levels on the scale of the scores."""

    num_frames: int = LEAST_FRAMES  # whose median is the level; odd
    on: float = 0.5
    off: float = OFF
    least_frames: int = 0  # that the level must stay above ``on`` before the alarm begins

    @classmethod
    def at_rate(cls, rate: float, on: float = 0.5, off: float = OFF, least_seconds: float = 0.0) -> "Rule":
        """Make the rule for video of so many frames per second."""
        return cls(frames_at(rate), on, off, round(least_seconds * rate))


def frames_at(rate: float) -> int:
    """How many scores the level looks at, in video of so many frames per second: an odd number."""
    return max(LEAST_FRAMES, 2 * round(SECONDS * rate / 2) + 1)


class Decision:
    """Decides for one video, frame by frame.

    Args:
        rule: when an alarm begins and ends.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.is_alarm = False
        self.level = float("nan")
        self._scores: deque[float] = deque(maxlen=rule.num_frames)
        self._above = 0  # frames that the level has been above ``on``

    def push(self, score: float) -> bool:
        """Take the score of the next frame; say whether there is an alarm.

        At the start of a video, scores that are not there yet count as low. Scores are calibrated ones, in (0, 1).
        """
        self._scores.append(score)
        missing = [LOW] * (self.rule.num_frames - len(self._scores))
        self.level = median([*missing, *self._scores])
        self._above = self._above + 1 if self.level > self.rule.on else 0
        begins = self._above > self.rule.least_frames
        self.is_alarm = begins or (self.is_alarm and self.level > self.rule.off)
        return self.is_alarm

    def save(self) -> NDArray[np.float64]:
        """Return everything that :meth:`restore` needs: whether there is an alarm, for how long, and the scores."""
        missing = [math.nan] * (self.rule.num_frames - len(self._scores))
        return np.array([self.is_alarm, self._above, *self._scores, *missing], np.float64)

    def restore(self, saved: NDArray[np.float64]) -> None:
        """Go on where :meth:`save` was called."""
        self.reset()
        self.is_alarm, self._above = bool(saved[0]), int(saved[1])
        self._scores.extend(float(score) for score in saved[2:] if not math.isnan(score))

    def reset(self) -> None:
        """Forget what was seen, after a gap."""
        self.is_alarm, self._above, self.level = False, 0, float("nan")
        self._scores.clear()
