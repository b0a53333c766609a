"""The result table: the model's score, each error alone and the controls, under every normalisation."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import torch

from ..model.scoring import MEASUREMENTS, ScoreHead
from . import bootstrap
from .controls import CONTROLS
from .frame_metrics import auroc
from .normalisation import NORMALISATIONS, Array, Normalisation, Smoothing, bounds, by_video, normalise, smooth

REFERENCE = "control: frame difference"  # the row that every other is compared with

Scores = Callable[[Normalisation], Array]  # (n,) under a normalisation


def compare(frames: pd.DataFrame, head: ScoreHead, smoothing: Smoothing = "none") -> pd.DataFrame:
    """Compare the score, each error alone and the controls, as :func:`compare_scores` does.

    Args:
        frames: rows of ``scores.csv``, sorted by video and frame.
        head: fuses the measurements; its bounds are the calibrated ones.
        smoothing: applied after normalising, to every row alike.
    """
    return compare_scores(candidates(frames, head), frames, smoothing)


def compare_scores(
    scores_of: dict[str, Scores],
    frames: pd.DataFrame,
    smoothing: Smoothing = "none",
    labels_of: Mapping[str, pd.Series] | None = None,
) -> pd.DataFrame:
    """Frame AUROC in percent, one row per score.

    Args:
        scores_of: every score by name, given a normalisation.
        frames: ``video`` and ``label`` of the ``(n,)`` frames, sorted by video and frame.
        smoothing: applied after normalising, to every row alike.
        labels_of: of scores that are measured by other labels than those of ``frames``.

    Returns:
        For each normalisation (columns ``none``, ``calibrated``, ``running``, ``per_video``) the AUROC of all frames
        pooled, with a 95 % bootstrap interval over videos (``_low``, ``_high``) and how far the row lies above frame
        differencing, paired over videos (``_gain_low``, ``_gain_high``; ``nan`` where it is not among the rows);
        ``macro`` and ``padded`` averages over videos, of scores on one scale.
    """
    videos = frames.video.factorize()[0]
    labels = {name: (labels_of or {}).get(name, frames.label).to_numpy() > 0 for name in scores_of}
    draws = bootstrap.resamples(int(videos.max()) + 1)
    table: dict[str, dict[str, float]] = {name: {} for name in scores_of}
    for how in NORMALISATIONS:
        compared = {
            name: by_video(scores(how), videos, lambda own: smooth(own, smoothing))
            for name, scores in scores_of.items()
        }
        wins = {name: bootstrap.win_table(scores, labels[name], videos) for name, scores in compared.items()}
        for name, own in wins.items():
            interval = bootstrap.micro_interval(own, draws)
            figures = {"": own.micro(), "_low": interval.low, "_high": interval.high}
            if REFERENCE in wins:
                gain = bootstrap.micro_interval(own, draws, against=wins[REFERENCE])
                figures |= {"_gain_low": gain.low, "_gain_high": gain.high}
            else:
                figures |= {"_gain_low": float("nan"), "_gain_high": float("nan")}
            table[name] |= {f"{how}{suffix}": 100 * value for suffix, value in figures.items()}
        if how == "none":
            for name, scores in compared.items():
                table[name]["macro"] = 100 * wins[name].macro()
                table[name]["padded"] = 100 * _padded(scores, labels[name], videos)
    return pd.DataFrame.from_dict(table, orient="index")


def candidates(frames: pd.DataFrame, head: ScoreHead) -> dict[str, Scores]:
    """Everything that could be the score of a frame; a network of one stream has no error of the other."""
    if head.fusion is None:
        result: dict[str, Scores] = {"STMem": lambda how: fused(frames, head, how)}
    else:
        measured = torch.tensor(_measurements(frames), dtype=torch.float32)
        by_source = head.by_source(measured).cpu().double().numpy()
        result = {"STMem": single(pd.Series(head(measured).cpu().numpy(), frames.index), frames)}
        for place, name in enumerate(head.sources):
            result[f"{name} alone"] = single(pd.Series(by_source[:, place], frames.index), frames)
    for error in ("sum", "spatial", "temporal"):
        if f"psnr_{head.area}_{error}" in frames:
            result[f"error of {error}"] = single(-frames[f"psnr_{head.area}_{error}"], frames)
    return result | {f"control: {name}": single(frames[name], frames) for name in CONTROLS if name in frames}


def single(values: pd.Series, frames: pd.DataFrame) -> Scores:
    """Take one measurement for the score; ``calibrated`` changes nothing in how it ranks frames."""
    videos, raw = frames.video.factorize()[0], values.to_numpy(float)
    return lambda how: by_video(raw, videos, lambda own: normalise(own, how))


def fused(frames: pd.DataFrame, head: ScoreHead, how: Normalisation) -> Array:
    """Eq. (16) with the bounds of ``g`` as named; the paper takes them ``per_video``."""
    result = np.empty(len(frames))
    compensated = head.compensate(torch.tensor(_measurements(frames))).cpu().numpy()
    calibrated = torch.stack([head.lower, head.upper]).cpu().double().numpy().T
    for rows in frames.groupby("video", sort=False).indices.values():
        own = compensated[rows]
        limits = [bounds(column, how, (low, high)) for column, (low, high) in zip(own.T, calibrated, strict=True)]
        lower, upper = (torch.tensor(np.stack(side, axis=1)) for side in zip(*limits, strict=True))
        result[rows] = head.fuse(torch.tensor(own), lower, upper).numpy()
    return result


def _measurements(frames: pd.DataFrame) -> Array:
    """Return all of MEASUREMENTS; an error that the network lacks is scored as the sum, a distance as 0."""
    columns = {name: frames.get(name, 0.0) for name in MEASUREMENTS}
    for name in set(MEASUREMENTS) - set(frames):
        if name.startswith("psnr"):
            columns[name] = frames[f"psnr_{name.split('_')[1]}_sum"]
    return pd.DataFrame(columns).to_numpy(float)


def _padded(scores: Array, labels: np.ndarray, videos: np.ndarray) -> float:
    own = [videos == video for video in np.unique(videos)]
    return float(np.mean([auroc(scores[rows], labels[rows], padded=True) for rows in own]))
