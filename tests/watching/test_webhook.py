"""Events reach a web server in order, each once it takes them, over outages and restarts."""

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from cameras import receiver, serving

from anomalib_stmem.watching import delivery, webhook
from anomalib_stmem.watching.outbox import WEBHOOK_OUTBOX, Outbox
from anomalib_stmem.watching.webhook import Webhook, check_url

NOWHERE = "http://user:secret@127.0.0.1:9/alarm"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "FIRST_WAIT", 0.05)


def event(number: int, state: str = "began") -> dict[str, Any]:
    return {"state": state, "id": number, "video": "gate"}


def answering(answer: Callable[[BaseHTTPRequestHandler, int], None], taken: list[tuple[str, str, bytes]]) -> type:
    """A server that lets ``answer`` reply to the n-th request, and keeps method, path and body of each."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            taken.append((self.command, self.path, body))
            answer(self, len(taken))
            if "Content-Length" not in self._headers_buffer_text():
                self.send_header("Content-Length", "0")
            self.end_headers()

        def _headers_buffer_text(self) -> str:
            return b"".join(getattr(self, "_headers_buffer", [])).decode()

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: Any) -> None:
            return

    return Handler


def wait_for(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    assert condition()


def test_events_arrive_in_order_after_two_failures(tmp_path: Path) -> None:
    told: list[str] = []
    with receiver(failures=2) as (url, taken):
        hook = Webhook(url, tmp_path, told.append)
        before = time.monotonic()
        for number in (1, 2, 3):
            hook.send(event(number))
        assert time.monotonic() - before < 0.5  # nobody waits
        wait_for(lambda: len(taken) == 3)
        assert hook.close() == 0
    assert [json.loads(body)["id"] for body in taken] == [1, 2, 3]
    assert (hook.num_delivered, hook.num_lost) == (3, 0)
    assert len(told) == 1  # of one outage, once
    assert "does not take events (it answered 500). They wait on disk" in told[0]
    assert not (tmp_path / WEBHOOK_OUTBOX).exists()


@pytest.mark.parametrize("status", [429, 503])
def test_server_that_asks_for_an_hour_is_asked_again_after_a_bounded_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(delivery, "LONGEST_WAIT", 0.3)

    def busy_at_first(handler: BaseHTTPRequestHandler, number: int) -> None:
        handler.send_response(status if number == 1 else 204)
        if number == 1:
            handler.send_header("Retry-After", "3600")

    taken: list = []
    with serving(answering(busy_at_first, taken)) as port:
        hook = Webhook(f"http://127.0.0.1:{port}/", tmp_path, lambda _: None)
        hook.send(event(1))
        began = time.monotonic()
        wait_for(lambda: hook.num_delivered == 1)
        assert 0.25 < time.monotonic() - began < 3
        hook.close()
    assert len(taken) == 2


@pytest.mark.parametrize(("status", "method"), [(307, "POST"), (308, "POST"), (301, "POST"), (303, "GET")])
def test_redirects_are_followed(tmp_path: Path, status: int, method: str) -> None:
    def move(handler: BaseHTTPRequestHandler, _number: int) -> None:
        handler.send_response(status if handler.path == "/old" else 204)
        if handler.path == "/old":
            handler.send_header("Location", "/new")

    taken: list = []
    with serving(answering(move, taken)) as port:
        hook = Webhook(f"http://127.0.0.1:{port}/old", tmp_path, pytest.fail)
        hook.send(event(7))
        wait_for(lambda: hook.num_delivered == 1)
        hook.close()
    (_, _, first), (how, path, second) = taken
    assert (how, path) == (method, "/new")
    assert json.loads(first) == event(7)
    assert second == (first if method == "POST" else b"")  # after 303 the event has been taken already


def test_redirects_that_go_round_end(tmp_path: Path) -> None:
    told: list[str] = []

    def round_and_round(handler: BaseHTTPRequestHandler, _number: int) -> None:
        handler.send_response(307)
        handler.send_header("Location", "/again")

    taken: list = []
    with serving(answering(round_and_round, taken)) as port:
        hook = Webhook(f"http://127.0.0.1:{port}/", tmp_path, told.append)
        hook.send(event(1))
        wait_for(lambda: len(taken) > webhook.MOST_REDIRECTS)
        assert hook.close(seconds=1) == 1


def test_refused_event_is_lost_alone(tmp_path: Path) -> None:
    told: list[str] = []

    def refuse_first(handler: BaseHTTPRequestHandler, number: int) -> None:
        handler.send_response(400 if number == 1 else 204)

    with serving(answering(refuse_first, [])) as port:
        hook = Webhook(f"http://127.0.0.1:{port}/", tmp_path, told.append)
        hook.send(event(1))
        hook.send(event(2))
        wait_for(lambda: hook.num_delivered == 1)
        hook.close()
    assert hook.num_lost == 1
    assert told == [f"http://127.0.0.1:{port}/ did not get the began of event 1 of gate: it answered 400."]


def test_nothing_is_lost_over_a_restart(tmp_path: Path) -> None:
    told: list[str] = []
    (tmp_path / "1").mkdir()
    with receiver() as (url, taken):
        down = Webhook(NOWHERE, tmp_path / "1", told.append)
        for number in (1, 2, 3):
            down.send(event(number))
        before = time.monotonic()
        assert down.close(seconds=0.5) == 3
        assert time.monotonic() - before < 2  # a bounded wait
        assert "did not get 3 events. They wait in" in told[-1]
        assert "secret" not in "".join(told) + (tmp_path / "1" / WEBHOOK_OUTBOX).read_bytes().decode("latin1")

        (tmp_path / "2").mkdir()
        up = _at(url, NOWHERE, tmp_path / "2", told.append, [tmp_path / "1", tmp_path / "2"])
        up.send(event(4))
        wait_for(lambda: len(taken) == 4)
        up.close()
    assert [json.loads(body)["id"] for body in taken] == [1, 2, 3, 4]
    assert not list(tmp_path.rglob(WEBHOOK_OUTBOX))


def _at(url: str, shown: str, folder: Path, tell: Callable[[str], None], earlier: list[Path]) -> Webhook:
    """A webhook to a server that has come back under an address that no server here can have."""
    import urllib3

    class Redirected(urllib3.PoolManager):
        def request(self, method: str, _url: str, **options: Any) -> urllib3.BaseHTTPResponse:
            return super().request(method, url.replace("user:secret@", ""), **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(webhook.urllib3, "PoolManager", Redirected)
        return Webhook(shown, folder, tell, earlier)


def test_outbox_that_another_watch_holds_is_left_alone(tmp_path: Path) -> None:
    for name in ("1", "2"):
        (tmp_path / name).mkdir()
    held = Outbox(tmp_path / "1" / WEBHOOK_OUTBOX, "http://there")
    held.put(event(1))
    own = Outbox(tmp_path / "2" / WEBHOOK_OUTBOX, "http://there")
    thread = threading.Thread(target=own.take_over, args=(tmp_path / "1" / WEBHOOK_OUTBOX,))
    thread.start()
    thread.join(5)
    assert (len(held), len(own)) == (1, 0)
    with pytest.raises(OSError, match="cannot be used"):
        Outbox(tmp_path / "1" / WEBHOOK_OUTBOX, "http://there")
    held.close()
    own.take_over(tmp_path / "1" / WEBHOOK_OUTBOX)
    assert own.first()[1] == event(1)
    own.close()


def test_events_for_another_server_stay(tmp_path: Path) -> None:
    first = Outbox(tmp_path / "a.sqlite", "http://here")
    first.put(event(1))
    first.close()
    second = Outbox(tmp_path / "b.sqlite", "http://there")
    second.take_over(tmp_path / "a.sqlite")
    assert len(second) == 0
    second.close()
    assert (tmp_path / "a.sqlite").exists()


@pytest.mark.parametrize("url", ["ftp://host/x", "host/x", "file:///etc/passwd", "http://"])
def test_only_web_addresses(url: str) -> None:
    with pytest.raises(ValueError, match="--webhook must be a URL"):
        check_url(url)


def test_url_that_cannot_be_read_is_not_shown() -> None:
    with pytest.raises(ValueError, match="A URL cannot be read") as refused:
        check_url("http://user:sec/ret@host/x")
    assert "sec/" not in str(refused.value)
