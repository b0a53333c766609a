"""How fast video is read: beside bare cv2 on the same files, from the cache, and beside anomalib's own UCSDped.

    python benchmarks/reading.py [--ped2 PATH --ped2_h264 PATH --videos PATH] [--size 256 256] [--frames 16]

All in one process on one core. Without paths it draws a small scene and reads that. Prints frames per second, the ratio
to bare cv2 (decode and resize, nothing else), and how often a frame was decoded on average; JSON with --json.
"""

import argparse
import itertools
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from anomalib.data import AnomalibDataModule

from anomalib_stmem import UCSDClips, VideoFolder, write_scene
from anomalib_stmem.data.clips import as_floats
from anomalib_stmem.data.datamodule import ClipData
from anomalib_stmem.video import recorded
from anomalib_stmem.video.finding import find_videos, list_images
from anomalib_stmem.video.recorded import Video

REPEATS = 3

Row = dict[str, float | str]


def bare_cv2(folder: Path, size: tuple[int, int]) -> int:
    """Decode and resize every frame of every video, and count them."""
    count = 0
    for path in find_videos(folder):
        if path.is_dir():
            for image in list_images(path):
                resize(cv2.imread(str(image)), size)
                count += 1
        else:
            capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
            while (read := capture.read())[0]:
                resize(read[1], size)
                count += 1
    return count


def our_reader(videos: Sequence[Video]) -> int:
    """Decode, resize and split every frame of every video by our reader, and count them."""
    return sum(1 for video in videos for _ in video.frames())


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize as the package does."""
    shrinks = image.shape[0] >= size[0] and image.shape[1] >= size[1]
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def an_epoch(data: AnomalibDataModule, floats: bool = False) -> int:
    """Go through all training clips once, nothing decoded before, and count the frames that come out.

    Ours come out as bytes, to become floats on the device; ``floats`` does that here.
    """
    if isinstance(data, ClipData):
        data.train_data.forget_decoded()
    count = 0
    for batch in data.train_dataloader():
        image = as_floats(batch).image if floats else batch.image
        count += image.shape[0] * image.shape[1]
    return count


def timed(work: Callable[[], int], repeats: int = REPEATS) -> tuple[int, float]:
    """Return what the work counts, and the best of several times in seconds; disks and neighbours only slow it down."""
    counts, seconds = set(), []
    for _ in range(repeats):
        begin = time.perf_counter()
        counts.add(work())
        seconds.append(time.perf_counter() - begin)
    return counts.pop(), min(seconds)


def counting_decodes() -> Callable[[], int]:
    """Count the frames that come out of decoders from now on."""
    counter = itertools.count()
    original = recorded.planes

    def counted(image, size):  # noqa: ANN001, ANN202
        next(counter)
        return original(image, size)

    recorded.planes = counted
    return lambda: next(counter)


def read_folder(name: str, root: Path, size: tuple[int, int], clip: int, cache: Path) -> list[Row]:
    """Bare cv2, an epoch without cache, an epoch with a warm one."""
    options = {
        "train_clip_length": clip,
        "frames_between_clips": clip - 5,  # so that every frame with a full window before it is judged once
        "num_workers": 0,
        "image_size": size,
        "val_split_mode": "none",
        "test_dir": "none",
    }
    folder = next(root / sub for sub in ("training/frames", "training") if (root / sub).is_dir())
    count, bare = timed(lambda: bare_cv2(folder, size))
    rows: list[Row] = [
        {"files": name, "reader": "bare cv2, decode and resize", "frames_per_s": count / bare, "ratio": 1.0}
    ]

    videos = [recorded.open_video(path, size) for path in find_videos(folder)]
    _, alone = timed(lambda: our_reader(videos))
    row = {"files": name, "reader": "ours, decode, resize and split", "frames_per_s": count / alone}
    rows.append(row | {"ratio": bare / alone})
    plain = VideoFolder(root, **options)
    plain.has_test_videos = lambda: False
    plain.setup("fit")
    decodes = counting_decodes()
    collated, seconds = timed(lambda: an_epoch(plain))
    unique = sum((n - 1) * (clip - 5) + clip for n in plain.train_data.clips_of_video)
    rows.append(
        {
            "files": name,
            "reader": f"ours, clips of {clip}, no cache",
            "frames_per_s": unique / seconds,
            "ratio": unique / seconds / (count / bare),
            "decodes_per_frame": decodes() / REPEATS / unique,
            "collated_frames_per_s": collated / seconds,
        }
    )
    cached = VideoFolder(root, cache_dir=cache, **options)
    cached.has_test_videos = lambda: False
    cached.setup("fit")
    for kind, floats in (("bytes", False), ("floats", True)):
        collated, seconds = timed(lambda floats=floats: an_epoch(cached, floats))
        rows.append(
            {
                "files": name,
                "reader": f"ours, clips of {clip}, warm cache, {kind}",
                "frames_per_s": unique / seconds,
                "ratio": unique / seconds / (count / bare),
                "collated_frames_per_s": collated / seconds,
            }
        )
    return rows


def beside_anomalib(source: Path, scratch: Path, num_frames: int = 120) -> list[Row]:
    """Read clips of 6 at stride 1 by anomalib's UCSDped and by ours, from the same TIFF files, at their own size."""
    from anomalib.data import UCSDped

    for split in ("Train", "Test"):
        folder = scratch / "UCSDped2" / split / f"{split}001"
        folder.mkdir(parents=True)
        truth = scratch / "UCSDped2" / split / f"{split}001_gt"
        truth.mkdir()
        video = find_videos(next(source / sub for sub in ("training/frames", "training") if (source / sub).is_dir()))[0]
        for place, path in enumerate(list_images(video)[:num_frames], start=1):
            grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
            cv2.imwrite(str(folder / f"{place:03d}.tif"), grey)
            cv2.imwrite(str(truth / f"{place:03d}.bmp"), 0 * grey)
    options = {"clip_length_in_frames": 6, "train_batch_size": 8, "num_workers": 0, "frames_between_clips": 1}
    theirs, ours = UCSDped(scratch, **options), UCSDClips(scratch, val_split_mode="none", **options)
    rows: list[Row] = []
    for name, data in (("anomalib's UCSDped", theirs), ("ours, UCSDClips", ours)):
        data.setup("fit")
        collated, seconds = timed(lambda data=data: an_epoch(data, floats=True))
        rows.append({"files": "TIFF, UCSD layout", "reader": name, "collated_frames_per_s": collated / seconds})
    for row in rows:
        row["ratio"] = float(row["collated_frames_per_s"]) / float(rows[0]["collated_frames_per_s"])
    return rows


def main() -> None:
    """Run all and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ped2", type=Path, help="folder of Ped2 as JPEG frames")
    parser.add_argument("--ped2_h264", type=Path, help="folder of Ped2 as H.264 files")
    parser.add_argument("--videos", type=Path, help="folder of any other videos, in training/")
    parser.add_argument("--size", type=int, nargs=2, default=(256, 256), help="height and width to resize to")
    parser.add_argument("--frames", type=int, default=16, help="per clip")
    parser.add_argument("--json", type=Path, help="file to write the rows to")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as scratch:
        sources = {"Ped2, JPEG": options.ped2, "Ped2, H.264": options.ped2_h264, "others": options.videos}
        found = {name: path for name, path in sources.items() if path is not None}
        if not found:
            scene = Path(scratch) / "scene"
            write_scene(scene, num_training=4, num_testing=1, num_frames=120)
            found = {"drawn scene, PNG": scene}
        rows = []
        for name, path in found.items():
            rows += read_folder(name, path, tuple(options.size), options.frames, Path(scratch) / "cache")
        rows += beside_anomalib(next(iter(found.values())), Path(scratch) / "ucsd")
    for row in rows:
        figures = ", ".join(f"{key} {value:.2f}" for key, value in row.items() if isinstance(value, float))
        print(f"{row['files']:20} {row['reader']:42} {figures}")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
