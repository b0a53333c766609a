"""What becomes of a broken file: each kind goes to the code that reads it, as a user's file would."""

import io
import json
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, suppress
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from cameras import WINDOW, WhiteAlarm
from makers import write_numbered
from rich.console import Console

TOLD = (ValueError, OSError, ModuleNotFoundError)  # errors that the commands print as a sentence
# Bad outcomes; those of workers.py are hang, death and memory.
WHOLE, SAID, REFUSED, AS_IT_SAYS = "whole", "in part, and said", "refused", "other, as the file says"
SILENT, TRACEBACK = "silently other", "traceback"
BAD = (SILENT, TRACEBACK, "hang", "death", "memory")


class Outcome(NamedTuple):
    """What came of a file."""

    what: str
    words: str = ""


def video(folder: Path, _whole: Path) -> Outcome:
    """Watch a video with a network that alarms at white, and compare the frames with those that cv2 decodes."""
    path = next(folder.iterdir())
    return _loaded(path) or _watched(path, _decoded_by_cv2(path))


def pictures(folder: Path, _whole: Path) -> Outcome:
    """Watch a folder of pictures; a standard decoder is cv2."""
    path = folder / "gate"
    standard = sum(_is_decoded_by_cv2(file) for file in sorted(path.iterdir()))
    return _loaded(path) or _watched(path, standard)


def _is_decoded_by_cv2(file: Path) -> bool:
    with suppress(cv2.error):
        return cv2.imread(str(file)) is not None
    return False


def _loaded(path: Path) -> Outcome | None:
    """Read it as the data sets do; the outcome if it is a bad one."""
    from anomalib_stmem.video.recorded import open_video

    try:
        opened = open_video(path, (16, 24), damaged="keep")
        count = sum(1 for _ in opened.frames())
    except ValueError as error:
        return None if path.name in str(error) else Outcome(TRACEBACK, f"without the file's name: {error}")
    fits = count == opened.num_frames
    return None if fits else Outcome(SILENT, f"{opened.num_frames} frames counted, {count} read")


def _decoded_by_cv2(path: Path) -> int:
    capture, count = cv2.VideoCapture(str(path)), 0
    while count < 1000 and capture.read()[0]:
        count += 1
    capture.release()
    return count


def _watched(path: Path, standard: int) -> Outcome:
    from anomalib_stmem.watching import watch

    watch.FrameStreams = WhiteAlarm  # type: ignore[assignment,misc]
    console = Console(file=io.StringIO(), width=1000)
    outcome = watch.watch([str(path)], "m.ckpt", path.parent / "results", films=False, console=console, patience=1)
    words = console.file.getvalue()  # type: ignore[attr-defined]
    run = json.loads((outcome.folder / "run.json").read_text())["sources"][0]
    parts = ["judged", "not_judged", "late", "skipped", "repeated", "damaged", "dropped", "left"]
    if sum(run[f"frames_{part}"] for part in parts) != run["frames_read"]:
        return Outcome(SILENT, f"the sum of reasons is wrong: {run}")
    if outcome.failures:
        return Outcome(SAID if run["frames_judged"] else REFUSED, outcome.failures[0])
    said = [line for line in words.splitlines() if path.name in line and ("damaged" in line or "missing" in line)]
    seen = (
        run["frames_judged"]
        + run["frames_late"]
        + min(run["frames_not_judged"], WINDOW * (1 + run["gaps"]))
        + run["frames_repeated"]
    )
    if said:
        return Outcome(SAID, said[0])
    if seen < 0.9 * standard:
        counts = {name: run[f"frames_{name}"] for name in ("read", *parts) if run[f"frames_{name}"]}
        return Outcome(SILENT, f"cv2 decodes {standard} frames, here {counts}")
    return Outcome(WHOLE)


def labels(folder: Path, whole: Path) -> Outcome:
    """Read labels of each frame."""
    from anomalib_stmem.data.labels import load_labels, split_labels

    counts = {"gate": 5, "yard": 7}
    found = np.concatenate(list(split_labels(folder / "labels.npy", counts).values()))
    return _truth(found, load_labels(whole / "labels.npy"))


def intervals(folder: Path, whole: Path) -> Outcome:
    """Read intervals."""
    from anomalib_stmem.data.labels import load_intervals

    counts = {"gate": 12, "yard": 12}
    found, known = (load_intervals(place / "labels.csv", counts) for place in (folder, whole))
    return _truth(np.concatenate(list(found.values())), np.concatenate(list(known.values())))


def masks(folder: Path, whole: Path) -> Outcome:
    """Read the mask of each frame, of a video that has so many frames of such a size."""
    from anomalib_stmem.data import labels
    from anomalib_stmem.data.masks import open_masks
    from anomalib_stmem.video.recorded import open_video

    if not (folder / "video").is_dir():
        write_numbered(folder / "video", 12, ".png", (16, 24))
    opened = open_video(folder / "video")
    name = next(path.name for path in whole.iterdir())
    both = [labels.whole("gate", opened, None, open_masks(place / name)) for place in (folder, whole)]
    found, known = (np.stack([one.mask(frame) for frame in range(opened.num_frames)]) for one in both)
    return _truth(found, known)


def _truth(found: Any, known: Any) -> Outcome:
    same = found.shape == known.shape and bool((found == known).all())
    return Outcome(WHOLE if same else AS_IT_SAYS)


def results(folder: Path, _whole: Path) -> Outcome:
    """Write the page, of a watch that was broken off where the file tells only of that."""
    from anomalib_stmem.page.page import write_page

    if (folder / "unfinished").exists():
        (folder / "unfinished").unlink()
        (folder / "gate" / "scores.csv").rename(folder / "gate" / "scores.csv.part")
        (folder / "gate" / "events.json").unlink()
    page = write_page(folder, folder / "report.html").read_text()
    told = json.loads(page.split('id="data">', 1)[1].split("</script>", 1)[0])
    return Outcome(AS_IT_SAYS if told["videos"] else SILENT)


def config(folder: Path, whole: Path) -> Outcome:
    """Read a config as ``anomalib train`` does. It has only one, which jsonargparse's sentences do not name."""
    from anomalib.cli.cli import AnomalibCLI

    def read(place: Path) -> Any:
        return AnomalibCLI(["train", "--config", str(place / "config.yaml")], run=False).config

    said = io.StringIO()
    try:
        with redirect_stderr(said):
            found = read(folder)
    except SystemExit:
        sentence = said.getvalue().partition("error: ")[2]
        return Outcome(REFUSED, f"config.yaml: {sentence}") if sentence else Outcome(TRACEBACK, said.getvalue())
    return Outcome(WHOLE if _options(found) == _options(read(whole)) else AS_IT_SAYS)


def _options(config: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(config.as_flat()).items() if name != "train.config"}


def model(folder: Path, whole: Path) -> Outcome:
    """Judge a video that is always the same."""
    name = next(path.name for path in whole.iterdir() if path.suffix in {".ckpt", ".onnx", ".xml"})
    found, known = _scores(folder / name), _scores(whole / name)
    same = found.shape == known.shape and bool((found == known).all())
    return Outcome(WHOLE if same else SILENT, "" if same else f"scores are {found[-3:]} and not {known[-3:]}")


def _scores(path: Path) -> Any:
    from anomalib_stmem import FrameStream

    stream = FrameStream(path)
    frames = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), np.uint8)
    frames[:, :, 4:] = frames[0, :, 4:]  # a picture that changes as a whole is not judged
    verdicts = [stream.push(frame) for frame in frames]
    return np.array([verdict.score for verdict in verdicts if verdict is not None])


TRIALS: dict[str, Callable[[Path, Path], Outcome]] = {
    "video": video,
    "pictures": pictures,
    "labels": labels,
    "intervals": intervals,
    "masks": masks,
    "config": config,
    "results": results,
    "model": model,
}


def attempt(trial: str, folder: Path, whole: Path, broken: str) -> Outcome:
    """Try a folder in which one file is broken, and name what comes of it.

    Args:
        trial: name in :data:`TRIALS`.
        folder: with the broken file.
        whole: the same without the damage.
        broken: name of the file that is broken, which a refusal must name, or the folder that it lies in.
    """
    try:
        outcome = TRIALS[trial](folder, whole)
    except TOLD as error:
        words = " ".join(str(error).split())
        own = isinstance(error, OSError) or Path(traceback.extract_tb(error.__traceback__)[-1].filename).match(
            "*/anomalib_stmem/*/*.py"
        )
        outcome = Outcome(REFUSED if own else TRACEBACK, words or repr(error))
    except Exception as error:  # noqa: BLE001  # whatever a library raises
        where = traceback.extract_tb(error.__traceback__)[-1]
        return Outcome(TRACEBACK, f"{error!r} at {Path(where.filename).name}:{where.lineno}"[:300])
    names = {Path(broken).name, Path(broken).stem, Path(broken).parent.name or broken}
    if outcome.what == REFUSED and not any(name in outcome.words for name in names):
        return Outcome(TRACEBACK, f"without the file's name: {outcome.words}")
    return outcome
