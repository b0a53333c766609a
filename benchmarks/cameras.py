"""How many live cameras a machine watches in real time: frames judged, processor, memory, and delay of events.

    python benchmarks/cameras.py --ckpt model.ckpt --video street.mp4 [--cameras 1 4 8 16] [--seconds 40]
    python benchmarks/cameras.py --ckpt stream.xml --video street.mp4 --still

A process beside `stmem watch` shows the video as so many cameras (motion JPEG over HTTP, each from another frame on,
over and over), enlarged to ``--height``. Its own share of the processor counts for the machine, not for the watch. With
``--still`` every camera shows one frame, as by night. In the same run the pictures are decoded alone, without a watch.
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

from anomalib_stmem.results.files import EVENT_LINES, RUN
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


def serve(pictures: list[bytes], rate: float, port: Any) -> None:
    """Show the pictures under ``/0``, ``/1`` and so on, for ever."""

    class Camera(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            began, offset, number = time.monotonic(), 37 * int(self.path.strip("/")), 0
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


def watched(ckpt: Path, port: int, cameras: int, seconds: float, rate: float) -> dict[str, float]:
    """Watch so many cameras for a while after the start."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "watch"
        sources = [f"{number}=http://127.0.0.1:{port}/{number}" for number in range(cameras)]
        command = [sys.executable, "-m", "anomalib_stmem.cli", "watch", *sources, "--ckpt", str(ckpt)]
        command += ["--results", str(results), "--films", "false"]
        watching = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603
        process, delays, lines_read = psutil.Process(watching.pid), [], 0
        time.sleep(10)  # start-up and warm-up
        began, used = time.monotonic(), sum(process.cpu_times()[:2])
        while time.monotonic() - began < seconds:
            time.sleep(POLL)
            lines = (results / EVENT_LINES).read_text().splitlines() if (results / EVENT_LINES).exists() else []
            for line in lines[lines_read:]:
                event = json.loads(line)
                if event["state"] == "began" and "time" in event:
                    delays.append(time.time() - datetime.fromisoformat(event["time"]).timestamp())
            lines_read = len(lines)
        cores = (sum(process.cpu_times()[:2]) - used) / (time.monotonic() - began)
        memory = process.memory_info().rss / 2**20
        watching.terminate()
        watching.wait(60)
        rows = json.loads((results / RUN).read_text())["sources"]
    shown = sum(row["seconds"] or 0 for row in rows) * rate
    taken = sum(row["frames_judged"] + row["frames_not_judged"] for row in rows)
    return {
        "frames per second": taken / max(*(row["seconds"] or 0 for row in rows), 1),
        "of those shown, %": 100 * taken / max(shown, 1),
        "dropped": sum(row["frames_dropped"] + row["frames_late"] for row in rows),
        "events": len(delays),
        "delay of an event, median, s": statistics.median(delays) if delays else float("nan"),
        "cores": cores,
        "MB": memory,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ckpt", type=Path, required=True)
    parser.add_argument("--video", type=Path, required=True, help="of the proportion that the model was trained on")
    parser.add_argument("--cameras", type=int, nargs="+", default=[1, 4, 8, 16])
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--rate", type=float, default=10, help="frames per second of each camera")
    parser.add_argument("--height", type=int, default=1080)
    parser.add_argument(
        "--still", action="store_true", help="show one frame, over and over, with noise of a grey level"
    )
    options = parser.parse_args()
    pictures = jpegs(options.video, options.height, 1 if options.still else 400)
    if options.still:
        first, draw = cv2.imdecode(np.frombuffer(pictures[0], np.uint8), cv2.IMREAD_COLOR), np.random.default_rng(0)
        noisy = (np.clip(first + draw.normal(0, 1, first.shape), 0, 255).astype(np.uint8) for _ in range(20))
        pictures = [cv2.imencode(".jpg", image)[1].tobytes() for image in noisy]
    began = time.perf_counter()
    for jpeg in pictures:
        cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    decoding = len(pictures) / (time.perf_counter() - began)
    port = multiprocessing.Value("i", 0)
    server = multiprocessing.Process(target=serve, args=(pictures, options.rate, port), daemon=True)
    server.start()
    while port.value == 0:
        time.sleep(0.1)
    table = Table(
        title=f"{options.ckpt.name}, {options.rate:g} fps, {os.cpu_count()} cores; decoding alone {decoding:.0f} fps"
    )
    for place, cameras in enumerate(options.cameras):
        found = watched(options.ckpt, port.value, cameras, options.seconds, options.rate)
        if not place:
            for heading in ("cameras", *found):
                table.add_column(heading, justify="right")
        table.add_row(str(cameras), *(f"{value:.2f}" if value < 100 else f"{value:.0f}" for value in found.values()))
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
