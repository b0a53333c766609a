"""Events found over false alarms per hour, as the threshold falls; for any score, by the same decision."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..model.decision import Rule
from .bootstrap import Interval
from .decided import alarms, held_level, levels
from .events import EventCounts, Timeline, Truth

THRESHOLDS = 120  # along a curve
PER_HOUR = (1.0, 10.0)  # false alarms, at which a curve is read
RANGE = (0.1, 100.0)  # false alarms per hour that a curve is drawn for

Array = NDArray[np.float64]


@dataclass(frozen=True)
class EventCurve:
    """Counts at each threshold, by video; ``k`` thresholds from high to low, ``v`` videos."""

    thresholds: Array  # (k,)
    found: Array  # (k, v)
    false: Array  # (k, v)
    events: Array  # (v,)
    hours: Array  # (v,), of normal frames

    def found_at(self, per_hour: float, weights: Array | None = None) -> Array:
        """Return the greatest share of events that is found with at most so many false alarms per hour.

        Args:
            per_hour: false alarms.
            weights: ``(d, v)``, how often each video counts; once by default.

        Returns:
            ``(d,)`` in [0, 1]; ``nan`` where there is no event or no normal frame.
        """
        weights = np.ones((1, len(self.events))) if weights is None else weights
        events, hours = weights @ self.events, weights @ self.hours
        allowed = weights @ self.false.T <= per_hour * hours[:, None] + 1e-9
        best = np.where(allowed, weights @ self.found.T, 0).max(axis=1)
        known = (events > 0) & (hours > 0)
        return np.where(known, best / np.where(known, events, 1), np.nan)

    def points(self) -> tuple[Array, Array]:
        """Return false alarms per hour of :data:`RANGE`, and the share found at each."""
        rates = np.geomspace(*RANGE, 100)
        return rates, np.array([self.found_at(rate)[0] for rate in rates])


def event_curve(scores: Array, truth: Truth, timeline: Timeline) -> EventCurve:
    """Let the threshold of ``(n,)`` scores fall; a usual score is the median of all."""
    level, usual = levels(scores, timeline), float(np.median(scores))
    known = level[np.isfinite(level)]
    if not len(known):  # every video is too short for an alarm
        known = np.zeros(1)
    ranks = 1 - np.geomspace(1 / max(2, len(known)), 0.95, THRESHOLDS)
    thresholds = np.unique(np.quantile(known, [1.0, *ranks]))[::-1]
    counts = [
        truth.count(alarms(level, timeline, Rule(on=threshold, off=min(threshold, held_level(usual, threshold)))))
        for threshold in thresholds
    ]
    found, false = (np.stack([getattr(one, name) for one in counts]).astype(float) for name in ("found", "false"))
    return EventCurve(thresholds, found, false, counts[0].events.astype(float), counts[0].hours)


def intervals(counts: EventCounts, draws: Array) -> dict[str, Interval]:
    """Return 95 % bootstrap intervals over videos of the share found and of false alarms per hour.

    Args:
        counts: by video.
        draws: from :func:`~.bootstrap.resamples`.
    """
    events, hours = draws @ counts.events, draws @ counts.hours
    found = np.where(events > 0, draws @ counts.found / np.maximum(events, 1), np.nan)
    false = np.where(hours > 0, draws @ counts.false / np.where(hours > 0, hours, 1), np.nan)
    return {"found": interval_of(found), "false_per_hour": interval_of(false)}


def interval_of(values: Array) -> Interval:
    """Return what 95 % of ``(d,)`` values lie between; those that are not defined are left out."""
    known = values[~np.isnan(values)]
    low, high = np.percentile(known, (2.5, 97.5)) if len(known) else (np.nan, np.nan)
    return Interval(float(low), float(high))
