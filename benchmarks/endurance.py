"""Does it last: memory, open files, threads and time per frame from the first tenth of a long run to its last.

    python benchmarks/endurance.py                                  everything, about two hours on two cores
    python benchmarks/endurance.py --parts stream --frames 20000    one part, shorter

A tiny network is trained for it on drawn video; it judges on a GPU where there is one. ``stream``: frames through
`FrameStream`. ``file``: a tenth of them through `stmem watch`, as one film with an event now and then. ``live``: as
many from a camera that breaks off again and again. ``events``: ten thousand events and the page of them. ``clock``: a
hundred hours of a camera's clock at a frame per second. A clip is shown over and over, and its scores must be the same
each time.
"""

import argparse
import json
import multiprocessing
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
import psutil
import torch
from anomalib.engine import Engine
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from anomalib_stmem import FrameStream, STMem, WalkwayDemo
from anomalib_stmem.data.scene import draw_video
from anomalib_stmem.page.page import write_page
from anomalib_stmem.results.files import SCORES
from anomalib_stmem.results.judged_frame import JudgedFrame, Verdict
from anomalib_stmem.results.video_results import VideoResults
from anomalib_stmem.video import reader
from anomalib_stmem.video.damage import Damage
from anomalib_stmem.video.frame import Frame, Image
from anomalib_stmem.watching.watch import watch

CLIP, SIZE, RATE = 100, 64, 25.0  # frames that are shown over and over, pixels each way, frames per second
PARTS = ("stream", "file", "live", "events", "clock")
PROCESS = psutil.Process()


class Sample(NamedTuple):
    """The state of the process when so much was done."""

    done: int
    seconds: float
    megabytes: float
    files: int
    threads: int
    on_gpu: float  # megabytes


def sample(done: int) -> Sample:
    """Look at this process."""
    memory = PROCESS.memory_info().rss / 2**20
    on_gpu = torch.cuda.memory_reserved() / 2**20 if torch.cuda.is_initialized() else 0.0
    return Sample(done, time.monotonic(), memory, PROCESS.num_fds(), PROCESS.num_threads(), on_gpu)


def clip() -> list[Image]:
    """Draw a clip in which something abnormal passes; its last frame is followed by its first."""
    drawn = (frame.image for frame in draw_video(7, CLIP, "runner"))
    return [cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), (SIZE, SIZE)) for image in drawn]


def train(folder: Path) -> Path:
    """Train a tiny network, with a threshold that half of the clip's frames exceed."""
    torch.set_num_threads(1)  # a tiny network gains nothing from more
    small = {"image_size": (32, 32), "width": 2, "stem": 1, "memory_items": 4, "precision": "float32"}
    model = STMem(streams="temporal", appearance=False, train_crop=None, **small)
    engine = Engine(default_root_dir=folder, max_steps=30, accelerator="cpu", logger=False, enable_progress_bar=False)
    engine.fit(model, datamodule=WalkwayDemo(frame_rate=RATE, num_workers=0))
    path = folder / "tiny.ckpt"
    engine.trainer.save_checkpoint(path)
    stream = FrameStream(path)
    scores = [verdict.score for verdict in map(stream.push, clip()) if verdict is not None]
    share = float(np.quantile(scores, 0.5))
    saved = torch.load(path, weights_only=True)
    held = saved["state_dict"]
    low, threshold = (float(held[f"post_processor.{name}"]) for name in ("image_min", "_image_threshold"))
    held["post_processor._image_threshold"].fill_(low + (threshold - low) * share / 0.5)
    torch.save(saved, path)
    return path


def of_stream(ckpt: Path, frames: int) -> tuple[list[Sample], str]:
    """Push frames through `FrameStream`."""
    stream, shown, first, differing = FrameStream(ckpt), clip(), [], 0
    samples = []
    for number in range(frames):
        if number % max(1, frames // 100) == 0:
            samples.append(sample(number))
        verdict = stream.push(shown[number % CLIP])
        if CLIP <= number < 2 * CLIP:
            first.append(verdict.score)
        elif number >= 2 * CLIP:
            differing += verdict.score != first[number % CLIP]
    return [*samples, sample(frames)], f"{differing} scores differ from those of the first time"


def of_file(ckpt: Path, frames: int, folder: Path) -> tuple[list[Sample], str]:
    """Watch a long film."""
    film, shown = folder / "long.avi", clip()
    writer = cv2.VideoWriter(str(film), cv2.VideoWriter.fourcc(*"MJPG"), RATE, (SIZE, SIZE))
    for number in range(frames):
        writer.write(shown[number % CLIP])
    writer.release()
    with sampling(folder / "watch") as samples:
        done = watch([str(film)], ckpt, folder / "watch", console=Console(quiet=True))
    return samples, f"{done.num_events} events; {repeats(done.folder)}"


def of_live(ckpt: Path, frames: int, folder: Path, reconnections: int) -> tuple[list[Sample], str]:
    """Watch a camera that breaks off again and again."""
    reader.FIRST_WAIT = 0.05
    port = multiprocessing.Value("i", 0)
    encoded = [cv2.imencode(".jpg", image)[1].tobytes() for image in clip()]
    server = multiprocessing.Process(target=serve, args=(encoded, frames, frames // reconnections, port), daemon=True)
    server.start()
    while port.value == 0:
        time.sleep(0.1)
    with sampling(folder / "live") as samples:
        threading.Thread(target=stop_when_gone, args=(server,), daemon=True).start()
        done = watch([f"gate=http://127.0.0.1:{port.value}/"], ckpt, folder / "live", console=Console(quiet=True))
    run = json.loads((done.folder / "run.json").read_text())["sources"][0]
    told = f"{run['reconnects']} reconnections, {run['frames_read']} frames read, {run['frames_judged']} judged"
    return samples, f"{told}, {run['frames_dropped']} dropped, {done.num_events} events"


def serve(encoded: Sequence[bytes], frames: int, per_connection: int, port: Any) -> None:
    """Show the clip over and over, faster than real time; break off after so many frames, and end at the last."""
    shown = [0]

    class Camera(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            for _ in range(per_connection):
                jpeg = encoded[shown[0] % CLIP]
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                self.wfile.write(head.encode() + jpeg + b"\r\n")
                shown[0] += 1
                time.sleep(1 / RATE / SPEED)
            if shown[0] >= frames:
                threading.Thread(target=server.shutdown, daemon=True).start()

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Camera)
    port.value = server.server_port
    server.serve_forever()


SPEED = 4.0  # times as fast as real time; the network is tiny, and the frames have no time stamps


def stop_when_gone(server: Any) -> None:
    """End the watch as Ctrl-C does when the camera has shown everything."""
    import os
    import signal

    server.join()
    time.sleep(1)
    os.kill(os.getpid(), signal.SIGINT)


def of_events(count: int, folder: Path) -> tuple[list[Sample], str]:
    """Write so many events of one video, and the page of them."""
    results, samples, number = VideoResults(folder / "events" / "gate", "gate", RATE, False, margin=0.2), [], 0
    shown, calm, high = clip(), np.full((8, 8), 0.2, np.float32), np.full((8, 8), 0.8, np.float32)
    per_event = 40  # frames, of which 5 are in alarm
    for event in range(count):
        if event % max(1, count // 100) == 0:
            samples.append(sample(event))
        for place in range(per_event):
            alarm = place < 5
            verdict = Verdict(number, 0.7 if alarm else 0.2, alarm, high if alarm else calm)
            results.push(JudgedFrame(Frame(number, number / RATE, shown[number % CLIP]), verdict))
            number += 1
    samples.append(sample(count))
    results.close()
    began = time.monotonic()
    page = write_page(folder / "events")
    took = time.monotonic() - began
    return samples, f"{len(results.events)} events; a page of {page.stat().st_size / 1e6:.0f} MB, made in {took:.1f} s"


class HoursOfClock:
    """In place of a decoder: a camera whose clock says that hours pass."""

    file = note = None
    why_ended, is_endless, says_times, frame_rate = "it has ended", False, True, 1.0
    follows_gap = is_damaged = False

    def __init__(self, hours: float) -> None:
        self.damage, self._shown = Damage(), clip()
        self._last, self._number = int(3600 * hours), -1

    def advance(self) -> bool:
        """Let a second pass."""
        self._number += 1
        return self._number < self._last

    def picture(self) -> Image:
        """Show the clip over and over."""
        return self._shown[self._number % CLIP]

    @property
    def seconds(self) -> float:
        """Of the clock, which began long ago."""
        return float(self._number)

    @property
    def share_read(self) -> float:
        """How much has passed."""
        return self._number / self._last

    def close(self) -> None:
        """Nothing is open."""


def of_clock(ckpt: Path, hours: float, folder: Path) -> tuple[list[Sample], str]:
    """Watch a hundred hours of a clock, as fast as they can be judged."""
    saved = torch.load(ckpt, weights_only=True)
    saved["state_dict"]["post_processor.frame_rate"].fill_(1.0)
    torch.save(saved, folder / "slow.ckpt")
    (folder / "clock.mp4").touch()
    opened, reader.open_source = reader.open_source, lambda *_: HoursOfClock(hours)
    try:
        with sampling(folder / "clock") as samples:
            options = {"films": False, "console": Console(quiet=True)}
            done = watch([str(folder / "clock.mp4")], folder / "slow.ckpt", folder / "clock", **options)
    finally:
        reader.open_source = opened
    return samples, f"{done.num_events} events; {repeats(done.folder)}"


@contextmanager
def sampling(results: Path) -> Iterator[list[Sample]]:
    """Look at this process while it watches, now and then."""
    samples, stop = [], threading.Event()

    def look() -> None:
        while not stop.wait(1.0):
            rows = sum(path.read_bytes().count(b"\n") for path in results.rglob(f"{SCORES}*"))
            if rows:
                samples.append(sample(rows))

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        yield samples
    finally:
        stop.set()
        looking.join()


def repeats(folder: Path) -> str:
    """Say how many scores of a repeated clip differ from those of the first time."""
    (path,) = folder.rglob(SCORES)
    scores = pd.read_csv(path).set_index("frame").pred_score
    first = scores.reindex(range(CLIP, 2 * CLIP)).to_numpy()
    later = scores[scores.index >= 2 * CLIP]
    expected: NDArray[Any] = first[later.index.to_numpy() % CLIP]
    return f"{len(scores)} frames judged, {int((later.to_numpy() != expected).sum())} scores differ from the first time"


def row(samples: Sequence[Sample]) -> list[str]:
    """Compare the first tenth with the last: of what was done, without the very first sample."""
    done = samples[-1].done
    early = [one for one in samples[1:] if one.done <= 0.2 * done][-max(2, len(samples) // 10) :]
    late = [one for one in samples if one.done >= 0.9 * done]
    if len(early) < 2 or len(late) < 2:
        return ["too short to compare", *[""] * 4]
    each = 1e3 * np.array(
        [(some[-1].seconds - some[0].seconds) / max(1, some[-1].done - some[0].done) for some in (early, late)]
    )
    cells = [f"{each[0]:.3f} -> {each[1]:.3f} ({100 * (each[1] / each[0] - 1):+.0f} %)"]
    memory = [float(np.median([one.megabytes for one in some])) for some in (early, late)]
    cells.append(f"{memory[0]:.0f} -> {memory[1]:.0f} ({100 * (memory[1] / memory[0] - 1):+.1f} %)")
    cells.append(" -> ".join(f"{max(one.on_gpu for one in some):.0f}" for some in (early, late)))
    most = [[str(max(getattr(one, name) for one in some)) for some in (early, late)] for name in ("files", "threads")]
    return [*cells, *map(" -> ".join, most)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--frames", type=int, default=1_000_000, help="of the stream; a tenth for file and live")
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--reconnections", type=int, default=1000)
    parser.add_argument("--hours", type=float, default=100.0)
    given = parser.parse_args()
    console = Console(width=160)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ckpt = train(folder)
        parts: dict[str, Callable[[], tuple[list[Sample], str]]] = {
            "stream": lambda: of_stream(ckpt, given.frames),
            "file": lambda: of_file(ckpt, given.frames // 10, folder),
            "live": lambda: of_live(ckpt, given.frames // 10, folder, given.reconnections),
            "events": lambda: of_events(given.events, folder),
            "clock": lambda: of_clock(ckpt, given.hours, folder),
        }
        for part in given.parts:
            table = Table("part", "ms for each", "MB", "MB on a GPU", "open files", "threads", "and")
            samples, told = parts[part]()
            table.add_row(part, *row(samples), told)
            console.print(table)


if __name__ == "__main__":
    main()
