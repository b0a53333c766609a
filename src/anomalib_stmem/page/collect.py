"""Reads what a results folder holds, as plain data for the page; never a file from outside the folder."""

import base64
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from ..results.files import ANNOTATED, EVENTS, PERSPECTIVE, PLAIN, RUN, SCORES, STRIP, UNFINISHED
from ..results.judged_frame import THRESHOLD
from ..results.reading import inside, is_unfinished, is_video, read_events, read_json, read_scores
from ..video.damaged_files import picture_or_none, refuse_damaged
from ..video.names import natural_order

MOST_POINTS = 3000  # of a curve; of longer ones the highest of each stretch is kept
THUMBNAIL = 240  # pixels, width
MOST_PICTURES = 300  # of events in a page, with their clips: those of the highest scores; with more it opens slowly
PICTURE = 720  # the same of the picture of perspective
BINS = 40
FILMS = {"plain": PLAIN, "annotated": ANNOTATED}
MOST_MEGABYTES = 200  # of films and clips in a page


class Media:
    """Films and clips of a page, up to a limit, by the name under which the page finds them.

    Args:
        megabytes: the limit.
    """

    def __init__(self, megabytes: float = MOST_MEGABYTES) -> None:
        self.held: dict[str, str] = {}  # base64
        self._left = megabytes * 1e6
        self.num_left_out = 0

    def add(self, path: Path) -> str | None:
        """Take a file in; its name, or ``None`` where it is not there or there is no room."""
        if not path.is_file():
            return None
        if path.stat().st_size > self._left:
            self.num_left_out += 1
            return None
        self._left -= path.stat().st_size
        name = f"media-{len(self.held)}"
        self.held[name] = base64.b64encode(path.read_bytes()).decode()
        return name


def collect(results: Path, media: Media) -> dict[str, Any]:
    """Read a folder of ``stmem watch``, ``anomalib test`` or ``anomalib predict``, or one that holds such.

    Raises:
        FileNotFoundError: there is no such folder, or no judged video in it.
        ValueError: a file in it is damaged.
    """
    if not results.is_dir():
        msg = f"There is no folder {results.absolute()}. Expected results of `stmem watch` or `anomalib predict`."
        raise FileNotFoundError(msg)
    told = {path.parent for name in (EVENTS, SCORES + UNFINISHED) for path in _found(results, name)}
    folders = sorted((folder for folder in told if is_video(folder, results)), key=natural_order)
    if not folders:
        msg = f"No judged video in {results}: no folder in it has {SCORES} and {EVENTS}."
        raise FileNotFoundError(msg)
    scores = [read_scores(folder) for folder in folders]
    events = [read_events(folder, results) for folder in folders]
    highest = sorted((event for some in events for event in some), key=lambda event: -_score_of(event))
    pictured = {id(event) for event in highest[:MOST_PICTURES]}
    about = zip(folders, scores, events, strict=True)
    videos = [_video(folder, frames, some, pictured, results, media) for folder, frames, some in about]
    return {
        "title": "/".join(part for part in results.parts[-3:] if part != "/") or results.resolve().name,
        "results": str(results),
        "threshold": THRESHOLD,
        "strip": STRIP,
        "videos": videos,
        "scores": _distribution(scores),
        "runs": [_record(path, model=dict) for path in _found(results, RUN)],
        "tests": [_record(path, metrics=dict, tables=dict, config=dict) for path in _found(results, "report.json")],
        "pictures_left_out": max(0, len(highest) - MOST_PICTURES),
        "perspective": [_thumbnail(path, PICTURE) for path in _found(results, PERSPECTIVE)],
        "training": _training(results),
    }


def _video(
    folder: Path,
    frames: pd.DataFrame,
    events: list[dict[str, Any]],
    pictured: set[int],
    results: Path,
    media: Media,
) -> dict[str, Any]:
    curve = _thinned(frames)
    films = {kind: media.add(inside(folder / file, folder)) for kind, file in FILMS.items()}
    shows_all = films["plain"] is not None or films["annotated"] is not None
    return {
        "name": _name(folder, results) + (" (unfinished)" if is_unfinished(folder) else ""),
        "first": float(frames.seconds.min()),
        "last": float(frames.seconds.max()),
        "frames": len(frames),
        "seconds": curve.seconds.round(3).tolist(),
        "score": curve.pred_score.round(4).tolist(),
        "truth": _stretches(frames),
        "films": films,
        "events": [
            event
            | {
                "thumbnail": _picture(event, "snapshot", folder) if is_pictured else None,
                "nearest": _picture(event, "nearest", folder) if is_pictured else None,
                "clip": media.add(_file_of(event, "clip", folder)) if is_pictured and not shows_all else None,
            }
            for event, is_pictured in ((event, id(event) in pictured) for event in events)
        ],
    }


def _score_of(event: dict[str, Any]) -> float:
    score = event.get("score")
    return float(score) if isinstance(score, int | float) else 0.0


def _picture(event: dict[str, Any], kind: str, folder: Path) -> str | None:
    return _thumbnail(_file_of(event, kind, folder)) if event.get(kind) else None


def _found(results: Path, name: str) -> list[Path]:
    """Find the files of a name below the results, in natural order."""
    return [inside(path, results) for path in sorted(results.rglob(name), key=natural_order)]


def _file_of(event: dict[str, Any], kind: str, folder: Path) -> Path:
    """Return a file that an event names."""
    return inside(folder / str(event.get(kind)), folder)


def _name(folder: Path, results: Path) -> str:
    """Name a video in a menu: its path below the results, of a test or prediction only the stage and what follows."""
    parts = folder.relative_to(results).parts or (folder.name,)
    if "videos" in parts[1:]:
        place = parts.index("videos", 1)
        parts = parts[place - 1 : place] + parts[place + 1 :]
    return "/".join(parts)


def _record(path: Path, **parts: type) -> dict[str, Any]:
    """Read a record whose parts are of these types.

    Raises:
        ValueError: it is damaged.
    """
    record: dict[str, Any] = read_json(path, dict)
    for name, kind in parts.items():
        if not isinstance(record.get(name), kind):
            msg = f"{path} is damaged: {name!r} is missing, or not what this package writes."
            raise ValueError(msg)  # noqa: TRY004  # the file is wrong, not a caller
    return record


def _thinned(frames: pd.DataFrame) -> pd.DataFrame:
    """Keep the highest score of each stretch, so that no peak is lost."""
    if len(frames) <= MOST_POINTS:
        return frames
    stretch = np.arange(len(frames)) * MOST_POINTS // len(frames)
    return frames.loc[frames.groupby(stretch).pred_score.idxmax()]


def _stretches(frames: pd.DataFrame) -> list[tuple[float, float]] | None:
    """Abnormal stretches in seconds by ground truth; ``None`` where it is not known."""
    if "label" not in frames or frames.label.isna().any():
        return None
    abnormal = frames.label.to_numpy() > 0
    edges = np.flatnonzero(np.diff(np.concatenate([[0], abnormal.astype(int), [0]])))
    seconds = frames.seconds.to_numpy()
    return [
        (float(seconds[start]), float(seconds[stop - 1])) for start, stop in zip(edges[::2], edges[1::2], strict=True)
    ]


def _thumbnail(path: Path, width: int = THUMBNAIL) -> str | None:
    image = picture_or_none(path)
    if image is None:
        return None
    height = round(image.shape[0] * width / image.shape[1])
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 80])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def _distribution(scores: list[pd.DataFrame]) -> dict[str, Any]:
    """Count the scores of the videos with ground truth, normal and abnormal; where none has any, all together."""
    frames = pd.concat(scores)
    known = "label" in frames and bool(frames.label.notna().any())
    if known:
        frames = frames[frames.label.notna()]
    normal = frames[frames.label == 0] if known else frames
    abnormal = frames[frames.label > 0] if known else frames[:0]
    counts = [np.histogram(part.pred_score, bins=BINS, range=(0, 1))[0].tolist() for part in (normal, abnormal)]
    above = int((normal.pred_score > THRESHOLD).sum())
    return {"known": known, "normal": counts[0], "abnormal": counts[1], "above": above, "count": len(normal)}


def _training(results: Path) -> dict[str, list[float]] | None:
    """Losses by epoch, of the run that the results are in or of one in them."""
    near = [results.resolve(), *results.resolve().parents[:2]]
    found = [inside(folder / "training.csv", folder) for folder in near if (folder / "training.csv").is_file()]
    found += _found(results, "training.csv")
    if not found:
        return None
    with refuse_damaged(found[0], "table of losses"):
        table = pd.read_csv(found[0])
        if not {"epoch", "loss"} <= set(table.columns) or table.loss.isna().all():
            return None
        known = table[table.loss.notna()].astype({"epoch": int, "loss": float})
        return {"epoch": known.epoch.tolist(), "loss": known.loss.tolist()}
