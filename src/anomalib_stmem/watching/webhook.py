"""Tells a web server of each event, without ever holding up the video."""

import json
import threading
from collections.abc import Callable
from queue import Empty, Full, Queue
from typing import Any

import urllib3

from .source import without_password

WAITING = 1000  # events that may wait for the server
ATTEMPTS = 6  # per event: at once, and after 0.5, 1, 2, 4 and 8 s
FIRST_WAIT, TIMEOUT = 0.5, 10.0  # seconds


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

    A server that does not answer, or answers with 429 or 5xx, is asked again. What it never takes is counted, and stays
    in ``events.jsonl``.

    Args:
        url: may hold a user and a password, which are sent as basic authorisation and never shown.
        tell: gets a sentence when an event could not be delivered.
    """

    def __init__(self, url: str, tell: Callable[[str], None]) -> None:
        parts = urllib3.util.parse_url(url)
        self.shown = without_password(url)
        self.num_delivered = self.num_lost = 0
        self._tell = tell
        self._url = parts._replace(auth=None).url
        self._headers = {"Content-Type": "application/json"}
        if parts.auth:
            self._headers |= urllib3.util.make_headers(basic_auth=parts.auth)
        retries = urllib3.Retry(
            total=ATTEMPTS - 1,
            backoff_factor=FIRST_WAIT,
            status_forcelist=(429, 500, 502, 503, 504),
            allowed_methods=None,  # POST too: an event has an id, so a server can tell a repetition
            redirect=0,
        )
        self._http = urllib3.PoolManager(retries=retries, timeout=TIMEOUT)
        self._queue: Queue[dict[str, Any]] = Queue(WAITING)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._deliver, name="webhook", daemon=True)
        self._thread.start()

    def send(self, event: dict[str, Any]) -> None:
        """Put an event into the queue, and return at once."""
        try:
            self._queue.put_nowait(event)
        except Full:
            self._lose(event, f"{WAITING} events are waiting already")

    def close(self, seconds: float = 10.0) -> None:
        """Give what is waiting ``seconds`` to be delivered."""
        self._closing.set()
        self._thread.join(seconds)
        while not self._queue.empty():
            self._lose(self._queue.get(), "the program ended")

    def _deliver(self) -> None:
        while True:
            try:
                event = self._queue.get(timeout=0.2)
            except Empty:
                if self._closing.is_set():
                    return
                continue
            try:
                answer = self._http.request("POST", self._url, body=json.dumps(event), headers=self._headers)
            except urllib3.exceptions.HTTPError as error:  # its text may hold the whole URL
                self._lose(event, type(error).__name__)
                continue
            if answer.status >= 300:
                self._lose(event, f"it answered {answer.status}")
            else:
                self.num_delivered += 1

    def _lose(self, event: dict[str, Any], why: str) -> None:
        self.num_lost += 1
        what = f"{event.get('state')} of event {event.get('id')} of {event.get('video')}"
        self._tell(f"{self.shown} did not get the {what}: {why}.")
