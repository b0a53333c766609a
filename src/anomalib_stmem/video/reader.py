"""Reads one source in a thread of its own: files as fast as they are judged, live video as it comes."""

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from queue import Empty, SimpleQueue

from .choosing import Tally, chosen_frames
from .connection import OPEN_SECONDS, READ_SECONDS, ConnectionClock, Rtsp, open_source
from .decoding import Decoder
from .frame import Frame
from .frame_rate import ASSUMED_RATE, FramePicker
from .proportion import refuse_other_proportion
from .reasons import NoVideoError
from .source import Source

logger = logging.getLogger(__name__)

BACKLOG_SECONDS = 2.0  # of live video that may wait to be judged; what comes then is dropped, to be live again
BACKLOG_BYTES = 256e6  # of them at most
AHEAD = 8  # frames of a file that are decoded before they are judged
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0  # seconds before the next attempt to connect; doubled each time


class SourceError(Exception):
    """A source that cannot be watched, in a sentence."""


class Reader(threading.Thread):
    """Puts the frames of a source, at the training rate, where :meth:`next` finds them.

    Live sources never wait: when :data:`BACKLOG_SECONDS` of frames are waiting, those that come are dropped until the
    waiting ones are judged, and the next one is a new start. When a live source is lost it is opened again, ever more
    patiently.

    Args:
        source: what to read.
        wanted: frames per second of the training video, if known.
        arrived: is set when there is something new.
        tell: gets a sentence when something happens that a person should know.
        patience: seconds that a live source that has never been seen may take to be there.
        frame_rate: frames per second of a recorded source that does not say its own.
        rtsp: how RTSP is carried, ``tcp`` or ``udp``.
        proportion: width by height of the training video's pictures, if known; a source of another one is refused.
    """

    def __init__(
        self,
        source: Source,
        wanted: float | None,
        arrived: threading.Event,
        tell: Callable[[str], None],
        patience: float = 10.0,
        frame_rate: float | None = None,
        rtsp: Rtsp = "tcp",
        proportion: float | None = None,
    ) -> None:
        super().__init__(name=f"reader of {source.name}", daemon=True)
        self.source, self.wanted = source, wanted
        self.error: SourceError | None = None
        self.is_live = source.kind != "file"
        self.is_connected = False
        self.began: datetime | None = None  # time of day of the first frame of a live source
        self.tally = Tally()
        self.num_reconnects = 0
        self._num_left = 0  # frames that were read when it was stopped, or had another size
        self._arrived, self._tell, self._patience = arrived, tell, patience
        self._said_rate, self._rtsp, self._proportion = frame_rate, rtsp, proportion
        self._queue: SimpleQueue[Frame] = SimpleQueue()
        self._stopping = threading.Event()
        self._new_start = False  # whether frames are missing before the next one
        self._behind = False  # whether frames are dropped
        self._size: tuple[int, ...] | None = None  # of the latest frame
        self._done = False

    def next(self) -> Frame | None:
        """Return the next frame if there is one."""
        try:
            return self._queue.get_nowait()
        except Empty:
            return None

    @property
    def has_ended(self) -> bool:
        """Whether no frame will come any more."""
        return self._done and self._queue.empty()

    def give_up(self) -> int:
        """Throw away the frames that nobody has asked for, and return how many there were; after it has ended."""
        while (frame := self.next()) is not None:
            self._leave(frame)
        return self._num_left

    def _leave(self, frame: Frame) -> None:
        self._num_left += frame.frozen_since is None  # which is counted as a repeat

    def stop(self) -> None:
        """End soon."""
        self._stopping.set()

    def wait(self) -> None:
        """Wait until it has ended, which a silent address may delay."""
        if self.is_alive():
            self.join(OPEN_SECONDS + READ_SECONDS)

    def run(self) -> None:
        """Read until the end, or until stopped."""
        try:
            self._read()
        except (SourceError, ValueError) as error:
            self.error = SourceError(str(error))
        except Exception as error:  # whatever it is, the other sources go on
            logger.debug("reading %s", self.source.shown, exc_info=True)
            self.error = SourceError(f"{self.source.shown} cannot be read: {type(error).__name__}.")
        finally:
            self._done, self.is_connected = True, False
            self._arrived.set()

    def _read(self) -> None:
        """Read a source with an end once; open a live one again whenever it is lost."""
        wait, began, clock = FIRST_WAIT, time.monotonic(), ConnectionClock()
        told: float | None = None  # seconds to wait, as they were told last: a long outage is not told for ever
        while not self._stopping.is_set():
            before = self.tally.read
            why = self._read_once(clock)
            if not self.is_live or self._stopping.is_set():
                return
            if self.tally.read > before:
                wait, told = FIRST_WAIT, None
            if not self.tally.read and time.monotonic() - began > self._patience:
                raise SourceError(self._not_there(why))
            if self.tally.read:
                if wait != told:
                    self._tell(f"{self.source.name}: {self._not_there(why)} Trying again in {wait:g} s.")
                told = wait
                self.num_reconnects += 1
            self._stopping.wait(wait)
            wait = min(2 * wait, LONGEST_WAIT)
            self._new_start = True

    def _read_once(self, clock: ConnectionClock) -> str:
        """Read a source until it ends or is lost; return why."""
        try:
            decoder = open_source(self.source, self._said_rate or self.wanted or ASSUMED_RATE, self._rtsp)
        except NoVideoError as error:
            if self.is_live:
                return str(error)
            raise SourceError(self._not_there(str(error))) from None
        try:
            self.is_live, self.is_connected = decoder.is_endless, True
            if decoder.note is not None:
                self._tell(decoder.note)
            if not (self.is_live or decoder.says_times):
                self._tell_assumed_rate()
            has_clock = decoder.says_times or not self.is_live
            picker = FramePicker(self.wanted, decoder.frame_rate if has_clock else None, has_clock)
            clock.connect(self.is_live)
            go_on, anew = lambda: not self._stopping.is_set(), self._new_start
            for frame in chosen_frames(decoder, picker, clock.now, self.tally, go_on, anew, self._has_room):
                self._put(frame)
            if go_on() and not self.is_live:
                self._check_end(decoder)
            return decoder.why_ended
        finally:
            self.is_connected = False
            decoder.close()

    def _tell_assumed_rate(self) -> None:
        if self._said_rate is None:
            whose = "the training video's" if self.wanted else "an assumption"
            self._tell(
                f"{self.source.name} does not say its frame rate: {self.wanted or ASSUMED_RATE:g} frames per second "
                f"are counted, {whose}. Say the real one with --frame-rate."
            )

    def _check_size(self, frame: Frame) -> None:
        now = frame.image.shape
        before, self._size = self._size, now
        if before == now:
            return
        refuse_other_proportion(self.source.shown, (now[0], now[1]), self._proportion)
        if before is None:
            return
        words = f"changes from {before[1]}x{before[0]} to {now[1]}x{now[0]} pixels at frame {frame.index}"
        words += f" ({frame.file})" if frame.file else ""
        if not self.is_live:
            msg = f"The picture of {self.source.shown} {words}. A video must have one size; what was before is judged."
            raise SourceError(msg)
        self._tell(f"{self.source.name}: the picture {words}. Starting anew with it.")
        self._new_start = True

    def _put(self, frame: Frame) -> None:
        try:
            self._check_size(frame)
        except (SourceError, ValueError):
            self._leave(frame)
            raise
        if self.is_live:
            if self.began is None:
                self.began = datetime.now(timezone.utc).astimezone() - timedelta(seconds=frame.seconds)
            frame = replace(frame, follows_gap=frame.follows_gap or self._new_start)
        else:
            while self._queue.qsize() >= AHEAD:
                if self._stopping.wait(0.005):
                    self._leave(frame)
                    return
        self._new_start = False
        self._queue.put(frame)
        self._arrived.set()

    def _has_room(self) -> bool:
        """Say whether a live frame may wait. When too many do, none may until all of them are judged.

        A stream needs frames in a row, and every gap costs it a warm-up.
        """
        if not self.is_live or self._size is None:
            return True
        wanted = BACKLOG_SECONDS * (self.wanted or ASSUMED_RATE)
        full = self._queue.qsize() >= int(max(AHEAD, min(wanted, BACKLOG_BYTES / math.prod(self._size))))
        self._behind = full or (self._behind and not self._queue.empty())
        return not self._behind

    def _check_end(self, decoder: Decoder) -> None:
        if not self.tally.read:
            raise SourceError(self._not_there(decoder.why_ended))
        said = decoder.damage.explain(self.source.shown, decoder.seconds)
        if said is not None and decoder.damage.is_grave:
            msg = f"{said} What could be decoded is used."
            raise SourceError(msg)
        if said is not None:
            self._tell(said)

    def _not_there(self, why: str) -> str:
        return f"There is no picture from {self.source.shown}: {why}."
