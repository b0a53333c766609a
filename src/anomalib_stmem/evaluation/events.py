"""Frames above a threshold become events: the one rule that merges them, and the count of false ones."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MERGE_SECONDS = 1.0  # without an alarm; frames in alarm closer than this are one event
LASTING_SECONDS = 60.0  # an event that lasts longer counts once more
ROUNDING = 1e-6  # seconds; sums of frames are not exact


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

    def __getitem__(self, rows: NDArray[Any]) -> "Timeline":
        """Keep some rows, in order."""
        return Timeline(self.videos[rows], self.frames[rows], self.rates[rows])


def begins_event(since_last: Any, frame_seconds: Any) -> Any:  # noqa: ANN401  # numbers or arrays of them
    """Whether a frame in alarm begins an event: a second or more without alarm lies before it.

    Args:
        since_last: seconds since the last frame in alarm of the same video.
        frame_seconds: that one frame lasts.
    """
    return since_last - frame_seconds >= MERGE_SECONDS - ROUNDING


def event_numbers(alarm: NDArray[np.bool_], timeline: Timeline) -> NDArray[np.int64]:
    """Number the events of ``(n,)`` frames in alarm from 0; -1 for the other frames."""
    numbers = np.full(len(alarm), -1)
    rows = np.flatnonzero(alarm)
    if len(rows):
        seconds = 1 / timeline.rates[rows[1:]]
        begins = begins_event(np.diff(timeline.frames[rows]) * seconds, seconds)
        begins |= np.diff(timeline.videos[rows]) != 0
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
    return int(np.ceil((seconds[~true] - ROUNDING) / LASTING_SECONDS).sum())
