"""From frames above a threshold to alarms, and from a budget of false alarms to a threshold."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MERGE_SECONDS = 1.0  # alarms closer than this are one
LASTING_SECONDS = 60.0  # an alarm that lasts longer is one more
PEAKS = 20  # of normal video from which its tail is extrapolated
SURE = 3.0  # nothing seen in time T: with 95 % confidence the rate is below 3 / T (the rule of three)


@dataclass(frozen=True)
class Timeline:
    """Frames of several videos; rows of one video stand together, in order."""

    videos: NDArray[np.int64]  # (n,)
    frames: NDArray[np.int64]  # (n,), number in its video
    rates: NDArray[np.float64]  # (n,), frames per second

    @property
    def hours(self) -> float:
        """Length of all frames together."""
        return float((1 / self.rates).sum() / 3600)


def event_numbers(alarm: NDArray[np.bool_], timeline: Timeline) -> NDArray[np.int64]:
    """Number the events of ``(n,)`` frames in alarm from 0; -1 for the other frames.

    Frames in alarm belong to one event while less than a second lies between them in the same video.
    """
    numbers = np.full(len(alarm), -1)
    rows = np.flatnonzero(alarm)
    if len(rows):
        gap = (np.diff(timeline.frames[rows]) - 1) / timeline.rates[rows[1:]]
        begins = (gap >= MERGE_SECONDS) | (np.diff(timeline.videos[rows]) != 0)
        numbers[rows] = np.concatenate([[0], np.cumsum(begins)])
    return numbers


def false_alarms(alarm: NDArray[np.bool_], abnormal: NDArray[np.bool_], timeline: Timeline) -> int:
    """Count the events that hold no abnormal frame; one that lasts counts again for every further minute.

    Else a threshold below everything would be a single false alarm.
    """
    numbers = event_numbers(alarm, timeline)
    count = int(numbers.max(initial=-1)) + 1
    seconds = np.bincount(numbers[alarm], 1 / timeline.rates[alarm], minlength=count)
    true = np.zeros(count, bool)
    true[numbers[alarm & abnormal]] = True
    return int(np.ceil(seconds[~true] / LASTING_SECONDS).sum())


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


def what_the_budget_rests_on(per_hour: float, hours: float, beyond: bool = False) -> str:
    """Say how much normal video stands behind a threshold, and what cannot be told from it.

    Args:
        per_hour: the budget.
        hours: of normal video.
        beyond: whether the threshold is above all of its scores, where its tail was extrapolated to.
    """
    seen = f"The threshold rests on {3600 * hours:.0f} s of normal video"
    if per_hour * hours >= 1:
        return f"{seen}, which would hold {per_hour * hours:.1f} false alarms at {per_hour:g} per hour."
    if beyond:
        return (
            f"{seen}. {per_hour:.3g} false alarms per hour ({24 * per_hour:.3g} per day) are extrapolated from its "
            f"highest peaks; counted, it only shows fewer than {SURE / hours:.0f} per hour, with 95 % confidence."
        )
    return (
        f"{seen}, none of which exceeds it. That is too little to tell {per_hour:g} false alarms per hour: all it "
        f"shows, with 95 % confidence, is fewer than {SURE / hours:.0f} per hour on video like it."
    )
