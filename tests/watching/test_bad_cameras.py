"""Sixteen cameras, of which six are bad in six ways: the other ten lose nothing, and overload is shared fairly."""

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import cv2
import pytest
from cameras import GREY, WINDOW, WhiteAlarm, serving
from makers import picture
from rich.console import Console

from anomalib_stmem.video import connection, reader
from anomalib_stmem.watching import loop, watch

RATE, SECONDS = 10, 6.0
JPEGS = [cv2.imencode(".jpg", picture(GREY, number))[1].tobytes() for number in range(8)]
WIDE = [cv2.imencode(".jpg", picture(GREY, number, (96, 128)))[1].tobytes() for number in range(8)]

Shown = Iterator[tuple[float, bytes]]  # seconds to wait, and the picture that comes then


def good(rate: float = RATE) -> Shown:
    return ((1 / rate, JPEGS[number % 8]) for number in itertools.count())


def hangs() -> Shown:
    yield from itertools.islice(good(), 30)
    yield 1e9, b""


def dies() -> Shown:
    return itertools.islice(good(), 30)


def changes_size() -> Shown:
    yield from itertools.islice(good(), 30)
    yield from ((1 / RATE, WIDE[number % 8]) for number in itertools.count())


def floods() -> Shown:
    return good(100)


def bursts() -> Shown:
    return ((2.0 if number % (2 * RATE) == 0 else 0.0, JPEGS[number % 8]) for number in itertools.count())


def rubbish() -> Shown:
    return ((1 / RATE, JPEGS[0][:20] + b"\0rubbish" * 40) for _ in itertools.count())


BAD: dict[str, Callable[[], Shown]] = {
    "hangs": hangs,
    "dies": dies,
    "changes": changes_size,
    "floods": floods,
    "bursts": bursts,
    "rubbish": rubbish,
}


@contextmanager
def on_air(show: Callable[[], Shown], gone: threading.Event) -> Iterator[str]:
    connections = itertools.count()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if next(connections) and show is dies:
                self.send_error(503)
                return
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=b")
            self.end_headers()
            due = time.monotonic()
            try:
                for pause, jpeg in show():
                    due += pause
                    if gone.wait(max(0.0, due - time.monotonic())):
                        return
                    head = b"--b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg)
                    self.wfile.write(head + jpeg + b"\r\n")
            except OSError:
                return  # the reader went away

        def log_message(self, *_: Any) -> None:
            return

    with serving(Handler) as port:
        yield f"http://127.0.0.1:{port}/"


def watched(
    shows: dict[str, Callable[[], Shown]], results: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[dict[str, dict[str, Any]], str]:
    """Watch for :data:`SECONDS`; return the figures of each camera, and what was said."""
    monkeypatch.setattr(connection, "READ_SECONDS", 2.0)
    monkeypatch.setattr(reader, "FIRST_WAIT", 0.5)
    gone, said = threading.Event(), Console(record=True, width=300)
    stopping: list[threading.Event] = []
    begin = loop.Loop.run

    def run(self: loop.Loop, *given: Any) -> loop.Outcome:
        stopping.append(self.stopping)
        timer = threading.Timer(SECONDS, self.stopping.set)
        timer.start()
        return begin(self, *given)

    monkeypatch.setattr(loop.Loop, "run", run)
    with ExitStack() as stack:
        urls = {name: stack.enter_context(on_air(show, gone)) for name, show in shows.items()}
        outcome = watch.watch([f"{name}={url}" for name, url in urls.items()], "m", results, console=said)
        gone.set()
    run_json = json.loads((outcome.folder / "run.json").read_text())
    return {one["name"]: one for one in run_json["sources"]}, said.export_text()


def sum_of_reasons(source: dict[str, Any]) -> int:
    reasons = ("judged", "not_judged", "late", "skipped", "repeated", "damaged", "dropped", "left")
    return sum(source[f"frames_{reason}"] for reason in reasons)


def test_bad_cameras_cost_the_good_ones_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class TenPerSecond(WhiteAlarm):
        def __init__(self, *given: Any, **options: Any) -> None:
            super().__init__(*given, **options, rate=float(RATE))

    monkeypatch.setattr(watch, "FrameStreams", TenPerSecond)
    shows = BAD | {f"good{number}": good for number in range(10)}
    sources, said = watched(shows, tmp_path / "out", monkeypatch)
    assert all(sum_of_reasons(one) == one["frames_read"] for one in sources.values())
    for name, one in sources.items():
        if name.startswith("good"):
            assert one["frames_read"] > 0.85 * RATE * SECONDS, one
            lost = one["frames_read"] - one["frames_judged"] - one["frames_skipped"]
            assert lost <= WINDOW + 3, one  # the warm-up, and what waits at the end
            assert one["frames_skipped"] <= 5, one  # where the server's clock wavers
            assert (one["frames_dropped"], one["gaps"], one["reconnects"]) == (0, 0, 0), one
    assert sources["hangs"]["reconnects"] >= 1
    assert sources["dies"]["frames_judged"] > 15
    assert sources["dies"]["reconnects"] >= 2
    assert sources["changes"]["frames_judged"] > 0.7 * RATE * SECONDS
    assert "changes from 64x48 to 128x96 pixels" in said
    assert 0.7 * RATE * SECONDS < sources["floods"]["frames_judged"] < 1.3 * RATE * SECONDS
    assert sources["bursts"]["frames_read"] > 0.6 * RATE * SECONDS
    assert sources["rubbish"]["frames_judged"] == 0


def test_overload_is_shared_fairly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that sees a third of what four cameras show sees as much of each, and every drop is counted."""

    class Slow(WhiteAlarm):
        def __init__(self, *given: Any, **options: Any) -> None:
            super().__init__(*given, **options, rate=25.0)
            self.seconds_per_frame = 3 / 100

    monkeypatch.setattr(watch, "FrameStreams", Slow)
    sources, _ = watched({f"gate{number}": lambda: good(25) for number in range(4)}, tmp_path / "out", monkeypatch)
    judged = [one["frames_judged"] + one["frames_not_judged"] for one in sources.values()]
    assert all(sum_of_reasons(one) == one["frames_read"] for one in sources.values())
    assert all(one["frames_dropped"] > 20 for one in sources.values())
    assert max(judged) < 1.25 * min(judged), judged
