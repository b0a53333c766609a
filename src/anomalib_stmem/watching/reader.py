"""Reads one source in a thread of its own: files as fast as they are judged, live video as it comes."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue

import cv2
import numpy as np
from numpy.typing import NDArray

from ..data.frames import CUT_OFF_BELOW, list_images
from .pace import Pace, Take
from .source import Source

logger = logging.getLogger(__name__)

BACKLOG_SECONDS = 2.0  # of live video that may wait to be judged; what comes then is dropped, to be live again
BACKLOG_BYTES = 256e6  # of them at most
AHEAD = 8  # frames of a file that are decoded before they are judged
OPEN_SECONDS, READ_SECONDS = 10.0, 5.0  # until a silent address counts as lost
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0  # seconds before the next attempt to connect; doubled each time
USUAL_RATE = 25.0  # frames per second, where neither source nor model says
MJPEG = cv2.VideoWriter.fourcc(*"MJPG")


@dataclass(frozen=True)
class Arrived:
    """A frame to be judged."""

    index: int  # of the frame in its source, from 0, counting those that are skipped
    seconds: float  # since the first frame
    frame: NDArray[np.uint8]  # (h, w, 3) BGR
    is_new_start: bool  # whether frames are missing before it


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
        self._queue: SimpleQueue[Arrived] = SimpleQueue()
        self._stopping = threading.Event()
        self._new_start = False  # whether frames are missing before the next one
        self._behind = False  # whether frames are dropped
        self._size: tuple[int, ...] | None = None  # of the latest frame
        self._done = False

    def next(self) -> Arrived | None:
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
            if Path(self.source.address).is_dir() and self.source.kind == "file":
                self._read_folder()
            else:
                self._read_capture()
        except SourceError as error:
            self.error = error
        except Exception as error:  # whatever it is, the other sources go on
            logger.debug("reading %s", self.source.shown, exc_info=True)
            self.error = SourceError(f"{self.source.shown} cannot be read: {type(error).__name__}.")
        finally:
            self._done, self.is_connected = True, False
            self._arrived.set()

    def _read_folder(self) -> None:
        self.frame_rate = self.source_rate = self.wanted or USUAL_RATE
        images = list_images(Path(self.source.address))
        self.num_announced = len(images)
        for index, path in enumerate(images):
            frame = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if frame is None:
                msg = f"{path} cannot be decoded: the file is damaged or cut off."
                raise SourceError(msg)
            self.num_read += 1
            self._put(Arrived(index, index / self.frame_rate, frame.astype(np.uint8, copy=False), False))
            if self._stopping.is_set():
                return

    def _read_capture(self) -> None:
        wait, began = FIRST_WAIT, time.monotonic()
        clock: _Clock | None = None
        while not self._stopping.is_set():
            capture = self._open()
            if capture is not None:
                finite = capture.get(cv2.CAP_PROP_FRAME_COUNT) > 0
                self.num_announced = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if finite else None
                self.is_live, self.is_connected = not finite, True
                before = self.num_read
                clock = _Clock(capture, self.source, clock)
                self._read_connected(capture, clock)
                self.is_connected = False
                capture.release()
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

    def _open(self) -> cv2.VideoCapture | None:
        if self.source.kind == "camera":
            capture = cv2.VideoCapture(int(self.source.address))
        else:
            limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, int(1000 * OPEN_SECONDS)]
            limits += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, int(1000 * READ_SECONDS)]
            capture = cv2.VideoCapture(self.source.address, cv2.CAP_FFMPEG, limits)
        if capture.isOpened():
            return capture
        if self.source.kind == "file":
            raise SourceError(self._not_there())
        return None

    def _read_connected(self, capture: cv2.VideoCapture, clock: "_Clock") -> None:
        announced = capture.get(cv2.CAP_PROP_FPS)
        pace = Pace(self.wanted, announced if 0 < announced < 1000 and clock.is_exact else None, clock.is_exact)
        while not self._stopping.is_set() and capture.grab():
            index, seconds = self.num_read, clock.now()
            self.num_read += 1
            what = pace.take(seconds)
            self.frame_rate, self.source_rate = pace.rate, pace.source_rate
            if what is Take.SKIP:
                continue
            read, frame = capture.retrieve()
            if not read:
                continue
            if frame.ndim == 2:
                frame = cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR)
            self._put(Arrived(index, seconds, frame.astype(np.uint8, copy=False), what is Take.GAP))

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

    def _put(self, arrived: Arrived) -> None:
        self._check_size(arrived.index, arrived.frame.shape)
        if self.is_live:
            # Until all that waits is judged: a stream needs frames in a row, and every gap costs it a warm-up.
            full = self._queue.qsize() >= self._room(arrived.frame)
            self._behind = full or (self._behind and not self._queue.empty())
            if self._behind:
                self.num_dropped += 1
                self._new_start = True
                return
            is_new = arrived.is_new_start or self._new_start
            self._new_start = False
            arrived = replace(arrived, is_new_start=is_new)
        else:
            while self._queue.qsize() >= AHEAD:
                if self._stopping.wait(0.005):
                    return
        self._queue.put(arrived)
        self._arrived.set()

    def _room(self, frame: NDArray[np.uint8]) -> int:
        """How many live frames may wait."""
        wanted = BACKLOG_SECONDS * (self.wanted or USUAL_RATE)
        return int(max(AHEAD, min(wanted, BACKLOG_BYTES / frame.nbytes)))

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

    Those of the stream where it has any; cameras and MJPEG have none, so there they are times of arrival. A connection
    that follows another begins when it does by our clock.
    """

    def __init__(self, capture: cv2.VideoCapture, source: Source, before: "_Clock | None") -> None:
        self._capture = capture
        mjpeg = int(capture.get(cv2.CAP_PROP_FOURCC)) == MJPEG
        is_file = source.kind == "file" or capture.get(cv2.CAP_PROP_FRAME_COUNT) > 0
        self.is_exact = is_file or not (source.kind == "camera" or mjpeg)
        self._zero: float | None = None if before is None else before._zero  # noqa: SLF001  # of our clock, s
        self._offset: float | None = None  # from the stream's time to ours

    def now(self) -> float:
        """Time stamp of the frame just grabbed."""
        arrival = time.monotonic()
        if self._zero is None:
            self._zero = arrival
        if not self.is_exact:
            return arrival - self._zero
        own = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        if self._offset is None:
            self._offset = arrival - self._zero - own
        return own + self._offset
