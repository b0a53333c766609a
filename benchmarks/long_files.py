"""How soon a long file gives its first verdict, and the memory that a file with a hundred clocks takes.

    python benchmarks/long_files.py --ckpt model.ckpt [--hours 2] [--joins 100]

It draws the files itself: small pictures, 25 per second, in H.264. Prints seconds from opening to the first verdict,
with the model loaded and without; and the resident memory of `stmem watch` at each tenth of the joined file.
"""

import argparse
import resource
import sys
import tempfile
import threading
import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from rich.console import Console

from anomalib_stmem import FrameStream
from anomalib_stmem.video.reader import Reader
from anomalib_stmem.video.source import Source
from anomalib_stmem.watching.watch import watch

RATE, SIZE = 25, (160, 240)


def draw(path: Path, count: int) -> Path:
    """Write a file of a square that goes round."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "g": "250"})
        stream.height, stream.width = SIZE
        for number in range(count):
            image = np.full((*SIZE, 3), 90, np.uint8)
            left = 3 * number % (SIZE[1] - 30)
            cv2.rectangle(image, (left, 40), (left + 30, 90), (200, 180, 160), -1)
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def first_verdict(film: Path, ckpt: Path) -> tuple[float, float]:
    """Seconds until a file's first verdict: all of it, and without loading the model."""
    began = time.perf_counter()
    stream = FrameStream(ckpt)
    loaded = time.perf_counter()
    reader = Reader(Source(film.stem, "file", str(film), film.name), RATE, threading.Event(), print)
    reader.start()
    verdict = None
    while verdict is None:
        frame = reader.next()
        if frame is None:
            time.sleep(0.001)
        else:
            verdict = stream.push(frame.image)
    ended = time.perf_counter()
    reader.stop()
    reader.wait()
    return ended - began, ended - loaded


def memory_over(film: Path, ckpt: Path, results: Path, parts: int = 10) -> list[float]:
    """Resident memory of this process in MiB, while a file is watched: at the start, and after each part of it."""
    seen: list[float] = []
    done = threading.Event()

    def look() -> None:
        while not done.wait(1.0):
            seen.append(resident())

    threading.Thread(target=look, daemon=True).start()
    watch([str(film)], ckpt, results, films=False, console=Console(quiet=True))
    done.set()
    return [float(part.max()) for part in np.array_split(np.array(seen), parts) if len(part)]


def resident() -> float:
    """Return the memory of this process that is in use now, in MiB."""
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    """Run both and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ckpt", type=Path, required=True, help="checkpoint with a threshold")
    parser.add_argument("--hours", type=float, default=2.0, help="of the long file")
    parser.add_argument("--joins", type=int, default=100, help="how often a part is joined to itself")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        film = draw(Path(scratch) / "long.mp4", round(3600 * RATE * options.hours))
        whole, reading = first_verdict(film, options.ckpt)
        print(f"first verdict of {options.hours:g} h: {whole:.1f} s, {reading:.1f} s of them after loading the model")
        part = draw(Path(scratch) / "part.ts", 30).read_bytes()
        joined = Path(scratch) / "joined.ts"
        joined.write_bytes(part * options.joins)
        used = memory_over(joined, options.ckpt, Path(scratch) / "watch")
        print(f"MiB over a file joined {options.joins} times: {', '.join(f'{one:.0f}' for one in used)}")


if __name__ == "__main__":
    main()
