"""Whatever ends a training too early, from Ctrl-C to a power cut: what was learned is kept, and a line says where."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.exceptions import SIGTERMException

from ..data.datamodule import ClipData
from .budget import is_over, share_done

logger = logging.getLogger(__name__)

STOPPED = Path("weights", "lightning", "stopped.ckpt")  # in the folder of the run, beside anomalib's model.ckpt
SAVE_EVERY = 300.0  # seconds of training that kill -9 or a power cut can cost


def tell_where_it_goes_on(trainer: Trainer, checkpoint: Mapping[str, Any]) -> None:
    """Tell a datamodule of ours which clips a training has seen that goes on; Lightning would begin the epoch again."""
    data = getattr(trainer, "datamodule", None)
    if isinstance(data, ClipData):
        loop = checkpoint["loops"]["fit_loop"]
        epoch, batches = loop["epoch_progress"]["current"]["processed"], loop["epoch_loop.batch_progress"]
        seen = batches["current"]["processed"]
        has_ended = batches["is_last_batch"] and seen == batches["current"]["ready"]
        data.go_on(epoch + has_ended, 0 if has_ended else seen)


class SaveWhenStopped(Callback):
    """Save a training now and then, and when it is stopped; a training that ends takes that file away.

    Lightning's ``OnExceptionCheckpoint`` wants to know its folder before anomalib has made one, saves weights that are
    not finite, and waits for ever for a process that has failed.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to count."""
        del trainer, pl_module
        self._saved_at = time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        """Save it every :data:`SAVE_EVERY`, on all devices at the same step; not after the last one, as below."""
        del args, kwargs
        is_due = time.monotonic() - self._saved_at > SAVE_EVERY and not is_over(trainer)
        if trainer.strategy.broadcast(is_due) if trainer.world_size > 1 else is_due:
            trainer.save_checkpoint(Path(trainer.default_root_dir) / STOPPED)
            self._saved_at = time.monotonic()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take away what is no longer needed: the training has ended, and ``model.ckpt`` is whole."""
        del pl_module
        if trainer.is_global_zero:
            (Path(trainer.default_root_dir) / STOPPED).unlink(missing_ok=True)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Save it, unless nothing was learned yet or the weights are of no use.

        Nor is it saved after the last step, while the threshold is set: Lightning would go on with the threshold of
        before, or none. What was saved last is there.
        """
        del pl_module
        learned = trainer.state.fn == TrainerFn.FITTING and trainer.global_step > 0 and not is_over(trainer)
        all_stop = trainer.world_size == 1 or isinstance(exception, SIGTERMException)
        if not learned or not all_stop or isinstance(exception, FloatingPointError):
            return
        path = Path(trainer.default_root_dir) / STOPPED
        try:
            trainer.save_checkpoint(path)
        except OSError as error:  # the disk may be why the training stops
            logger.warning("The training was stopped, and what it has learned could not be saved: %s", error)
            return
        if trainer.is_global_zero:
            logger.warning(
                "The training was stopped after %d steps (%.0f %%). What it has learned is in %s. A threshold is set "
                "at the end of a training only. To go on, run `anomalib fit` with the same options and --ckpt_path %s",
                *(trainer.global_step, 100 * share_done(trainer), path, path),
            )
