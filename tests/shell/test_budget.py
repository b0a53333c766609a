"""A training that is limited in steps or time is annealed to its end, and calibrated there and only there."""

from itertools import pairwise
from pathlib import Path

import pytest
from anomalib.engine import Engine
from conftest import TINY_DATA, TINY_MODEL

from anomalib_stmem import STMem, TrainedModel, VideoFolder, lightning_model
from anomalib_stmem.shell.budget import BLOCK, is_among


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


@pytest.mark.parametrize(("share", "most_apart"), [(1.0, 0), (0.5, 1), (0.1, 9), (0.01, 99)])
def test_share_of_batches_comes_in_blocks_spread_over_all(share: float, most_apart: int) -> None:
    taken = [block for block in range(1000) if is_among(block * BLOCK, share)]
    assert len(taken) == round(1000 * share)
    assert max(second - first for first, second in pairwise(taken)) == most_apart + 1
    assert all(is_among(5 * BLOCK + place, share) == is_among(5 * BLOCK, share) for place in range(BLOCK))


def test_less_is_judged_where_time_is_short(scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lightning_model, "LEAST_JUDGED", 20)
    monkeypatch.setattr(lightning_model, "frames_in", lambda *_: 0.0)
    batches: list[int] = []
    started = Engine(default_root_dir=tmp_path, accelerator="cpu", enable_progress_bar=False, max_steps=2)
    data = VideoFolder(scene, **TINY_DATA | {"eval_batch_size": 1, "eval_clip_length": 6})
    model = STMem(**TINY_MODEL)
    judge = model._judge
    model._judge = lambda batch: batches.append(len(batch.frames)) or judge(batch)
    started.fit(model, datamodule=data)
    held = data.val_data.num_judged
    assert 0 < sum(batches) - 1 < held
    assert model.post_processor.is_calibrated
