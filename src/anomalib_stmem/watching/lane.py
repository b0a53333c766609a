"""One place in the network's batch: a live source, or files one after the other; from frames to records."""

import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..record.events import Moment
from ..record.run_record import RATE_TOLERANCE
from ..record.video_record import VideoRecord
from ..streaming.stream import Verdict
from .reader import USUAL_RATE, Arrived, Reader
from .source import Source, folder_of

RATE_KNOWN_AFTER = 50  # frames
FPS_SECONDS, FPS_FRAMES = 2.0, 500  # over which the speed shown is taken


class Watched:
    """A source that is or was watched, its record and its figures.

    Args:
        source: which.
        reader: of its frames.
        folder: of all results.
        films: whether to film the whole video; ``None`` films files only.
        margin: seconds before and after each event in its clip.
        announce: is told of events, as :class:`VideoRecord` does.
        tell: gets a sentence when frames come at another rate than the training video's.
    """

    def __init__(
        self,
        source: Source,
        reader: Reader,
        folder: Path,
        films: bool | None,
        margin: float,
        announce: Callable[[str, dict[str, Any]], None],
        tell: Callable[[str], None],
    ) -> None:
        self.source, self.reader = source, reader
        self.folder = folder / folder_of(source.name)
        self.record: VideoRecord | None = None
        self.num_judged = self.num_gaps = 0
        self.seconds = 0.0
        self.verdict: Verdict | None = None  # of the latest frame
        self.failure: str | None = None
        self.has_ended = False
        self._films, self._margin, self._announce, self._tell = films, margin, announce, tell
        self._judged_at: deque[float] = deque(maxlen=FPS_FRAMES)

    @property
    def is_alarm(self) -> bool:
        """Whether an event is going on."""
        return self.record is not None and self.record.is_alarm and not self.has_ended

    @property
    def num_events(self) -> int:
        """Events so far."""
        return 0 if self.record is None else self.record.num_events

    @property
    def fps(self) -> float:
        """Frames per second that pass, lately."""
        now = time.monotonic()
        while self._judged_at and now - self._judged_at[0] > FPS_SECONDS:
            self._judged_at.popleft()
        if len(self._judged_at) < 2:
            return 0.0
        return (len(self._judged_at) - 1) / (self._judged_at[-1] - self._judged_at[0])

    def push(self, arrived: Arrived, verdict: Verdict | None) -> None:
        """Record a frame.

        Raises:
            OSError: the disk takes no more.
        """
        if self.record is None:
            live = self.reader.is_live
            rate = self.reader.frame_rate or self.reader.wanted or USUAL_RATE
            films = (not live) if self._films is None else self._films
            began = datetime.now(timezone.utc).astimezone() if live else None
            name = self.source.name
            self.record = VideoRecord(self.folder, name, rate, films, self._margin, began, self._announce)
        self.verdict, self.seconds = verdict, arrived.seconds
        self.num_judged += verdict is not None
        self._judged_at.append(time.monotonic())
        self.record.push(Moment(arrived.index, arrived.seconds, arrived.frame, verdict))
        if self.num_judged == RATE_KNOWN_AFTER and verdict is not None:
            self._check_rate()

    def _check_rate(self) -> None:
        rate, wanted = self.reader.frame_rate, self.reader.wanted
        if rate and wanted and abs(rate / wanted - 1) > RATE_TOLERANCE:
            self._tell(
                f"{self.source.name}: frames come at {rate:.3g} per second, the training video had {wanted:.3g}: "
                f"movement looks {wanted / rate:.2g} times as fast as it is. `stmem calibrate` fits the threshold."
            )

    def close(self) -> None:
        """Finish the record."""
        self.reader.stop()
        if self.reader.error is not None:
            self.failure = str(self.reader.error)
        if self.record is not None:
            self.record.close()
        self.has_ended, self.verdict = True, None  # last: what could not be closed is still to be discarded

    def discard(self, why: str) -> None:
        """Give the source up, and leave nothing half-written under a final name."""
        self.reader.stop()
        self.has_ended, self.failure = True, why
        if self.record is not None:
            self.record.discard()

    def as_dict(self) -> dict[str, Any]:
        """Figures for the record of the run."""
        reader = self.reader
        return {
            "name": self.source.name,
            "source": self.source.shown,
            "live": reader.is_live,
            "seconds": round(self.seconds, 3),
            "frame_rate": reader.frame_rate,
            "source_rate": reader.source_rate,
            "frames_read": reader.num_read,
            "frames_judged": self.num_judged,
            "frames_dropped": reader.num_dropped,
            "gaps": self.num_gaps,
            "reconnects": reader.num_reconnects,
            "events": self.num_events,
            "failure": self.failure,
        }


class Lane:
    """Sources that are watched one after the other.

    Args:
        name: of the stream in the batch.
        sources: in order.
        open_source: makes a source watched; its reader is not started.
        arrived: is set when a reader has something new.
    """

    def __init__(
        self, name: str, sources: list[Source], open_source: Callable[[Source], Watched], arrived: threading.Event
    ) -> None:
        self.name = name
        self._left = deque(sources)
        self._open_source, self._arrived = open_source, arrived
        self.watched: Watched | None = None

    def next(self) -> tuple[Arrived | None, Watched | None]:
        """Return the next frame if there is one, and the source that has just ended, if one has."""
        if self.watched is None:
            if not self._left:
                return None, None
            self.watched = self._open_source(self._left.popleft())
            self.watched.reader.start()
        arrived = self.watched.reader.next()
        if arrived is None and self.watched.reader.has_ended:
            ended, self.watched = self.watched, None
            self._arrived.set()  # the next one, if there is one, begins at once
            return None, ended
        return arrived, None

    def give_up(self) -> Watched | None:
        """Leave the source at hand; return it."""
        given_up, self.watched = self.watched, None
        return given_up

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to watch."""
        return self.watched is None and not self._left
