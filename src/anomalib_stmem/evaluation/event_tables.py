"""The result table of events: what the alarms found, and how the score compares with the controls."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..video.frame_rate import known_rates
from . import bootstrap
from .event_curve import PER_HOUR, EventCurve, event_curve, interval_of, intervals
from .events import Timeline, Truth
from .tables import Scores


def timeline_of(frames: pd.DataFrame) -> Timeline:
    """Return where the frames of a table are: ``video``, ``frame`` and ``rate``, sorted."""
    rates = known_rates(frames.rate.to_numpy(float), "Events and false alarms per hour")
    return Timeline(frames.video.factorize()[0], frames.frame.to_numpy(np.int64), rates)


def curves_of(
    scores_of: Mapping[str, Scores], frames: pd.DataFrame, labels_of: Mapping[str, pd.Series] | None = None
) -> dict[str, EventCurve]:
    """Follow the events found over false alarms per hour, for each score.

    Args:
        scores_of: every score by name, given a normalisation; as measured here.
        frames: ``video``, ``frame``, ``rate`` and ``label`` of the ``(n,)`` frames, sorted by video and frame.
        labels_of: of scores that are measured by other labels than those of ``frames``.
    """
    timeline, truths = timeline_of(frames), dict[int, Truth]()
    curves = {}
    for name, scores in scores_of.items():
        labels = (labels_of or {}).get(name, frames.label)
        if id(labels) not in truths:
            truths[id(labels)] = Truth(labels.to_numpy() > 0, timeline)
        curves[name] = event_curve(scores("none"), truths[id(labels)], timeline)
    return curves


def compare_events(curves: Mapping[str, EventCurve]) -> pd.DataFrame:
    """Read each curve at :data:`~.event_curve.PER_HOUR` false alarms per hour.

    Returns:
        One row per score. Columns ``at_1`` and ``at_10``: events found in percent; ``_low`` and ``_high``: 95 %
        bootstrap interval over videos.
    """
    table: dict[str, dict[str, float]] = {}
    for name, curve in curves.items():
        draws = bootstrap.resamples(len(curve.events))
        table[name] = {}
        for rate in PER_HOUR:
            interval = interval_of(curve.found_at(rate, draws))
            figures = {"": curve.found_at(rate)[0], "_low": interval.low, "_high": interval.high}
            table[name] |= {f"at_{rate:g}{suffix}": 100 * float(value) for suffix, value in figures.items()}
    return pd.DataFrame.from_dict(table, orient="index")


def at_the_threshold(alarm: NDArray[np.bool_], frames: pd.DataFrame) -> dict[str, Any]:
    """Count what the alarms at the threshold in force came to.

    Args:
        alarm: ``(n,)``, which frames are in alarm.
        frames: ``video``, ``frame``, ``rate`` and ``label`` of the frames, sorted by video and frame.

    Returns:
        ``events``, ``found``, ``false_alarms``, ``normal_hours``, ``false_per_hour``, ``median_delay`` and
        ``p90_delay`` in seconds, and 95 % bootstrap intervals over videos: ``share_found_interval`` and
        ``false_per_hour_interval``. ``None`` where something is not defined.
    """
    timeline = timeline_of(frames)
    counts = Truth(frames.label.to_numpy() > 0, timeline).count(alarm)
    between = intervals(counts, bootstrap.resamples(len(counts.events)))
    figures: dict[str, Any] = {
        "events": int(counts.events.sum()),
        "found": int(counts.found.sum()),
        "false_alarms": int(counts.false.sum()),
        "normal_hours": float(counts.hours.sum()),
        "false_per_hour": _known(counts.false_per_hour),
        "median_delay": _known(counts.delay(0.5)),
        "p90_delay": _known(counts.delay(0.9)),
    }
    for name, key in (("found", "share_found_interval"), ("false_per_hour", "false_per_hour_interval")):
        figures[key] = [_known(between[name].low), _known(between[name].high)]
    return figures


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
