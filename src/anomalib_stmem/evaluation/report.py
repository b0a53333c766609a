"""What a run did, on record: losses, every judged frame, result tables beside the controls, and the curves."""

import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from lightning.pytorch import Callback, Trainer
from rich.console import Console
from rich.table import Table

from ..batch import JudgedBatch
from ..data.archive import archive_of
from ..data.frames import natural_order
from ..model.scoring import MEASUREMENTS, ScoreHead
from ..record.files import fresh_folder
from .controls import control_scores
from .normalisation import NORMALISATIONS, SMOOTHINGS
from .tables import compare

if TYPE_CHECKING:
    from ..lightning_model import STMem

PACKAGES = ("anomalib-stmem", "anomalib", "lightning", "torch", "torchvision", "opencv-python-headless", "numpy")
HEADINGS = {
    "none": "no normalisation",
    "calibrated": "calibrated (live)",
    "running": "running",
    "per_video": "per video*",
}
CALIBRATED_ON = {
    "from_train": "held-out training videos",
    "none": "training videos, so the threshold is too low",
    "same_as_test": "the test videos and their labels, so figures at the threshold are too good",
}
ORACLE = "* Per-video min-max needs the whole test video; no live camera has it."


class RunReport(Callback):
    """Keep the losses of a training, and the judged frames of a test or prediction; write and print what they say.

    Files, in the run's folder: ``training.csv`` (one row per epoch: losses, and how much of each memory is alive;
    anomalib starts no logger by itself), and in a folder of the stage ``scores.csv`` (one row per judged frame: video,
    frame, label, score, every measurement and control), ``report.json`` and ``report.md`` (what was tested on what, all
    metrics, and the tables under every smoothing), ``curves/`` (the score of each video over time, as Fig. 6; the ROC,
    as Fig. 8). A file of an earlier test is never overwritten; the new folder gets a number.
    """

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[pd.DataFrame] = []
        self._epochs: list[dict[str, float]] = []

    def on_train_start(self, trainer: Trainer, pl_module: "STMem") -> None:
        """Begin a new record."""
        del trainer, pl_module
        self._epochs = []

    def on_train_epoch_end(self, trainer: Trainer, pl_module: "STMem") -> None:
        """Record an epoch; the file is whole after each, so a run that is stopped keeps its record."""
        del pl_module
        logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self._epochs.append({"epoch": trainer.current_epoch, **logged})
        if trainer.is_global_zero:
            folder = Path(trainer.default_root_dir)
            folder.mkdir(parents=True, exist_ok=True)
            pd.DataFrame(self._epochs).to_csv(folder / "training.csv", index=False)

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: "STMem",
        outputs: Any,  # noqa: ANN401
        *args: Any,  # noqa: ANN401
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        """Record a batch."""
        del args, kwargs
        if archive_of(trainer) is not None:
            return
        self._rows.append(frame_rows(outputs, pl_module.model.head))

    on_predict_batch_end = on_test_batch_end  # type: ignore[assignment]  # same arguments

    def on_test_end(self, trainer: Trainer, pl_module: "STMem") -> None:
        """Write files and print the table; here and not at the end of the epoch, so that the metrics are known."""
        if not self._rows:
            return
        frames = self._gather()
        if not trainer.is_global_zero:
            return
        folder = stage_folder(Path(trainer.default_root_dir), "test")
        frames.to_csv(folder / "scores.csv", index=False)
        head = pl_module.model.head
        tables = {smoothing: compare(frames, head, smoothing) for smoothing in SMOOTHINGS}
        about = describe(trainer, pl_module, frames)
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        rows = {smoothing: table.to_dict("index") for smoothing, table in tables.items()}
        (folder / "report.json").write_text(json.dumps(about | {"metrics": metrics, "tables": rows}, indent=2))
        (folder / "report.md").write_text(markdown(about, metrics, tables))
        from .curves import draw_curves, draw_roc

        draw_curves(frames, folder / "curves", pl_module.post_processor)
        draw_roc(frames, head, folder / "curves" / "roc.png")
        _print(tables["none"], about, folder)

    def on_predict_epoch_end(self, trainer: Trainer, pl_module: "STMem") -> None:
        """Write files."""
        if not self._rows:
            return
        frames = self._gather()
        if not trainer.is_global_zero:
            return
        folder = stage_folder(Path(trainer.default_root_dir), "predict")
        frames.to_csv(folder / "scores.csv", index=False)
        from .curves import draw_curves

        draw_curves(frames, folder / "curves", pl_module.post_processor)
        Console().print(f"Scores and curves of {frames.video.nunique()} videos are in {folder}")

    def _gather(self) -> pd.DataFrame:
        frames, self._rows = gather(self._rows), []
        return frames


def gather(batches: list[pd.DataFrame]) -> pd.DataFrame:
    """Join the rows of all batches and devices, sorted; a frame that a distributed sampler repeated counts once."""
    rows = pd.concat(batches, ignore_index=True)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        parts: list[Any] = [None] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(parts, rows)
        rows = pd.concat(parts, ignore_index=True)
    rows = rows.drop_duplicates(["video", "frame"])
    order = {video: place for place, video in enumerate(sorted(rows.video.unique(), key=_natural))}
    return (
        rows.assign(place=rows.video.map(order))
        .sort_values(["place", "frame"], ignore_index=True)
        .drop(columns="place")
    )


def frame_rows(batch: JudgedBatch, head: ScoreHead) -> pd.DataFrame:
    """One row per judged frame of a batch, post-processed already."""
    count = len(batch.image)
    indices = batch.frames if batch.frames is not None else torch.arange(count)
    columns: dict[str, Any] = {
        "video": batch.video_name if batch.video_name is not None else ["video"] * count,
        "frame": indices.cpu().numpy(),
        "label": batch.gt_label.int().cpu().numpy() if batch.gt_label is not None else np.nan,
        "pred_score": batch.pred_score.cpu().numpy(),
        "pred_label": batch.pred_label.int().cpu().numpy() if batch.pred_label is not None else np.nan,
        "score": head(batch.measurements).cpu().numpy(),
    }
    measured = batch.measurements.cpu().numpy()
    columns |= {name: measured[:, column] for column, name in enumerate(MEASUREMENTS)}
    controls = control_scores(batch.image, indices.to(batch.image.device))
    columns |= {name: score.cpu().numpy() for name, score in controls.items()}
    return pd.DataFrame(columns)


def describe(trainer: Trainer, model: "STMem", frames: pd.DataFrame) -> dict[str, Any]:
    """Say what was tested on what, so that a figure can be traced and repeated."""
    data = getattr(trainer, "datamodule", None) or getattr(model, "demo_data", None)
    config = {"model": _plain(dict(model.hparams)), "data": _plain(vars(data)) if data is not None else {}}
    checkpoint = Path(trainer.ckpt_path) if trainer.ckpt_path else None
    epochs = max(trainer.current_epoch, model.loaded_epochs)  # a test by itself knows only the checkpoint's
    return {
        "dataset": "the loaders given" if data is None else f"{type(data).__name__} at {getattr(data, 'root', '?')}",
        "label_set": getattr(data, "label_set", "as the data gives them"),
        "protocol": f"{model.learning_type.value}, windows of {model.model.window} frames, after {epochs} epochs",
        "calibrated_on": CALIBRATED_ON.get(str(config["data"].get("val_split_mode")), "validation data"),
        "threshold": getattr(model.post_processor, "basis", lambda: "as the post-processor set it")(),
        "videos": int(frames.video.nunique()),
        "frames_judged": len(frames),
        "frames_abnormal": int(frames.label.sum()),
        "frames_left_out": int(frames.groupby("video").frame.min().sum()),
        "seed": model.hparams.get("seed"),
        "config_hash": hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:12],
        "checkpoint": None if checkpoint is None else f"{checkpoint} (sha256 {_file_hash(checkpoint)})",
        "packages": {name: version(name) for name in PACKAGES},
        "config": config,
    }


def coverage(about: dict[str, Any]) -> str:
    """Say which frames count."""
    window = about["config"]["model"]["window"]
    return (
        f"{about['frames_judged']} frames of {about['videos']} videos judged, {about['frames_abnormal']} abnormal; the "
        f"first {window} or more frames of each video have no past and are left out ({about['frames_left_out']} frames)"
    )


def markdown(about: dict[str, Any], metrics: dict[str, float], tables: dict[Any, pd.DataFrame]) -> str:
    """Write the report as one page."""
    facts = {name: value for name, value in about.items() if name not in {"config", "packages"}}
    lines = [
        "# Test report",
        "",
        f"{coverage(about)}.",
        "",
        *(f"- {name.replace('_', ' ')}: {value}" for name, value in facts.items()),
    ]
    lines += [f"- packages: {', '.join(f'{name} {number}' for name, number in about['packages'].items())}", ""]
    lines += ["| metric | value |", "| --- | --- |", *(f"| {name} | {value:.4f} |" for name, value in metrics.items())]
    return "\n".join([*lines, "", markdown_tables(tables)])


def markdown_tables(tables: dict[Any, pd.DataFrame]) -> str:
    """Write the comparison under each smoothing."""
    headings = [*HEADINGS.values(), "macro", "padded macro", "above frame difference, calibrated"]
    lines: list[str] = []
    for smoothing, table in tables.items():
        lines += [f"## Frame AUROC in %, smoothing: {smoothing}", ""]
        lines += [f"| score | {' | '.join(headings)} |", f"| {' | '.join(['---'] * (1 + len(headings)))} |"]
        lines += [*(f"| {name} | {' | '.join(cells(row))} |" for name, row in table.iterrows()), ""]
    return "\n".join([*lines, f"Brackets: 95 % bootstrap interval over videos. {ORACLE}", ""])


def cells(row: pd.Series) -> list[str]:
    """Format one row of a table."""
    figures = [f"{row[how]:.1f} [{row[f'{how}_low']:.0f}, {row[f'{how}_high']:.0f}]" for how in NORMALISATIONS]
    gain = f"[{row.calibrated_gain_low:+.1f}, {row.calibrated_gain_high:+.1f}]"
    return [*figures, f"{row.macro:.1f}", f"{row.padded:.1f}", gain]


def _natural(video: str) -> list[list[tuple[int, int, str]]]:
    return natural_order(Path(video))


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    """Keep what is a setting: numbers, texts, paths, enums and lists of them, in a form that JSON takes."""
    kept = {}
    for name, value in options.items():
        plain = getattr(value, "value", value)
        if isinstance(plain, Path):
            plain = str(plain)
        if not name.startswith("_") and isinstance(plain, str | int | float | bool | list | tuple | None):
            kept[name] = list(plain) if isinstance(plain, tuple) else plain
    return kept


def _file_hash(path: Path) -> str:
    if not path.is_file():
        return "unknown"
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:12]


def stage_folder(root: Path, stage: str) -> Path:
    """Make ``root/stage``, or ``root/stage_2`` and so on where an earlier run left its scores."""
    folder = fresh_folder(root / stage, mark="scores.csv")
    (folder / "curves").mkdir(parents=True, exist_ok=True)
    return folder


def _print(table: pd.DataFrame, about: dict[str, Any], folder: Path) -> None:
    caption = f"{coverage(about)}.\n{about['threshold']}\n{ORACLE} Files: {folder}"
    shown = Table(title="Frame AUROC, % [95 % interval over videos]", caption=caption)
    for heading in ("score", *HEADINGS.values(), "macro", "padded", "above frame difference"):
        shown.add_column(heading, justify="left" if heading == "score" else "right")
    for name, row in table.iterrows():
        shown.add_row(str(name), *cells(row))
    console = Console()
    (console if console.is_terminal else Console(width=max(console.width, 140))).print(shown)
