"""The one writer of scores on disk: rows come as frames are judged, and the file gets its name when it is whole."""

import csv
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .files import UNFINISHED, sync

if TYPE_CHECKING:  # a third of a second, before the first verdict
    import pandas as pd


class ScoresTable:
    """A CSV file with one row per judged frame, written as ``NAME.part`` until :meth:`close`.

    Args:
        path: of the whole file.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.unfinished = path, path.with_name(path.name + UNFINISHED)
        self._file = self.unfinished.open("w", newline="", encoding="utf-8")
        self._rows = csv.writer(self._file, lineterminator="\n")
        self._begun = False

    def add_row(self, row: Mapping[str, Any]) -> None:
        """Add one frame; every row has the same columns."""
        if not self._begun:
            self._rows.writerow(row)
        self._rows.writerow(row.values())
        self._begun = True

    def add(self, frames: "pd.DataFrame") -> None:
        """Add several frames."""
        frames.to_csv(self._file, header=not self._begun, index=False, lineterminator="\n")
        self._begun = True

    def flush(self) -> None:
        """Hand what was added to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Give the file its name; a table without rows leaves none."""
        self._file.close()
        if self._begun:
            sync(self.unfinished)
            self.unfinished.replace(self.path)
        else:
            self.unfinished.unlink()

    def discard(self) -> None:
        """Leave what was added as ``NAME.part``."""
        with suppress(OSError):
            self._file.close()


def write_scores(frames: "pd.DataFrame", path: Path) -> None:
    """Write a table whose rows are all known."""
    table = ScoresTable(path)
    table.add(frames)
    table.close()
