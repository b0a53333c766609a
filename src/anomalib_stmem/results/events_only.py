"""Follows the events of a video whose results cannot be written, so that they are told all the same."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from .event_tracker import Event, EventTracker
from .judged_frame import JudgedFrame


class EventsOnly:
    """In place of :class:`~.video_results.VideoResults`: the same events, and no files.

    Args:
        name: of the video, as results call it.
        tracker: of its events so far; an event that is open goes on.
        announce: as :class:`~.video_results.VideoResults` has it; the events name no files.
        began: time of day of the first frame, for live video.
    """

    def __init__(
        self,
        name: str,
        tracker: EventTracker,
        announce: Callable[[str, dict[str, Any]], None],
        began: datetime | None,
    ) -> None:
        self._name, self.tracker, self._announce, self._began = name, tracker, announce, began

    def push(self, judged: JudgedFrame) -> None:
        """Take the next frame."""
        for change in self.tracker.push(judged):
            if change.what != "peak":
                self._tell(change.what, change.event)

    @property
    def is_alarm(self) -> bool:
        """Whether an event is going on."""
        return self.tracker.open is not None

    @property
    def num_events(self) -> int:
        """How many events of the video have begun, with those before."""
        return self.tracker.count

    def close(self) -> None:
        """Tell what has ended."""
        for change in self.tracker.finish():
            self._tell(change.what, change.event)

    discard = close

    def _tell(self, what: str, event: Event) -> None:
        about: dict[str, Any] = {"video": self._name} | event.as_dict()
        if self._began is not None:
            about["time"] = (self._began + timedelta(seconds=event.start)).isoformat(timespec="milliseconds")
        none = dict.fromkeys(("nearest", "plain", "snapshot", "clip"))
        self._announce(what, about | none | {"clip_start": round(event.start, 3)})
