"""Stage anomalies in normal video of a room: the film faster, backwards, and people who run where nobody walks.

    python benchmarks/staged.py --videos PATH/upcam/day2/07.mp4 PATH/upcam/day2/12.mp4 --out staged
    anomalib test --model STMem ... --data VideoFolder --data.root staged --ckpt_path model.ckpt

Each test video is half a minute of the film with one event in it, and its frames are labelled. Nothing that was trained
on is shown. Repeated frames are left out, as ``stmem watch`` does.
"""

import argparse
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anomalib_stmem.video.recorded import read_once
from anomalib_stmem.video.repeats import Repeats

Film = NDArray[np.uint8]  # (n, h, w, 3) BGR

SECONDS, BEFORE, AFTER = 8.0, 12.0, 6.0  # of an event as it is shown, and of the film around it
SHARE = 0.005  # of the pixels that must change for somebody to be moving
CHANGE = 12  # grey levels
MIRRORED, FASTER = True, 2  # how a pasted person moves


def film_of(path: Path) -> tuple[Film, float]:
    """Decode a video without its repeats; also frames per second of what is left."""
    reading, repeats, kept, count = read_once(path, None, "keep"), Repeats(), [], 0
    rate = reading.frame_rate or 25.0
    for planes in reading.frames:
        image = np.ascontiguousarray(planes[::-1].transpose(1, 2, 0))
        if not repeats.is_repeat(image, count / rate):
            kept.append(image)
        count += 1
    return np.stack(kept), rate * len(kept) / count


def busy_places(film: Film, length: int, most: int) -> list[int]:
    """Find the starts of the busiest stretches of so many frames, apart from each other."""
    grey = np.stack([cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for image in film]).astype(np.int16)
    moves = np.array([0, *(float((np.abs(b - a) > CHANGE).mean()) for a, b in pairwise(grey))])
    # A light that is switched changes nearly everything, and is nobody.
    busy = np.convolve((moves > SHARE) & (moves < 0.5), np.ones(length), "valid")
    chosen: list[int] = []
    for start in np.argsort(-busy, kind="stable"):
        inside = 3 * length < start < len(film) - 5 * length
        if inside and all(abs(start - other) > 4 * length for other in chosen) and busy[start] > length / 4:
            chosen.append(int(start))
        if len(chosen) == most:
            break
    return sorted(chosen)


def faster(film: Film, start: int, length: int, times: int) -> Film:
    """Show what happens from a frame on so many times as fast."""
    return film[start : start + times * length : times]


def backwards(film: Film, start: int, length: int) -> Film:
    """Show it backwards."""
    return film[start : start + length][::-1]


def runner(film: Film, start: int, length: int, donor: Film, place: int) -> Film:
    """Paste whoever moves in another stretch, mirrored and twice as fast, over what happens."""
    source = donor[place : place + FASTER * length : FASTER]
    background = np.median(donor[max(0, place - 60) : place + 60 : 3], axis=0).astype(np.float32)
    result = film[start : start + length].copy()
    for number in range(min(length, len(source))):
        person = source[number].astype(np.float32)
        opacity = (np.abs(person - background).max(axis=2) > 2 * CHANGE).astype(np.float32)
        opacity = cv2.GaussianBlur(cv2.morphologyEx(opacity, cv2.MORPH_CLOSE, np.ones((5, 5))), (0, 0), 0.8)[..., None]
        person, opacity = person[:, ::-1], opacity[:, ::-1]
        result[number] = (opacity * person + (1 - opacity) * result[number]).round()
    return result


def staged(film: Film, rate: float) -> Iterator[tuple[str, Film, int, int]]:
    """Stage every kind of event at the busy places of a film: kind, frames, first and last abnormal frame."""
    length, before, after = (round(seconds * rate) for seconds in (SECONDS, BEFORE, AFTER))
    places = busy_places(film, length, 8)
    for number, start in enumerate(places):
        other = places[number - len(places) // 2]
        events = {
            "twice": faster(film, start, length, 2),
            "thrice": faster(film, start, length, 3),
            "backwards": backwards(film, start, length),
            "runner": runner(film, start, length, film, other),
        }
        for kind, event in events.items():
            past, rest = film[max(0, start - before) : start], film[start + 3 * length : start + 3 * length + after]
            yield f"{kind}_{number}", np.concatenate([past, event, rest]), len(past), len(past) + len(event) - 1


def write_film(path: Path, film: Film, rate: float) -> None:
    """Write a video without visible loss."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=Fraction(round(1000 * rate), 1000))
        stream.height, stream.width, stream.pix_fmt = film.shape[1], film.shape[2], "yuv444p"
        stream.options = {"crf": "4"}
        for image in film:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        out.mux(stream.encode())


def main() -> None:
    """Read the command line and write the videos and their labels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=Path, nargs="+", required=True, help="normal video of one room")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    options = parser.parse_args()
    rows = []
    for path in options.videos:
        film, rate = film_of(path)
        for event, frames, first, last in staged(film, rate):
            name = f"{path.stem}_{event}"
            write_film(options.out / "test" / f"{name}.mp4", frames, rate)
            rows.append({"video": name, "start": first, "end": last})
    pd.DataFrame(rows).to_csv(options.out / "labels.csv", index=False)
    print(f"{len(rows)} videos in {options.out}/test")


if __name__ == "__main__":
    main()
