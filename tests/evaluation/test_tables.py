import numpy as np
import pandas as pd
import pytest
import reference
import torch

from anomalib_stmem.evaluation.controls import CONTROLS
from anomalib_stmem.evaluation.normalisation import NORMALISATIONS
from anomalib_stmem.evaluation.tables import compare, fused
from anomalib_stmem.model.scoring import MEASUREMENTS, ScoreHead


@pytest.fixture
def frames() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    videos = [f"v{i}" for i in range(5) for _ in range(30)]
    label = np.tile(np.arange(30) >= 15, 5)
    columns = {name: rng.normal(30 - 5 * label, 1) for name in MEASUREMENTS} | {"changed": 0.0}
    controls = {name: rng.normal(size=150) for name in CONTROLS} | {"constant": np.zeros(150)}
    return pd.DataFrame({"video": videos, "frame": [*range(5, 35)] * 5, "label": label} | columns | controls)


def test_papers_protocol_takes_bounds_from_each_video(frames: pd.DataFrame) -> None:
    scores = fused(frames, ScoreHead("frame", "sum", 0.8), "per_video")
    for video in frames.video.unique():
        own = frames[frames.video == video]
        expected = reference.score(
            own.psnr_frame_sum.tolist(), own.distance_spatial.tolist(), own.distance_temporal.tolist(), 0.8
        )
        np.testing.assert_allclose(scores[frames.video == video], expected, rtol=1e-4, atol=1e-5)


def test_calibrated_is_the_heads_own_score(frames: pd.DataFrame) -> None:
    head = ScoreHead("frame", "temporal", 0.8)
    measurements = torch.tensor(frames[list(MEASUREMENTS)].to_numpy(), dtype=torch.float32)
    head.calibrate(measurements[:40])
    np.testing.assert_allclose(fused(frames, head, "calibrated"), head(measurements).numpy(), rtol=1e-4, atol=1e-5)


def test_table_compares_the_model_with_every_control(frames: pd.DataFrame) -> None:
    table = compare(frames, ScoreHead("frame", "sum", 1.0))
    assert [name for name in table.index if name.startswith("control")] == [f"control: {name}" for name in CONTROLS]
    model = table.loc["error of sum"]
    assert model.calibrated > 95
    assert model.calibrated_gain_low > 20
    reference_row = table.loc["control: frame difference"]
    assert (reference_row.calibrated_gain_low, reference_row.calibrated_gain_high) == (0, 0)


@pytest.mark.parametrize("smoothing", ["none", "causal", "centred"])
def test_a_constant_gains_nothing_from_any_protocol(frames: pd.DataFrame, smoothing: str) -> None:
    constant = compare(frames, ScoreHead("frame", "sum", 1.0), smoothing).loc["control: constant"]
    assert [constant[how] for how in NORMALISATIONS] == [50] * 4
    assert constant.macro == constant.padded == 50


def test_smoothing_comes_after_normalising(frames: pd.DataFrame) -> None:
    table = compare(frames, ScoreHead("frame", "sum", 1.0), "causal")
    scores = []
    for video in frames.video.unique():
        own = -frames[frames.video == video].psnr_frame_sum.to_numpy()
        mapped = (own - own.min()) / (own.max() - own.min())
        scores += reference.running_average(mapped.tolist(), 0.2)
    expected = 100 * reference.auroc(scores, frames.label.tolist())
    assert table.loc["error of sum"].per_video == pytest.approx(expected)


@pytest.mark.parametrize("how", NORMALISATIONS)
def test_error_that_a_network_lacks_is_scored_as_the_sum(frames: pd.DataFrame, how: str) -> None:
    """As `measure` has it: a single stream measures no error of the other, and no distance to its memory."""
    lacking = [name for name in MEASUREMENTS if name.endswith(("_spatial", "_both"))]
    alone = frames.drop(columns=lacking)
    np.testing.assert_allclose(
        fused(alone, ScoreHead("patches", "both", 1.0), how), fused(frames, ScoreHead("patches", "sum", 1.0), how)
    )
    nothing = frames.assign(distance_spatial=0.0)
    head = ScoreHead("frame", "sum", 0.8)
    np.testing.assert_allclose(fused(alone, head, how), fused(nothing, head, how))


def test_fused_score_stands_beside_each_of_its_sources(frames: pd.DataFrame) -> None:
    head = ScoreHead("frame", "sum", 1.0, speed=True, looks=True)
    measurements = torch.tensor(frames[list(MEASUREMENTS)].to_numpy(), dtype=torch.float32)
    head.calibrate(measurements[frames.label.to_numpy() == 0])
    rows = compare(frames, head).index.tolist()
    assert rows[:4] == ["STMem", "motion alone", "speed alone", "looks alone"]
    assert compare(frames, head).loc["motion alone"].calibrated > 95
