"""Scores of normal video become the bounds, the thresholds and the scale of a model."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..model.calibration import Calibration, squash, unsquash
from ..model.scoring import ScoreHead
from .events import Timeline
from .thresholds import extrapolated_threshold, threshold_for

QUIET_SHARE = 0.99  # of the pixels of a usual normal frame lie below the pixel threshold; the rest may be one figure

BestThreshold = Callable[[Tensor, Tensor], Tensor]  # scores in (0, 1) and labels, to the threshold among the scores


class CalibrationFrames(NamedTuple):
    """What calibration needs of each frame; sorted by video and frame, on the CPU."""

    measurements: Tensor  # (n, len(MEASUREMENTS))
    maps: Tensor  # (n, 2), of each frame's raw map: its mean, and what 99 % of its pixels stay below
    timeline: Timeline


def summary_of_maps(maps: Tensor) -> Tensor:
    """Summarise ``(n, 1, h, w)`` raw maps to the ``(n, 2)`` of :class:`CalibrationFrames`."""
    pixels = maps.flatten(1)
    high = pixels.kthvalue(math.ceil(QUIET_SHARE * pixels.shape[1]), dim=1).values
    return torch.stack([pixels.mean(1), high], dim=1)


def calibrate(
    head: ScoreHead,
    frames: CalibrationFrames,
    budget: float,
    extrapolate: bool = False,
    abnormal: NDArray[np.bool_] | None = None,
    best_threshold: BestThreshold | None = None,
) -> Calibration:
    """Take the bounds of ``g`` in Eq. (16) from normal frames, and thresholds that keep within a budget on them.

    The frame threshold is the lowest one within ``budget``; from little video that is the greatest normal score. The
    pixel threshold is what 99 % of the pixels of a normal frame stay below, in 99 % of such frames.

    Args:
        head: of the model; its bounds and usual motion are set.
        frames: of the validation video.
        budget: false alarms per hour of normal video.
        extrapolate: whether a budget of less than one false alarm in the normal frames lies beyond the greatest of
            their scores.
        abnormal: ``(n,)`` labels; no frame is abnormal without them.
        best_threshold: used instead of the budget where some frames are abnormal.

    Returns:
        The calibration. Its frame rate stays unknown.

    Raises:
        ValueError: there is no normal frame.
    """
    abnormal = np.zeros(len(frames.maps), bool) if abnormal is None else abnormal
    if abnormal.all():
        msg = "Validation holds no normal frame, so nothing can be calibrated. Use val_split_mode 'from_train'."
        raise ValueError(msg)
    normal = torch.from_numpy(~abnormal)
    head.calibrate(frames.measurements[normal].to(head.lower))
    scores = head(frames.measurements.to(head.lower)).cpu().double()
    timeline = frames.timeline[~abnormal]
    rule = extrapolated_threshold if extrapolate else threshold_for
    threshold = torch.tensor(rule(scores[normal].numpy(), timeline, budget))
    hours = timeline.hours
    if abnormal.any() and best_threshold is not None:
        usual, hours = usual_score(scores[normal], threshold), math.nan
        best = best_threshold(squash(scores, usual, threshold), torch.from_numpy(abnormal))
        threshold = unsquash(best, usual, threshold)
    usual_map, high = frames.maps[normal, 0].median(), frames.maps[normal, 1]
    values = {
        "usual": usual_score(scores[normal], threshold),
        "highest": scores[normal].max(),
        "threshold": threshold,
        "pixel_usual": usual_map,
        "pixel_highest": high.max(),
        "pixel_threshold": torch.quantile(high, QUIET_SHARE),
        "normal_hours": hours,
    }
    return Calibration(values, budget)


def usual_score(normal: Tensor, threshold: Tensor) -> Tensor:
    """Return the usual normal score, at least a standard deviation below the threshold, or the scale would collapse."""
    return torch.minimum(normal.median(), threshold - normal.std(unbiased=False))
