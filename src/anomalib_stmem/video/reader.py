"""Reads one source in a thread of its own: files as fast as they are judged, live video as it comes."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue

from .decoding import OPEN_SECONDS, READ_SECONDS, CaptureDecoder, Decoder, open_recorded
from .frame import Frame, Image
from .frame_rate import ASSUMED_RATE, FramePicker, Take
from .recorded import CUT_OFF_BELOW
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
    waiting ones are judged, and the next one is a new start. When a source is lost it is opened again, ever more
    patiently.

    Args:
        source: what to read.
        wanted: frames per second of the training video, if known.
        arrived: is set when there is something new.
        tell: gets a sentence when something happens that a person should know.
        patience: seconds that a live source that has never been seen may take to be there.
    """

    def __init__(
        self,
        source: Source,
        wanted: float | None,
        arrived: threading.Event,
        tell: Callable[[str], None],
        patience: float = 10.0,
    ) -> None:
        super().__init__(name=f"reader of {source.name}", daemon=True)
        self.source, self.wanted = source, wanted
        self.error: SourceError | None = None
        self.is_live = source.kind != "file"
        self.frame_rate: float | None = None  # of the frames that are put
        self.source_rate: float | None = None
        self.is_connected = False
        self.num_read = self.num_dropped = self.num_reconnects = 0
        self.num_announced: int | None = None  # frames that the source says it has, if it has an end
        self._arrived, self._tell, self._patience = arrived, tell, patience
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

    def stop(self) -> None:
        """End soon."""
        self._stopping.set()

    def wait(self) -> None:
        """Wait until it has ended, which a silent address may delay; cv2 aborts a process that ends before."""
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
        wait, began = FIRST_WAIT, time.monotonic()
        clock: _Clock | None = None
        while not self._stopping.is_set():
            decoder = self._open()
            if decoder is not None:
                self.num_announced = decoder.num_announced
                self.is_live, self.is_connected = decoder.num_announced is None, True
                before = self.num_read
                clock = _Clock(decoder, clock)
                self._read_connected(decoder, clock)
                self.is_connected = False
                decoder.close()
                if self.num_announced is not None:
                    self._check_end(self.num_announced)
                    return
                if self.num_read > before:
                    wait = FIRST_WAIT
            if self._stopping.is_set():
                return
            if not self.num_read and time.monotonic() - began > self._patience:
                raise SourceError(self._not_there())
            if self.num_read:
                self._tell(f"{self.source.name}: no picture from {self.source.shown}. Trying again in {wait:g} s.")
                self.num_reconnects += 1
            self._stopping.wait(wait)
            wait = min(2 * wait, LONGEST_WAIT)
            self._new_start = True

    def _open(self) -> Decoder | None:
        path = Path(self.source.address)
        if self.source.kind == "file" and path.is_dir():
            return open_recorded(path, self.wanted or ASSUMED_RATE)
        capture = CaptureDecoder(self.source.address, self.source.kind)
        if capture.is_open:
            return capture
        if self.source.kind == "file":
            raise SourceError(self._not_there())
        return None

    def _read_connected(self, decoder: Decoder, clock: "_Clock") -> None:
        picker = FramePicker(self.wanted, decoder.frame_rate if decoder.has_clock else None, decoder.has_clock)
        while not self._stopping.is_set() and decoder.advance():
            index, seconds = self.num_read, clock.now()
            self.num_read += 1
            what = picker.take(seconds)
            self.frame_rate, self.source_rate = picker.rate, picker.source_rate
            if what is Take.SKIP:
                continue
            image = decoder.image()
            if image is not None:
                self._put(Frame(index, seconds, image, follows_gap=what is Take.GAP))

    def _check_size(self, index: int, now: tuple[int, ...]) -> None:
        before, self._size = self._size, now
        if before in {None, now}:  # always so in files of cv2 5, which resizes by itself
            return
        words = f"changes from {before[1]}x{before[0]} to {now[1]}x{now[0]} pixels at frame {index}"
        if not self.is_live:
            msg = f"The picture of {self.source.shown} {words}. A video must have one size; what was before is judged."
            raise SourceError(msg)
        self._tell(f"{self.source.name}: the picture {words}. Starting anew with it.")
        self._new_start = True

    def _put(self, frame: Frame) -> None:
        self._check_size(frame.index, frame.image.shape)
        if self.is_live:
            # Until all that waits is judged: a stream needs frames in a row, and every gap costs it a warm-up.
            full = self._queue.qsize() >= self._room(frame.image)
            self._behind = full or (self._behind and not self._queue.empty())
            if self._behind:
                self.num_dropped += 1
                self._new_start = True
                return
            follows_gap = frame.follows_gap or self._new_start
            self._new_start = False
            frame = replace(frame, follows_gap=follows_gap)
        else:
            while self._queue.qsize() >= AHEAD:
                if self._stopping.wait(0.005):
                    return
        self._queue.put(frame)
        self._arrived.set()

    def _room(self, image: Image) -> int:
        """How many live frames may wait."""
        wanted = BACKLOG_SECONDS * (self.wanted or ASSUMED_RATE)
        return int(max(AHEAD, min(wanted, BACKLOG_BYTES / image.nbytes)))

    def _check_end(self, announced: int) -> None:
        if not self.num_read:
            raise SourceError(self._not_there())
        if not self._stopping.is_set() and self.num_read < CUT_OFF_BELOW * announced:
            msg = f"{self.source.shown} announces {announced} frames, and {self.num_read} can be decoded: cut off."
            raise SourceError(msg)

    def _not_there(self) -> str:
        reasons = {
            "camera": "not there, in use elsewhere, or not allowed",
            "stream": "not reachable, not allowed, or no video",
            "file": "no video, empty, damaged, only sound, or in a codec that cv2 lacks",
        }
        return f"There is no picture from {self.source.shown}: {reasons[self.source.kind]}."


class _Clock:
    """Time stamps of a connection, in seconds since the source's first frame.

    Those of the stream where it has any; else they are times of arrival. A connection that follows another begins when
    it does by our clock.
    """

    def __init__(self, decoder: Decoder, before: "_Clock | None") -> None:
        self._decoder = decoder
        self._zero: float | None = None if before is None else before._zero  # noqa: SLF001  # of our clock, s
        self._offset: float | None = None  # from the stream's time to ours

    def now(self) -> float:
        """Time stamp of the frame at hand."""
        arrival = time.monotonic()
        if self._zero is None:
            self._zero = arrival
        if not self._decoder.has_clock:
            return arrival - self._zero
        own = self._decoder.seconds()
        if self._offset is None:
            self._offset = arrival - self._zero - own
        return own + self._offset
