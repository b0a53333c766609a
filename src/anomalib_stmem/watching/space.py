"""Room on the disk of the results: it is looked at while a watch runs, and old films make room for new ones."""

import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from ..results.files import ANNOTATED, PLAIN
from .run_folder import earlier_folders

LEAST_FREE = 500e6  # bytes, below which it is told, or with a limit the oldest films go
LOOK_EVERY = 10.0  # seconds
UNITS = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
SIZE = re.compile(r"\s*([0-9]*\.?[0-9]+)\s*([kMGT]?)B\s*")


def bytes_of(text: str) -> float:
    """Read a size such as ``50GB``, ``500MB`` or ``1.5TB``.

    Raises:
        ValueError: it is none.
    """
    read = SIZE.fullmatch(text)
    if read is None or float(read[1]) == 0:
        msg = f"--keep {text} is no size. Expected a number and a unit, as 50GB, 500MB or 1.5TB."
        raise ValueError(msg)
    return float(read[1]) * UNITS[read[2]]


class Space:
    """Looks at the disk now and then.

    With a limit, films are deleted when those of this watch and of earlier ones of its name are larger, or when the
    disk is nearly full: whole films first, clips of events after them, the oldest first. Scores, event lines and
    pictures of events stay. What is still being written stays, too.

    Args:
        wanted: results folder that was asked for; earlier watches are found by its name.
        limit: bytes that films may take; ``None`` deletes nothing.
        tell: gets a sentence when there is little room, and when films are deleted.
    """

    def __init__(self, wanted: Path, limit: float | None, tell: Callable[[str], None]) -> None:
        self._wanted, self._limit, self._tell = wanted, limit, tell
        self._looked, self._is_scarce = -LOOK_EVERY, False

    def look(self) -> None:
        """Look at the disk if it is time to; never raises, for whoever writes finds out."""
        if time.monotonic() - self._looked < LOOK_EVERY:
            return
        self._looked = time.monotonic()
        with suppress(OSError):
            free = float(shutil.disk_usage(self._wanted if self._wanted.is_dir() else self._wanted.parent).free)
            if self._limit is not None:
                free += self._make_room(self._limit, free)
            was_scarce, self._is_scarce = self._is_scarce, free < LEAST_FREE
            if self._is_scarce and not was_scarce:
                more = "" if self._limit is not None else " Say --keep 50GB to let the oldest films go."
                self._tell(f"Only {free / 1e6:.0f} MB are free on the disk of {self._wanted}.{more}")

    def _make_room(self, limit: float, free: float) -> float:
        """Delete films until they are small enough; return the bytes that this has freed."""
        films = [(path, path.stat().st_size) for path in self._films()]
        too_much = max(sum(size for _, size in films) - limit, LEAST_FREE - free)
        freed, gone = 0.0, 0
        for path, size in films:
            if freed >= too_much:
                break
            with suppress(OSError):
                path.unlink()
                freed, gone = freed + size, gone + 1
        if gone:
            self._tell(f"The {gone} oldest films were deleted: {freed / 1e6:.0f} MB, for --keep.")
        return freed

    def _films(self) -> Iterator[Path]:
        """Give whole films and then clips of events, each with the oldest first."""
        found = [path for folder in earlier_folders(self._wanted) for path in folder.rglob("*.mp4")]
        found.sort(key=lambda path: path.stat().st_mtime)
        whole = [path for path in found if path.name in {ANNOTATED, PLAIN}]
        yield from whole
        yield from (path for path in found if path.parent.name == "events")
