"""A training that is stopped in the middle loses nothing."""

import errno
import os
import re
import signal
from pathlib import Path

import pytest
import torch
from anomalib.engine import Engine
from conftest import TINY_DATA, TINY_MODEL
from lightning.pytorch import Callback
from lightning.pytorch.utilities.exceptions import SIGTERMException

from anomalib_stmem import STMem, VideoFolder
from anomalib_stmem.shell import save_when_stopped

STEPS = 3
SLOW = pytest.mark.slow


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


def fit(
    scene: Path, root: Path, *callbacks: Callback, ckpt_path: Path | None = None, epochs: int = 1, workers: int = 0
) -> tuple[Engine, STMem]:
    options = {"max_epochs": epochs, "limit_train_batches": STEPS, "accelerator": "cpu", "enable_progress_bar": False}
    engine, model = Engine(default_root_dir=root, callbacks=list(callbacks), **options), STMem(**TINY_MODEL)
    data = VideoFolder(scene, **(TINY_DATA | {"num_workers": workers}))
    engine.fit(model, datamodule=data, ckpt_path=ckpt_path)
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


@pytest.mark.parametrize(
    ("step", "workers"), [(4, 2), *(pytest.param(*given, marks=SLOW) for given in ((1, 0), (4, 0), (3, 2), (5, 2)))]
)
def test_training_that_goes_on_ends_as_an_unbroken_one(scene: Path, tmp_path: Path, step: int, workers: int) -> None:
    """In the middle of the first and the second epoch, and between them."""
    _, unbroken = fit(scene, tmp_path / "unbroken", epochs=2, workers=workers)
    with pytest.raises(OSError, match="gone"):
        fit(scene, tmp_path / "broken", StopAt(step, OSError("gone")), epochs=2, workers=workers)
    (saved,) = tmp_path.rglob("stopped.ckpt")
    resumed, model = fit(scene, tmp_path / "again", ckpt_path=saved, epochs=2, workers=workers)
    assert resumed.trainer.global_step == 2 * STEPS
    assert not list((tmp_path / "again").rglob("stopped.ckpt"))
    for name, value in unbroken.state_dict().items():
        torch.testing.assert_close(
            model.state_dict()[name],
            value,
            rtol=0,
            atol=0,
            equal_nan=True,
            msg=lambda said, name=name: f"{name}: {said}",
        )


def test_training_is_saved_now_and_then(scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What kill -9 leaves: the test looks while the training runs."""
    monkeypatch.setattr(save_when_stopped, "SAVE_EVERY", 0.0)
    seen = []

    class Look(Callback):
        def on_train_batch_start(self, trainer, *args) -> None:  # noqa: ANN001, ANN002
            del args
            saved = list(tmp_path.rglob("stopped.ckpt"))
            seen.append([torch.load(one, weights_only=True)["global_step"] for one in saved])
            assert len(saved) == (trainer.global_step > 0)

    fit(scene, tmp_path, Look())
    assert seen == [[], [1], [2]]  # the third would be after the last step
    assert not list(tmp_path.rglob("stopped.ckpt"))
    assert len(list(tmp_path.rglob("v0/weights/lightning/model.ckpt"))) == 1


def test_disk_that_is_full_leaves_the_checkpoint_of_before(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class FillDisk(Callback):
        def on_train_epoch_start(self, trainer, *args) -> None:  # noqa: ANN001, ANN002
            del args
            if trainer.current_epoch == 1:
                self.before = next(tmp_path.rglob("model.ckpt")).read_bytes()
                monkeypatch.setattr(torch, "save", full)

    def full(_: object, path: Path) -> None:
        path.write_bytes(b"the beginning")
        msg = "[enforce fail at inline_container.cc:671] . PytorchStreamWriter failed writing file data/3"
        raise RuntimeError(msg)

    filling = FillDisk()
    with pytest.raises(OSError, match=r"model\.ckpt\.part cannot be written: .* Is the disk full\?"):
        fit(scene, tmp_path, filling, epochs=3)
    (kept,) = tmp_path.rglob("model.ckpt")
    assert kept.read_bytes() == filling.before
    assert not list(tmp_path.rglob("*.part"))
    assert "what it has learned could not be saved" in caplog.text


@SLOW
def test_training_that_is_stopped_while_its_threshold_is_set_goes_on_before_its_last_step(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lightning would not validate again, and the threshold would be that of the epoch before."""
    monkeypatch.setattr(save_when_stopped, "SAVE_EVERY", 0.0)

    class StopAtTheEnd(Callback):
        def on_validation_start(self, trainer, *args) -> None:  # noqa: ANN001, ANN002
            del args
            if trainer.global_step == 2 * STEPS:
                raise OSError(errno.EIO, "gone")

    _, unbroken = fit(scene, tmp_path / "unbroken", epochs=2)
    with pytest.raises(OSError, match="gone"):
        fit(scene, tmp_path / "broken", StopAtTheEnd(), epochs=2)
    (saved,) = tmp_path.rglob("stopped.ckpt")
    _, model = fit(scene, tmp_path / "again", ckpt_path=saved, epochs=2)
    for name, value in unbroken.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value, rtol=0, atol=0, equal_nan=True)
