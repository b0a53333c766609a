"""The decision of :mod:`~anomalib_stmem.model.decision` over whole videos at once, for metrics and thresholds."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from ..model.decision import HELD, OFF, Rule, frames_at
from .events import Timeline

Array = NDArray[np.float64]


def levels(scores: Array, timeline: Timeline) -> Array:
    """Return the level of every frame, the median of the latest scores of its stretch: ``(n,)``.

    Args:
        scores: ``(n,)``.
        timeline: where they are; a stretch ends where a frame is missing.
    """
    result = np.empty(len(scores))
    for rows in stretches(timeline):
        size = frames_at(float(np.median(timeline.rates[rows])))
        own = median_filter(scores[rows], size, mode="constant", cval=-np.inf, origin=size // 2)
        result[rows] = own
    return result


def stretches(timeline: Timeline) -> list[slice]:
    """Cut the rows into runs of consecutive frames of one video."""
    cuts = np.flatnonzero((np.diff(timeline.videos) != 0) | (np.diff(timeline.frames) != 1)) + 1
    edges = [0, *cuts.tolist(), len(timeline.videos)]
    return [slice(start, stop) for start, stop in pairwise(edges) if stop > start]


def alarms(level: Array, timeline: Timeline, rule: Rule) -> NDArray[np.bool_]:
    """Say which frames are in alarm, ``(n,)``, by their levels.

    Args:
        level: from :func:`levels`.
        timeline: where the frames are.
        rule: its ``num_frames`` is not used: the levels are there.
    """
    begins = np.zeros(len(level), np.int64)
    begins[[rows.start for rows in stretches(timeline)]] = 1
    places, above = np.arange(len(level)), level > rule.on
    # Of each frame, how many in a row have been above, in its own stretch.
    broken = np.maximum.accumulate(np.where(~above, places, np.where(begins > 0, places - 1, -1)))
    turns_on = above & (places - broken > rule.least_frames)
    turns_off = (level <= rule.off) | ((begins > 0) & ~turns_on)
    latest = np.maximum.accumulate(np.where(turns_on | turns_off, places, 0))
    return turns_on[latest]


def decide(scores: Array, timeline: Timeline, on: float = 0.5, off: float = OFF) -> NDArray[np.bool_]:
    """Say which of ``(n,)`` frames are in alarm by their scores; calibrated ones, unless levels are given."""
    return alarms(levels(scores, timeline), timeline, Rule(on=on, off=off))


def held_level(usual: float, threshold: float) -> float:
    """Return the level at which an alarm ends, on the scale of raw scores."""
    return usual + HELD * (threshold - usual)
