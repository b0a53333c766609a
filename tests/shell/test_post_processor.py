"""anomalib's post-processor holds what calibration found, and changes scores as the calibration does."""

from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from anomalib.data import InferenceBatch
from trained import calibrated

from anomalib_stmem import CalibratedPostProcessor
from anomalib_stmem.model.calibration import CHECKPOINT_NAMES, Calibration
from anomalib_stmem.model.scoring import MEASUREMENTS
from anomalib_stmem.model.torch_model import Judged
from anomalib_stmem.shell.post_processor import best_for_f1


@pytest.fixture
def calibration() -> Calibration:
    values = {"usual": 0.2, "highest": 0.9, "threshold": 0.7, "pixel_usual": 0.1, "pixel_threshold": 0.3}
    return Calibration(values | {"normal_hours": 0.5, "frame_rate": 10.0}, budget=3.0)


def test_it_judges_as_the_calibration_that_it_adopted(calibration: Calibration) -> None:
    post = CalibratedPostProcessor()
    post.adopt(calibration)
    scores, maps = torch.linspace(-1, 2, 50), torch.rand(50, 1, 4, 4)
    found = post(InferenceBatch(pred_score=scores, anomaly_map=maps))
    expected = calibration(Judged(scores, None, maps))
    for name, value in expected._asdict().items():
        torch.testing.assert_close(getattr(found, name), value, msg=name)
    again = post.calibration
    assert (again.budget, again.explain()) == (3.0, calibration.explain())
    for name in CHECKPOINT_NAMES:
        torch.testing.assert_close(getattr(again, name), getattr(calibration, name), equal_nan=True, msg=name)


def test_thresholds_are_in_the_checkpoint(calibration: Calibration) -> None:
    post, other = CalibratedPostProcessor(), CalibratedPostProcessor()
    post.adopt(calibration)
    other.load_state_dict(post.state_dict())
    torch.testing.assert_close(other.image_threshold, post.image_threshold)
    assert set(calibration.state()) <= {f"post_processor.{name}" for name in post.state_dict()}


def test_before_calibration_scores_are_squashed_but_a_warning_says_so(caplog: pytest.LogCaptureFixture) -> None:
    post = CalibratedPostProcessor()
    out = post(InferenceBatch(pred_score=torch.tensor([-3.0, 0, 30]), anomaly_map=torch.zeros(3, 1, 2, 2)))
    assert 0 < out.pred_score.min() < out.pred_score.max() < 1
    post.on_test_start(SimpleNamespace(), SimpleNamespace())
    assert "seen no validation video" in caplog.text


def test_validation_keeps_videos_apart_and_frames_once() -> None:
    """Two names are two videos, a frame that comes twice counts once, and hours count repeats left out (here half)."""
    module, post = calibrated(), CalibratedPostProcessor(false_alarms_per_hour=0)
    trainer = SimpleNamespace(sanity_checking=False)
    for video, score in (("gate/01", 0.1), ("gate/02", 0.2), ("gate/02", 0.2)):
        outputs = SimpleNamespace(
            frames=torch.arange(5, 9),
            frame_rate=torch.full((4,), 10.0),
            gt_label=None,
            share=torch.full((4,), 0.5),
            anomaly_map=torch.full((4, 1, 4, 4), score),
            measurements=torch.full((4, len(MEASUREMENTS)), score),
            video_name=[video] * 4,
        )
        post.on_validation_batch_end(trainer, module, outputs)
    seen = pd.concat(post._seen)
    assert seen.video.unique().tolist() == ["gate/01", "gate/02"]
    post.on_validation_epoch_end(trainer, module)
    assert float(post.normal_hours) == pytest.approx(8 / 10 / 3600 / 0.5)
    assert float(post.frame_rate) == 10


def test_best_threshold_for_f1_is_the_lowest_abnormal_score() -> None:
    scores, abnormal = torch.tensor([0.1, 0.2, 0.6, 0.9]), torch.tensor([False, False, True, True])
    assert float(best_for_f1(scores, abnormal)) == pytest.approx(0.6)


def test_impossible_budget_is_named() -> None:
    with pytest.raises(ValueError, match="false_alarms_per_hour must be 0 or more; got -1"):
        CalibratedPostProcessor(false_alarms_per_hour=-1)
