"""What is killed: each command that writes, small; and what is to be equal in the end."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import pandas as pd
import torch
from cameras import GREY, WHITE
from makers import picture

NEW = re.compile(r"_\d+$")  # of a results folder with a number


class Job(NamedTuple):
    """A command, and what it leaves."""

    run: Callable[[Path, Path], int]  # of the inputs and the folder to write to
    left: Callable[[Path], Any]  # what is to be equal, whatever happened before


def make_inputs(inputs: Path) -> int:
    """Write a checkpoint, videos, a scene and results, as the jobs read them."""
    from faults.originals import _checkpoint
    from faults.results_of import watched_results

    from anomalib_stmem import write_scene

    _checkpoint(inputs, 0)
    checkpoint = torch.load(inputs / "model.ckpt", weights_only=True)
    checkpoint["state_dict"]["post_processor.frame_rate"].fill_(10.0)
    checkpoint["state_dict"]["post_processor._image_threshold"].fill_(-9.0)  # everything is an alarm
    torch.save(checkpoint, inputs / "model.ckpt")
    (inputs / "day").mkdir()
    for name in ("gate", "yard"):
        writer = cv2.VideoWriter(str(inputs / "day" / f"{name}.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
        for place in range(40):
            writer.write(picture(WHITE if 15 <= place < 30 else GREY, place))
        writer.release()
    write_scene(inputs / "scene", num_training=3, num_testing=1, num_frames=24)
    watched_results(inputs / "results", 0)
    return 0


def _stmem(*arguments: str | Path) -> int:
    from anomalib_stmem.cli import main

    return main([str(argument) for argument in arguments])


def _watch(inputs: Path, out: Path) -> int:
    return _stmem("watch", inputs / "day", "--ckpt", inputs / "model.ckpt", "--results", out / "watch")


def _watched(out: Path) -> Any:
    folder = max(out.glob("watch*"), key=lambda path: int(NEW.search(path.name)[0][1:]) if NEW.search(path.name) else 1)
    scores = {path.parent.name: pd.read_csv(path).to_csv() for path in folder.rglob("scores.csv")}
    events = {path.parent.name: path.read_text() for path in folder.rglob("events.json")}
    return scores, events, len((folder / "events.jsonl").read_text().splitlines())


def _calibrate(inputs: Path, out: Path) -> int:
    given = "--ckpt", inputs / "model.ckpt", "--out", out / "new.ckpt"
    return _stmem("calibrate", inputs / "day" / "gate.avi", *given)


def _accept(inputs: Path, out: Path) -> int:
    return _stmem("accept", inputs / "watched", "gate/1", "--ckpt", inputs / "model.ckpt", "--out", out / "new.ckpt")


def _checkpoints(out: Path) -> Any:
    found = {}
    for path in out.rglob("*.ckpt"):
        state = torch.load(path, weights_only=True)["state_dict"]
        found[path.name] = {name: hashlib.sha256(value.numpy().tobytes()).hexdigest() for name, value in state.items()}
    return found


def _report(inputs: Path, out: Path) -> int:
    return _stmem("report", inputs / "results", "--page", out / "page.html")


def _page(out: Path) -> Any:
    return (out / "page.html").read_text()


def _fit(inputs: Path, out: Path) -> int:
    from anomalib.engine import Engine
    from conftest import TINY_DATA, TINY_MODEL

    from anomalib_stmem import STMem, VideoFolder
    from anomalib_stmem.shell import save_when_stopped

    save_when_stopped.SAVE_EVERY = 0.0
    stopped = sorted(out.rglob("*.ckpt"), key=lambda path: path.stat().st_mtime)
    options = {"enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu", "max_epochs": 2}
    engine, model = Engine(default_root_dir=out, **options), STMem(**TINY_MODEL)
    data = VideoFolder(inputs / "scene", **TINY_DATA)
    engine.fit(model, datamodule=data, ckpt_path=stopped[-1] if stopped else None)
    return 0


def _fitted(out: Path) -> Any:
    newest = max(out.rglob("model.ckpt"), key=lambda path: path.stat().st_mtime)
    return _checkpoints(newest.parent)


def _learn(inputs: Path, out: Path) -> int:
    from conftest import TINY_MODEL

    from anomalib_stmem import STMem
    from anomalib_stmem.learning import learn
    from anomalib_stmem.shell import save_when_stopped

    save_when_stopped.SAVE_EVERY = 0.1
    learn.STMem = lambda **given: STMem(**given | TINY_MODEL)  # type: ignore[assignment,misc]
    return _stmem("learn", inputs / "long.mp4", "--out", out / "gate.ckpt", "--minutes", "0.05")


def _learned(out: Path) -> Any:
    return sorted(path.name for path in out.iterdir())  # how long it learned is a matter of time


def _archive(inputs: Path, out: Path) -> int:
    from anomalib.engine import Engine
    from conftest import TINY_MODEL

    from anomalib_stmem import STMem, VideoArchive

    data = VideoArchive(inputs / "day", results_dir=out / "scores", num_workers=0)
    engine = Engine(default_root_dir=out / "run", accelerator="cpu", enable_progress_bar=False, logger=False)
    options = TINY_MODEL | {"appearance": True}
    engine.predict(STMem(**options), datamodule=data, ckpt_path=inputs / "model.ckpt", return_predictions=False)
    return 0


def _judged(out: Path) -> Any:
    return {path.name: path.read_text() for path in (out / "scores").rglob("*.csv")}


def _export(inputs: Path, out: Path) -> int:
    from trained import calibrated

    del inputs
    calibrated(appearance=False).to_onnx(out / "export")
    return 0


def _exported(out: Path) -> Any:
    from anomalib_stmem.runtime.checksums import refuse_broken

    refuse_broken(out / "export" / "weights" / "onnx" / "stream.onnx")
    return sorted(path.name for path in out.rglob("*") if path.is_file())


JOBS = {
    "stmem watch": Job(_watch, _watched),
    "stmem calibrate": Job(_calibrate, _checkpoints),
    "stmem accept": Job(_accept, _checkpoints),
    "stmem report": Job(_report, _page),
    "stmem learn": Job(_learn, _learned),
    "anomalib fit": Job(_fit, _fitted),
    "anomalib predict, an archive": Job(_archive, _judged),
    "anomalib export": Job(_export, _exported),
}


def broken_files(folder: Path) -> list[str]:
    """Name the files under final names that are not whole."""
    return [f"{path.relative_to(folder)}: {why}" for path in sorted(folder.rglob("*")) if (why := _why_broken(path))]


def _why_broken(path: Path) -> str | None:
    readers: dict[str, Callable[[Path], Any]] = {
        ".json": lambda file: json.loads(file.read_text()),
        ".jsonl": lambda file: [json.loads(line) for line in file.read_text().splitlines()],
        ".csv": pd.read_csv,
        ".ckpt": _read_checkpoint,
        ".mp4": _read_film,
        ".jpg": _read_picture,
        ".png": _read_picture,
        ".html": lambda file: file.read_text().rstrip().endswith("</html>") or 1 / 0,
    }
    in_progress = "unfinished" in path.parts
    if not path.is_file() or path.suffix not in readers or in_progress:
        return None
    if path.name == "run.json" and not path.stat().st_size:
        return None  # the mark of a watch that had hardly begun
    try:
        readers[path.suffix](path)
    except Exception as error:  # noqa: BLE001  # whatever a reader says
        return f"{error!r}"
    return None


def _read_checkpoint(path: Path) -> None:
    from anomalib_stmem.model.checkpoint import read_checkpoint

    read_checkpoint(path)


def _read_film(path: Path) -> None:
    import av

    with av.open(str(path)) as film:
        assert sum(1 for _ in film.decode(video=0)) == film.streams.video[0].frames > 0


def _read_picture(path: Path) -> None:
    assert cv2.imread(str(path)) is not None
