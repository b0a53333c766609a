"""Scores of normal video become the bounds, the thresholds and the scale of a model."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..model.calibration import MOST_PEAKS, Calibration, squash, unsquash
from ..model.scoring import ScoreHead
from .decided import levels
from .events import Timeline
from .thresholds import Tail, tail_of

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
    trained_on: CalibrationFrames | None = None,
    abnormal: NDArray[np.bool_] | None = None,
    best_threshold: BestThreshold | None = None,
) -> Calibration:
    """Take the bounds of ``g`` in Eq. (16) from normal frames, and thresholds that keep within a budget on them.

    The frame threshold is the level that normal video exceeds as often as the budget allows
    (:class:`~.thresholds.Tail`). The pixel threshold is what 99 % of the pixels of a normal frame stay below, in 99 %
    of such frames.

    Args:
        head: of the model; its bounds, usual motion and scales are set.
        frames: of the validation video.
        budget: false alarms per hour of normal video.
        trained_on: frames that the network was trained on. Their scores are a little too good, so each source of the
            score is brought to the mean and deviation that it has in validation video. They are far more video, and
            count for the threshold only.
        abnormal: ``(n,)`` labels of ``frames``; no frame is abnormal without them.
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
    level = levels_of(head, frames)
    # Frames beside abnormal ones are no stretch of their own: the level is that of all, and peaks those of normal ones.
    quiet = level if np.isfinite(level[~abnormal]).any() else head(frames.measurements.to(head.lower)).cpu().numpy()
    tail = tail_of(quiet[~abnormal], frames.timeline[~abnormal])
    trained_hours = 0.0
    if trained_on is not None:
        tail = tail.joined(tail_of(_levels_as_unseen(head, trained_on, frames), trained_on.timeline))
        trained_hours = trained_on.timeline.hours
    threshold = torch.tensor(tail.threshold(budget))
    scores = head(frames.measurements[normal].to(head.lower)).cpu().double()
    labels_decide = bool(abnormal.any()) and best_threshold is not None
    if labels_decide and best_threshold is not None:
        usual = usual_score(scores, threshold)
        known = np.isfinite(level)
        best = best_threshold(
            squash(torch.from_numpy(level[known]), usual, threshold), torch.from_numpy(abnormal[known])
        )
        threshold = unsquash(best, usual, threshold)
    usual_map, high = frames.maps[normal, 0].median(), frames.maps[normal, 1]
    values: dict[str, Tensor | float] = {
        **values_of(tail, float(threshold)),
        "usual": usual_score(scores, threshold),
        "pixel_usual": usual_map,
        "pixel_highest": high.max(),
        "pixel_threshold": torch.quantile(high, QUIET_SHARE),
        "trained_hours": trained_hours,
    }
    if labels_decide:
        values["normal_hours"] = math.nan
    return Calibration(values, budget)


def recalibrate(
    head: ScoreHead,
    before: Calibration,
    frames: CalibrationFrames,
    budget: float,
    accepted: Sequence[float] = (),
) -> Calibration:
    """Move the threshold of a calibrated model by more normal video; the scale of its scores stays.

    Args:
        head: of the model; left as it is.
        before: its calibration, whose peaks still count.
        frames: of normal video that it was not trained on.
        budget: false alarms per hour of normal video.
        accepted: peaks of events that a person called normal.

    Returns:
        The calibration, of the frame rate of before.
    """
    tail = tail_in(before).joined(tail_of(levels_of(head, frames), frames.timeline))
    threshold = tail.with_peaks(accepted).threshold(budget)
    quiet = torch.quantile(frames.maps[:, 1], QUIET_SHARE)
    kept = before.state_dict() | values_of(tail, threshold)
    kept["pixel_threshold"] = torch.maximum(before.pixel_threshold, quiet)
    kept["usual"] = usual_score(head(frames.measurements).double(), torch.tensor(threshold))
    return Calibration(kept, budget, before.sensitivity, before.pixel_sensitivity)


def levels_of(head: ScoreHead, frames: CalibrationFrames) -> NDArray[np.float64]:
    """Return the level of each frame, on the scale of raw scores."""
    return _levels(head(frames.measurements.to(head.lower)), frames.timeline)


def tail_in(calibration: Calibration) -> Tail:
    """Return the tail that a calibration keeps."""
    peaks, base = calibration.peaks.cpu().double().numpy(), float(calibration.base)
    return Tail(peaks[peaks > base], base, float(calibration.normal_hours))


def values_of(tail: Tail, threshold: float) -> dict[str, Tensor]:
    """Return the values of a calibration that follow from a tail and a threshold."""
    peaks = torch.full((MOST_PEAKS,), tail.base)
    peaks[: len(tail.peaks)] = torch.from_numpy(tail.peaks[:MOST_PEAKS].copy())
    return {
        "threshold": torch.tensor(threshold),
        "highest": torch.tensor(tail.peaks[0] if len(tail.peaks) else tail.base),
        "peaks": peaks,
        "base": torch.tensor(tail.base),
        "normal_hours": torch.tensor(tail.hours),
        "expected": torch.tensor([tail.rate(threshold), *tail.interval(threshold)]),
    }


def _levels_as_unseen(head: ScoreHead, trained_on: CalibrationFrames, unseen: CalibrationFrames) -> NDArray[np.float64]:
    """Return the levels that video would have had if the network had not been trained on it."""
    measured = trained_on.measurements.to(head.lower)
    seen, can = head.by_source(measured), head.can_judge(measured)
    mean = (seen[can] if bool(can.any()) else seen).mean(0)
    (means, spreads), (fresh_means, fresh_spreads) = (_by_video(head, part) for part in (trained_on, unseen))
    shifted = (seen - mean) * sure_gap(spreads, fresh_spreads).exp() + mean + sure_gap(means, fresh_means)
    return _levels(head.of_sources(torch.where(can[:, None], shifted, seen)), trained_on.timeline)


def _by_video(head: ScoreHead, frames: CalibrationFrames) -> tuple[Tensor, Tensor]:
    """Return mean and logarithm of the deviation of each source in each video: ``(videos, sources)`` each.

    Frames that cannot be judged are left out, unless a video has no others.
    """
    measured = frames.measurements.to(head.lower)
    scores, can = head.by_source(measured), head.can_judge(measured)
    videos = torch.from_numpy(frames.timeline.videos).to(scores.device)
    own = [(videos == video, (videos == video) & can) for video in videos.unique()]
    parts = [scores[judged] if int(judged.sum()) > 1 else scores[every] for every, judged in own]
    deviations = [part.std(0, unbiased=False).clamp_min(1e-6) for part in parts]
    return torch.stack([part.mean(0) for part in parts]), torch.stack(deviations).log()


def sure_gap(seen: Tensor, fresh: Tensor) -> Tensor:
    """Return how far ``(videos, sources)`` figures of fresh videos are above those of seen ones, as far as it is sure.

    Hours of a day differ; only what is more than the standard error of that difference tells of the training.
    """
    gap = fresh.mean(0) - seen.mean(0)
    if len(seen) < 2:
        return gap
    error = seen.std(0) * math.sqrt(1 / len(seen) + 1 / len(fresh))
    return gap.sign() * (gap.abs() - error).clamp_min(0)


def _levels(scores: Tensor, timeline: Timeline) -> NDArray[np.float64]:
    """Return levels; where every video is too short for one, the scores themselves."""
    raw = scores.cpu().double().numpy()
    level = levels(raw, timeline)
    return level if np.isfinite(level).any() else raw


def usual_score(normal: Tensor, threshold: Tensor) -> Tensor:
    """Return the usual normal score, at least a standard deviation below the threshold, or the scale would collapse."""
    return torch.minimum(normal.median(), threshold - normal.std(unbiased=False))
