from pathlib import Path

import pytest
import torch
from anomalib.engine import Engine
from conftest import TINY_DATA

from anomalib_stmem import FrameDifference, VideoFolder
from anomalib_stmem.comparison.frame_difference import DifferenceModel
from anomalib_stmem.evaluation.controls import control_scores
from anomalib_stmem.evaluation.evaluator import video_evaluator


def test_it_is_the_control_of_the_tables() -> None:
    clips = torch.rand(3, 6, 3, 16, 16)
    scored = DifferenceModel()(clips)
    controls = control_scores(2 * clips - 1, torch.arange(3))
    torch.testing.assert_close(scored.pred_score, controls["frame difference"])
    torch.testing.assert_close(scored.anomaly_map.amax(dim=(1, 2, 3)), controls["patch of frame difference"])


def test_it_runs_as_a_model_and_is_judged_like_one(scene: Path, tmp_path: Path) -> None:
    model = FrameDifference(image_size=(16, 16), evaluator=video_evaluator())
    engine = Engine(default_root_dir=tmp_path, accelerator="cpu", enable_progress_bar=False)
    (results,) = engine.train(model, datamodule=VideoFolder(scene, **TINY_DATA))
    assert results["image_AUROC"] == pytest.approx(results["image_AUROC"])
    assert 0 <= results["RBDC"] <= 1
    assert not torch.isnan(model.post_processor.image_threshold)
