"""The score of every judged frame of any model, kept beside its metrics."""

from pathlib import Path
from typing import Any

import pandas as pd
from lightning.pytorch import Callback, LightningModule, Trainer

from ..evaluation.controls import control_scores
from ..results.scores_table import write_scores
from ..shell.gather import gather
from .frame_difference import FrameDifference


class ScoreRecord(Callback):
    """Write ``scores.csv``: video, frame, rate, label and raw score; the control as a model adds the other controls.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._rows: list[pd.DataFrame] = []

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,  # noqa: ANN401
        *args: Any,  # noqa: ANN401
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        """Record a batch."""
        del trainer, args, kwargs
        # A trainer's callbacks come before the model's own, so this is the raw score, which no post-processor has bent:
        # min-max over a video must see the straight scale.
        columns = {
            "frame": outputs.frames,
            "rate": outputs.frame_rate,
            "label": outputs.gt_label.int(),
            "score": outputs.pred_score.flatten(),
        }
        if isinstance(pl_module, FrameDifference):
            columns |= control_scores(2 * outputs.image - 1, outputs.frames.to(outputs.image.device))
        values = {name: column.cpu().numpy() for name, column in columns.items()}
        self._rows.append(pd.DataFrame({"video": outputs.video_name} | values))

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the file."""
        del pl_module
        frames, self._rows = gather(self._rows), []
        if trainer.is_global_zero:
            write_scores(frames, self._path)
