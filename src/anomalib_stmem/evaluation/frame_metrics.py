"""Frame-level metrics that know about videos, as anomalib metrics.

All keep a few numbers per frame, gathered over devices, sorted by video and frame, a repeated frame counted once; so
neither the order of batches nor the number of workers or devices matters.
"""

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from anomalib.metrics import AnomalibMetric
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from .normalisation import Normalisation, Smoothing, by_video, normalise, smooth


@dataclass(frozen=True)
class FrameTable:
    """Judged frames, sorted by video and frame."""

    scores: NDArray[np.float64]  # (n,), higher = more anomalous
    labels: NDArray[np.bool_]  # (n,), true = abnormal
    videos: NDArray[np.int64]  # (n,), number of the video
    frames: NDArray[np.int64]  # (n,)


def video_key(name: str) -> int:
    """Turn a video's name into a whole number that is the same in every process, for int64 tensors only."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big")


class FrameMetric(Metric):
    """Collects score, label, video and number of every frame.

    Args:
        normalisation: as :func:`~.normalisation.bounds` has it, of the scores as they come.
        smoothing: as :func:`~.normalisation.smooth` has it, after that.
    """

    full_state_update = False
    # Apart, because a float has no room for the key of a video; float32, because not every device has float64.
    places: list[Tensor] | Tensor  # (n, 2) int64: key of the video, number of the frame
    values: list[Tensor] | Tensor  # (n, 2 or more) float32: score, label, what a subclass needs besides

    def __init__(
        self,
        normalisation: Normalisation = "none",
        smoothing: Smoothing = "none",
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**kwargs)
        self.normalisation: Normalisation = normalisation
        self.smoothing: Smoothing = smoothing
        self.add_state("places", default=[], dist_reduce_fx="cat")
        self.add_state("values", default=[], dist_reduce_fx="cat")

    def update(self, scores: Tensor, labels: Tensor, videos: Sequence[str], frames: Tensor, *more: Tensor) -> None:
        """Add frames: ``(b,)`` scores, labels, names of their videos, numbers, and what a subclass needs besides."""
        keys = torch.tensor([video_key(name) for name in videos], device=scores.device)
        columns = [column.to(scores.device, torch.float32).flatten() for column in (scores, labels, *more)]
        self.places.append(torch.stack([keys, frames.to(keys).flatten()], dim=1))  # type: ignore[union-attr]
        self.values.append(torch.stack(columns, dim=1))  # type: ignore[union-attr]

    def compute(self) -> Tensor:
        """Return the value in [0, 1]; ``nan`` where it is not defined."""
        places = dim_zero_cat(self.places).cpu().numpy()
        places, kept = np.unique(places, axis=0, return_index=True)  # sorted by video, then frame
        values = dim_zero_cat(self.values).cpu().numpy()[kept].astype(np.float64)
        videos = np.unique(places[:, 0], return_inverse=True)[1]

        def prepare(scores: NDArray[np.float64]) -> NDArray[np.float64]:
            return smooth(normalise(scores, self.normalisation), self.smoothing)

        table = FrameTable(by_video(values[:, 0], videos, prepare), values[:, 1] > 0, videos, places[:, 1])
        return torch.tensor(self.value(table, values[:, 2:]), dtype=torch.float32)

    @abstractmethod
    def value(self, table: FrameTable, more: NDArray[np.float64]) -> float:
        """Compute from all frames; ``more`` holds the further columns of ``update``."""


class _VideoAUROC(FrameMetric):
    """AUROC of frames over several videos.

    Args:
        average: ``micro`` pools all frames; ``macro`` is the mean over videos that hold both classes; ``padded`` the
            mean over all videos, each with one normal frame at its lowest and one abnormal frame at its highest score
            added, as some papers do (a video of one class then counts, usually as a high value).
        **kwargs: ``normalisation``, ``smoothing``.

    Raises:
        ValueError: another average.
    """

    def __init__(self, average: Literal["micro", "macro", "padded"] = "micro", **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(**kwargs)
        if average not in {"micro", "macro", "padded"}:
            msg = f"average must be 'micro', 'macro' or 'padded'; got {average!r}."
            raise ValueError(msg)
        self.average = average

    def value(self, table: FrameTable, more: NDArray[np.float64]) -> float:
        """Compute from all frames."""
        del more
        if self.average == "micro":
            return auroc(table.scores, table.labels)
        own = [table.videos == video for video in np.unique(table.videos)]
        each = [auroc(table.scores[rows], table.labels[rows], padded=self.average == "padded") for rows in own]
        return float(np.nanmean(each)) if not np.isnan(each).all() else float("nan")


class _AveragePrecision(FrameMetric):
    """Area under the precision-recall curve of all frames."""

    def value(self, table: FrameTable, more: NDArray[np.float64]) -> float:
        """Compute from all frames."""
        del more
        return float(average_precision_score(table.labels, table.scores)) if table.labels.any() else float("nan")


class _EqualErrorRate(FrameMetric):
    """Rate at which as large a share of normal frames is flagged as of abnormal frames is missed."""

    def value(self, table: FrameTable, more: NDArray[np.float64]) -> float:
        """Compute from all frames."""
        del more
        if table.labels.all() or not table.labels.any():
            return float("nan")
        false_positive, true_positive, _ = roc_curve(table.labels, table.scores, drop_intermediate=False)
        excess = false_positive - (1 - true_positive)  # rises from -1 to 1
        after = int(np.argmax(excess >= 0))
        share = -excess[after - 1] / (excess[after] - excess[after - 1])
        return float(false_positive[after - 1] + share * (false_positive[after] - false_positive[after - 1]))


def auroc(scores: NDArray[np.float64], labels: NDArray[np.bool_], padded: bool = False) -> float:
    """AUROC; ``nan`` where a class is missing, which ``padded`` prevents (see :class:`VideoAUROC`)."""
    if padded:
        scores, labels = np.append(scores, [scores.min(), scores.max()]), np.append(labels, [False, True])
    return float(roc_auc_score(labels, scores)) if 0 < labels.sum() < len(labels) else float("nan")


FIELDS = ("pred_score", "gt_label", "video_name", "frames")


class VideoAUROC(AnomalibMetric, _VideoAUROC):
    """:class:`_VideoAUROC` of a batch's ``pred_score``."""

    default_fields = FIELDS


class AveragePrecision(AnomalibMetric, _AveragePrecision):
    """:class:`_AveragePrecision` of a batch's ``pred_score``."""

    default_fields = FIELDS


class EqualErrorRate(AnomalibMetric, _EqualErrorRate):
    """:class:`_EqualErrorRate` of a batch's ``pred_score``."""

    default_fields = FIELDS
