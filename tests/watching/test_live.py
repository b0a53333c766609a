"""Live sources that lie, break off or are no video: a sentence each, the others go on, no password is shown."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from cameras import GREY, WINDOW, WhiteAlarm, serving
from films import OneWay, pictures, write_film
from makers import picture
from rich.console import Console

from anomalib_stmem.video import connection, reader
from anomalib_stmem.watching import watch


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Console:
    monkeypatch.setattr(watch, "FrameStreams", WhiteAlarm)
    monkeypatch.setattr(reader, "FIRST_WAIT", 0.05)
    monkeypatch.setattr(reader, "LONGEST_WAIT", 0.1)
    monkeypatch.setattr(connection, "OPEN_SECONDS", 1.5)
    monkeypatch.setattr(connection, "READ_SECONDS", 1.0)
    return Console(record=True, width=400)


def jpeg(number: int, level: int = GREY) -> bytes:
    return cv2.imencode(".jpg", picture(level, number))[1].tobytes()


def part(data: bytes) -> bytes:
    return b"--b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data) + data + b"\r\n"


@contextmanager
def web(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                answer(self)
            except OSError:
                return  # the reader went away

        def log_message(self, *_: Any) -> None:
            return

    with serving(Handler) as port:
        yield f"http://user:secret@127.0.0.1:{port}/live?token=secret"


def page(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Type", "text/html")
    request.end_headers()
    request.wfile.write(b"<html><form>Login</form></html>" * 50)


def refused(status: int) -> Callable[[BaseHTTPRequestHandler], None]:
    return lambda request: request.send_error(status)


def silence(request: BaseHTTPRequestHandler) -> None:
    time.sleep(4)
    request.close_connection = True


def nothing(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.end_headers()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (page, "it answers, but not with video (a web page, perhaps a login?)"),
        (refused(401), "user or password are wrong or missing (401)"),
        (refused(403), "it may not be seen by this user (403)"),
        (refused(404), "there is nothing under this path (404)"),
        (refused(500), "the server fails (5xx)"),
        (silence, "it is silent"),
        (nothing, "it answers, but not with video"),
    ],
    ids=["page", "401", "403", "404", "500", "silence", "nothing"],
)
def test_address_that_gives_no_video_is_told_apart(
    tmp_path: Path, said: Console, answer: Callable[[BaseHTTPRequestHandler], None], why: str
) -> None:
    with web(answer) as url:
        outcome = watch.watch([f"gate={url}"], "m", tmp_path / "out", patience=0.1, console=said)
    (failure,) = outcome.failures
    assert failure.startswith("There is no picture from http://127.0.0.1:")
    assert why in failure
    everything = said.export_text() + "".join(path.read_text() for path in outcome.folder.rglob("*.json*"))
    assert "secret" not in everything


@pytest.mark.parametrize("scheme", ["https", "rtsp", "rtmp", "http"])
def test_what_is_not_the_protocol_is_one_sentence(tmp_path: Path, said: Console, scheme: str) -> None:
    """A server of something else at the port, such as plain text where TLS or RTSP is expected."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            while True:
                try:
                    one, _ = server.accept()
                except OSError:
                    return
                with one:
                    one.sendall(b"220 mail.example ESMTP\r\n")
                    time.sleep(0.1)

        threading.Thread(target=greet, daemon=True).start()
        url = f"{scheme}://user:secret@127.0.0.1:{server.getsockname()[1]}/live"
        outcome = watch.watch([f"gate={url}"], "m", tmp_path / "out", patience=0.1, console=said)
    (failure,) = outcome.failures
    assert failure.startswith(f"There is no picture from {scheme}://127.0.0.1:")
    assert ("(TLS)" in failure) == (scheme == "https")
    assert "secret" not in said.export_text()


def test_rubbish_between_pictures_is_counted_and_the_rest_is_judged(tmp_path: Path, said: Console) -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=b")
        request.end_headers()
        for number in range(400):
            data = jpeg(number)
            if number == 20:
                data = data[: len(data) // 3]
            if number == 30:
                data = np.random.default_rng(0).bytes(3000)
            request.wfile.write(part(data))
            time.sleep(0.02)

    with web(answer) as url:
        outcome = _watch_for(2.5, [f"gate={url}"], tmp_path / "out", said)
    (source,) = _sources(outcome)
    assert source["live"]
    assert source["frames_damaged"] + source["frames_lost"] >= 1
    assert source["frames_judged"] > 40
    assert not outcome.failures


def test_frozen_camera_is_an_event_of_its_own_and_no_movement(
    tmp_path: Path, said: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    from anomalib_stmem.video import repeats

    monkeypatch.setattr(repeats, "FROZEN_SECONDS", 0.6)

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=b")
        request.end_headers()
        for number in range(400):
            request.wfile.write(part(jpeg(min(number, 30) if number < 90 else number)))
            time.sleep(0.02)

    with web(answer) as url:
        outcome = _watch_for(3.2, [f"gate={url}"], tmp_path / "out", said)
    events = _events(outcome)
    assert [(one["state"], one["kind"]) for one in events] == [("began", "camera"), ("ended", "camera")]
    assert {one["camera"] for one in events} == {"frozen"}
    assert "gate: FROZEN since" in said.export_text()
    assert "the camera or its link hangs" in events[0]["reason"]
    assert events[1]["end"] - events[1]["start"] > 1.0
    (source,) = _sources(outcome)
    assert source["gaps"] == 1
    assert source["frames_frozen"] > 5


@pytest.mark.slow
def test_many_connections_cost_nothing_but_time(tmp_path: Path, said: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera that gives a few frames and breaks off, again and again."""
    monkeypatch.setattr(reader, "FIRST_WAIT", 0.01)
    served = [0]

    def answer(request: BaseHTTPRequestHandler) -> None:
        served[0] += 1
        request.send_response(200)
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=b")
        request.end_headers()
        for number in range(3):
            request.wfile.write(part(jpeg(served[0] * 3 + number)))

    began = threading.active_count()
    with web(answer) as url:
        outcome = _watch_for(5, [f"gate={url}"], tmp_path / "out", said)
    (source,) = _sources(outcome)
    assert source["reconnects"] >= 25
    assert not outcome.failures
    assert threading.active_count() <= began + 2
    assert "Trying again" in said.export_text()
    assert "secret" not in said.export_text()


def test_long_outage_is_told_as_its_waits_grow_and_not_for_ever(tmp_path: Path, said: Console) -> None:
    served = [0]

    def answer(request: BaseHTTPRequestHandler) -> None:
        served[0] += 1
        if served[0] > 1:
            request.send_error(503)
            return
        request.send_response(200)
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=b")
        request.end_headers()
        for number in range(10):
            request.wfile.write(part(jpeg(number)))

    with web(answer) as url:
        outcome = _watch_for(2.2, [f"gate={url}"], tmp_path / "out", said)
    (source,) = _sources(outcome)
    assert source["reconnects"] > 5
    assert said.export_text().count("Trying again in") == 2  # after 0.05 s, and after 0.1 s


def test_file_at_an_address_ends(tmp_path: Path, said: Console) -> None:
    """A container without length, but a server that says how many bytes there are."""
    target = OneWay()
    write_film(target, pictures(60), container="matroska", rate=25)

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(target.written)))
        request.end_headers()
        request.wfile.write(target.written)

    with web(answer) as url:
        outcome = watch.watch([f"gate={url}"], "m", tmp_path / "out", console=said)
    (source,) = _sources(outcome)
    assert (source["live"], source["frames_read"], source["frames_judged"]) == (False, 60, 60 - WINDOW)


def test_pipe_is_read_until_its_writer_is_done(tmp_path: Path, said: Console) -> None:
    import os

    target = OneWay()
    write_film(target, pictures(60), container="matroska", rate=25)
    fifo = tmp_path / "p.mkv"
    os.mkfifo(fifo)

    def feed() -> None:
        with fifo.open("wb") as pipe:
            for start in range(0, len(target.written), 1000):
                pipe.write(target.written[start : start + 1000])
                time.sleep(0.005)

    threading.Thread(target=feed, daemon=True).start()
    outcome = watch.watch([str(fifo)], "m", tmp_path / "out", console=said)
    (source,) = _sources(outcome)
    assert (source["frames_read"], source["frames_judged"]) == (60, 60 - WINDOW)
    assert not outcome.failures


@pytest.mark.parametrize(("rtsp", "option"), [("tcp", "tcp"), ("udp", "udp")])
def test_rtsp_is_carried_as_asked(monkeypatch: pytest.MonkeyPatch, rtsp: str, option: str) -> None:
    opened: list[dict[str, Any]] = []
    monkeypatch.setattr(connection, "FFmpegDecoder", lambda address, **given: opened.append({"at": address} | given))
    connection.open_source(connection.Source("gate", "stream", "rtsp://10.0.0.7/live", "x"), 25.0, rtsp)
    assert opened[0]["options"] == {"rtsp_transport": option}


def _watch_for(seconds: float, sources: list[str], results: Path, said: Console) -> watch.Outcome:
    import os
    import signal

    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        return watch.watch(sources, "m", results, console=said)
    finally:
        timer.cancel()


def _sources(outcome: watch.Outcome) -> list[dict[str, Any]]:
    import json

    return json.loads((outcome.folder / "run.json").read_text())["sources"]


def _events(outcome: watch.Outcome) -> list[dict[str, Any]]:
    import json

    return [json.loads(line) for line in (outcome.folder / "events.jsonl").read_text().splitlines()]
