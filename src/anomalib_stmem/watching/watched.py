"""A source that is watched: its reader, its results and its figures."""

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..model.camera_watch import TOLD_AFTER
from ..model.normal_view import Trouble
from ..results.event_tracker import REASONS, EventTracker
from ..results.events_only import EventsOnly
from ..results.files import numbered
from ..results.judged_frame import JudgedFrame, Verdict
from ..results.video_results import VideoResults
from ..video.frame import Frame
from ..video.frame_rate import ASSUMED_RATE, RATE_TOLERANCE
from ..video.names import folder_of
from ..video.reader import Reader
from ..video.region import Polygon
from ..video.source import Source

RATE_KNOWN_AFTER = 50  # frames
LOST_AFTER = 5.0  # seconds without a picture, of a live source that is lost
KEEP_AGAIN = 60.0  # seconds until results are tried again that could not be written
FPS_SECONDS, FPS_FRAMES = 2.0, 500  # over which the speed shown is taken


class Watched:
    """A source that is or was watched, with what is kept of it.

    Args:
        source: which.
        reader: of its frames.
        folder: of all results.
        films: whether to film the whole video; ``None`` films files only.
        margin: seconds before and after each event in its clip.
        least_size: of an event, as :class:`VideoResults` has it.
        ignored: what of the picture does not count, as :class:`VideoResults` has it.
        announce: is told of events, as :class:`VideoResults` does.
        tell: gets a sentence when frames come at another rate than the training video's.
    """

    def __init__(
        self,
        source: Source,
        reader: Reader,
        folder: Path,
        films: bool | None,
        margin: float,
        least_size: float,
        ignored: Sequence[Polygon],
        announce: Callable[[str, dict[str, Any]], None],
        tell: Callable[[str], None],
    ) -> None:
        self.source, self.reader = source, reader
        self.folder = self._first_folder = folder / folder_of(source.name)
        self._num_folders = 1  # of its results; more where the disk took no more
        self.results: VideoResults | EventsOnly | None = None
        self._keeps_from = math.inf  # when results are tried again, by the clock of the process
        self.num_judged = self.num_not_judged = self.num_late = self.num_gaps = self.num_frozen = 0
        self.num_left = 0  # frames that waited for the network when the watch was stopped
        self.seconds = 0.0
        self.verdict: Verdict | None = None  # of the latest frame
        self.failure: str | None = None
        self.has_ended = False
        self._films, self._margin, self._announce, self._tell = films, margin, announce, tell
        self._least_size, self._ignored = least_size, ignored
        self._judged_at: deque[float] = deque(maxlen=FPS_FRAMES)
        self._latest: Frame | None = None
        self._latest_at = 0.0  # when it came, by the clock of the process
        self._camera: str | None = None  # what is wrong with the latest picture
        self._camera_since = math.nan  # seconds

    @property
    def is_alarm(self) -> bool:
        """Whether an event is going on."""
        return self.results is not None and self.results.is_alarm and not self.has_ended

    @property
    def num_events(self) -> int:
        """Events so far."""
        return 0 if self.results is None else self.results.num_events

    @property
    def fps(self) -> float:
        """Frames per second that pass, lately."""
        now = time.monotonic()
        while self._judged_at and now - self._judged_at[0] > FPS_SECONDS:
            self._judged_at.popleft()
        if len(self._judged_at) < 2:
            return 0.0
        return (len(self._judged_at) - 1) / (self._judged_at[-1] - self._judged_at[0])

    def push(self, frame: Frame, verdict: Verdict | None, trouble: Trouble | None = None) -> None:
        """Keep a frame and its verdict.

        Args:
            frame: the next.
            verdict: of it, if it was judged.
            trouble: what is wrong with its picture, if anything is.

        Raises:
            OSError: the disk takes no more.
        """
        if self.results is None or (time.monotonic() > self._keeps_from and not self.is_alarm):
            self._begin_results()
        self.verdict, self.seconds = self.verdict if frame.is_late else verdict, frame.seconds
        self.num_judged += verdict is not None
        self.num_frozen += frame.frozen_since is not None
        self.num_late += frame.is_late
        self.num_not_judged += verdict is None and not frame.is_late and frame.frozen_since is None
        self._judged_at.append(time.monotonic())
        self._latest, self._latest_at = frame, time.monotonic()
        # A picture of one colour stands still, too, and is told once.
        self._follow(frame, verdict, trouble or ("frozen" if frame.frozen_since is not None else None))
        if self.num_judged == RATE_KNOWN_AFTER and verdict is not None:
            self._check_rate()

    def _begin_results(self) -> None:
        self._keeps_from = math.inf
        live = self.reader.is_live
        self.results = VideoResults(
            self.folder,
            self.source.name,
            self._rate,
            (not live) if self._films is None else self._films,
            self._margin,
            self.reader.began,
            self._announce,
            self._least_size,
            keeps_plain=live,
            ignored=self._ignored,
            num_before=self.num_events,
        )

    def lose_results(self, error: OSError) -> str:
        """Give up what cannot be written, and nothing else: a file ends, a camera is judged and its events are told.

        Returns:
            What to tell.
        """
        why = f"{self.source.shown}: its results cannot be written to {self.folder}: {error.strerror or error}."
        if not self.reader.is_live:
            self.discard(why)
            return why
        if isinstance(self.results, VideoResults):
            self.results.discard()
        tracker = EventTracker(self._rate, self._least_size) if self.results is None else self.results.tracker
        self.results = EventsOnly(self.source.name, tracker, self._announce, self.reader.began)
        self._keeps_from = time.monotonic() + KEEP_AGAIN
        self._num_folders += 1
        self.folder = numbered(self._first_folder, self._num_folders)
        return f"{why} Events are told all the same. In {KEEP_AGAIN:g} s {self.folder.name} is tried."

    @property
    def _rate(self) -> float:
        return self.reader.tally.rate or self.reader.wanted or ASSUMED_RATE

    def tick(self) -> None:
        """Tell of a live source from which no picture has come for :data:`LOST_AFTER`, second by second."""
        if self._latest is None or self.reader.is_connected or not self.reader.is_live or self.has_ended:
            return
        silent = time.monotonic() - self._latest_at
        now = self._latest.seconds + silent
        if silent >= LOST_AFTER and now - self.seconds >= 1:
            self.seconds = now
            self._follow(replace(self._latest, seconds=now), None, "no signal")

    def _follow(self, frame: Frame, verdict: Verdict | None, camera: str | None) -> None:
        assert self.results is not None  # noqa: S101  # there was a frame
        if camera is not None and camera != self._camera:
            lasts = LOST_AFTER if frame is not self._latest else TOLD_AFTER
            began = (
                frame.frozen_since if camera == "frozen" and frame.frozen_since is not None else frame.seconds - lasts
            )
            self._camera_since = max(0.0, began)
        self._camera = camera
        self.results.push(JudgedFrame(frame, verdict, camera=camera, camera_since=self._camera_since))

    def _check_rate(self) -> None:
        rate, wanted = self.reader.tally.rate, self.reader.wanted
        if rate and wanted and abs(rate / wanted - 1) > RATE_TOLERANCE:
            self._tell(
                f"{self.source.name}: frames come at {rate:.3g} per second, the training video had {wanted:.3g}: "
                f"movement looks {wanted / rate:.2g} times as fast as it is. `stmem calibrate` fits the threshold."
            )

    def close(self) -> None:
        """Finish its files.

        Raises:
            OSError: the disk takes no more; :meth:`discard` then.
        """
        self.reader.stop()
        if self.reader.error is not None:
            self.failure = str(self.reader.error)
        elif self.reader.has_ended and not self.num_judged and self.reader.tally.read:
            self.failure = f"{self.source.shown}: no frame was judged. {self._why_nothing()}"
        if self.results is not None:
            self.results.close()
        self.has_ended, self.verdict = True, None  # last: what could not be closed is still to be discarded

    def _why_nothing(self) -> str:
        if self._camera is not None:
            return REASONS[self._camera].format(seconds=self.seconds - self._camera_since)
        tally = self.reader.tally
        counts = {
            "repeat the one before": tally.repeated,
            "are damaged": tally.damaged,
            "are left out for the rate": tally.skipped,
            "come before the network has seen enough": self.num_not_judged + self.num_late,
        }
        return f"Of {tally.read}, {', '.join(f'{count} {what}' for what, count in counts.items() if count)}."

    def discard(self, why: str) -> None:
        """Give the source up, and leave nothing half-written under a final name."""
        self.reader.stop()
        self.has_ended, self.failure = True, why
        if self.results is not None:
            self.results.discard()

    def as_dict(self) -> dict[str, Any]:
        """Figures for ``run.json``."""
        reader, tally = self.reader, self.reader.tally
        return {
            "name": self.source.name,
            "source": self.source.shown,
            "live": reader.is_live,
            "seconds": round(self.seconds, 3),
            "frame_rate": tally.rate,
            "source_rate": tally.source_rate,
            "frames_read": tally.read,  # the sum of those down to frames_left
            "frames_judged": self.num_judged,
            "frames_not_judged": self.num_not_judged,  # while warming up, or since the camera fails
            "frames_late": self.num_late,
            "frames_skipped": tally.skipped,
            "frames_repeated": tally.repeated,
            "frames_damaged": tally.damaged,
            "frames_dropped": tally.dropped,
            "frames_left": self.num_left + reader.give_up(),  # that waited when it was stopped, or had another size
            "frames_lost": tally.lost,  # not among those read
            "frames_frozen": self.num_frozen,  # of the repeated ones
            "damaged_at": tally.damaged_seconds,
            "gaps": self.num_gaps,
            "reconnects": reader.num_reconnects,
            "events": self.num_events,
            "failure": self.failure,
        }
