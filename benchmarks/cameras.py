"""How many live cameras a machine watches in real time: frames judged, processor, memory, and delay of events.

    python benchmarks/cameras.py --ckpt model.ckpt --video street.mp4 [--cameras 1 4 8 16] [--seconds 40]
    python benchmarks/cameras.py --ckpt stream.xml --video street.mp4 --moving 2

A process beside `stmem watch` shows the video as so many cameras (motion JPEG over HTTP, each from another frame on,
over and over), enlarged to ``--height``. Its own share of the processor counts for the machine, not for the watch.
Something moves in ``--moving`` of them; the others show one frame with the noise of a camera, as at night. Figures are
of ``--seconds`` after a start of ``--warmup`` seconds. In the same run the pictures are decoded alone, without a watch.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from anomalib_stmem.results.files import EVENT_LINES, SCORES
from anomalib_stmem.video.recorded import open_video

POLL = 0.02  # seconds


def jpegs(video: Path, height: int, count: int) -> list[bytes]:
    """Encode the first frames of a video, enlarged."""
    encoded = []
    for planes in open_video(video).frames():
        image = np.ascontiguousarray(planes[::-1].transpose(1, 2, 0))
        width = round(image.shape[1] * height / image.shape[0])
        encoded.append(cv2.imencode(".jpg", cv2.resize(image, (width, height)))[1].tobytes())
        if len(encoded) == count:
            break
    return encoded


def noisy(jpeg: bytes) -> list[bytes]:
    """Show one picture several times, each with noise of a grey level."""
    image, draw = np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)), np.random.default_rng(0)
    shown = (np.clip(image + draw.normal(0, 1, image.shape), 0, 255).astype(np.uint8) for _ in range(20))
    return [cv2.imencode(".jpg", one)[1].tobytes() for one in shown]


def serve(moving: list[bytes], still: list[bytes], num_moving: int, rate: float, port: Any) -> None:
    """Show the moving pictures under ``/0`` and so on, and the still ones under the numbers from ``num_moving`` on."""

    class Camera(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            camera = int(self.path.strip("/"))
            pictures = moving if camera < num_moving else still
            began, offset, number = time.monotonic(), 37 * camera, 0
            try:
                while True:
                    time.sleep(max(0.0, began + number / rate - time.monotonic()))
                    jpeg = pictures[(offset + number) % len(pictures)]
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    self.wfile.write(head.encode() + jpeg + b"\r\n")
                    number += 1
            except OSError:
                return  # the watch went away

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Camera)
    port.value = server.server_port
    server.serve_forever()


def watched(ckpt: Path, port: int, cameras: int, options: argparse.Namespace) -> dict[str, float]:
    """Watch so many cameras for a while after the start."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "watch"
        sources = [f"{number}=http://127.0.0.1:{port}/{number}" for number in range(cameras)]
        command = [sys.executable, "-m", "anomalib_stmem.cli", "watch", *sources, "--ckpt", str(ckpt)]
        command += ["--results", str(results), "--films", "false"]
        watching = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603
        process, delays, lines_read = psutil.Process(watching.pid), [], 0
        time.sleep(options.warmup)
        began, used, start = time.monotonic(), sum(process.cpu_times()[:2]), rows_of(results)
        while time.monotonic() - began < options.seconds:
            time.sleep(POLL)
            lines = (results / EVENT_LINES).read_text().splitlines() if (results / EVENT_LINES).exists() else []
            for line in lines[lines_read:]:
                event = json.loads(line)
                if event["state"] == "began" and "time" in event:
                    delays.append(time.time() - datetime.fromisoformat(event["time"]).timestamp())
            lines_read = len(lines)
        took, end = time.monotonic() - began, rows_of(results)
        cores = (sum(process.cpu_times()[:2]) - used) / took
        memory = process.memory_info().rss / 2**20
        watching.terminate()
        watching.wait(60)
    judged = (end - start) / took
    return {
        "judged per second": judged,
        "of those shown, %": 100 * judged / (cameras * options.rate),
        "events": len(delays),
        "delay of an event, median, s": statistics.median(delays) if delays else float("nan"),
        "cores": cores,
        "MB": memory,
    }


def rows_of(results: Path) -> int:
    """Count the frames that were judged so far, up to the last second of each camera."""
    tables = results.rglob(f"{SCORES}*")
    return sum(table.read_bytes().count(b"\n") for table in tables)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ckpt", type=Path, required=True)
    parser.add_argument("--video", type=Path, required=True, help="of the proportion that the model was trained on")
    parser.add_argument("--cameras", type=int, nargs="+", default=[1, 4, 8, 16])
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--rate", type=float, default=10, help="frames per second of each camera")
    parser.add_argument("--height", type=int, default=1080)
    parser.add_argument("--warmup", type=float, default=20, help="seconds")
    parser.add_argument("--moving", type=int, help="cameras in which something moves; all of them by default")
    options = parser.parse_args()
    pictures = jpegs(options.video, options.height, 400)
    num_moving = max(options.cameras) if options.moving is None else options.moving
    began = time.perf_counter()
    for jpeg in pictures:
        cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    decoding = len(pictures) / (time.perf_counter() - began)
    port = multiprocessing.Value("i", 0)
    shown = pictures, noisy(pictures[0]), num_moving, options.rate
    server = multiprocessing.Process(target=serve, args=(*shown, port), daemon=True)
    server.start()
    while port.value == 0:
        time.sleep(0.1)
    table = Table(
        title=f"{options.ckpt.name}, {options.rate:g} fps, {num_moving} moving, {os.cpu_count()} cores; decoding alone "
        f"{decoding:.0f} fps"
    )
    for place, cameras in enumerate(options.cameras):
        found = watched(options.ckpt, port.value, cameras, options)
        if not place:
            for heading in ("cameras", *found):
                table.add_column(heading, justify="right")
        table.add_row(str(cameras), *(f"{value:.2f}" if value < 100 else f"{value:.0f}" for value in found.values()))
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
