"""Keeps what a training, test or prediction did: losses, every judged frame, the report and the curves."""

import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning.pytorch import Callback, Trainer
from rich.console import Console

from ..data.archive import archive_of
from ..evaluation.controls import control_scores
from ..evaluation.decided import decide, levels
from ..evaluation.event_tables import at_the_threshold, compare_events, curves_of, timeline_of
from ..evaluation.normalisation import SMOOTHINGS
from ..evaluation.tables import candidates, compare
from ..model.decision import LOW
from ..model.scoring import MEASUREMENTS
from ..model.torch_model import STMemModel
from ..results.files import PERSPECTIVE, SCORES, to_json, whole_file, write_text
from ..results.report_text import markdown, print_events, print_table
from ..results.scores_table import write_scores
from .batch import JudgedBatch
from .gather import gather
from .module import JudgingModule
from .stage_folder import StageFolder

PACKAGES = ("anomalib-stmem", "anomalib", "lightning", "torch", "torchvision", "opencv-python-headless", "numpy")
CALIBRATED_ON = {
    "from_train": "held-out training videos",
    "none": "training videos, so the threshold is too low",
    "same_as_test": "the test videos and their labels, so figures at the threshold are too good",
}


class RunReport(Callback):
    """Keep the losses of a training, and the judged frames of a test or prediction; write and print what they say.

    Files, in the run's folder: ``training.csv`` (one row per epoch: losses, and how much of each memory is alive;
    anomalib starts no logger by itself), and in a folder of the stage ``scores.csv`` (one row per judged frame: video,
    frame, label, score, every measurement and control), ``report.json`` and ``report.md`` (what was tested on what, all
    metrics, and the tables under every smoothing), ``curves/`` (the score of each video over time, as Fig. 6) and
    ``roc.png`` (as Fig. 8). A file of an earlier test is never overwritten; the new folder gets a number.

    Args:
        stage_folder: where the files of a test or prediction go.
    """

    def __init__(self, stage_folder: StageFolder) -> None:
        super().__init__()
        self._stage_folder = stage_folder
        self._rows: list[pd.DataFrame] = []
        self._picture: torch.Tensor | None = None  # (c, h, w) in [-1, 1]: one of what was judged
        self._epochs: list[dict[str, float]] = []

    def on_train_start(self, trainer: Trainer, pl_module: JudgingModule) -> None:
        """Begin a new record."""
        del trainer, pl_module
        self._epochs = []

    def on_train_epoch_end(self, trainer: Trainer, pl_module: JudgingModule) -> None:
        """Record an epoch; the file is whole after each, so a run that is stopped keeps its record."""
        del pl_module
        logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self._epochs.append({"epoch": trainer.current_epoch, **logged})
        if trainer.is_global_zero:
            with whole_file(Path(trainer.default_root_dir) / "training.csv") as part:
                pd.DataFrame(self._epochs).to_csv(part, index=False)

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: JudgingModule,
        outputs: Any,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Record a batch."""
        del args, kwargs
        if archive_of(trainer) is None:
            self._rows.append(frame_rows(outputs, pl_module.model))
            if self._picture is None:
                self._picture = outputs.image[0, -1].cpu().clone()  # not a view, which would keep the whole batch

    on_predict_batch_end = on_test_batch_end  # type: ignore[assignment]  # same arguments

    def on_test_end(self, trainer: Trainer, pl_module: JudgingModule) -> None:
        """Write files and print the table; here and not at the end of the epoch, so that the metrics are known."""
        if not self._rows:
            return
        frames = self._gather()
        if not trainer.is_global_zero:
            return
        folder, head = self._write(frames, trainer, pl_module), pl_module.model.head
        tables = {smoothing: compare(frames, head, smoothing) for smoothing in SMOOTHINGS}
        about = describe(trainer, pl_module, frames)
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        curves = curves_of(candidates(frames, head), frames)
        events = compare_events(curves)
        alarms = at_the_threshold(frames.pred_label.to_numpy() > 0, frames) if pl_module.trained.is_calibrated else None
        rows = {smoothing: table.to_dict("index") for smoothing, table in tables.items()}
        figures = {"metrics": metrics, "alarms": alarms, "events": events.to_dict("index"), "tables": rows}
        write_text(folder / "report.json", to_json(about | figures, indent=2))
        write_text(folder / "report.md", markdown(about, metrics, tables, events, alarms))
        from ..results.curves import draw_event_curves, draw_roc

        draw_roc(frames, head.area, head.sources, folder / "roc.png")
        draw_event_curves({name: curve.points() for name, curve in curves.items()}, folder / "events.png")
        print_table(tables["none"], about, folder)
        print_events(events, alarms)

    def on_predict_epoch_end(self, trainer: Trainer, pl_module: JudgingModule) -> None:
        """Write files."""
        if not self._rows:
            return
        frames = self._gather()
        if trainer.is_global_zero:
            folder = self._write(frames, trainer, pl_module)
            Console().print(f"Scores and curves of {frames.video.nunique()} videos are in {folder}")

    def _gather(self) -> pd.DataFrame:
        frames, self._rows = gather(self._rows), []
        return decided(frames)

    def _write(self, frames: pd.DataFrame, trainer: Trainer, pl_module: JudgingModule) -> Path:
        from ..results.curves import draw_curves  # matplotlib is slow to start

        folder = self._stage_folder.of(trainer)
        write_scores(frames, folder / SCORES)
        threshold = 1 - getattr(pl_module.post_processor, "image_sensitivity", 0.5)
        draw_curves(frames, folder / "curves", threshold)
        picture, self._picture = self._picture, None
        if pl_module.model.head.perspective is not None and picture is not None:
            show_perspective(pl_module.model, picture, folder / PERSPECTIVE)
        return folder


def show_perspective(network: STMemModel, picture: torch.Tensor, path: Path) -> None:
    """Draw what a network has learned of perspective, beside a ``(c, h, w)`` picture in [-1, 1]."""
    from ..results.perspective_picture import draw_perspective  # matplotlib is slow to start

    perspective, height = network.head.perspective, picture.shape[-2]
    names = {"error of the prediction": network.scored_error, "speed": "speed"}
    usual = {shown: perspective.profile(name, height)[:, 0].cpu().numpy() for shown, name in names.items()}
    pixels = ((picture + 1) * 127.5).round().byte().expand(3, -1, -1).permute(1, 2, 0)
    draw_perspective(pixels.cpu().numpy(), usual, path)


def decided(frames: pd.DataFrame) -> pd.DataFrame:
    """Add the level of each frame, and label those in alarm; rows are sorted by video and frame."""
    if frames.pred_label.isna().any():
        return frames
    timeline, scores = timeline_of(frames), frames.pred_score.to_numpy(float)
    level = np.maximum(levels(scores, timeline), LOW)
    return frames.assign(level=level, pred_label=decide(scores, timeline).astype(int))


def frame_rows(batch: JudgedBatch, network: STMemModel) -> pd.DataFrame:
    """One row per judged frame of a batch, post-processed already; of the measurements those that the network takes."""
    count = len(batch.image)
    indices = batch.frames if batch.frames is not None else torch.arange(count)
    columns: dict[str, Any] = {
        "video": batch.video_name if batch.video_name is not None else ["video"] * count,
        "frame": indices.cpu().numpy(),
        "rate": batch.frame_rate.cpu().numpy(),
        "label": batch.gt_label.int().cpu().numpy() if batch.gt_label is not None else np.nan,
        "pred_score": batch.pred_score.cpu().numpy(),
        "pred_label": batch.pred_label.int().cpu().numpy() if batch.pred_label is not None else np.nan,
        "score": network.head(batch.measurements).cpu().numpy(),
    }
    measured = dict(zip(MEASUREMENTS, batch.measurements.T.cpu().numpy(), strict=True))
    columns |= {name: measured[name] for name in network.measured}
    controls = control_scores(batch.image, indices.to(batch.image.device), network.head.perspective)
    columns |= {name: score.cpu().numpy() for name, score in controls.items()}
    return pd.DataFrame(columns)


def describe(trainer: Trainer, model: JudgingModule, frames: pd.DataFrame) -> dict[str, Any]:
    """Say what was tested on what, so that a figure can be traced and repeated.

    Options of the model are those of the checkpoint that made the scores, whatever the command line says.
    """
    data = getattr(trainer, "datamodule", None) or getattr(model, "demo_data", None)
    trained = model.trained
    config = {"model": _plain(trained.options), "data": _plain(vars(data)) if data is not None else {}}
    checkpoint = Path(trainer.ckpt_path) if trainer.ckpt_path else None
    epochs = max(trainer.current_epoch, trained.epochs)  # a test by itself knows only the checkpoint's
    return {
        "dataset": "the loaders given" if data is None else f"{type(data).__name__} at {getattr(data, 'root', '?')}",
        "label_set": getattr(data, "label_set", "as the data gives them"),
        "protocol": f"{model.learning_type.value}, windows of {trained.window} frames, after {epochs} epochs",
        "calibrated_on": CALIBRATED_ON.get(str(config["data"].get("val_split_mode")), "validation data"),
        "threshold": trained.explain_threshold(),
        "videos": int(frames.video.nunique()),
        "frames_judged": len(frames),
        "frames_abnormal": int(frames.label.sum()),
        "frames_left_out": int(frames.groupby("video").frame.min().sum()),
        "damage": damage_of(data),
        "seed": trained.options.get("seed"),
        "config_hash": hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:12],
        "checkpoint": None if checkpoint is None else f"{checkpoint} (sha256 {_file_hash(checkpoint)})",
        "packages": {name: version(name) for name in PACKAGES},
        "config": config,
    }


def damage_of(data: Any) -> str:
    """Say what is damaged of the videos that a datamodule of ours has tested."""
    videos = getattr(getattr(data, "test_data", None), "videos", [])
    said = [video.video.damage_said for video in videos if video.video.damage_said is not None]
    return " ".join(said) or "none known"


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    """Keep what is a setting: numbers, texts, paths, enums and lists of them, in a form that JSON takes."""
    kept = {}
    for name, value in sorted(options.items()):
        plain = getattr(value, "value", value)
        if isinstance(plain, Path):
            plain = str(plain)
        if not name.startswith("_") and isinstance(plain, str | int | float | bool | list | tuple | None):
            kept[name] = list(plain) if isinstance(plain, tuple) else plain
    return kept


def _file_hash(path: Path) -> str:
    if not path.is_file():
        return "unknown"
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:12]
