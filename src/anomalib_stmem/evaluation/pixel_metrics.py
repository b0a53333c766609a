"""Pixel-level metrics in bounded memory, as anomalib metrics: exact ones keep every pixel, 6 to 8 GiB on Ped2."""

from typing import Any

import cv2
import numpy as np
import torch
from anomalib.metrics import AnomalibMetric
from sklearn.metrics import auc
from torch import Tensor
from torchmetrics import Metric

PARTS = 2**32  # of a region, in which overlaps are counted
FIELDS = ("anomaly_map", "gt_mask", "mask_known")


class _PixelAUROC(Metric):
    """AUROC of all pixels whose mask is known, over levels of the map instead of all its values.

    Not torchmetrics' binned one, which took 138 ms for a 256x256 frame where this takes 5: it compares every pixel with
    every level.

    Args:
        num_levels: evenly spaced in [0, 1]; pixels of one level tie.
        **kwargs: of torchmetrics.
    """

    full_state_update = False
    histogram: Tensor  # (2, num_levels + 1), of normal and of abnormal pixels

    def __init__(self, num_levels: int = 1000, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(**kwargs)
        self.num_levels = num_levels
        self.add_state("histogram", torch.zeros(2, num_levels + 1, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, maps: Tensor, masks: Tensor, known: Tensor) -> None:
        """Add ``(b, 1, h, w)`` maps in [0, 1], ``(b, h, w)`` masks and ``(b,)`` whether each mask is known."""
        levels = (maps.squeeze(1)[known].clamp(0, 1) * self.num_levels).long()
        size = self.num_levels + 1
        counts = (levels + size * masks[known].bool()).flatten().bincount(minlength=2 * size)
        self.histogram += counts.view(2, size).to(self.histogram)

    def compute(self) -> Tensor:
        """Return the area in [0, 1]; ``nan`` without normal or without abnormal pixels."""
        normal, abnormal = self.histogram.cpu().double()
        wins = abnormal * (normal.cumsum(0) - normal / 2)
        return (wins.sum() / (normal.sum() * abnormal.sum())).float()


class _AUPRO(Metric):
    """Area under the curve of per-region overlap against the false positive rate up to ``fpr_limit``, over that limit.

    The overlap of a region is the share of it above the threshold; regions are connected parts of a mask (8
    neighbours), each counting the same. Defined as anomalib's, over levels of the map instead of all its values.

    Args:
        fpr_limit: 0.3 in anomalib and in Bergmann et al. 2019.
        num_levels: thresholds, evenly spaced in [0, 1].
        **kwargs: of torchmetrics.
    """

    full_state_update = False
    overlap: Tensor  # of all regions together, in parts of a region
    regions: Tensor
    false_positives: Tensor
    negatives: Tensor

    def __init__(self, fpr_limit: float = 0.3, num_levels: int = 1000, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(**kwargs)
        self.fpr_limit, self.num_levels = fpr_limit, num_levels
        # Whole numbers, since not every device has float64, and float32 loses count of pixels.
        for name in ("overlap", "false_positives"):
            self.add_state(name, torch.zeros(num_levels + 1, dtype=torch.int64), dist_reduce_fx="sum")
        for name in ("regions", "negatives"):
            self.add_state(name, torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, maps: Tensor, masks: Tensor, known: Tensor) -> None:
        """Add ``(b, 1, h, w)`` maps in [0, 1], ``(b, h, w)`` masks and ``(b,)`` whether each mask is known."""
        levels = (maps.squeeze(1).clamp(0, 1) * self.num_levels).long().cpu().numpy()
        for level, mask, counts in zip(levels, masks.cpu().numpy(), known.tolist(), strict=True):
            if counts:
                self._add(level, mask)

    def _add(self, level: np.ndarray, mask: np.ndarray) -> None:
        count, regions = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
        size = self.num_levels + 1
        histogram = np.bincount((regions * size + level).ravel(), minlength=count * size).reshape(count, size)
        above = histogram[:, ::-1].cumsum(axis=1)  # pixels at or above each level, from the highest down
        self.false_positives += torch.from_numpy(above[0]).to(self.false_positives)
        self.negatives += int(above[0, -1])
        overlap = (above[1:] / above[1:, -1:]).sum(axis=0)
        self.overlap += torch.from_numpy(np.round(overlap * PARTS).astype(np.int64)).to(self.overlap)
        self.regions += count - 1

    def compute(self) -> Tensor:
        """Return the area in [0, 1]; ``nan`` without regions or without normal pixels."""
        if self.regions == 0 or self.negatives == 0:
            return torch.tensor(float("nan"))
        fpr = np.append(0, self.false_positives.cpu().numpy() / int(self.negatives))
        overlap = np.append(0, self.overlap.cpu().numpy() / PARTS / int(self.regions))
        inside = fpr < self.fpr_limit
        end = np.interp(self.fpr_limit, fpr, overlap)
        area = auc(np.append(fpr[inside], self.fpr_limit), np.append(overlap[inside], end))
        return torch.tensor(area / self.fpr_limit, dtype=torch.float32)


class PixelAUROC(AnomalibMetric, _PixelAUROC):
    """:class:`_PixelAUROC` of a batch's ``anomaly_map``; logged as ``pixel_AUROC``, as anomalib's is."""

    default_fields = FIELDS

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(**kwargs)
        self.name = "pixel_AUROC"


class AUPRO(AnomalibMetric, _AUPRO):
    """:class:`_AUPRO` of a batch's ``anomaly_map``."""

    default_fields = FIELDS
