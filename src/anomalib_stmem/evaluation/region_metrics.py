"""RBDC and TBDC: are abnormal regions found, and abnormal tracks (Ramachandra & Jones 2020, Street Scene)?

At a threshold, the connected parts of the map above it are the detected regions, and those of the mask the true ones.
A true region is found if some detected region overlaps it with an intersection over union of at least ``beta`` (in
pixels). A detected region that overlaps no true one so much is a false positive. RBDC is the area under the share of
true regions found against the false positives per frame, from 0 to 1 of them. TBDC is the same with the share of tracks
found, where a track is found if at least ``alpha`` of its regions are.

Where we had to decide: both need a curve, but raising the threshold can split a region and so raise the false
positives; the curve is the best share at no more than so many false positives, straight between measured points.
Published figures count boxes, which overlap more easily than pixels; do not compare across.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from anomalib.metrics import AnomalibMetric
from numpy.typing import NDArray
from sklearn.metrics import auc
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from .frame_metrics import video_key

Regions = NDArray[np.int64]  # (h, w), 0 = none, then numbered from 1


class _RegionMetric(Metric):
    """Collects, per level of the map, which true regions are found and how many detections are false.

    Args:
        beta: least intersection over union; 0.1 in the paper.
        alpha: least share of a track's regions; 0.1 in the paper.
        num_levels: thresholds, evenly spaced inside (0, 1).
        **kwargs: of torchmetrics.
    """

    full_state_update = False
    found: list[Tensor] | Tensor  # (regions, num_levels)
    boxes: list[Tensor] | Tensor  # (regions, 6): video, frame, x, y, width, height
    false_positives: Tensor  # (num_levels,)
    frames: Tensor

    def __init__(
        self,
        beta: float = 0.1,
        alpha: float = 0.1,
        num_levels: int = 64,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**kwargs)
        self.beta, self.alpha = beta, alpha
        self.levels = np.arange(1, num_levels + 1) / (num_levels + 1)
        self.add_state("found", default=[], dist_reduce_fx="cat")
        self.add_state("boxes", default=[], dist_reduce_fx="cat")
        self.add_state("false_positives", torch.zeros(num_levels, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("frames", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, maps: Tensor, masks: Tensor, known: Tensor, videos: Sequence[str], frames: Tensor) -> None:
        """Add ``(b, 1, h, w)`` maps in [0, 1], ``(b, h, w)`` masks, whether they are known, and where they are from."""
        found_of, boxes_of = [np.zeros((0, len(self.levels)), np.uint8)], [np.zeros((0, 6), np.int64)]
        everything = zip(
            maps.squeeze(1).cpu().numpy(), masks.cpu().numpy(), known.tolist(), videos, frames, strict=True
        )
        for own_map, mask, counts, video, frame in everything:
            if not counts:
                continue
            count, true, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
            found = np.zeros((count - 1, len(self.levels)), np.uint8)
            # Pixels above level i are those whose step is above i, so levels that no step separates are alike.
            steps = np.ceil(own_map * (len(self.levels) + 1)).astype(np.int64) - 1
            occupied = np.bincount(steps.clip(min=0).ravel(), minlength=len(self.levels) + 1) > 0
            hit, false = np.zeros(count - 1, bool), 0
            for place in range(len(self.levels)):
                if place == 0 or occupied[place]:
                    detected = cv2.connectedComponents((steps > place).astype(np.uint8), connectivity=8)[1]
                    hit, false = match(true, detected, self.beta)
                found[:, place] = hit
                self.false_positives[place] += false
            self.frames += 1
            where = np.tile([video_key(video), int(frame)], (count - 1, 1))
            found_of.append(found)
            boxes_of.append(np.hstack([where, stats[1:, :4]]))
        # Also where there is nothing: devices can only be gathered from if each has something.
        self.found.append(torch.from_numpy(np.concatenate(found_of)).to(self.device))  # type: ignore[union-attr]
        self.boxes.append(torch.from_numpy(np.concatenate(boxes_of)).to(self.device))  # type: ignore[union-attr]

    def _curve(self) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.float64]]:
        """Return which regions are found at each level, where they are, and false positives per frame."""
        found = dim_zero_cat(self.found).cpu().numpy() > 0
        boxes = dim_zero_cat(self.boxes).cpu().numpy()
        return found, boxes, self.false_positives.cpu().numpy() / int(self.frames)


class _RBDC(_RegionMetric):
    """Region-based detection criterion, in [0, 1]; ``nan`` without a true region."""

    def compute(self) -> Tensor:
        """Return the area under the curve."""
        found, _, false = self._curve()
        if not len(found):
            return torch.tensor(float("nan"))
        return torch.tensor(area_under(found.mean(axis=0), false), dtype=torch.float32)


class _TBDC(_RegionMetric):
    """Track-based detection criterion, in [0, 1]; ``nan`` without a true region. Tracks come from :func:`link`."""

    def compute(self) -> Tensor:
        """Return the area under the curve."""
        found, boxes, false = self._curve()
        if not len(found):
            return torch.tensor(float("nan"))
        tracks = link(boxes)
        share = np.stack([found[tracks == track].mean(axis=0) for track in np.unique(tracks)])
        return torch.tensor(area_under((share >= self.alpha).mean(axis=0), false), dtype=torch.float32)


def match(true: Regions, detected: Regions, beta: float) -> tuple[NDArray[np.bool_], int]:
    """Compare the regions of one frame.

    Returns:
        For each true region whether it is found, and the number of detected regions that find none.
    """
    true_count, detected_count = int(true.max()) + 1, int(detected.max()) + 1
    if true_count == 1:
        return np.zeros(0, bool), detected_count - 1
    both = np.bincount((true * detected_count + detected).ravel(), minlength=true_count * detected_count)
    overlap = both.reshape(true_count, detected_count)
    union = overlap.sum(axis=1, keepdims=True) + overlap.sum(axis=0, keepdims=True) - overlap
    close = (overlap / union >= beta)[1:, 1:]
    return close.any(axis=1), int((~close.any(axis=0)).sum())


def area_under(rate: NDArray[np.float64], false_per_frame: NDArray[np.float64]) -> float:
    """Area under the best rate at no more than so many false positives per frame, for 0 to 1 of them.

    Before the first measured point the rate rises straight from 0; after the last it stays.
    """
    order = np.lexsort((rate, false_per_frame))
    x = np.append(0.0, false_per_frame[order])
    y = np.maximum.accumulate(np.append(0.0, rate[order]))
    inside = x <= 1
    return float(auc(np.append(x[inside], 1.0), np.append(y[inside], np.interp(1.0, x, y))))


def link(boxes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Derive tracks from regions, where no track file exists.

    A region goes on with the track of the region of the frame before whose box it overlaps most (intersection over
    union), each track at most once, best pairs first; otherwise it begins a track.

    Args:
        boxes: ``(n, 6)`` video, frame, x, y, width, height.

    Returns:
        ``(n,)`` number of the track of each region.
    """
    tracks = np.full(len(boxes), -1)
    of_frame: dict[tuple[int, int], list[int]] = {}
    for row in np.lexsort((boxes[:, 1], boxes[:, 0])):
        of_frame.setdefault((int(boxes[row, 0]), int(boxes[row, 1])), []).append(int(row))
    begun = 0
    for (video, frame), rows in of_frame.items():
        before = of_frame.get((video, frame - 1), [])
        pairs = [(_box_overlap(boxes[old, 2:], boxes[new, 2:]), old, new) for old in before for new in rows]
        taken: set[int] = set()
        for overlap, old, new in sorted(pairs, reverse=True):
            if overlap > 0 and old not in taken and tracks[new] < 0:
                tracks[new] = tracks[old]
                taken.add(old)
        for new in rows:
            if tracks[new] < 0:
                tracks[new], begun = begun, begun + 1
    return tracks


def _box_overlap(one: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    """Intersection over union of two boxes ``x, y, width, height``."""
    sides = np.minimum(one[:2] + one[2:], other[:2] + other[2:]) - np.maximum(one[:2], other[:2])
    shared = float(np.prod(sides.clip(min=0)))
    return shared / (float(np.prod(one[2:]) + np.prod(other[2:])) - shared)


FIELDS = ("anomaly_map", "gt_mask", "mask_known", "video_name", "frames")


class RBDC(AnomalibMetric, _RBDC):
    """:class:`_RBDC` of a batch's ``anomaly_map``."""

    default_fields = FIELDS


class TBDC(AnomalibMetric, _TBDC):
    """:class:`_TBDC` of a batch's ``anomaly_map``."""

    default_fields = FIELDS
