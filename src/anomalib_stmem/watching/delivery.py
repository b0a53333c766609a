"""Delivers events in order, without ever holding up the video, and loses none while the other side is away."""

import sqlite3
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from .outbox import Outbox

FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0  # seconds before an event is sent again; doubled each time, whatever is asked for


class Delivery(ABC):
    """Sends one event after the other from a thread of its own.

    Events wait on disk (:class:`~.outbox.Outbox`). While the other side takes none, the oldest is sent again, at least
    every :data:`LONGEST_WAIT` seconds. What it refuses for good is counted as lost, and stays in ``events.jsonl``. An
    event may arrive twice; its video, id and state tell.

    Args:
        shown: where events go, as it may be shown.
        option: of ``stmem watch`` that names it.
        folder: of the results.
        outbox: name of the file in it where events wait.
        tell: gets a sentence when something keeps events from arriving.
        earlier: results folders whose events may still be waiting; they are sent first.

    Raises:
        OSError: the folder cannot be written.
    """

    def __init__(
        self,
        shown: str,
        option: str,
        folder: Path,
        outbox: str,
        tell: Callable[[str], None],
        earlier: Iterable[Path] = (),
    ) -> None:
        self.shown = shown
        self.num_delivered = self.num_lost = 0
        self._option, self._tell = option, tell
        self._outbox = Outbox(folder / outbox, shown)
        for other in earlier:
            if other != folder and (other / outbox).exists():
                self._outbox.take_over(other / outbox)
        self._news, self._closing = threading.Event(), threading.Event()
        self._deadline = 0.0  # of our clock, after which nothing is sent while closing
        self._thread = threading.Thread(target=self._deliver, name=option.strip("-"), daemon=True)
        self._thread.start()

    @abstractmethod
    def _send(self, event: dict[str, Any]) -> tuple[str | None, float | None]:
        """Send an event; return why it was not taken, and the seconds after which to try again, if to try again."""

    def send(self, event: dict[str, Any]) -> None:
        """Put an event into the queue, and return at once."""
        try:
            self._outbox.put(event)
        except OSError as error:
            self._lose(event, str(error))
        self._news.set()

    def close(self, seconds: float = 10.0) -> int:
        """Give what is waiting ``seconds`` to be delivered; return how many events still wait on disk."""
        self._deadline = time.monotonic() + seconds
        self._closing.set()
        self._news.set()
        self._thread.join(seconds)
        waiting = len(self._outbox)
        self._outbox.close()
        if waiting:
            self._tell(
                f"{self.shown} did not get {waiting} events. They wait in {self._outbox.path} and are sent when "
                f"`stmem watch` runs with the same --results and {self._option}."
            )
        return waiting

    def _deliver(self) -> None:
        with suppress(sqlite3.ProgrammingError):  # closed while one was under way; the event stays on disk
            wait = FIRST_WAIT
            while True:
                self._news.clear()
                oldest = self._outbox.first()
                if oldest is None:
                    if self._closing.is_set():
                        return
                    self._news.wait()
                    continue
                number, event = oldest
                why, asked = self._send(event)
                if why is None or asked is None:  # delivered, or refused for good
                    self._outbox.remove(number)
                    wait = FIRST_WAIT
                    if why is None:
                        self.num_delivered += 1
                    else:
                        self._lose(event, why)
                    continue
                if wait == FIRST_WAIT:
                    self._tell(f"{self.shown} does not take events ({why}). They wait on disk.")
                pause = min(max(wait, asked), LONGEST_WAIT)
                wait = min(2 * wait, LONGEST_WAIT)
                if not self._closing.is_set():
                    self._closing.wait(pause)
                    continue
                left = self._deadline - time.monotonic()
                if left <= 0:
                    return
                time.sleep(min(FIRST_WAIT, left))

    def _lose(self, event: dict[str, Any], why: str) -> None:
        self.num_lost += 1
        what = f"{event.get('state')} of event {event.get('id')} of {event.get('video')}"
        self._tell(f"{self.shown} did not get the {what}: {why}.")
