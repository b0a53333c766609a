"""A camera on the loopback interface: motion JPEG over HTTP, live, with outages; and a network that alarms at white."""

import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cv2
import numpy as np
from makers import picture

from anomalib_stmem.results.judged_frame import Verdict
from anomalib_stmem.runtime.step_info import StepInfo

WINDOW = 5
GREY, WHITE = 90, 250  # of the pictures


@dataclass
class Camera:
    """What it shows: a picture per frame number, at ``rate``, from the moment of its start."""

    levels: Sequence[int]  # grey value of each frame
    rate: float = 25.0
    outages: Sequence[tuple[float, float]] = ()  # seconds since the start at which it is not there
    size: tuple[int, int] = (48, 64)
    began: float = field(default_factory=time.monotonic)
    connections: int = 0

    def is_there(self) -> bool:
        now = time.monotonic() - self.began
        return not any(start <= now < end for start, end in self.outages)

    def frames(self) -> Iterator[bytes]:
        """JPEGs from now on, each when it is due."""
        number = int((time.monotonic() - self.began) * self.rate) + 1
        while number < len(self.levels):
            time.sleep(max(0.0, self.began + number / self.rate - time.monotonic()))
            if not self.is_there():
                return
            yield cv2.imencode(".jpg", picture(self.levels[number], number, self.size))[1].tobytes()
            number += 1
        time.sleep(0.2)


@contextmanager
def on_air(camera: Camera) -> Iterator[str]:
    """Serve a camera; gives its URL, with a user and a password in it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not camera.is_there() or time.monotonic() - camera.began > len(camera.levels) / camera.rate:
                self.send_error(503)
                return
            camera.connections += 1
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            try:
                for jpeg in camera.frames():
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    self.wfile.write(head.encode() + jpeg + b"\r\n")
            except OSError:
                return  # the reader went away

        def log_message(self, *_: Any) -> None:
            return

    with serving(Handler) as port:
        yield f"http://user:secret@127.0.0.1:{port}/live?token=secret"


@contextmanager
def receiver(failures: int = 0) -> Iterator[tuple[str, list[bytes]]]:
    """A web server that takes events, after it has failed some times; gives its URL and the bodies it took."""
    taken: list[bytes] = []
    left = [failures]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if left[0] > 0:
                left[0] -= 1
                self.send_error(500)
                return
            taken.append(body)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    with serving(Handler) as port:
        yield f"http://user:secret@127.0.0.1:{port}/alarm", taken


@contextmanager
def serving(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[int]:
    """Run a web server on the loopback interface; gives its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


class WhiteAlarm:
    """In place of ``FrameStreams``: a white picture is abnormal. Warm-up, reset and refusals as the real ones."""

    def __init__(
        self,
        _model: object,
        cameras: Sequence[Hashable],
        _backend: str = "auto",
        rate: float = 25.0,
        least_seconds: float = 0.0,
    ) -> None:
        del least_seconds
        self.info = StepInfo(WINDOW, (16, 16), True, "fake", {}, rate, "nothing")
        self._seen = dict.fromkeys(cameras, 0)
        self._sizes: dict[Hashable, tuple[int, ...]] = {}
        self.resets: list[Hashable] = []
        self.seconds_per_frame = 0.0

    def push(self, frames: Mapping[Hashable, np.ndarray]) -> dict[Hashable, Verdict | None]:
        verdicts: dict[Hashable, Verdict | None] = {}
        for camera, frame in frames.items():
            time.sleep(self.seconds_per_frame)
            if self._sizes.setdefault(camera, frame.shape) != frame.shape:
                msg = "another size without reset"
                raise ValueError(msg)
            index = self._seen[camera]
            self._seen[camera] += 1
            white = frame.mean() > (GREY + WHITE) / 2
            shown = np.full((4, 4), 0.9 if white else 0.1, np.float32)
            verdicts[camera] = Verdict(index, 0.9 if white else 0.1, bool(white), shown) if index >= WINDOW else None
        return verdicts

    def is_at_rest(self, _camera: Hashable, _frame: np.ndarray | None = None) -> bool:
        return False

    def glance(self, _camera: Hashable, _frame: np.ndarray) -> None:
        return

    def trouble(self, _camera: Hashable) -> None:
        return

    def reset(self, camera: Hashable) -> None:
        self.resets.append(camera)
        self._seen[camera] = 0
        self._sizes.pop(camera, None)
