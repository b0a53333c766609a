"""The results folder of a watch: a line per event as it happens, and what was watched by what."""

import json
import os
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..results.files import EVENT_LINES, RUN, new_folder, numbered, to_json, write_text


class RunFolder:
    """Opens a new results folder.

    Args:
        wanted: the folder; where it holds an earlier watch, ``wanted_2`` and so on.
        about: what is watched by what.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(self, wanted: Path, about: dict[str, Any]) -> None:
        self.path = new_folder(wanted, mark=RUN)
        self._about = about | {"started": now(), "ended": None}
        self._write()
        self._events = os.open(self.path / EVENT_LINES, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def add_event(self, event: dict[str, Any]) -> None:
        """Append an event, whole or not at all.

        Raises:
            OSError: the disk takes no more.
        """
        line = (json.dumps(event) + "\n").encode()
        before = os.fstat(self._events).st_size
        try:
            complete = os.write(self._events, line) == len(line)
        except OSError:
            os.ftruncate(self._events, before)
            raise
        if not complete:
            os.ftruncate(self._events, before)
            msg = f"There is no room for an event in {self.path / EVENT_LINES}."
            raise OSError(msg)

    def close(self, sources: list[dict[str, Any]], deliveries: dict[str, Any]) -> None:
        """Write how it ended.

        Args:
            sources: figures of each.
            deliveries: figures of ``webhook`` and ``mqtt``, ``None`` where there was none.

        Raises:
            OSError: the disk takes no more.
        """
        os.close(self._events)
        self._about |= {"ended": now(), "sources": sources} | deliveries
        self._write()

    def _write(self) -> None:
        write_text(self.path / RUN, to_json(self._about, indent=1))


def earlier_folders(wanted: Path) -> Iterator[Path]:
    """Give the folders of earlier watches of the same name, the oldest first."""
    folder, number = wanted, 1
    while (folder / RUN).exists():
        yield folder
        number += 1
        folder = numbered(wanted, number)


def now() -> str:
    """Time of day with its zone, to the second."""
    return datetime.now(timezone.utc).astimezone().isoformat(timespec="seconds")
