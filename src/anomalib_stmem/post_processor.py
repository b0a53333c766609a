"""From raw scores to ``pred_score``, ``pred_label``, ``pred_mask``: calibrated on validation video."""

import logging
import math
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import torch
from anomalib.metrics import F1AdaptiveThreshold
from anomalib.post_processing import PostProcessor
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor
from torchmetrics import CatMetric

from .model.scoring import ScoreHead

if TYPE_CHECKING:
    from anomalib.data import Batch

    from .lightning_model import STMem

logger = logging.getLogger(__name__)

QUIET_SHARE = 0.99  # of the pixels of a usual normal frame lie below the pixel threshold; the rest may be one figure


class CalibratedPostProcessor(PostProcessor):
    """anomalib's post-processor, with thresholds that need no labelled anomaly and scores that do not saturate.

    After each validation it takes, from the normal frames seen, the bounds of ``g`` in Eq. (16), and the threshold that
    a share ``false_alarm_rate`` of them exceeds. Where validation holds labelled anomalies too, the frame threshold is
    anomalib's F1-adaptive one instead. The pixel threshold is what 99 % of the pixels of a normal frame stay below, in
    all but that share of frames.

    Scores and maps are mapped to ``0.5 + 0.5 z / (1 + |z|)``, where ``z`` is the distance to the threshold in units of
    (threshold - usual normal value): 0.5 at the threshold, strictly rising, inside (0, 1).

    Subclassed because the stock min-max clamps to [0, 1], which on normal-only statistics makes most abnormal frames
    read exactly 1, and because its pixel threshold keeps every validation pixel in memory.

    Args:
        false_alarm_rate: share of normal validation frames that may exceed the threshold, in [0, 1).
        image_sensitivity: as in anomalib; frames above ``1 - image_sensitivity`` are abnormal.
        pixel_sensitivity: as in anomalib.

    Raises:
        ValueError: ``false_alarm_rate`` outside [0, 1).
    """

    def __init__(
        self,
        false_alarm_rate: float = 0.01,
        image_sensitivity: float = 0.5,
        pixel_sensitivity: float = 0.5,
    ) -> None:
        super().__init__(
            image_sensitivity=image_sensitivity, pixel_sensitivity=pixel_sensitivity, enable_threshold_matching=False
        )
        if not 0 <= false_alarm_rate < 1:
            msg = f"false_alarm_rate must be in [0, 1); got {false_alarm_rate}."
            raise ValueError(msg)
        self.false_alarm_rate = false_alarm_rate
        self._seen = CatMetric(nan_strategy="error")  # rows of label, map mean, map 99th percentile, measurements

    @property
    def is_calibrated(self) -> bool:
        """Whether a threshold is known."""
        return not bool(torch.isnan(self._image_threshold))

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,  # noqa: ANN401
        *args: Any,  # noqa: ANN401
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        """Keep what calibration needs: a few numbers per frame. A frame without label counts as normal."""
        del pl_module, args, kwargs
        if trainer.sanity_checking:
            return
        maps = outputs.anomaly_map.flatten(1)
        high = maps.kthvalue(math.ceil(QUIET_SHARE * maps.shape[1]), dim=1).values
        label = torch.zeros(len(maps), device=maps.device) if outputs.gt_label is None else outputs.gt_label.to(maps)
        self._seen.update(torch.cat([torch.stack([label, maps.mean(1), high], dim=1), outputs.measurements], dim=1))

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: "STMem") -> None:
        """Calibrate the model's score head, and set thresholds."""
        if trainer.sanity_checking or not self._seen.update_called:
            return
        seen = self._seen.compute()
        self._seen.reset()
        self.calibrate(pl_module.model.head, abnormal=seen[:, 0] > 0, maps=seen[:, 1:3], measurements=seen[:, 3:])

    def calibrate(self, head: ScoreHead, abnormal: Tensor, maps: Tensor, measurements: Tensor) -> None:
        """Set the bounds of ``head`` and the thresholds.

        Args:
            head: of the model.
            abnormal: ``(n,)`` labels, true = abnormal.
            maps: ``(n, 2)`` mean and 99th percentile of each frame's anomaly map.
            measurements: ``(n, len(MEASUREMENTS))``.
        """
        if bool(abnormal.all()):
            msg = "Validation holds no normal frame, so nothing can be calibrated. Use val_split_mode 'from_train'."
            raise ValueError(msg)
        normal = ~abnormal
        head.calibrate(measurements[normal])
        scores = head(measurements)
        budget = 1 - self.false_alarm_rate
        usual, threshold = scores[normal].median(), torch.quantile(scores[normal].float(), budget)
        if bool(abnormal.any()):
            # The metric's curve is exact only for scores in [0, 1], so it is asked about squashed ones.
            squashed = self._normalize(scores, usual, usual, threshold)
            best = F1AdaptiveThreshold(fields=["pred_score", "gt_label"])
            best.update(cast("Batch", SimpleNamespace(pred_score=squashed, gt_label=abnormal.int())))
            threshold = threshold + _unsquash(best.compute()) * _spread(threshold, usual)
        self.image_min.copy_(usual)
        self.image_max.copy_(scores[normal].max())
        self._image_threshold.copy_(threshold)
        usual_map, high = maps[normal, 0].median(), maps[normal, 1]
        self.pixel_min.copy_(usual_map)
        self.pixel_max.copy_(high.max())
        self._pixel_threshold.copy_(torch.quantile(high.float(), budget))

    @staticmethod
    def _normalize(preds: Tensor | None, norm_min: Tensor, norm_max: Tensor, threshold: Tensor) -> Tensor | None:
        """Squash scores or maps; ``norm_min`` is the usual normal value. Before calibration around 0 with spread 1."""
        del norm_max  # the stock clamp's, not needed
        if preds is None:
            return None
        known = ~torch.isnan(threshold)
        centre = torch.where(known, threshold, 0.0)
        spread = torch.where(known, _spread(threshold, norm_min), 1.0)
        distance = (preds - centre) / spread
        return 0.5 + 0.5 * distance / (1 + distance.abs())

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Warn where labels would mean nothing."""
        self._warn_uncalibrated(trainer, pl_module)

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Warn where labels would mean nothing."""
        self._warn_uncalibrated(trainer, pl_module)

    def _warn_uncalibrated(self, trainer: Trainer, pl_module: LightningModule) -> None:
        del trainer, pl_module
        if not self.is_calibrated:
            logger.warning(
                "This model has seen no validation video, so its scores have no threshold and pred_label means "
                "nothing. Load a trained checkpoint with --ckpt_path, or run validation first."
            )


def _spread(threshold: Tensor, usual: Tensor) -> Tensor:
    return (threshold - usual).clamp_min(1e-8)


def _unsquash(value: Tensor) -> Tensor:
    """Invert ``0.5 + 0.5 z / (1 + |z|)``."""
    signed = 2 * value - 1
    return signed / (1 - signed.abs()).clamp_min(1e-6)
