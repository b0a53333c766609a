"""What normal video taught about scores: the usual ones, the thresholds, and the scale from 0 to 1 that follows."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .torch_model import Judged

HOURS_PER_DAY = 24.0
MOST_PEAKS = 100  # of normal video that are kept, the highest
MOST_TIMES = 10  # as long as the normal video at hand is the longest time that its tail foretells


def squash(values: Tensor, usual: Tensor, threshold: Tensor) -> Tensor:
    """Map scores or maps to ``0.5 + 0.5 z / (1 + |z|)``: 0.5 at the threshold, strictly rising, inside (0, 1).

    ``z`` is the distance to the threshold in units of (threshold - usual value). Without a threshold (NaN) it is the
    value itself.
    """
    known = ~torch.isnan(threshold)
    centre = torch.where(known, threshold, 0.0)
    distance = (values - centre) / torch.where(known, spread(usual, threshold), 1.0)
    return 0.5 + 0.5 * distance / (1 + distance.abs())


def unsquash(value: Tensor, usual: Tensor, threshold: Tensor) -> Tensor:
    """Invert :func:`squash`."""
    signed = 2 * value - 1
    distance = signed / (1 - signed.abs()).clamp_min(torch.finfo(value.dtype).eps)
    return threshold + distance * spread(usual, threshold)


def spread(usual: Tensor, threshold: Tensor) -> Tensor:
    """Return the unit of the scale."""
    return (threshold - usual).clamp_min(1e-8)


class Calibration(nn.Module):
    """The scale of scores and maps, and the thresholds; buffers, NaN where nothing is known.

    Args:
        values: any of :data:`CHECKPOINT_NAMES`.
        budget: false alarms per hour of normal video that set the threshold.
        sensitivity: frames above ``1 - sensitivity`` are abnormal.
        pixel_sensitivity: the same for pixels.
    """

    usual: Tensor  # raw score of a usual normal frame
    highest: Tensor  # highest level of normal video (anomalib_stmem.model.decision)
    threshold: Tensor  # level above which there is an alarm, on the scale of raw scores
    pixel_usual: Tensor
    pixel_highest: Tensor
    pixel_threshold: Tensor
    normal_hours: Tensor  # of video behind the threshold; NaN where labels set it
    trained_hours: Tensor  # of them, those of video that the network was trained on
    peaks: Tensor  # (MOST_PEAKS,), of the levels of normal video, the highest first, then ``base``
    base: Tensor  # level
    expected: Tensor  # (3,): false alarms per hour that are to be expected, and between which the truth is likely
    frame_rate: Tensor  # of the training video, frames per second

    def __init__(
        self,
        values: Mapping[str, Tensor | float] | None = None,
        budget: float = 1.0,
        sensitivity: float = 0.5,
        pixel_sensitivity: float = 0.5,
    ) -> None:
        super().__init__()
        for name in CHECKPOINT_NAMES:
            buffer = torch.full(SIZES.get(name, ()), math.nan)
            if name in (values or {}):
                buffer.copy_(torch.as_tensor((values or {})[name], dtype=torch.float32))
            self.register_buffer(name, buffer)
        self.budget, self.sensitivity, self.pixel_sensitivity = budget, sensitivity, pixel_sensitivity

    @property
    def is_calibrated(self) -> bool:
        """Whether a threshold is known."""
        return not bool(torch.isnan(self.threshold))

    def forward(self, judged: Judged) -> Judged:
        """Map raw scores ``(n,)`` and maps ``(n, 1, h, w)`` to (0, 1), and label frames and pixels."""
        score = squash(judged.pred_score, self.usual, self.threshold)
        anomaly_map = squash(judged.anomaly_map, self.pixel_usual, self.pixel_threshold)
        return Judged(score, score > 1 - self.sensitivity, anomaly_map, anomaly_map > 1 - self.pixel_sensitivity)

    def explain(self) -> str:
        """Say what the frame threshold rests on, and what cannot be told from so much video."""
        if not self.is_calibrated:
            return "There is no threshold: the model has seen no validation video."
        hours = float(self.normal_hours)
        if math.isnan(hours):
            return "The threshold is the best one for F1 on labelled validation video."
        seen = f"The threshold rests on {as_time(hours)} of normal video"
        if math.isnan(float(self.frame_rate)):
            seen += " (counted at an assumed frame rate)"
        if float(self.trained_hours) > 0:
            seen += f", of which {as_time(hours - float(self.trained_hours))} were not trained on"
        expected, low, high = (HOURS_PER_DAY * float(rate) for rate in self.expected)
        seen += (
            f". On video like it, expect {figures(expected)} false events per day (with 90 % confidence between "
            f"{figures(low)} and {figures(high)})."
        )
        if self.budget * foretold(hours) < 1:
            seen += (
                f" It is too short to tell the budget of {figures(HOURS_PER_DAY * self.budget)} a day, so the "
                f"threshold is that of one false event in {as_time(foretold(hours))}: it rather finds too much than "
                "too little."
            )
        return seen

    def state(self) -> dict[str, Any]:
        """Return the buffers under the names that they have in a checkpoint."""
        return {f"post_processor.{CHECKPOINT_NAMES[name]}": value for name, value in self.state_dict().items()}


def foretold(hours: float) -> float:
    """For how many hours the tail of so many hours of normal video tells the false alarms.

    Minutes tell of no more than themselves, an hour of an hour, five hours of a day: to err on the side that finds
    things.
    """
    return hours * min(MOST_TIMES, max(1.0, hours))


def as_time(hours: float) -> str:
    """Say a time in the unit that suits it."""
    if hours < 0.1:
        return f"{3600 * hours:.0f} s"
    return f"{60 * hours:.0f} min" if hours < 3 else f"{hours:.1f} hours"


def figures(number: float) -> str:
    """Write a number with two figures, or as a whole one."""
    return f"{number:.0f}" if number >= 10 else f"{number:.2g}"


# Checkpoints keep the names of anomalib's post-processor.
CHECKPOINT_NAMES = {
    "usual": "image_min",
    "highest": "image_max",
    "threshold": "_image_threshold",
    "pixel_usual": "pixel_min",
    "pixel_highest": "pixel_max",
    "pixel_threshold": "_pixel_threshold",
    **{name: name for name in ("normal_hours", "trained_hours", "peaks", "base", "expected", "frame_rate")},
}
SIZES = {"peaks": (MOST_PEAKS,), "expected": (3,)}  # of the buffers that are no scalars
