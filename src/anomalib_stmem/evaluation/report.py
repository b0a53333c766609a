"""What a run did, on record: losses, every judged frame, a result table beside the controls, and the curves."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from lightning.pytorch import Callback, Trainer
from rich.console import Console
from rich.table import Table

from ..batch import JudgedBatch
from ..data.frames import natural_order
from ..model.scoring import MEASUREMENTS, ScoreHead
from . import protocol
from .controls import CONTROLS, control_scores

if TYPE_CHECKING:
    from ..lightning_model import STMem

REFERENCE = "frame difference"  # the control that every row is compared with


class RunReport(Callback):
    """Keep the losses of a training, and the judged frames of a test or prediction; write and print what they say.

    Files, in the run's folder: ``training.csv`` (one row per epoch: losses, and how much of each memory is alive;
    anomalib starts no logger by itself), and in a folder of the stage ``scores.csv`` (one row per judged frame: video,
    frame, label, score, every measurement and control), ``report.json`` (the table), ``curves/`` (the score of each
    video over time, as Fig. 6; the ROC, as Fig. 8). A file of an earlier test is never overwritten; the new folder gets
    a number.
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
        del trainer, args, kwargs
        self._rows.append(frame_rows(outputs, pl_module.model.head))

    on_predict_batch_end = on_test_batch_end  # type: ignore[assignment]  # same arguments

    def on_test_epoch_end(self, trainer: Trainer, pl_module: "STMem") -> None:
        """Write files and print the table."""
        if not self._rows:
            return
        frames = self._gather()
        if not trainer.is_global_zero:
            return
        folder = _own_folder(Path(trainer.default_root_dir), "test")
        frames.to_csv(folder / "scores.csv", index=False)
        table = summarise(frames, pl_module.model.head)
        about = _coverage(frames, pl_module.model.window)
        text = json.dumps({"about": about, "rows": table.to_dict("index")}, indent=2)
        (folder / "report.json").write_text(text)
        from .curves import draw_curves, draw_roc

        draw_curves(frames, folder / "curves", pl_module.post_processor)
        draw_roc(frames, pl_module.model.head, folder / "curves" / "roc.png")
        _print(table, about, folder)

    def on_predict_epoch_end(self, trainer: Trainer, pl_module: "STMem") -> None:
        """Write files."""
        if not self._rows:
            return
        frames = self._gather()
        if not trainer.is_global_zero:
            return
        folder = _own_folder(Path(trainer.default_root_dir), "predict")
        frames.to_csv(folder / "scores.csv", index=False)
        from .curves import draw_curves

        draw_curves(frames, folder / "curves", pl_module.post_processor)
        Console().print(f"Scores and curves of {frames.video.nunique()} videos are in {folder}")

    def _gather(self) -> pd.DataFrame:
        """Join the rows of all batches and devices; a frame that a distributed sampler repeated counts once."""
        rows, self._rows = pd.concat(self._rows, ignore_index=True), []
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
        "video": batch.video_path if batch.video_path is not None else ["video"] * count,
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


def summarise(frames: pd.DataFrame, head: ScoreHead) -> pd.DataFrame:
    """AUROC in percent of the model's score, of each stream's error alone, and of the controls.

    Columns: ``one_scale`` (micro, all videos on one scale: what a live camera gets), ``per_video`` (micro after min-max
    over each whole test video: the field's protocol), ``macro``, each micro figure with a 95 % bootstrap interval over
    videos, and how far the row lies above frame differencing (paired).
    """
    videos = frames.video.factorize()[0]
    labels = frames.label.to_numpy() > 0
    draws = protocol.resamples(int(videos.max()) + 1)

    def tables(live: np.ndarray, per_video: np.ndarray) -> tuple[protocol.WinTable, protocol.WinTable]:
        return protocol.win_table(live, labels, videos), protocol.win_table(per_video, labels, videos)

    candidates = {"STMem": (frames.score.to_numpy(float), paper_scores(frames, head))}
    for error in ("sum", "spatial", "temporal"):
        single = -frames[f"psnr_{head.area}_{error}"].to_numpy(float)
        candidates[f"error of {error}"] = (single, protocol.per_video_min_max(single, videos))
    for name in CONTROLS:
        control = frames[name].to_numpy(float)
        candidates[f"control: {name}"] = (control, protocol.per_video_min_max(control, videos))
    compared = {name: tables(*scores) for name, scores in candidates.items()}
    reference = compared[f"control: {REFERENCE}"]
    rows = {}
    for name, (live, per_video) in compared.items():
        row: dict[str, float] = {}
        for protocol_name, table, base in (("one_scale", live, reference[0]), ("per_video", per_video, reference[1])):
            interval = protocol.micro_interval(table, draws)
            gain = protocol.micro_interval(table, draws, against=base)
            row[protocol_name] = 100 * table.micro()
            row[f"{protocol_name}_low"], row[f"{protocol_name}_high"] = 100 * interval.low, 100 * interval.high
            row[f"{protocol_name}_gain_low"], row[f"{protocol_name}_gain_high"] = 100 * gain.low, 100 * gain.high
        row["macro"] = 100 * live.macro()
        rows[name] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def paper_scores(frames: pd.DataFrame, head: ScoreHead) -> np.ndarray:
    """Eq. (16) as the paper takes it: the bounds of ``g`` from each whole test video."""
    result = np.empty(len(frames))
    measured = torch.tensor(frames[list(MEASUREMENTS)].to_numpy(np.float32))
    for rows in frames.groupby("video", sort=False).indices.values():
        own = measured[torch.as_tensor(rows)]
        result[rows] = head.fuse(own, own.amin(dim=0), own.amax(dim=0)).numpy()
    return result


def _natural(video: str) -> list[list[tuple[int, int, str]]]:
    return natural_order(Path(video))


def _coverage(frames: pd.DataFrame, window: int) -> str:
    videos = frames.video.nunique()
    skipped = int(frames.groupby("video").frame.min().sum())
    return (
        f"{len(frames)} frames of {videos} videos judged, {int(frames.label.sum())} abnormal; the first {window} or "
        f"more frames of each video have no past and are left out ({skipped} frames)"
    )


def _own_folder(root: Path, name: str) -> Path:
    """Make ``root/name``, or ``root/name_2`` and so on where an earlier run left its files."""
    folder, number = root / name, 1
    while (folder / "scores.csv").exists():
        number += 1
        folder = root / f"{name}_{number}"
    (folder / "curves").mkdir(parents=True, exist_ok=True)
    return folder


def _print(table: pd.DataFrame, about: str, folder: Path) -> None:
    shown = Table(title="Frame AUROC, % [95 % interval over videos]", caption=f"{about}.\nFiles: {folder}")
    for heading in (
        "score",
        "one scale (live)",
        "per video (sees the future)",
        "macro",
        "above frame difference, live",
    ):
        shown.add_column(heading, justify="left" if heading == "score" else "right")
    for name, row in table.iterrows():
        shown.add_row(
            str(name),
            f"{row.one_scale:.1f} [{row.one_scale_low:.0f}, {row.one_scale_high:.0f}]",
            f"{row.per_video:.1f} [{row.per_video_low:.0f}, {row.per_video_high:.0f}]",
            f"{row.macro:.1f}",
            f"[{row.one_scale_gain_low:+.1f}, {row.one_scale_gain_high:+.1f}]",
        )
    Console().print(shown)
