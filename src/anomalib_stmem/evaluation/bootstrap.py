"""Frame-level AUROC of scores over several videos, with intervals that know how few videos there are.

All figures come from one table of wins: ``wins[i, j]`` counts, over the abnormal frames of video i and the normal
frames of video j, how often the abnormal one scores higher (ties count half). The AUROC of all frames pooled ("micro")
is the sum of the table over the number of pairs; a bootstrap over videos only re-weighs the table.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A 95 % interval."""

    low: float
    high: float


@dataclass(frozen=True)
class WinTable:
    """Pairwise comparison of abnormal and normal frames, by video."""

    wins: Array  # (v, v)
    abnormal: Array  # (v,), number of abnormal frames
    normal: Array  # (v,)

    def micro(self) -> float:
        """AUROC of all frames pooled; ``nan`` if one class is missing."""
        pairs = self.abnormal.sum() * self.normal.sum()
        return float(self.wins.sum() / pairs) if pairs else float("nan")

    def macro(self) -> float:
        """Mean AUROC of the videos that hold both classes; ``nan`` if none does."""
        pairs = self.abnormal * self.normal
        both = pairs > 0
        return float((np.diag(self.wins)[both] / pairs[both]).mean()) if both.any() else float("nan")


def win_table(scores: Array, labels: NDArray[np.bool_], videos: NDArray[np.int64]) -> WinTable:
    """Compare every abnormal with every normal frame.

    Args:
        scores: ``(n,)``, higher = more anomalous.
        labels: ``(n,)``, true = abnormal.
        videos: ``(n,)``, number of the video from 0.
    """
    count = int(videos.max()) + 1
    wins = np.zeros((count, count))
    abnormal_scores, abnormal_videos = scores[labels], videos[labels]
    for video in range(count):
        normal = np.sort(scores[~labels & (videos == video)])
        below = np.searchsorted(normal, abnormal_scores, side="left")
        not_above = np.searchsorted(normal, abnormal_scores, side="right")
        wins[:, video] = np.bincount(abnormal_videos, (below + not_above) / 2, minlength=count)
    abnormal = np.bincount(abnormal_videos, minlength=count).astype(float)
    return WinTable(wins, abnormal, np.bincount(videos[~labels], minlength=count).astype(float))


def resamples(num_videos: int, draws: int = 2000, seed: int = 0) -> Array:
    """Draw videos with replacement: ``(draws, num_videos)`` counts. The same draws serve all scores, so they pair."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(num_videos, np.full(num_videos, 1 / num_videos), size=draws).astype(float)


def micro_interval(table: WinTable, draws: Array, against: WinTable | None = None) -> Interval:
    """95 % bootstrap interval of the pooled AUROC, or of how far it lies above another's; ``nan`` without one."""
    values = _micro_of_draws(table, draws)
    if against is not None:
        values = values - _micro_of_draws(against, draws)
    known = values[~np.isnan(values)]
    low, high = np.percentile(known, (2.5, 97.5)) if len(known) else (np.nan, np.nan)
    return Interval(float(low), float(high))


def _micro_of_draws(table: WinTable, draws: Array) -> Array:
    pairs = (draws @ table.abnormal) * (draws @ table.normal)
    wins = ((draws @ table.wins) * draws).sum(axis=1)
    return np.where(pairs > 0, wins / np.where(pairs > 0, pairs, 1), np.nan)
