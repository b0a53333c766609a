"""Raise alarms with what real cameras do to a picture: how many are false, and what is left of the true ones.

    python benchmarks/nuisances.py --ckpt weights/ped2.ckpt --root PATH/ped2 --frame_rate 10
    python benchmarks/nuisances.py --ckpt weights/ped2.ckpt --root PATH/ped2 --only "shake 1 px" clean

Normal videos are those that a training holds out; test videos are labelled (docs/data_layouts.md). Both are judged as
``stmem watch`` judges a camera: by time stamps, without repeats and late frames, with the decision and the events of
the camera itself. A frame that is not judged keeps the verdict of the one before.
"""

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from nuisance_kinds import NUISANCES, TROUBLES, Shown, shown_at

from anomalib_stmem import FrameStream, VideoFolder
from anomalib_stmem.data.labels import LabelledVideo
from anomalib_stmem.evaluation.events import Timeline, Truth
from anomalib_stmem.evaluation.frame_metrics import auroc
from anomalib_stmem.model.checkpoint import read_checkpoint
from anomalib_stmem.video.choosing import Tally, chosen_frames
from anomalib_stmem.video.frame_rate import FramePicker

KINDS = NUISANCES | {f"camera: {name}": nuisance for name, nuisance in TROUBLES.items()}
LIMITS = {"normal frames in alarm, %": 2.0, "AUROC lost": 3.0}


class Played:
    """Pictures with time stamps, as a decoder gives them."""

    share_read, follows_gap, is_damaged, file = None, False, False, None

    def __init__(self, shown: list[Shown]) -> None:
        self._left, self.damage = iter(shown), SimpleNamespace(num_lost=0, seconds=[])
        self.now: Shown

    def advance(self) -> bool:
        """Go to the next picture."""
        following = next(self._left, None)
        if following is not None:
            self.now = following
        return following is not None

    @property
    def seconds(self) -> float:
        """Its time."""
        return self.now.seconds

    def picture(self) -> np.ndarray:
        """Return it."""
        return self.now.image


def judge(
    stream: FrameStream, shown: list[Shown], count: int, rate: float
) -> tuple[np.ndarray, np.ndarray, Counter[str]]:
    """Return score and alarm of each of ``count`` frames of a video, and of how many frames which trouble was told.

    Scores are NaN before the first verdict.
    """
    stream.reset()
    told: Counter[str] = Counter()
    played, tally = Played(shown), Tally()
    scores, alarms, number = np.full(count, np.nan), np.zeros(count, bool), -1
    frames = chosen_frames(played, FramePicker(stream.info.frame_rate, rate), lambda now: now, tally, lambda: True)
    for frame in frames:
        if frame.follows_gap and frame.index:
            stream.reset()
        verdict = None if frame.frozen_since is not None else stream.push(frame.image)
        trouble = stream.trouble or ("frozen" if frame.frozen_since is not None else None)
        if trouble is not None:
            told[trouble] += 1
        if verdict is None and not frame.is_late:
            alarms[max(0, number) :] = False  # nothing is alarmed that is not judged
        if verdict is None or frame.is_late:
            continue
        number = played.now.number
        # Frames that are not judged keep the verdict before: this one is for all that follow, until the next.
        scores[number:], alarms[number:] = verdict.score, bool(verdict.is_anomalous)
    return scores, alarms, told


def images_of(video: LabelledVideo) -> list[np.ndarray]:
    """Decode a video as BGR pictures."""
    frames: Iterable[np.ndarray] = video.video.frames(video.first)
    return [
        np.ascontiguousarray(planes[::-1].transpose(1, 2, 0))
        for planes, _ in zip(frames, range(video.last - video.first), strict=False)
    ]


def measure(
    stream: FrameStream, videos: list[LabelledVideo], nuisance: Callable, rate: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, Timeline, Counter[str]]:
    """Judge all videos under a nuisance: scores, alarms, labels, where the frames are, and what trouble was told.

    Frames before the first verdict of a video are left out.
    """
    parts, troubles = [], Counter[str]()
    for number, video in enumerate(videos):
        images = images_of(video)
        shown = nuisance(shown_at(images, rate), rate, np.random.default_rng(number))
        scores, alarms, told = judge(stream, shown, len(images), rate)
        troubles += told
        labels = [bool(video.label(video.first + place)) for place in range(len(images))]
        known = ~np.isnan(scores)
        parts.append((scores[known], alarms[known], np.array(labels)[known], number, np.flatnonzero(known)))
    scores, alarms, labels = (np.concatenate([part[place] for part in parts]) for place in range(3))
    numbers = np.concatenate([np.full(len(part[0]), part[3]) for part in parts])
    frames = np.concatenate([part[4] for part in parts])
    return scores, alarms, labels, Timeline(numbers, frames, np.full(len(scores), rate)), troubles


def row_of(stream: FrameStream, normal: list, test: list, nuisance: Callable, rate: float) -> dict[str, Any]:
    """Measure one nuisance."""
    _, alarms, labels, timeline, told = measure(stream, normal, nuisance, rate)
    counts = Truth(labels, timeline).count(alarms)
    row = {
        "normal frames in alarm, %": 100 * float(alarms.mean()),
        "false events per hour": counts.false_per_hour,
        "false events": int(counts.false.sum()),
        "told of the camera, % of frames": {name: round(100 * n / len(alarms), 1) for name, n in told.items()} or "",
    }
    if test:
        scores, alarms, labels, timeline, told = measure(stream, test, nuisance, rate)
        counts = Truth(labels, timeline).count(alarms)
        row |= {
            "AUROC": 100 * auroc(scores, labels),
            "events found": int(counts.found.sum()),
            "of": int(counts.events.sum()),
            "false events in test": int(counts.false.sum()),
            "told in test, %": {name: round(100 * n / len(alarms), 1) for name, n in told.items()} or "",
        }
    return row


def main() -> None:
    """Read the command line, measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ckpt", type=Path, required=True, help="trained checkpoint")
    parser.add_argument("--root", type=Path, required=True, help="as --data.root of VideoFolder")
    parser.add_argument("--frame_rate", type=float, help="of videos that do not say theirs")
    parser.add_argument("--only", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--frames", type=int, help="of each video, at most")
    parser.add_argument("--backend", default="auto", help="as FrameStream has it; openvino is faster on Intel and AMD")
    parser.add_argument("--out", type=Path, help="CSV file to write")
    options = parser.parse_args()
    read_checkpoint(options.ckpt)
    data = VideoFolder(options.root, num_workers=0, frame_rate=options.frame_rate)
    data.setup("fit")
    normal = data.val_data.videos
    test = data.test_data.videos if data.has_test_videos() else []
    rate = options.frame_rate or normal[0].video.frame_rate
    stream = FrameStream(str(options.ckpt), backend=options.backend)
    table: dict[str, dict[str, Any]] = {}
    for name in options.only:
        began = time.perf_counter()
        row = row_of(stream, normal, test, KINDS[name], rate)
        lost = table["clean"]["AUROC"] - row["AUROC"] if "clean" in table and "AUROC" in row else 0.0
        row["AUROC lost"] = lost
        row["within limits"] = all(row[key] <= limit for key, limit in LIMITS.items())
        table[name] = row
        rounded = {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in row.items()}
        said = ", ".join(f"{key} {value}" for key, value in rounded.items())
        print(f"{name}: {said} ({time.perf_counter() - began:.0f} s)", flush=True)
    frame = pd.DataFrame.from_dict(table, orient="index")
    print(frame.to_markdown(floatfmt=".1f") if hasattr(frame, "to_markdown") else frame.to_string())
    if options.out:
        frame.to_csv(options.out)


if __name__ == "__main__":
    main()
