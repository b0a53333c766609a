"""How long a training lasts: in epochs, in steps (``--trainer.max_steps``) or in time (``--trainer.max_time``)."""

import math
import sys

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import Timer

NEVER = sys.maxsize  # batches
AFTER = 2.0  # of the time of a training that is limited in time: what setting its threshold may take
LEAST_AFTER = 20.0  # seconds that it may take at least
BLOCK = 8  # batches in a row that are judged, where not all are


def share_done(trainer: Trainer, step: int | None = None) -> float:
    """Say how much of a training is done after a step (by default the latest), in [0, 1], by the nearest limit."""
    steps = trainer.estimated_stepping_batches  # infinite where only time is limited
    shares = [(trainer.global_step if step is None else step) / max(1, steps)]
    for elapsed, left in _times(trainer):
        shares.append(elapsed / max(elapsed + left, 1e-9))
    return min(1.0, max(shares))


def is_over(trainer: Trainer) -> bool:
    """Say whether a training has taken its last step."""
    return bool(trainer.should_stop or trainer.global_step >= trainer.estimated_stepping_batches)


def seconds_after(trainer: Trainer) -> float:
    """Say how long what follows the last step may take: as long as it likes, unless the training is limited in time."""
    elapsed = [elapsed for elapsed, _ in _times(trainer)]
    return max(LEAST_AFTER, AFTER * max(elapsed)) if elapsed else math.inf


def is_among(batch: int, share: float) -> bool:
    """Say whether a batch is in a share, in [0, 1], of all: in one of the blocks that are spread over them."""
    block = batch // BLOCK
    return math.ceil((block + 1) * share) > math.ceil(block * share)


def put_off_validation(trainer: Trainer) -> None:
    """Where a training is limited in steps or time, put off to its end what else comes at the end of epochs.

    Lightning validates at the end of epochs, and such a training seldom ends there.
    """
    if _is_limited(trainer):
        trainer.check_val_every_n_epoch = None  # then the interval may be longer than an epoch
        trainer.val_check_interval = NEVER


class ValidateAtTheEnd(Callback):
    """Calibrate a training that is limited in steps or time when it ends."""

    def on_train_batch_end(self, trainer: Trainer, *args: object, **kwargs: object) -> None:
        """Ask for an early stop after the last step, before which Lightning validates."""
        del args, kwargs
        if _is_limited(trainer) and is_over(trainer):
            trainer.should_stop = True


def _is_limited(trainer: Trainer) -> bool:
    return trainer.max_steps > 0 or bool(_times(trainer))


def _times(trainer: Trainer) -> list[tuple[float, float]]:
    """Return seconds that have passed and that are left, where time is limited."""
    callbacks = trainer.callbacks  # type: ignore[attr-defined]  # which Lightning makes at run time
    timers = [callback for callback in callbacks if isinstance(callback, Timer)]
    times = [(timer.time_elapsed(), timer.time_remaining()) for timer in timers]
    return [(elapsed, left) for elapsed, left in times if left is not None]
