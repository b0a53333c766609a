"""How many frames per second `stmem watch` passes from a file to results, beside what bare decoding and judging take.

    python benchmarks/watch.py [--ckpt FILE] [--frames 600] [--sizes 360x240 1280x720] [--backends torch openvino]

Draws a walkway of each size as an H.264 file, and in one run takes the wall time of: decoding by cv2 alone; a
``FrameStream`` on decoded frames alone; a watch that films events only, and one that films the whole video twice
(plain and annotated, the default for files). Without ``--ckpt`` the default network with untrained weights and a
threshold that no frame exceeds; a clip of an event costs about as much as one of the two films, while it lasts.
"""

import argparse
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import torch
from rich.console import Console
from rich.table import Table

from anomalib_stmem import FrameStream, STMem, calibrate, watch
from anomalib_stmem.data.scene import draw_video
from anomalib_stmem.results.film import Film

RATE = 25.0


def draw(path: Path, size_wh: tuple[int, int], count: int) -> Path:
    """Write a normal video of the drawn walkway in any size."""
    film = Film(path, size_wh, RATE)
    for index, frame in enumerate(draw_video(1, count)):
        image = cv2.resize(cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR), size_wh, interpolation=cv2.INTER_CUBIC)
        film.write(image, index / RATE)
    film.close()
    return path


def untrained(path: Path, video: Path) -> Path:
    """Save the default network with a threshold that no frame of a video exceeds."""
    from lightning.pytorch import Trainer

    trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False)
    trainer.strategy.connect(STMem())
    start = path.with_stem(f"{path.stem}_untrained")
    trainer.save_checkpoint(start)
    calibrate([str(video)], start, path, console=Console(quiet=True))
    return path


def decoded(path: Path) -> list:
    """Decode a whole file."""
    capture, frames = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG), []
    while (read := capture.read())[0]:
        frames.append(read[1])
    return frames


def measure(path: Path, ckpt: Path, backend: Any, scratch: Path) -> dict[str, float]:
    """Frames per second of each part; imports, loading and export are left out by a first, untimed pass."""
    begin = time.perf_counter()
    frames = decoded(path)
    found = {"decode": len(frames) / (time.perf_counter() - begin)}
    stream = FrameStream(ckpt, backend)
    for frame in frames[:10]:
        stream.push(frame)
    begin = time.perf_counter()
    for frame in frames:
        stream.push(frame)
    found["judge"] = len(frames) / (time.perf_counter() - begin)
    del frames
    for name, films in (("watch, events only", False), ("watch, whole films", True)):
        spans = []
        for copies in (1, 2):  # the difference is free of what a start costs
            sources = [f"{number}={path}" for number in range(copies)]
            begin = time.perf_counter()
            watch(sources, ckpt, scratch / "out", films=films, backend=backend, console=Console(quiet=True))
            spans.append(time.perf_counter() - begin)
        found[name] = cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT) / (spans[1] - spans[0])
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ckpt", type=Path)
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--sizes", nargs="+", default=["360x240", "1280x720"])
    parser.add_argument("--backends", nargs="+", default=["torch", "openvino"])
    options = parser.parse_args()
    table = Table(title=f"Frames per second, {torch.get_num_threads()} threads, {platform.processor() or 'CPU'}")
    rows: list[tuple[str, ...]] = []
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        for size in options.sizes:
            width, height = map(int, size.split("x"))
            video = draw(scratch / f"{size}.mp4", (width, height), options.frames)
            ckpt = options.ckpt or untrained(scratch / f"{size}.ckpt", video)
            for backend in options.backends:
                found = measure(video, ckpt, backend, scratch)
                if not rows:
                    for heading in ("file", "runtime", *found):
                        table.add_column(heading, justify="right")
                rows.append((size, backend, *(f"{fps:.1f}" for fps in found.values())))
                table.add_row(*rows[-1])
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
