"""From raw scores to ``pred_score``, ``pred_label``, ``pred_mask``: calibrated on validation video."""

import logging
import math
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from anomalib.metrics import F1AdaptiveThreshold
from anomalib.post_processing import PostProcessor
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor
from torchmetrics import CatMetric

from .evaluation.events import Timeline, extrapolated_threshold, threshold_for, what_the_budget_rests_on
from .evaluation.frame_metrics import video_key
from .model.scoring import ScoreHead

if TYPE_CHECKING:
    from anomalib.data import Batch

    from .lightning_model import STMem

logger = logging.getLogger(__name__)

QUIET_SHARE = 0.99  # of the pixels of a usual normal frame lie below the pixel threshold; the rest may be one figure
ABOUT = 6  # columns before the measurements


class SquashingPostProcessor(PostProcessor):
    """anomalib's post-processor with scores that do not saturate.

    Scores and maps are mapped to ``0.5 + 0.5 z / (1 + |z|)``, where ``z`` is the distance to the threshold in units of
    (threshold - usual normal value): 0.5 at the threshold, strictly rising, inside (0, 1). The stock min-max clamps to
    [0, 1], which on normal-only validation makes most abnormal frames read exactly 1.
    """

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


class CalibratedPostProcessor(SquashingPostProcessor):
    """Thresholds that need no labelled anomaly: from normal video and a budget of false alarms.

    After each validation it takes, from the normal frames seen, the bounds of ``g`` in Eq. (16), and the lowest
    threshold that keeps within ``false_alarms_per_hour`` on them (frames in alarm less than a second apart are one
    alarm). From little video that is the greatest normal score, and :meth:`basis` says what cannot be told. Where
    validation holds labelled anomalies too, the frame threshold is anomalib's F1-adaptive one instead. The pixel
    threshold is what 99 % of the pixels of a normal frame stay below, in 99 % of such frames.

    Subclassed because the stock thresholds need labelled anomalies, and the stock pixel threshold keeps every
    validation pixel in memory.

    Args:
        false_alarms_per_hour: budget of alarms on normal video, 0 or more.
        image_sensitivity: as in anomalib; frames above ``1 - image_sensitivity`` are abnormal.
        pixel_sensitivity: as in anomalib.

    Raises:
        ValueError: ``false_alarms_per_hour`` is negative.
    """

    def __init__(
        self,
        false_alarms_per_hour: float = 1.0,
        image_sensitivity: float = 0.5,
        pixel_sensitivity: float = 0.5,
    ) -> None:
        super().__init__(
            image_sensitivity=image_sensitivity, pixel_sensitivity=pixel_sensitivity, enable_threshold_matching=False
        )
        if false_alarms_per_hour < 0:
            msg = f"false_alarms_per_hour must be 0 or more; got {false_alarms_per_hour}."
            raise ValueError(msg)
        self.false_alarms_per_hour = false_alarms_per_hour
        self.normal_hours: Tensor
        self.register_buffer("normal_hours", torch.tensor(float("nan")))  # of video behind the threshold
        self.frame_rate: Tensor
        self.register_buffer("frame_rate", torch.tensor(float("nan")))  # of the training video, frames per second
        # Rows of label, map mean, map 99th percentile, video, frame, frame rate, measurements.
        self._seen = CatMetric(nan_strategy="error")

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
        keys = torch.tensor([video_key(n) for n in outputs.video_name], dtype=torch.float64, device=maps.device)
        columns = (label, maps.mean(1), high, keys, outputs.frames, outputs.frame_rate)
        about = torch.stack([column.to(keys) for column in columns], dim=1)
        self._seen.update(torch.cat([about, outputs.measurements.to(about)], dim=1))

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: "STMem") -> None:
        """Calibrate the model's score head, and set thresholds."""
        if trainer.sanity_checking or not self._seen.update_called:
            return
        seen = self._seen.compute().cpu()  # in any order, and twice where devices share a clip
        seen = seen[np.unique(seen[:, [3, 4]].numpy(), axis=0, return_index=True)[1]]  # by video, then frame
        self._seen.reset()
        timeline = Timeline(
            seen[:, 3].numpy().astype(np.int64), seen[:, 4].numpy().astype(np.int64), seen[:, 5].numpy()
        )
        self.frame_rate.fill_(float(np.median(timeline.rates)))
        head = pl_module.model.head
        measurements = seen[:, ABOUT:].to(head.lower)
        self.calibrate(head, abnormal=seen[:, 0] > 0, maps=seen[:, 1:3], measurements=measurements, timeline=timeline)

    def calibrate(
        self,
        head: ScoreHead,
        abnormal: Tensor,
        maps: Tensor,
        measurements: Tensor,
        timeline: Timeline,
        extrapolate: bool = False,
    ) -> None:
        """Set the bounds of ``head`` and the thresholds.

        Args:
            head: of the model.
            abnormal: ``(n,)`` labels, true = abnormal.
            maps: ``(n, 2)`` mean and 99th percentile of each frame's anomaly map.
            measurements: ``(n, len(MEASUREMENTS))``.
            timeline: where the frames are, sorted by video and frame.
            extrapolate: whether a budget of less than one false alarm in the normal frames lies beyond the greatest of
                their scores.

        Raises:
            ValueError: all frames are abnormal.
        """
        if bool(abnormal.all()):
            msg = "Validation holds no normal frame, so nothing can be calibrated. Use val_split_mode 'from_train'."
            raise ValueError(msg)
        normal = ~abnormal
        head.calibrate(measurements[normal.to(measurements.device)])
        scores = head(measurements).cpu().double()
        rows = normal.numpy()
        when = Timeline(timeline.videos[rows], timeline.frames[rows], timeline.rates[rows])
        rule = extrapolated_threshold if extrapolate else threshold_for
        threshold = torch.tensor(rule(scores[normal].numpy(), when, self.false_alarms_per_hour))
        if bool(abnormal.any()):
            usual = _usual(scores[normal], threshold)
            # The metric's curve is exact only for scores in [0, 1], so it is asked about squashed ones.
            squashed = self._normalize(scores, usual, usual, threshold)
            best = F1AdaptiveThreshold(fields=["pred_score", "gt_label"])
            best.update(cast("Batch", SimpleNamespace(pred_score=squashed, gt_label=abnormal.int())))
            threshold = threshold + _unsquash(best.compute()) * _spread(threshold, usual)
        self.image_min.copy_(_usual(scores[normal], threshold))
        self.image_max.copy_(scores[normal].max())
        self._image_threshold.copy_(threshold)
        self.normal_hours.fill_(float("nan") if bool(abnormal.any()) else when.hours)
        usual_map, high = maps[normal, 0].median(), maps[normal, 1]
        self.pixel_min.copy_(usual_map)
        self.pixel_max.copy_(high.max())
        self._pixel_threshold.copy_(torch.quantile(high, QUIET_SHARE))

    def basis(self) -> str:
        """Say what the frame threshold rests on."""
        if not self.is_calibrated:
            return "There is no threshold: the model has seen no validation video."
        if math.isnan(float(self.normal_hours)):
            return "The threshold is the best one for F1 on labelled validation video."
        beyond = bool(self._image_threshold > self.image_max)
        return what_the_budget_rests_on(self.false_alarms_per_hour, float(self.normal_hours), beyond)

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


def _usual(normal: Tensor, threshold: Tensor) -> Tensor:
    """Return the usual normal score, at least a standard deviation below the threshold, or the scale would collapse."""
    return torch.minimum(normal.median(), threshold - normal.std(unbiased=False))


def _spread(threshold: Tensor, usual: Tensor) -> Tensor:
    return (threshold - usual).clamp_min(1e-8)


def _unsquash(value: Tensor) -> Tensor:
    """Invert ``0.5 + 0.5 z / (1 + |z|)``."""
    signed = 2 * value - 1
    return signed / (1 - signed.abs()).clamp_min(torch.finfo(value.dtype).eps)
