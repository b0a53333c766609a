"""From a budget of false alarms on normal video to a threshold, counted or extrapolated."""

import math

import numpy as np
from numpy.typing import NDArray

from .events import Timeline, event_numbers, false_alarms

PEAKS = 20  # of normal video from which its tail is extrapolated


def threshold_for(scores: NDArray[np.float64], timeline: Timeline, per_hour: float) -> float:
    """Return the lowest threshold that normal frames exceed in at most ``per_hour`` false alarms per hour.

    A frame is in alarm when its score is above the threshold. The threshold is never below one that breaks the budget,
    and at most the greatest normal score, which no normal frame exceeds.

    Args:
        scores: ``(n,)`` of normal frames.
        timeline: where they are.
        per_hour: the budget.
    """
    allowed = per_hour * timeline.hours
    levels, nothing = np.unique(scores)[::-1], np.zeros(len(scores), bool)
    threshold = levels[0]
    for level in levels[1:]:
        if false_alarms(scores > level, nothing, timeline) > allowed:
            break
        threshold = level
    return float(threshold)


def extrapolated_threshold(scores: NDArray[np.float64], timeline: Timeline, per_hour: float) -> float:
    """Return a threshold for a budget that allows less than one false alarm in the normal video at hand.

    Above a level that :data:`PEAKS` events exceed, peaks fall off about exponentially; the threshold is where that tail
    leaves ``per_hour``. Never below the greatest normal score. Where the budget allows one alarm or more, that of
    :func:`threshold_for`.

    Args:
        scores: ``(n,)`` of normal frames.
        timeline: where they are.
        per_hour: the budget, above 0.
    """
    if per_hour * timeline.hours >= 1:
        return threshold_for(scores, timeline, per_hour)
    level = threshold_for(scores, timeline, PEAKS / timeline.hours)
    numbers = event_numbers(scores > level, timeline)
    peaks = [scores[numbers == number].max() for number in range(numbers.max(initial=-1) + 1)]
    if not peaks:
        return float(scores.max())
    excess = float(np.mean(peaks)) - level
    return max(float(scores.max()), level + excess * math.log(len(peaks) / (per_hour * timeline.hours)))
