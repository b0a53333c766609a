"""Reads what a watch, a test or a prediction has written, also of a video that was broken off; damage is refused."""

import json
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..video.damaged_files import refuse_damaged
from .files import EVENT_LINES, EVENTS, RUN, SCORES, UNFINISHED

if TYPE_CHECKING:  # a third of a second
    import pandas as pd

NUMBERS = ("id", "start", "end", "peak", "start_frame", "end_frame", "peak_frame")  # that an event must have
TEXTS = ("reason", "kind")  # the same
FILES = ("snapshot", "clip", "nearest", "plain")  # that an event may name


def read_json(path: Path, kind: type) -> Any:  # noqa: ANN401  # whatever JSON holds
    """Read a JSON file that holds a ``dict`` or a ``list``.

    Raises:
        ValueError: it is damaged, or holds something else.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        msg = f"{path} is damaged: {error}."
        raise ValueError(msg) from error
    if not isinstance(data, kind):
        msg = (
            f"{path} is damaged: it holds no {'list' if kind is list else 'record'}. Expected what this package writes."
        )
        raise ValueError(msg)  # noqa: TRY004  # the file is wrong, not a caller
    return data


def inside(path: Path, folder: Path) -> Path:
    """Hand back a path that really lies in a folder: what a link or an event names outside it is not shown to anybody.

    Raises:
        ValueError: it lies elsewhere.
    """
    if not path.resolve().is_relative_to(folder.resolve()):
        msg = f"{path} leads out of its results folder, to {path.resolve()}. A page holds files of the results only."
        raise ValueError(msg)
    return path


def is_video(folder: Path, results: Path) -> bool:
    """Whether a folder below some results holds what is kept of one video, whole or broken off."""
    is_whole = (folder / SCORES).is_file() and (folder / EVENTS).is_file()
    return is_whole or (is_unfinished(folder) and _run_of(folder, results) is not None)


def is_unfinished(folder: Path) -> bool:
    """Whether a video is still being judged, or was broken off by a crash, ``kill -9`` or a power cut."""
    return (folder / (SCORES + UNFINISHED)).is_file()


def read_scores(folder: Path) -> "pd.DataFrame":
    """Read the scores of a video's frames: ``seconds``, ``pred_score`` and what else there is.

    Raises:
        ValueError: the file is damaged, or holds no frame.
    """
    import pandas as pd

    unfinished = is_unfinished(folder)
    path = inside(folder / (SCORES + UNFINISHED if unfinished else SCORES), folder)
    with refuse_damaged(path, "table of scores"):
        data = path.read_bytes()
        data = data[: data.rfind(b"\n") + 1] if unfinished else data  # the last row may be cut
        frames = pd.read_csv(BytesIO(data), skip_blank_lines=False)
    lacking = {"seconds", "pred_score"} - set(frames.columns)
    if lacking or frames.empty:
        msg = f"{path} lacks {', '.join(sorted(lacking)) or 'frames'}. Expected what `stmem watch` writes."
        raise ValueError(msg)
    known = [name for name in ("seconds", "pred_score", "label") if name in frames]
    numbers = frames[known].apply(pd.to_numeric, errors="coerce")
    is_damaged = (numbers.isna() & frames[known].notna()).any(axis=1) | numbers[["seconds", "pred_score"]].isna().any(
        axis=1
    )
    if is_damaged.any():
        msg = f"{path} is damaged in line {int(is_damaged.idxmax()) + 2}: a number is missing or none."
        raise ValueError(msg)
    frames[known] = numbers
    return frames


def read_events(folder: Path, results: Path) -> list[dict[str, Any]]:
    """Read the events of a video, with files relative to its folder; of one that was broken off from the event lines.

    Args:
        folder: of the video.
        results: where its run is looked for, at most so high.

    Raises:
        ValueError: a file is damaged, or an event lacks what it must have.
    """
    if not is_unfinished(folder) and (folder / EVENTS).is_file():
        path = inside(folder / EVENTS, folder)
        events = read_json(path, list)
    else:
        run = _run_of(folder, results)
        events, path = ([], folder) if run is None else (_told(run, folder), run / EVENT_LINES)
    for event in events:
        _check(event, path)
    return list(events)


def _run_of(folder: Path, results: Path) -> Path | None:
    """Find the folder of the watch that a video belongs to."""
    places = [place for place in (folder, *folder.parents) if place == results or results in place.parents]
    return next((place for place in places if (place / RUN).is_file()), None)


def _told(run: Path, folder: Path) -> list[dict[str, Any]]:
    """Take from the event lines what was told last of each event of a video."""
    path, below = inside(run / EVENT_LINES, run), folder.relative_to(run)
    if not path.is_file():
        return []
    lines = path.read_bytes().splitlines(keepends=True)
    events: dict[Any, dict[str, Any]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.endswith(b"\n"):  # cut as it was written
            continue
        with refuse_damaged(path, f"list of events in line {number}"):
            event = dict(json.loads(line))
            files = {name: event[name] for name in FILES if event.get(name) is not None}
            if Path(files.get("snapshot", "")).parent.parent == below:  # none where the disk took no more
                own = {name: Path(file).relative_to(below).as_posix() for name, file in files.items()}
                events[event["id"]] = {name: value for name, value in event.items() if name != "state"} | own
    return list(events.values())


def _check(event: Any, path: Path) -> None:  # noqa: ANN401
    """Refuse an event without the numbers and texts that the page shows."""
    is_whole = isinstance(event, dict)
    is_whole = is_whole and all(type(event.get(name)) in {int, float} for name in NUMBERS)
    if not (is_whole and all(isinstance(event.get(name), str) for name in TEXTS)):
        msg = f"{path} is damaged: an event lacks {', '.join(NUMBERS + TEXTS)}, or one of them is no such thing."
        raise ValueError(msg)
