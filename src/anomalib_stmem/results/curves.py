"""The score of each video over time (Fig. 6) and the ROC of the score and its parts (Fig. 8)."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure  # not pyplot: figures for files need no screen and no global state
from numpy.typing import NDArray

from ..video.names import Folders

ABNORMAL, FRAME, SCORE, THRESHOLD = "#f4b6a6", "#8fb3d9", "#1f4e79", "#b03020"


def draw_curves(frames: pd.DataFrame, folder: Path, threshold: float = 0.5) -> None:
    """Draw ``pred_score`` over the frames of every video, with the threshold and, where known, the truth.

    Args:
        frames: rows of ``scores.csv``.
        folder: receives one PNG per video, such as ``gate/01.png``.
        threshold: above which a frame is in alarm.
    """
    folders = Folders()
    for video, rows in frames.groupby("video", sort=False):
        path = folder / folders.of(str(video))
        path = path.with_name(f"{path.name}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        draw_curve(rows, path, str(video), threshold)


def draw_curve(frames: pd.DataFrame, path: Path, video: str, threshold: float = 0.5) -> None:
    """Draw ``pred_score`` of one video over its seconds, or its frames where seconds are not known.

    Args:
        frames: rows of the video.
        path: of the PNG, whatever its suffix.
        video: its name.
        threshold: above which a frame is in alarm.
    """
    figure = Figure(figsize=(9, 2.6), layout="constrained")
    axis = figure.subplots()
    unit = "seconds" if "seconds" in frames else "frame"
    if "label" in frames and frames.label.notna().all():
        axis.fill_between(
            frames[unit], 0, frames.label, step="mid", color=ABNORMAL, linewidth=0, label="abnormal (ground truth)"
        )
    axis.plot(frames[unit], frames.pred_score, color=FRAME, linewidth=0.8, label="score of the frame")
    if "level" in frames:
        axis.plot(frames[unit], frames.level, color=SCORE, label="level (decides)")
    axis.axhline(threshold, color=THRESHOLD, linestyle="--", linewidth=1, label="threshold")
    axis.set(xlabel=unit, ylabel="score", ylim=(0, 1), title=f"Video {video}")
    axis.margins(x=0)
    axis.legend(loc="upper right", fontsize=8, ncols=4)
    figure.savefig(path, dpi=110, format="png")


def draw_roc(frames: pd.DataFrame, area: str, sources: tuple[str, ...], path: Path) -> None:
    """Draw the ROC of the score, of the other sources in it, and of each error, all on one scale.

    Args:
        frames: rows of ``scores.csv``; errors that the network lacks are left out.
        area: over which errors are taken (:data:`~anomalib_stmem.model.scoring.AREAS`).
        sources: of the score; ``motion``, the first, is one of the errors.
        path: of the PNG; nothing is drawn where frames are all normal or all abnormal.
    """
    from sklearn.metrics import roc_auc_score, roc_curve  # as large as all else that a watch needs beside torch

    labels = frames.label.to_numpy()
    if len(np.unique(labels)) < 2:
        return
    errors = {f"error, {name}": f"psnr_{area}_{name}" for name in ("sum", "temporal", "spatial")}
    shown = {"score": frames.score} | {name: frames[name] for name in sources[1:]}
    shown |= {name: -frames[column] for name, column in errors.items() if column in frames}
    figure = Figure(figsize=(4.6, 4.4), layout="constrained")
    axis = figure.subplots()
    for (name, score), style in zip(shown.items(), ("-", "--", "--", ":", ":", ":"), strict=False):
        false_alarms, hits, _ = roc_curve(labels, score)
        axis.plot(false_alarms, hits, style, label=f"{name}: {100 * roc_auc_score(labels, score):.1f} %")
    axis.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    axis.set(xlabel="false positive rate", ylabel="true positive rate", title="Frame ROC, all videos on one scale")
    axis.legend(loc="lower right", title="AUROC")
    figure.savefig(path, dpi=110)


def draw_event_curves(points: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]], path: Path) -> None:
    """Draw events found over false alarms per hour.

    Args:
        points: of each score, by name: false alarms per hour, and the share found; nothing is drawn where none is
            defined.
        path: of the PNG.
    """
    known = {name: (rates, found) for name, (rates, found) in points.items() if np.isfinite(found).all()}
    if not known:
        return
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axis = figure.subplots()
    for number, (name, (rates, found)) in enumerate(known.items()):
        control = name.startswith("control")
        width, style = (1.0 if number else 2.2), (":" if control else "-")
        axis.plot(rates, 100 * found, style, linewidth=width, label=name.removeprefix("control: "))
    axis.set(
        xscale="log",
        ylim=(-2, 102),
        xlabel="false alarms per hour of normal video",
        ylabel="events found, %",
        title="Events found (dotted: controls without learning)",
    )
    axis.grid(alpha=0.3)
    axis.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    figure.savefig(path, dpi=110)
