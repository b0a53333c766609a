"""What a training or test says where nobody sees its progress bar, as in a log file: a line each minute."""

import time
from collections.abc import Sequence
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console

from ..model.calibration import as_time
from .budget import share_done

EVERY = 60.0  # seconds


class ProgressLines(Callback):
    """Print how far it is, and of a training also how long the rest takes.

    Silent on a terminal, which has Lightning's bar, and with ``--trainer.enable_progress_bar false``.
    """

    def __init__(self) -> None:
        self._console = Console()
        self._began = self._said = 0.0  # seconds
        self._done_before = 0.0  # share, by the run that this one goes on with

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to count."""
        del pl_module
        self._began = self._said = time.monotonic()
        self._done_before = share_done(trainer)

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        """Say how far it is."""
        del args
        if not self._is_due(trainer):
            return
        done = share_done(trainer)
        rest = (time.monotonic() - self._began) * (1 - done) / max(done - self._done_before, 1e-9)
        loss = float(trainer.callback_metrics.get("loss", float("nan")))
        self._say(
            f"Training: step {trainer.global_step}, {100 * done:.0f} %, loss {loss:.4f}, {as_time(rest / 3600)} left."
        )

    def on_validation_batch_end(self, trainer: Trainer, *args: Any) -> None:
        """Say the same of the video that was held out."""
        if not trainer.sanity_checking:
            self._say_share("Judging the video that was held out", args[3], trainer.num_val_batches, trainer)

    def on_test_batch_end(self, trainer: Trainer, *args: Any) -> None:
        """Say the same of the test video."""
        self._say_share("Testing", args[3], trainer.num_test_batches, trainer)

    def _say_share(self, what: str, number: int, batches: Sequence[int | float], trainer: Trainer) -> None:
        if self._is_due(trainer):
            self._say(f"{what}: {100 * (number + 1) / sum(batches):.0f} %.")

    def _is_due(self, trainer: Trainer) -> bool:
        wanted = trainer.is_global_zero and trainer.progress_bar_callback is not None
        return wanted and not self._console.is_terminal and time.monotonic() - self._said >= EVERY

    def _say(self, sentence: str) -> None:
        self._said = time.monotonic()
        self._console.print(f"{time.strftime('%H:%M:%S')} {sentence}", soft_wrap=True, highlight=False)
