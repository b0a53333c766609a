"""How much slower the best-known memory network is on this machine: MNAD's prediction network beside our stream.

    python benchmarks/mnad.py [--precision float32] [--frames 60]

One run, in turns, one video: a ``FrameStream`` of 256x256 pixels with looks at every fifth frame, and the network of
Park et al. (2020), "Learning Memory-guided Normality for Anomaly Detection", Sec. 3, written down from the paper: four
frames of 256x256 in, a U-Net of 64 to 512 channels, ten items of 512 read at each of 32x32 places, one frame out.
Untrained weights, for speed does not depend on them. MNAD's score is not even computed.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from looks import save
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from watch import decoded, draw

from anomalib_stmem import FrameStream
from anomalib_stmem.model.precision import convolving

SIZE, FRAMES_IN, ITEMS = (256, 256), 4, 10
WIDTHS = (64, 128, 256, 512)


def block(of: int, to: int, normed: bool = True) -> nn.Sequential:
    """Two convolutions of 3x3; the last of the encoder has no normalisation."""
    last = [nn.BatchNorm2d(to), nn.ReLU(inplace=True)] if normed else []
    first = [nn.Conv2d(of, to, 3, padding=1), nn.BatchNorm2d(to), nn.ReLU(inplace=True)]
    return nn.Sequential(*first, nn.Conv2d(to, to, 3, padding=1), *last)


class Mnad(nn.Module):
    """The prediction network: frames in, the next one out."""

    def __init__(self) -> None:
        super().__init__()
        inputs = (3 * FRAMES_IN, *WIDTHS)
        self.down = nn.ModuleList(block(of, to, to != WIDTHS[-1]) for of, to in zip(inputs, WIDTHS, strict=False))
        self.items = nn.Parameter(F.normalize(torch.randn(ITEMS, WIDTHS[-1]), dim=1))
        self.middle = block(2 * WIDTHS[-1], WIDTHS[-1])
        wide, narrow = WIDTHS[:0:-1], WIDTHS[-2::-1]
        steps = list(zip(wide, narrow, strict=True))
        self.enlarge = nn.ModuleList(nn.ConvTranspose2d(a, b, 3, 2, 1, output_padding=1) for a, b in steps)
        self.up = nn.ModuleList(block(a, b) for a, b in steps)
        self.last = nn.Conv2d(WIDTHS[0], 3, 3, padding=1)

    def forward(self, frames: Tensor) -> Tensor:
        """Expect the frame after ``(b, 12, h, w)``."""
        seen = [self.down[0](frames)]
        for down in self.down[1:]:
            seen.append(down(F.max_pool2d(seen[-1], 2)))
        query = F.normalize(seen.pop(), dim=1)
        weights = torch.einsum("bchw,mc->bmhw", query, self.items).softmax(dim=1)
        read = torch.einsum("bmhw,mc->bchw", weights, self.items)
        maps = self.middle(torch.cat([query, read], dim=1))
        for enlarge, up in zip(self.enlarge, self.up, strict=True):
            maps = up(torch.cat([F.relu(enlarge(maps)), seen.pop()], dim=1))
        return self.last(maps).tanh()


@torch.no_grad()
def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precision", default="auto", help="of both: auto, float32 or bf16")
    parser.add_argument("--frames", type=int, default=60)
    options = parser.parse_args()
    options.size, options.cell, options.every = SIZE, 8, 5
    mnad, clip = Mnad().eval().to(memory_format=torch.channels_last), torch.rand(1, 3 * FRAMES_IN, *SIZE)
    times: dict[str, list[float]] = {"ours": [], "MNAD": []}
    with tempfile.TemporaryDirectory() as folder:
        video = draw(Path(folder) / "video.mp4", (360, 240), options.frames)
        stream = FrameStream(save(Path(folder) / "model.ckpt", video, options, looks=True), precision=options.precision)
        for number, frame in enumerate(decoded(video)):
            begin = time.perf_counter()
            stream.push(frame)
            times["ours"].append(time.perf_counter() - begin)
            if number % 5 == 0:
                begin = time.perf_counter()
                with convolving(options.precision, torch.device("cpu")):
                    mnad(clip)
                times["MNAD"].append(time.perf_counter() - begin)
    means = {name: 1e3 * statistics.mean(spans[len(spans) // 5 :]) for name, spans in times.items()}  # after a warm-up
    table = Table(
        "network", "ms per frame", "times ours", title=f"{options.precision}, {torch.get_num_threads()} cores"
    )
    for name, mean in means.items():
        table.add_row(name, f"{mean:.1f}", f"{mean / means['ours']:.1f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
