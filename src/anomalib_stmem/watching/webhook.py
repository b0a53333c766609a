"""Tells a web server of each event, in order, without ever holding up the video."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import urllib3

from ..video.source import without_password
from .outbox import OUTBOX, Outbox

FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0  # seconds before an event is sent again; doubled each time, whatever is asked for
TIMEOUT = 10.0  # seconds
MOST_REDIRECTS = 3
TRY_AGAIN = {408, 425, 429}  # and every 5xx


def check_url(url: str) -> None:
    """Refuse what no event can be sent to.

    Raises:
        ValueError: not an http(s) URL.
    """
    shown = without_password(url)
    if not shown.startswith(("http://", "https://")) or shown.endswith("://"):
        msg = f"--webhook must be a URL that begins with http:// or https://; got {shown.removeprefix('://')!r}."
        raise ValueError(msg)


class Webhook:
    """POSTs one JSON object per event, in order, from a thread of its own.

    Events wait on disk (:class:`~.outbox.Outbox`). While the server does not answer, or answers with 429 or 5xx, the
    oldest is sent again, at least every :data:`LONGEST_WAIT` seconds. What it refuses for good (another 4xx) is counted
    as lost, and stays in ``events.jsonl``. An event may arrive twice; its video, id and state tell.

    Args:
        url: may hold a user and a password, which are sent as basic authorisation and never shown or stored.
        folder: of the results.
        tell: gets a sentence when something keeps events from arriving.
        earlier: results folders whose events may still be waiting; they are sent first.

    Raises:
        OSError: the folder cannot be written.
    """

    def __init__(self, url: str, folder: Path, tell: Callable[[str], None], earlier: Iterable[Path] = ()) -> None:
        parts = urllib3.util.parse_url(url)
        self.shown = without_password(url)
        self.num_delivered = self.num_lost = 0
        self._tell = tell
        self._url = parts._replace(auth=None).url
        self._headers = {"Content-Type": "application/json"}
        if parts.auth:
            self._headers |= urllib3.util.make_headers(basic_auth=parts.auth)
        retries = urllib3.Retry(None, connect=0, read=0, status=0, other=0, redirect=MOST_REDIRECTS)
        self._http = urllib3.PoolManager(retries=retries, timeout=TIMEOUT)
        self._outbox = Outbox(folder / OUTBOX, self.shown)
        for other in earlier:
            if other != folder and (other / OUTBOX).exists():
                self._outbox.take_over(other / OUTBOX)
        self._news, self._closing = threading.Event(), threading.Event()
        self._deadline = 0.0  # of our clock, after which a closing webhook sends nothing
        self._thread = threading.Thread(target=self._deliver, name="webhook", daemon=True)
        self._thread.start()

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
                "`stmem watch` runs with the same --results and --webhook."
            )
        return waiting

    def _deliver(self) -> None:
        with suppress(sqlite3.ProgrammingError):  # closed while a request was under way; the event stays on disk
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
                why, asked = self._post(event)
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

    def _post(self, event: dict[str, Any]) -> tuple[str | None, float | None]:
        """Send an event; return why it was not taken, and the seconds after which to try again, if to try again."""
        try:
            answer = self._http.request("POST", self._url, json=event, headers=self._headers)
        except urllib3.exceptions.HTTPError as error:  # its text may hold the whole URL
            reason = getattr(error, "reason", None) or error
            return type(reason).__name__, 0.0
        if answer.status < 300:
            return None, None
        why = f"it answered {answer.status}"
        if answer.status < 500 and answer.status not in TRY_AGAIN:
            return why, None
        with suppress(urllib3.exceptions.InvalidHeader):
            return why, urllib3.Retry().get_retry_after(answer) or 0.0
        return why, 0.0

    def _lose(self, event: dict[str, Any], why: str) -> None:
        self.num_lost += 1
        what = f"{event.get('state')} of event {event.get('id')} of {event.get('video')}"
        self._tell(f"{self.shown} did not get the {what}: {why}.")
