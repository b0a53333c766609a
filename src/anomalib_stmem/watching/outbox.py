"""Events that wait on disk for somebody, in order, so that a restart loses none."""

import json
import sqlite3
import threading
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

WEBHOOK_OUTBOX, MQTT_OUTBOX = "webhook.sqlite", "mqtt.sqlite"  # in the results folder of a watch, while events wait


class Outbox:
    """A queue in a file that one process at a time may hold; it is gone when it is closed empty.

    Args:
        path: of the file.
        target: where its events go, as it may be shown; kept in the file.

    Raises:
        OSError: it cannot be written, or another process holds it.
    """

    def __init__(self, path: Path, target: str) -> None:
        self.path, self._lock = path, threading.Lock()
        try:
            self._file = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
            try:
                self._begin()
            except BaseException:
                self._file.close()
                raise
        except sqlite3.Error as error:
            msg = f"{path} cannot be used: {error}."
            raise OSError(msg) from error
        self._target = target

    def _begin(self) -> None:
        self._file.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._file.execute("CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY, target TEXT, event TEXT)")
        self._file.execute("BEGIN EXCLUSIVE")  # from here on no other process gets in
        self._file.execute("COMMIT")

    def put(self, event: dict[str, Any]) -> None:
        """Add an event.

        Raises:
            OSError: the disk takes no more.
        """
        try:
            with self._lock:
                row = (self._target, json.dumps(event))
                self._file.execute("INSERT INTO events (target, event) VALUES (?, ?)", row)
        except sqlite3.Error as error:
            msg = f"{self.path} takes no more events: {error}."
            raise OSError(msg) from error

    def first(self) -> tuple[int, dict[str, Any]] | None:
        """Return the oldest event and its number; ``None`` if none waits."""
        with self._lock:
            row = self._file.execute(
                "SELECT id, event FROM events WHERE target = ? ORDER BY id LIMIT 1", (self._target,)
            ).fetchone()
        return None if row is None else (row[0], json.loads(row[1]))

    def remove(self, number: int) -> None:
        """Take an event out."""
        with self._lock:
            self._file.execute("DELETE FROM events WHERE id = ?", (number,))

    def __len__(self) -> int:
        """Return how many events wait."""
        with self._lock:
            return int(self._file.execute("SELECT count(*) FROM events").fetchone()[0])

    def take_over(self, path: Path) -> None:
        """Move the events of another file for the same target to the end of this one.

        A file that another process holds is left alone.
        """
        with suppress(OSError), closing(Outbox(path, self._target)) as other:
            while (waiting := other.first()) is not None:
                number, event = waiting
                self.put(event)
                other.remove(number)

    def close(self) -> None:
        """Let go of the file, and delete it if nothing waits."""
        is_empty = not len(self)
        with self._lock:
            self._file.close()
        if is_empty:
            self.path.unlink(missing_ok=True)
