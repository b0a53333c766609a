import pytest
import reference
import torch

from anomalib_stmem.model.memory import PrototypeMemory
from anomalib_stmem.model.scoring import (
    MEASUREMENTS,
    ScoreHead,
    blur,
    error_maps,
    measure,
    memory_distance,
    motion_map,
    psnr,
)


def measured(maps: dict, motion: torch.Tensor | None = None) -> torch.Tensor:
    """Measure errors alone."""
    blurred = {name: blur(error) for name, error in maps.items()}
    return measure(maps, blurred, {}, {"motion": torch.zeros(1, 1) if motion is None else motion})


def test_psnr_follows_equation_14() -> None:
    final, actual = torch.rand(1, 1, 3, 8, 8) * 2 - 1, torch.rand(1, 1, 3, 8, 8) * 2 - 1
    maps = error_maps({"sum": final - actual})
    row = measured(maps)
    column = MEASUREMENTS.index("psnr_frame_sum")
    assert float(row[0, 0, column]) == pytest.approx(reference.psnr(final, actual), rel=1e-5)


def test_repeated_frame_has_a_finite_psnr() -> None:
    assert float(psnr(torch.tensor(0.0))) == pytest.approx(100.0)


def test_distance_follows_equation_15() -> None:
    memory = PrototypeMemory(channels=5, num_items=4).eval()
    features = torch.randn(2, 5, 3, 3)
    expected = [reference.distance(one, memory.items.detach()) for one in features]
    torch.testing.assert_close(memory_distance(memory(features)), torch.tensor(expected))


@pytest.mark.parametrize("weight", [0.8, 1.0, 0.0])
def test_score_follows_equation_16(weight: float) -> None:
    measurements = torch.rand(7, len(MEASUREMENTS))
    head = ScoreHead("frame", "sum", weight)
    column = {name: measurements[:, i].tolist() for i, name in enumerate(MEASUREMENTS)}
    expected = reference.score(
        column["psnr_frame_sum"], column["distance_spatial"], column["distance_temporal"], weight
    )
    per_video = head.fuse(measurements, measurements.amin(dim=0), measurements.amax(dim=0))
    torch.testing.assert_close(per_video, torch.tensor(expected))
    head.calibrate(measurements)
    torch.testing.assert_close(head(measurements), torch.tensor(expected))


def test_patch_finds_the_small_figure_that_the_frame_dilutes() -> None:
    quiet, figure = torch.full((1, 1, 64, 64), 0.01), torch.full((1, 1, 64, 64), 0.008)
    figure[..., 20:25, 30:35] = 0.05
    frame, patch = (MEASUREMENTS.index(f"psnr_{area}_sum") for area in ("frame", "patch"))
    of_quiet, of_figure = (measured({"sum": maps})[0, 0] for maps in (quiet, figure))
    assert of_figure[frame] > of_quiet[frame]
    assert of_figure[patch] < of_quiet[patch]


def test_patches_are_the_root_mean_square_of_the_blurred_error() -> None:
    error = torch.randn(1, 1, 1, 16, 16)
    column = MEASUREMENTS.index("psnr_patches_sum")
    value = measured(error_maps({"sum": error}))[0, 0, column]
    assert float(value) == pytest.approx(reference.patches_psnr(error[0, 0, 0], side=3), rel=1e-5)


def test_figure_counts_more_in_patches_than_in_the_frame_and_less_than_in_its_worst_patch() -> None:
    spread = torch.full((1, 1, 64, 64), 0.01)
    figure = torch.zeros(1, 1, 64, 64)
    figure[..., 16:32, 16:32] = 0.01 * 64 * 64 / (16 * 16)  # the same error in all
    shift = [
        float(measured({"sum": spread})[0, 0, column]) - float(measured({"sum": figure})[0, 0, column])
        for column in (MEASUREMENTS.index(f"psnr_{area}_sum") for area in ("frame", "patches", "patch"))
    ]
    assert shift[0] == pytest.approx(0, abs=1e-4)
    assert shift[0] + 1 < shift[1] < shift[2] - 1


def test_blur_is_the_mean_of_the_pixels_around_and_zero_beyond_the_frame() -> None:
    maps = torch.rand(1, 1, 16, 16)
    blurred = blur(maps)  # 3x3 patches at height 16
    torch.testing.assert_close(blurred[0, 0, 5, 7], maps[0, 0, 4:7, 6:9].mean())
    torch.testing.assert_close(blurred[0, 0, 0, 0], maps[0, 0, :2, :2].sum() / 9)


def test_map_of_both_is_the_mean_of_the_streams() -> None:
    errors = {name: torch.randn(1, 2, 3, 4, 4) for name in ("sum", "spatial", "temporal")}
    maps = error_maps(errors)
    torch.testing.assert_close(maps["both"], (maps["spatial"] + maps["temporal"]) / 2)
    assert "both" not in error_maps({"sum": errors["sum"], "spatial": errors["spatial"]})


def test_frozen_bounds_do_not_divide_by_zero() -> None:
    head = ScoreHead("frame", "sum", 0.8)
    measurements = torch.ones(4, len(MEASUREMENTS))
    head.calibrate(measurements)
    assert torch.isfinite(head(measurements)).all()


def test_relative_error_is_its_share_of_the_motion() -> None:
    error, difference = torch.rand(1, 6, 3, 8, 8), torch.rand(1, 6, 3, 8, 8)
    measurements = measured(error_maps({"sum": error, "temporal": error}), motion_map(difference).mean(dim=(-2, -1)))[0]
    head = ScoreHead("frame", "temporal", 1.0, relative=True)
    head.calibrate(measurements)
    mse, motion = ((part[0] / 2).square().mean(dim=(1, 2, 3)) for part in (error, difference))
    decibels = -10 * (mse / (motion + motion.mean())).log10()
    expected = 1 - (decibels - decibels.min()) / (decibels.max() - decibels.min())
    torch.testing.assert_close(head(measurements), expected)
    absolute = ScoreHead("frame", "temporal", 1.0)
    torch.testing.assert_close(absolute.compensate(measurements), measurements)


def test_crowd_is_no_anomaly_by_itself() -> None:
    head = ScoreHead("frame", "temporal", 1.0, relative=True)
    columns = dict.fromkeys(MEASUREMENTS, torch.zeros(3))
    motion, unexplained = torch.tensor([1e-3, 4e-3, 1e-3]), torch.tensor([0.3, 0.3, 0.6])
    columns |= {"motion": motion, "psnr_frame_temporal": psnr(motion * unexplained)}
    few, crowd, runner = head(torch.stack(list(columns.values()), dim=-1)).tolist()
    assert few < crowd < runner


@pytest.mark.parametrize(
    ("area", "error", "weight", "complaint"),
    [
        ("pixel", "sum", 1.0, "score_area"),
        ("frame", "flow", 1.0, "score_error"),
        ("frame", "sum", 1.5, "lambda"),
    ],
)
def test_unknown_choice_is_named(area: str, error: str, weight: float, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        ScoreHead(area, error, weight)


def test_patch_is_an_eighth_of_the_height_whatever_the_width() -> None:
    """A single pixel of error spreads over a patch: 3 pixels of 16 rows, 5 of 32."""
    for height, side in ((16, 3), (32, 5)):
        for width in (16, 64):
            point = torch.zeros(1, 1, height, width)
            point[..., height // 2, width // 2] = 1
            spread = (blur(point) > 0)[0, 0]
            assert (int(spread.any(dim=1).sum()), int(spread.any(dim=0).sum())) == (side, side)
