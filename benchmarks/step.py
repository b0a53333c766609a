"""Time and memory of one training step and of one judged clip.

Run ``python benchmarks/step.py --size 256 --width 32 --batch 8``; each figure is the median of the repeats after a
warm-up, and the peak memory of the process (of the device on CUDA).
"""

import argparse
import platform
import resource
import statistics
import time
from collections.abc import Callable

import torch

from anomalib_stmem.model.autoencoder import Architecture
from anomalib_stmem.model.loss import stream_loss
from anomalib_stmem.model.scoring import ScoreHead
from anomalib_stmem.model.torch_model import STMemModel, frame_differences


def peak_gib(device: torch.device) -> float:
    """Highest memory so far, in GiB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def median_seconds(work: Callable[[], None], repeats: int, device: torch.device) -> float:
    """Median wall time after one warm-up, with the device synchronised on both sides."""
    times = []
    for _ in range(repeats + 1):
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--clip", type=int, default=6, help="frames per training clip; 6 is the paper's window")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    device = torch.device(options.device)
    network = STMemModel(Architecture(width=options.width), ScoreHead("patch", "both", 1.0)).to(device)
    clip = torch.rand(1, 6, 3, options.size, options.size, device=device) * 2 - 1
    clips = torch.rand(options.batch, options.clip, 3, options.size, options.size, device=device) * 2 - 1
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=2e-5)

    def judge() -> None:
        with torch.no_grad():
            network.judge(clip)

    def train() -> None:
        expected = network.expect(clips)
        spatial, *_ = stream_loss(expected.spatial, clips[:, 4:], 0.1)
        temporal, *_ = stream_loss(expected.temporal, frame_differences(clips)[:, 4:], 0.1)
        optimizer.zero_grad()
        (spatial + temporal).backward()
        optimizer.step()

    print(f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"{options.size}x{options.size}, width {options.width}, {device}")
    network.eval()
    print(f"one clip of 6: {median_seconds(judge, options.repeats, device):.3f} s, peak {peak_gib(device):.2f} GiB")
    network.train()
    seconds = median_seconds(train, options.repeats, device)
    print(f"training step, {options.batch} x {options.clip}: {seconds:.2f} s, peak {peak_gib(device):.2f} GiB")


if __name__ == "__main__":
    main()
