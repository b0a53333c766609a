import numpy as np
import pandas as pd
import pytest
import reference
import torch

from anomalib_stmem.evaluation.controls import CONTROLS
from anomalib_stmem.evaluation.report import paper_scores, summarise
from anomalib_stmem.model.scoring import MEASUREMENTS, ScoreHead


@pytest.fixture
def frames() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    videos = [f"v{i}" for i in range(5) for _ in range(30)]
    label = np.tile(np.arange(30) >= 15, 5)
    columns = {name: rng.normal(30 - 5 * label, 1) for name in MEASUREMENTS}
    controls = {name: rng.normal(size=150) for name in CONTROLS} | {"constant": np.zeros(150)}
    head = ScoreHead("frame", "sum", 0.8)
    score = head(torch.tensor(np.stack(list(columns.values()), axis=1), dtype=torch.float32)).numpy()
    return pd.DataFrame(
        {"video": videos, "frame": [*range(5, 35)] * 5, "label": label, "score": score} | columns | controls
    )


def test_papers_protocol_takes_bounds_from_each_video(frames: pd.DataFrame) -> None:
    scores = paper_scores(frames, ScoreHead("frame", "sum", 0.8))
    for video in frames.video.unique():
        own = frames[frames.video == video]
        expected = reference.score(
            own.psnr_frame_sum.tolist(), own.distance_spatial.tolist(), own.distance_temporal.tolist(), 0.8
        )
        np.testing.assert_allclose(scores[frames.video == video], expected, rtol=1e-4, atol=1e-5)


def test_table_compares_the_model_with_every_control(frames: pd.DataFrame) -> None:
    table = summarise(frames, ScoreHead("frame", "sum", 1.0))
    assert [name for name in table.index if name.startswith("control")] == [f"control: {name}" for name in CONTROLS]
    model, constant = table.loc["error of sum"], table.loc["control: constant"]
    assert model.one_scale > 95
    assert model.one_scale_gain_low > 20
    assert (constant.one_scale, constant.per_video, constant.macro) == (50, 50, 50)
    reference_row = table.loc["control: frame difference"]
    assert (reference_row.one_scale_gain_low, reference_row.one_scale_gain_high) == (0, 0)
