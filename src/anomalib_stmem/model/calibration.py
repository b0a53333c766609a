"""What normal video taught about scores: the usual ones, the thresholds, and the scale from 0 to 1 that follows."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .torch_model import Judged

SURE = 3.0  # nothing seen in time T: with 95 % confidence the rate is below 3 / T (the rule of three)


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
    """The scale of scores and maps, and the thresholds; scalar buffers, NaN where nothing is known.

    Args:
        values: any of :data:`CHECKPOINT_NAMES`.
        budget: false alarms per hour of normal video that set the threshold.
        sensitivity: frames above ``1 - sensitivity`` are abnormal.
        pixel_sensitivity: the same for pixels.
    """

    usual: Tensor  # raw score of a usual normal frame
    highest: Tensor  # greatest raw score of normal video
    threshold: Tensor  # raw score above which a frame is abnormal
    pixel_usual: Tensor
    pixel_highest: Tensor
    pixel_threshold: Tensor
    normal_hours: Tensor  # of video behind the threshold; NaN where labels set it
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
            value = torch.as_tensor((values or {}).get(name, math.nan), dtype=torch.float32)
            self.register_buffer(name, value.detach().clone())
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
        seen = f"The threshold rests on {3600 * hours:.0f} s of normal video"
        if math.isnan(float(self.frame_rate)):
            seen += " (counted at an assumed frame rate)"
        if self.budget * hours >= 1:
            return f"{seen}, which would hold {self.budget * hours:.1f} false alarms at {self.budget:g} per hour."
        if bool(self.threshold > self.highest):
            return (
                f"{seen}. {self.budget:.3g} false alarms per hour ({24 * self.budget:.3g} per day) are extrapolated "
                f"from its highest peaks. Counting alone only shows fewer than {SURE / hours:.0f} per hour, with 95 % "
                "confidence."
            )
        return (
            f"{seen}, none of which exceeds it. That is too little to tell {self.budget:g} false alarms per hour: all "
            f"it shows, with 95 % confidence, is fewer than {SURE / hours:.0f} per hour on video like it."
        )

    def state(self) -> dict[str, Any]:
        """Return the buffers under the names that they have in a checkpoint."""
        return {f"post_processor.{CHECKPOINT_NAMES[name]}": value for name, value in self.state_dict().items()}


# Checkpoints keep the names of anomalib's post-processor.
CHECKPOINT_NAMES = {
    "usual": "image_min",
    "highest": "image_max",
    "threshold": "_image_threshold",
    "pixel_usual": "pixel_min",
    "pixel_highest": "pixel_max",
    "pixel_threshold": "_pixel_threshold",
    "normal_hours": "normal_hours",
    "frame_rate": "frame_rate",
}
