"""Ctrl-C, SIGTERM or an error in the middle of a training: what was learned so far is kept, and a line says where."""

import logging
from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.exceptions import SIGTERMException

from .budget import share_done

logger = logging.getLogger(__name__)

STOPPED = Path("weights", "lightning", "stopped.ckpt")  # in the folder of the run, beside anomalib's model.ckpt


class SaveWhenStopped(Callback):
    """Save a training that is stopped.

    Lightning's ``OnExceptionCheckpoint`` wants to know its folder before anomalib has made one, saves weights that are
    not finite, and waits for ever for a process that has failed.
    """

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Save it, unless nothing was learned yet or the weights are of no use."""
        del pl_module
        learned = trainer.state.fn == TrainerFn.FITTING and trainer.global_step > 0
        all_stop = trainer.world_size == 1 or isinstance(exception, SIGTERMException)
        if not learned or not all_stop or isinstance(exception, FloatingPointError):
            return
        path = Path(trainer.default_root_dir) / STOPPED
        trainer.save_checkpoint(path)
        if trainer.is_global_zero:
            logger.warning(
                "The training was stopped after %d steps (%.0f %%). What it has learned is in %s. A threshold is set "
                "at the end of a training only. To go on, run `anomalib fit` with the same options and --ckpt_path %s",
                *(trainer.global_step, 100 * share_done(trainer), path, path),
            )
