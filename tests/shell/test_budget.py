"""A training that is limited in steps or time is annealed to its end, and calibrated there and only there."""

from pathlib import Path

import pytest
from anomalib.engine import Engine
from conftest import TINY_DATA, TINY_MODEL

from anomalib_stmem import STMem, TrainedModel, VideoFolder


@pytest.mark.parametrize(
    "limit",
    [
        {"max_steps": 5, "max_epochs": 15, "check_val_every_n_epoch": 15},
        pytest.param({"max_steps": 500, "max_epochs": 2}, marks=pytest.mark.slow),
        {"max_time": {"seconds": 2}},
    ],
)
def test_it_is_annealed_and_calibrated_at_its_end(limit: dict, scene: Path, tmp_path: Path) -> None:
    started = Engine(default_root_dir=tmp_path, accelerator="cpu", enable_progress_bar=False, **limit)
    model = STMem(**TINY_MODEL, learning_rate=1e-3)
    rates: list[float] = []
    model.on_train_batch_start = lambda *_: rates.append(model.optimizers().param_groups[0]["lr"])
    validations: list[int] = []
    model.on_validation_end = lambda: validations.append(started.trainer.global_step)
    started.fit(model, datamodule=VideoFolder(scene, **TINY_DATA))
    steps = started.trainer.global_step
    assert steps == 6 if limit.get("max_epochs") == 2 else limit.get("max_steps", steps)
    assert steps > 3  # an epoch, after which Lightning would validate
    assert validations[-1:] == [steps]
    assert len(validations) == 2  # the first one is Lightning's check before the training
    assert rates[0] == pytest.approx(1e-3)
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 5e-4
    (saved,) = tmp_path.rglob("model.ckpt")
    assert "were not trained on" in TrainedModel.load(saved).explain_threshold()
