"""What a user counts, as anomalib metrics: events found, false alarms, delays; by the decision, at the threshold."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from anomalib.metrics import AnomalibMetric
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from ..video.frame_rate import known_rates
from .decided import decide
from .event_curve import event_curve
from .events import EventCounts, Timeline, Truth
from .frame_metrics import FIELDS, FrameMetric, FrameTable

COUNTED = (*FIELDS, "frame_rate")  # a batch's pred_score is calibrated, so the threshold is 0.5


def timeline_of(table: FrameTable, rates: NDArray[np.float64]) -> Timeline:
    """Return where the frames of a metric are."""
    return Timeline(table.videos, table.frames, known_rates(rates, "Events and false alarms per hour"))


class _DecidedMetric(FrameMetric, ABC):
    """A metric of which frames are in alarm; the further column of ``update`` is the frame rate."""

    def value(self, table: FrameTable, more: NDArray[np.float64]) -> float:
        """Compute from all frames."""
        timeline = timeline_of(table, more[:, 0])
        return self.of_alarms(decide(table.scores, timeline), table.labels, timeline)

    @abstractmethod
    def of_alarms(self, alarm: NDArray[np.bool_], abnormal: NDArray[np.bool_], timeline: Timeline) -> float:
        """Compute from ``(n,)`` frames in alarm and abnormal frames."""


class _CountedMetric(_DecidedMetric):
    """A metric of events and alarms."""

    def of_alarms(self, alarm: NDArray[np.bool_], abnormal: NDArray[np.bool_], timeline: Timeline) -> float:
        """Compute from ``(n,)`` frames in alarm and abnormal frames."""
        return self.of_counts(Truth(abnormal, timeline).count(alarm))

    @abstractmethod
    def of_counts(self, counts: EventCounts) -> float:
        """Compute from what was counted."""


class F1Score(AnomalibMetric, _DecidedMetric):
    """F1 of frames in alarm; anomalib's takes each frame by itself, and frames are alarms only by the decision."""

    default_fields = COUNTED

    def of_alarms(self, alarm: NDArray[np.bool_], abnormal: NDArray[np.bool_], timeline: Timeline) -> float:
        """Compute from ``(n,)`` frames in alarm and abnormal frames."""
        del timeline
        return float(f1_score(abnormal, alarm, zero_division=0.0))


class EventsFound(AnomalibMetric, _CountedMetric):
    """Share of events that an alarm overlaps."""

    default_fields = COUNTED

    def of_counts(self, counts: EventCounts) -> float:
        """Compute from what was counted."""
        return counts.share_found


class FalseAlarmsPerHour(AnomalibMetric, _CountedMetric):
    """Alarms beside all events, per hour of normal test video."""

    default_fields = COUNTED

    def of_counts(self, counts: EventCounts) -> float:
        """Compute from what was counted."""
        return counts.false_per_hour


class AlarmDelay(AnomalibMetric, _CountedMetric):
    """Seconds within which a share of the found events is told.

    Args:
        share: in [0, 1]; 0.5 is the median.
        **kwargs: of the metric.
    """

    default_fields = COUNTED

    def __init__(self, share: float = 0.5, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(**kwargs)
        self.share = share

    def of_counts(self, counts: EventCounts) -> float:
        """Compute from what was counted."""
        return counts.delay(self.share)


class EventsFoundAt(AnomalibMetric, FrameMetric):
    """Share of events found at the best threshold that keeps within a number of false alarms per hour.

    Args:
        per_hour: false alarms.
        **kwargs: of the metric.
    """

    default_fields = COUNTED

    def __init__(self, per_hour: float = 1.0, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(**kwargs)
        self.per_hour = per_hour

    def value(self, table: FrameTable, more: NDArray[np.float64]) -> float:
        """Compute from all frames."""
        timeline = timeline_of(table, more[:, 0])
        curve = event_curve(table.scores, Truth(table.labels, timeline), timeline)
        return float(curve.found_at(self.per_hour)[0])
