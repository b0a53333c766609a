"""What a user counts: events found, false events, and how late the alarm comes. The one definition of all of them.

An **event** is a run of abnormal frames with gaps of less than a second. An **alarm** is a run of frames in alarm with
such gaps. An event is **found** if an alarm overlaps it. An alarm is **false** if it overlaps no event, a second of
tolerance allowed; and so is each part of an alarm that stays outside all events for a second more, or an alarm for
ever would find everything and never be false. The **delay** of a found event goes from its first frame to the first
frame of the first alarm that overlaps it, and is 0 where the alarm was there before.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MERGE_SECONDS = 1.0  # frames closer than this are one event
TOLERANCE_SECONDS = 1.0  # that an alarm may miss an event by, and is not false
OUTSIDE_SECONDS = 1.0  # beyond the tolerance; a part of an alarm that stays outside its events longer is false
LASTING_SECONDS = 60.0  # a false alarm that lasts longer counts once more
ROUNDING = 1e-6  # seconds; sums of frames are not exact


@dataclass(frozen=True)
class Timeline:
    """Frames of several videos; rows of one video stand together, in order."""

    videos: NDArray[np.int64]  # (n,)
    frames: NDArray[np.int64]  # (n,), number in its video
    rates: NDArray[np.float64]  # (n,), frames per second
    shares: NDArray[np.float64] | None = None  # (n,), of the camera's frames that these are, where repeats are left out
    names: tuple[str, ...] = ()  # of the videos by number, where somebody wants to know

    @property
    def hours(self) -> float:
        """Length of all frames together, with the repeats that were left out."""
        return float((1 / (self.rates if self.shares is None else self.rates * self.shares)).sum() / 3600)

    def __getitem__(self, rows: NDArray[Any]) -> "Timeline":
        """Keep some rows, in order."""
        shares = None if self.shares is None else self.shares[rows]
        return Timeline(self.videos[rows], self.frames[rows], self.rates[rows], shares, self.names)


@dataclass(frozen=True)
class Runs:
    """Runs of marked frames with gaps of less than a second; one value per run."""

    videos: NDArray[np.int64]
    starts: NDArray[np.float64]  # seconds since the start of the video, of the first frame
    ends: NDArray[np.float64]  # of the last one
    seconds: NDArray[np.float64]  # of its marked frames

    def overlapping(self, other: "Runs", tolerance: float = 0.0) -> NDArray[np.bool_]:
        """Say which of these runs, rows, overlap which of the others, columns."""
        begins_before = self.starts[:, None] <= other.ends + tolerance + ROUNDING
        ends_after = self.ends[:, None] >= other.starts - tolerance - ROUNDING
        return np.asarray(begins_before & ends_after & (self.videos[:, None] == other.videos))


@dataclass(frozen=True)
class EventCounts:
    """What alarms came to, by video; sums of rows are the figures of several videos."""

    found: NDArray[np.int64]  # (v,)
    events: NDArray[np.int64]  # (v,)
    false: NDArray[np.int64]  # (v,), false alarms; one that lasts counts again for every further minute
    hours: NDArray[np.float64]  # (v,), of normal frames
    delays: NDArray[np.float64]  # (sum of found,), seconds

    @property
    def share_found(self) -> float:
        """Events found of all; ``nan`` where there are none."""
        return float(self.found.sum() / self.events.sum()) if self.events.any() else float("nan")

    @property
    def false_per_hour(self) -> float:
        """False alarms per hour of normal video; ``nan`` where there is none."""
        hours = float(self.hours.sum())
        return float(self.false.sum()) / hours if hours else float("nan")

    def delay(self, share: float) -> float:
        """Seconds within which this share of the found events is told; ``nan`` where none was found."""
        return float(np.quantile(self.delays, share)) if len(self.delays) else float("nan")


def begins_event(since_last: Any, frame_seconds: Any) -> Any:  # noqa: ANN401  # numbers or arrays of them
    """Whether a marked frame begins a run: a second or more without one lies before it.

    Args:
        since_last: seconds since the last marked frame of the same video.
        frame_seconds: that one frame lasts.
    """
    return since_last - frame_seconds >= MERGE_SECONDS - ROUNDING


def event_numbers(marked: NDArray[np.bool_], timeline: Timeline) -> NDArray[np.int64]:
    """Number the runs of ``(n,)`` marked frames from 0; -1 for the other frames."""
    numbers = np.full(len(marked), -1)
    rows = np.flatnonzero(marked)
    if len(rows):
        seconds = 1 / timeline.rates[rows[1:]]
        begins = begins_event(np.diff(timeline.frames[rows]) * seconds, seconds)
        begins |= np.diff(timeline.videos[rows]) != 0
        numbers[rows] = np.concatenate([[0], np.cumsum(begins)])
    return numbers


def runs_of(marked: NDArray[np.bool_], timeline: Timeline) -> Runs:
    """Find the runs of ``(n,)`` marked frames."""
    rows = np.flatnonzero(marked)
    numbers = event_numbers(marked, timeline)[rows]
    first, last = np.searchsorted(numbers, [np.arange(numbers.max(initial=-1) + 1)] * 2)
    last = np.append(first[1:], len(rows))[: len(first)] - 1
    times = timeline.frames[rows] / timeline.rates[rows]
    seconds = np.bincount(numbers, 1 / timeline.rates[rows], minlength=len(first))
    return Runs(timeline.videos[rows][first], times[first], times[last], seconds.astype(float))


class Truth:
    """The events of some videos, beside which alarms are counted.

    Args:
        abnormal: ``(n,)``, which frames are.
        timeline: where they are; videos are numbered from 0.
    """

    def __init__(self, abnormal: NDArray[np.bool_], timeline: Timeline) -> None:
        self.abnormal, self.timeline = abnormal, timeline
        self.events = runs_of(abnormal, timeline)
        self._count = int(timeline.videos.max(initial=-1)) + 1
        normal, times = ~abnormal, timeline.frames / timeline.rates
        self._hours = np.bincount(timeline.videos[normal], 1 / timeline.rates[normal], minlength=self._count) / 3600
        self._outside = np.ones(len(abnormal), bool)
        margin = TOLERANCE_SECONDS + ROUNDING
        for video, start, end in zip(self.events.videos, self.events.starts, self.events.ends, strict=True):
            near = (times >= start - margin) & (times <= end + margin)
            self._outside &= ~(near & (timeline.videos == video))

    def count(self, alarm: NDArray[np.bool_]) -> EventCounts:
        """Count what ``(n,)`` frames in alarm find, and what not."""
        events, alarms = self.events, runs_of(alarm, self.timeline)
        overlap = events.overlapping(alarms)
        found = overlap.any(axis=1)
        first = overlap.argmax(axis=1)[found] if found.any() else np.zeros(0, np.int64)
        return EventCounts(
            found=np.bincount(events.videos[found], minlength=self._count),
            events=np.bincount(events.videos, minlength=self._count),
            false=self._false_by_video(alarm, alarms),
            hours=self._hours,
            delays=np.maximum(0.0, alarms.starts[first] - events.starts[found]),
        )

    def _false_by_video(self, alarm: NDArray[np.bool_], alarms: Runs) -> NDArray[np.int64]:
        """Count alarms beside all events, and what others have beside them."""
        beside = np.asarray(~alarms.overlapping(self.events, TOLERANCE_SECONDS).any(axis=1))
        numbers = event_numbers(alarm, self.timeline)
        partly = np.zeros(len(alarm), bool)
        partly[alarm] = ~beside[numbers[alarm]]
        rests = runs_of(partly & self._outside, self.timeline)
        long = rests.seconds >= OUTSIDE_SECONDS - ROUNDING
        videos = np.concatenate([alarms.videos[beside], rests.videos[long]])
        seconds = np.concatenate([alarms.seconds[beside], rests.seconds[long]])
        return np.bincount(videos, times_counted(seconds), minlength=self._count).astype(np.int64)


def count_events(alarm: NDArray[np.bool_], abnormal: NDArray[np.bool_], timeline: Timeline) -> EventCounts:
    """Count events, alarms and delays.

    Args:
        alarm: ``(n,)``, whether a frame is in alarm.
        abnormal: ``(n,)``, the truth.
        timeline: where the frames are; videos are numbered from 0.
    """
    return Truth(abnormal, timeline).count(alarm)


def times_counted(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how often a false alarm counts that lasts so many seconds: once for every minute that it begins."""
    return np.ceil((seconds - ROUNDING) / LASTING_SECONDS)


def false_alarms(alarm: NDArray[np.bool_], timeline: Timeline) -> int:
    """Count the alarms of normal video, as :func:`count_events` does."""
    return int(times_counted(runs_of(alarm, timeline).seconds).sum())
