"""A training that is stopped in the middle loses nothing."""

import os
import re
import signal
from pathlib import Path

import pytest
from anomalib.engine import Engine
from conftest import TINY_DATA, TINY_MODEL
from lightning.pytorch import Callback
from lightning.pytorch.utilities.exceptions import SIGTERMException

from anomalib_stmem import STMem, VideoFolder

STEPS = 3


class StopAt(Callback):
    """Stop as a user, systemd or a bug would, after so many steps."""

    def __init__(self, step: int, how: signal.Signals | BaseException) -> None:
        self.step, self.how = step, how

    def on_train_batch_start(self, trainer, *args) -> None:  # noqa: ANN001, ANN002
        del args
        if trainer.global_step == self.step:
            if isinstance(self.how, BaseException):
                raise self.how
            os.kill(os.getpid(), self.how)


def fit(scene: Path, root: Path, *callbacks: Callback, ckpt_path: Path | None = None) -> tuple[Engine, STMem]:
    options = {"max_epochs": 1, "limit_train_batches": STEPS, "accelerator": "cpu", "enable_progress_bar": False}
    engine, model = Engine(default_root_dir=root, callbacks=list(callbacks), **options), STMem(**TINY_MODEL)
    engine.fit(model, datamodule=VideoFolder(scene, **TINY_DATA), ckpt_path=ckpt_path)
    return engine, model


@pytest.mark.parametrize(
    ("how", "ends_with"),
    [
        (KeyboardInterrupt(), SystemExit),
        pytest.param(
            *(signal.SIGTERM, SIGTERMException), marks=pytest.mark.skipif(os.name == "nt", reason="no such signal")
        ),
        pytest.param(OSError("The disk is full"), OSError, marks=pytest.mark.slow),
    ],
)
def test_what_was_learned_is_saved_and_goes_on(
    how: signal.Signals | BaseException,
    ends_with: type[BaseException],
    scene: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(ends_with):
        fit(scene, tmp_path, StopAt(1, how))
    (saved,) = tmp_path.rglob("stopped.ckpt")
    assert re.search(r"stopped after (1 steps \(33 %\)|2 steps \(67 %\))", caplog.text)  # a signal lets a step end
    assert f"--ckpt_path {saved}" in caplog.text
    resumed, model = fit(scene, tmp_path / "again", ckpt_path=saved)
    assert resumed.trainer.global_step == STEPS
    assert model.post_processor.is_calibrated


@pytest.mark.parametrize("how", [FloatingPointError("nan"), OSError("The disk is full")])
def test_what_is_of_no_use_is_not_saved(how: Exception, scene: Path, tmp_path: Path) -> None:
    with pytest.raises(type(how)):
        fit(scene, tmp_path, StopAt(1 if isinstance(how, FloatingPointError) else 0, how))
    assert not list(tmp_path.rglob("stopped.ckpt"))
