"""Records live video to learn from, for a time, in films of some minutes, so that little is lost whatever ends it."""

import errno
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pandas as pd

from ..results.film import Film
from ..video.connection import Rtsp
from ..video.frame import Frame
from ..video.reader import Reader
from ..video.recorded import open_at_first
from ..video.source import Source

RATE = 12.5  # frames per second that are recorded at most, as many as are learned from
FILM_SECONDS = 300.0  # of a film at most; that much is lost when the process is killed
LEAST_FREE = 500e6  # bytes that are left free on the disk
LOOK_EVERY = 5.0  # seconds, at the disk
TELL_EVERY = 60.0  # seconds


def seconds_of(text: str) -> float:
    """Read a length of time such as ``30m``, ``2h`` or ``90s``.

    Raises:
        ValueError: it is none.
    """
    try:
        seconds = pd.Timedelta(text).total_seconds() if not text.strip().isdigit() else 0.0
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        msg = f"--record {text} is no length of time. Expected a number and a unit, as 30m, 2h or 90s."
        raise ValueError(msg)
    return seconds


def record(
    source: Source,
    folder: Path,
    seconds: float,
    tell: Callable[[str], None],
    stopping: threading.Event,
    patience: float = 10.0,
    rtsp: Rtsp = "tcp",
) -> float:
    """Record a live source until there are so many seconds of it in a folder, with those that are there already.

    A lost camera and a full disk end it early, as ``stopping`` does; what is there is kept, and the reason told.

    Args:
        source: what to record.
        folder: of the films; made if missing.
        seconds: of video to have.
        tell: gets a sentence about what happens.
        stopping: is set to end it.
        patience: seconds that a source may take to be there, or to come back at the end.
        rtsp: how RTSP is carried, ``tcp`` or ``udp``.

    Returns:
        Seconds of video in the folder.

    Raises:
        ValueError: nothing could be recorded, and nothing is there.
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    had = sum(_seconds_of(path) for path in folder.glob("*.mp4"))
    if had:
        tell(f"{source.shown}: {had:.0f} s were recorded before, and count.")
    if had >= seconds:
        return had
    arrived, films = threading.Event(), _Films(folder)
    reader = Reader(source, RATE, arrived, tell, patience, rtsp=rtsp)
    reader.start()
    why: str | None = None
    try:
        why = _record(reader, films, seconds - had, arrived, stopping, tell, patience)
    finally:
        reader.stop()
        try:
            films.close()
        except OSError as error:
            why = f"{folder} takes no more ({error.strerror or error})"
        reader.wait()
    total = had + films.seconds
    if not total:
        with suppress(OSError):  # unless there is something in it
            folder.rmdir()
            folder.parent.rmdir()
        raise ValueError(str(reader.error or f"Nothing could be recorded from {source.shown}: {why}."))
    if why:
        tell(f"{source.shown}: recording ended early, because {why}. The {total:.0f} s that there are are used.")
    return total


def _record(
    reader: Reader,
    films: "_Films",
    seconds: float,
    arrived: threading.Event,
    stopping: threading.Event,
    tell: Callable[[str], None],
    patience: float,
) -> str | None:
    """Record, and say why it ended early if it did."""
    told = time.monotonic()
    until = told + seconds + 2 * patience
    while films.seconds < seconds:
        if stopping.is_set():
            return "it was stopped"
        if reader.has_ended:
            return "the camera is gone" if reader.error is None else str(reader.error).rstrip(".")
        if time.monotonic() > until:
            return "the camera was lost for a part of the time"
        if time.monotonic() - told >= TELL_EVERY:
            told = time.monotonic()
            tell(f"{reader.source.shown}: {films.seconds:.0f} of {seconds:.0f} s are recorded.")
        arrived.clear()
        frame = reader.next()
        if frame is None:
            arrived.wait(0.1)
            continue
        try:
            films.write(frame)
        except OSError as error:
            return f"{films.folder} takes no more ({error.strerror or error})"
    return None


class _Films:
    """Films in a folder; a new one when the picture changes its size, frames are missing, or it is long enough.

    Args:
        folder: of the films.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self._finished = folder, 0.0
        self._film: Film | None = None
        self._size, self._began, self._latest = (0, 0), 0.0, 0.0
        self._looked = -LOOK_EVERY

    def write(self, frame: Frame) -> None:
        """Add a frame, unless the source hangs and shows the old picture.

        Raises:
            OSError: the disk takes no more, or soon would not.
        """
        if frame.frozen_since is not None:
            return
        if frame.seconds - self._looked >= LOOK_EVERY:
            self._looked = frame.seconds
            if shutil.disk_usage(self.folder).free < LEAST_FREE:
                raise OSError(errno.ENOSPC, f"less than {LEAST_FREE / 1e6:.0f} MB are free")
        height, width = (side - side % 2 for side in frame.image.shape[:2])
        changes = (height, width) != self._size or frame.seconds - self._began >= FILM_SECONDS
        if self._film is None or changes or frame.follows_gap:
            self.close()
            self._size, self._began, self._latest = (height, width), frame.seconds, frame.seconds
            number = 1 + len(list(self.folder.glob("*.mp4")))
            self._film = Film(self.folder / f"{number:03d}.mp4", (width, height), RATE)
        self._latest = frame.seconds
        try:
            self._film.write(frame.image[:height, :width], frame.seconds)
        except OSError:
            self._film = None  # it is gone
            raise

    @property
    def seconds(self) -> float:
        """Of all films that are not lost."""
        return self._finished + (self._latest - self._began if self._film is not None else 0.0)

    def close(self) -> None:
        """Finish the film at hand.

        Raises:
            OSError: the disk takes no more. The film is gone then.
        """
        film, self._film = self._film, None
        if film is not None:
            film.close()
            self._finished += self._latest - self._began


def _seconds_of(path: Path) -> float:
    try:
        decoder, _ = open_at_first(path, RATE)
    except ValueError:
        return 0.0
    length = decoder.length
    decoder.close()
    return length or 0.0
