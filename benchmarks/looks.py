"""What it costs to look at things as well (`--model.appearance`), in speed and memory, beside the same network without.

    python benchmarks/looks.py [--size 256 256] [--cell 8] [--every 5] [--backends torch openvino]

Everything in one run: frames per second of a ``FrameStream`` on decoded frames, without and with looks, taken in turns;
and the most memory that `watch` ever held, each in a process of its own (Linux). A drawn walkway, untrained weights
(speed does not depend on them), a full memory of normal features. ``--cell`` and ``--every`` are what a training would
choose.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import Trainer
from rich.console import Console
from rich.table import Table
from runtimes import convert
from watch import decoded, draw

from anomalib_stmem import FrameStream, STMem, TrainedModel, calibrate
from anomalib_stmem.runtime.export import export_step

ROUNDS = 5  # of which the fastest counts
# In a process of its own, which imports what a watch does. Linux alone tells how much it has held.
WATCH = """
import sys
from pathlib import Path
from rich.console import Console
from anomalib_stmem import watch
model, video, out = sys.argv[1:]
watch([video], model, out, films=False, console=Console(quiet=True))
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


def save(path: Path, video: Path, options: argparse.Namespace, *, looks: bool) -> Path:
    """Save an untrained network whose threshold no frame of a video exceeds."""
    model = STMem(image_size=tuple(options.size), appearance=looks)
    if model.model.appearance is not None:
        model.model.appearance.set_grid(options.cell, options.every)
        model.model.appearance.keep(torch.randn_like(model.model.appearance.items))
    trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False)
    trainer.strategy.connect(model)
    trainer.save_checkpoint(path)
    calibrate([str(video)], path, path.with_stem(f"{path.stem}_calibrated"), console=Console(quiet=True))
    return path.with_stem(f"{path.stem}_calibrated")


def export(ckpt: Path) -> Path:
    """Write the streaming step of a checkpoint for OpenVINO, with its graph of looks."""
    trained = TrainedModel.load(ckpt)
    return convert(export_step(trained, ckpt.with_suffix(".onnx")), trained)


def frames_per_second(models: list[Path], frames: list[np.ndarray], precision: str) -> list[float]:
    """Push all frames through a stream of each model, in turns; the first pass of each is not timed."""
    streams, spans = [FrameStream(model, precision=precision) for model in models], []
    for _ in range(ROUNDS + 1):
        spans.append([])
        for stream in streams:
            stream.reset()
            begin = time.perf_counter()
            for frame in frames:
                stream.push(frame)
            spans[-1].append(time.perf_counter() - begin)
    return [len(frames) / min(one) for one in zip(*spans[1:], strict=True)]


def memory_of_watch(model: Path, video: Path) -> float:
    """Watch a video, and return the most memory that this held, in MB."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-c", WATCH, str(model), str(video), out]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603
        return float(printed.split()[-1]) / 1000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, nargs=2, default=(256, 256), help="height and width of what is judged")
    parser.add_argument("--cell", type=int, default=8, help="pixels, each way, that become one feature")
    parser.add_argument("--every", type=int, default=5, help="frames from one look to the next")
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--backends", nargs="+", default=["torch", "openvino"])
    parser.add_argument("--precision", default="auto", help="of the streams: auto, float32 or bf16")
    options = parser.parse_args()
    table = Table("runtime", "", "frames/s", "of those without", "memory of watch, MB", title="The price of looks")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        video = draw(scratch / "video.mp4", (360, 240), options.frames)
        frames = decoded(video)
        checkpoints = [save(scratch / f"{name}.ckpt", video, options, looks=name == "with") for name in ("no", "with")]
        for backend in options.backends:
            models = [export(one) for one in checkpoints] if backend == "openvino" else checkpoints
            speeds = frames_per_second(models, frames, options.precision)
            for name, model, speed in zip(("without looks", "with looks"), models, speeds, strict=True):
                held = memory_of_watch(model, video)
                table.add_row(backend, name, f"{speed:.1f}", f"{speed / speeds[0]:.2f}", f"{held:.0f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
