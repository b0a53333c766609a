"""Call false alarms normal (``stmem accept``): how many come again, and what is left of the true ones.

    python benchmarks/accepting.py --ckpt weights/ped2.ckpt --root PATH/ped2 --frame_rate 10

Where a model raises too few false alarms in the normal videos that a training holds out, its threshold is first lowered
until there are as many as wanted.
"""

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import torch
from nuisance_kinds import NUISANCES
from nuisances import row_of

from anomalib_stmem import FrameStream, TrainedModel, VideoFolder, accept, watch
from anomalib_stmem.model.calibration import Calibration, unsquash
from anomalib_stmem.model.checkpoint import write_changed

GAP = 1.0  # seconds between two peaks


def peaks_of(folder: Path) -> list[float]:
    """Return the highest level of each second of a watch, the highest first."""
    found = []
    for path in folder.rglob("scores.csv"):
        frames = pd.read_csv(path)
        found += frames.groupby((frames.seconds / GAP).astype(int))["level"].max().tolist()
    return sorted(found, reverse=True)


def lowered(ckpt: Path, level: float, out: Path) -> Path:
    """Write a checkpoint whose threshold is a level on the scale of calibrated scores."""
    calibration = TrainedModel.load(ckpt).calibration
    if not isinstance(calibration, Calibration):
        msg = f"{ckpt} has no threshold to lower."
        raise TypeError(msg)
    threshold = unsquash(torch.tensor(level), calibration.usual, calibration.threshold)
    # Without hours it stays what it is when events are accepted.
    values = {"post_processor._image_threshold": threshold, "post_processor.normal_hours": torch.tensor(torch.nan)}
    write_changed(ckpt, out, values, {})
    return out


def main() -> None:
    """Read the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ckpt", type=Path, required=True, help="trained checkpoint")
    parser.add_argument("--root", type=Path, required=True, help="as --data.root of VideoFolder")
    parser.add_argument("--frame_rate", type=float, help="of videos that do not say theirs")
    parser.add_argument("--events", type=int, default=5, help="false alarms to accept")
    parser.add_argument("--backend", default="auto", help="as FrameStream has it")
    options = parser.parse_args()
    data = VideoFolder(options.root, num_workers=0, frame_rate=options.frame_rate)
    data.setup("fit")
    normal, test = data.val_data.videos, data.test_data.videos
    rate = options.frame_rate or normal[0].video.frame_rate
    sources = [f"{video.name}={video.video.path}" for video in normal]
    reading = {"films": False, "frame_rate": rate, "backend": options.backend}
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        found = watch(sources, options.ckpt, folder / "default", **reading)
        ckpt = options.ckpt
        if found.num_events < options.events:
            level = peaks_of(folder / "default")[2 * options.events]
            ckpt = lowered(options.ckpt, level, folder / "lowered.ckpt")
            found = watch(sources, ckpt, folder / "watch", **reading)
        events = pd.concat(
            [pd.read_csv(path, dtype={"video": str}) for path in found.folder.rglob("events.csv")], ignore_index=True
        )
        events = events.sort_values("score", ascending=False)[: options.events]
        began = time.perf_counter()
        names = [f"{event.video}/{event.id}" for event in events.itertuples()]
        for one in accept(found.folder, names, ckpt, folder / "accepted.ckpt"):
            print(one)
        print(f"accepted {len(names)} events in {time.perf_counter() - began:.0f} s")
        rows = {
            name: row_of(FrameStream(path, backend=options.backend), normal, test, NUISANCES["clean"], rate)
            for name, path in (("before", ckpt), ("after", folder / "accepted.ckpt"))
        }
    print(pd.DataFrame(rows).T.to_string())


if __name__ == "__main__":
    main()
