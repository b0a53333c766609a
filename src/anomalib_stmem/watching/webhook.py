"""Tells a web server of each event."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import urllib3

from ..video.source import without_password
from .delivery import Delivery
from .outbox import WEBHOOK_OUTBOX

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


class Webhook(Delivery):
    """POSTs one JSON object per event; a server that answers 429 or 5xx, or not at all, gets it again.

    Args:
        url: may hold a user and a password, which are sent as basic authorisation and never shown or stored.
        folder: as :class:`~.delivery.Delivery` has it.
        tell: the same.
        earlier: the same.
    """

    def __init__(self, url: str, folder: Path, tell: Callable[[str], None], earlier: Iterable[Path] = ()) -> None:
        parts = urllib3.util.parse_url(url)
        self._url = parts._replace(auth=None).url
        self._headers = {"Content-Type": "application/json"}
        if parts.auth:
            self._headers |= urllib3.util.make_headers(basic_auth=parts.auth)
        retries = urllib3.Retry(None, connect=0, read=0, status=0, other=0, redirect=MOST_REDIRECTS)
        self._http = urllib3.PoolManager(retries=retries, timeout=TIMEOUT)
        super().__init__(without_password(url), "--webhook", folder, WEBHOOK_OUTBOX, tell, earlier)

    def _send(self, event: dict[str, Any]) -> tuple[str | None, float | None]:
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
