"""anomalib's post-processor, over STMem's own calibration: raw scores and maps become calibrated ones."""

import logging
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
import torch
from anomalib.metrics import F1AdaptiveThreshold
from anomalib.post_processing import PostProcessor
from lightning.pytorch import Trainer
from torch import Tensor

from ..evaluation.calibration import CalibrationFrames, calibrate, summary_of_maps
from ..evaluation.events import Timeline
from ..evaluation.surprises import Surprise, most_surprising
from ..model.calibration import CHECKPOINT_NAMES, SIZES, Calibration, squash
from ..model.scoring import MEASUREMENTS
from ..video.frame_rate import known_rates
from .gather import gather
from .module import JudgingModule

if TYPE_CHECKING:
    from anomalib.data import Batch

logger = logging.getLogger(__name__)


class SquashingPostProcessor(PostProcessor):
    """anomalib's post-processor with scores that do not saturate (:func:`~anomalib_stmem.model.calibration.squash`).

    The stock min-max clamps to [0, 1], which on normal-only validation makes most abnormal frames read exactly 1.
    """

    @staticmethod
    def _normalize(preds: Tensor | None, norm_min: Tensor, norm_max: Tensor, threshold: Tensor) -> Tensor | None:
        """Squash scores or maps; ``norm_min`` is the usual normal value. Before calibration around 0 with spread 1."""
        del norm_max  # the stock clamp's, not needed
        return None if preds is None else squash(preds, norm_min, threshold)


class CalibratedPostProcessor(SquashingPostProcessor):
    """Thresholds that need no labelled anomaly: from normal video and a budget of false alarms.

    After each validation it hands the normal frames seen to :func:`~anomalib_stmem.evaluation.calibration.calibrate`
    and keeps what that returns, in the buffers that anomalib has for it. Where validation holds labelled anomalies too,
    the frame threshold is anomalib's F1-adaptive one instead.

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
        self.budget_in_force = false_alarms_per_hour  # that set the threshold; a checkpoint may have another
        self.trained_on: CalibrationFrames | None = None  # of the weights at hand; counts for the next calibration
        for ours, theirs in CHECKPOINT_NAMES.items():
            if not hasattr(self, theirs):
                self.register_buffer(theirs, torch.full(SIZES.get(ours, ()), float("nan")))
        self.surprises: list[Surprise] = []  # of the video that set the threshold
        self._seen: list[pd.DataFrame] = []

    @property
    def calibration(self) -> Calibration:
        """What it holds, without anomalib."""
        values = {ours: getattr(self, theirs) for ours, theirs in CHECKPOINT_NAMES.items()}
        return Calibration(values, self.budget_in_force, self.image_sensitivity, self.pixel_sensitivity)

    def adopt(self, calibration: Calibration) -> None:
        """Take over a calibration."""
        for ours, theirs in CHECKPOINT_NAMES.items():
            getattr(self, theirs).copy_(getattr(calibration, ours))
        self.budget_in_force = calibration.budget

    @property
    def is_calibrated(self) -> bool:
        """Whether a threshold is known."""
        return self.calibration.is_calibrated

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: JudgingModule,
        outputs: Any,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Keep what calibration needs: a few numbers per frame. A frame without label counts as normal."""
        del pl_module, args, kwargs
        if trainer.sanity_checking or outputs is None:  # not judged, where time is short
            return
        labels = torch.zeros(len(outputs.frames)) if outputs.gt_label is None else outputs.gt_label
        columns = {"frame": outputs.frames, "rate": outputs.frame_rate, "share": outputs.share}
        columns["abnormal"] = labels
        columns |= dict(zip(("map", "high"), summary_of_maps(outputs.anomaly_map).T, strict=True))
        columns |= dict(zip(MEASUREMENTS, outputs.measurements.T, strict=True))
        values = {name: column.cpu().numpy() for name, column in columns.items()}
        self._seen.append(pd.DataFrame({"video": outputs.video_name} | values))

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: JudgingModule) -> None:
        """Calibrate the model's score head, and set thresholds."""
        if trainer.sanity_checking or not self._seen:
            return
        seen, self._seen = gather(self._seen), []
        rate = float(np.median(seen.rate)) if seen.rate.notna().all() else float("nan")
        numbers, names = seen.video.factorize()
        timeline = Timeline(
            numbers,
            seen.frame.to_numpy(np.int64),
            known_rates(seen.rate.to_numpy(float), "The hours behind the threshold"),
            seen.share.to_numpy(float),
            tuple(names),
        )
        measurements, maps = (
            torch.tensor(seen[list(names)].to_numpy(np.float32)) for names in (MEASUREMENTS, ("map", "high"))
        )
        held_out = CalibrationFrames(measurements, maps, timeline)
        calibration = calibrate(
            pl_module.model.head,
            held_out,
            self.false_alarms_per_hour,
            trained_on=self.trained_on,
            abnormal=seen.abnormal.to_numpy() > 0,
            best_threshold=best_for_f1,
        )
        judged = [held_out] if self.trained_on is None else [held_out, self.trained_on]
        self.surprises = most_surprising(pl_module.model.head, judged)
        self.trained_on = None
        calibration.frame_rate.fill_(rate)
        self.adopt(calibration)
        logger.info("%s", calibration.explain())

    def on_test_start(self, trainer: Trainer, pl_module: JudgingModule) -> None:
        """Warn where labels would mean nothing."""
        del trainer, pl_module
        if not self.is_calibrated:
            logger.warning(
                "This model has seen no validation video, so its scores have no threshold and pred_label means "
                "nothing. Load a trained checkpoint with --ckpt_path, or run validation first."
            )

    on_predict_start = on_test_start  # type: ignore[assignment]  # same arguments


def best_for_f1(scores: Tensor, abnormal: Tensor) -> Tensor:
    """Return the threshold with the best F1. anomalib's curve is exact only for scores in [0, 1]."""
    best = F1AdaptiveThreshold(fields=["pred_score", "gt_label"])
    best.update(cast("Batch", SimpleNamespace(pred_score=scores, gt_label=abnormal.int())))
    return best.compute()
