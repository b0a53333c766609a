import numpy as np
import pytest
import reference

from anomalib_stmem.evaluation.normalisation import (
    CAUSAL_SHARE,
    CENTRED_SIGMA,
    NORMALISATIONS,
    SMOOTHINGS,
    by_video,
    normalise,
    smooth,
)

VALUES = np.array([3.0, 5.0, 2.0, 8.0, 8.0, 1.0])


def test_each_choice_by_hand() -> None:
    np.testing.assert_allclose(normalise(VALUES, "none"), VALUES)
    np.testing.assert_allclose(normalise(VALUES, "calibrated", (1, 3)), (VALUES - 1) / 2)
    np.testing.assert_allclose(normalise(VALUES, "running"), [0, 1, 0, 1, 1, 0])
    np.testing.assert_allclose(normalise(VALUES, "per_video"), (VALUES - 1) / 7)


@pytest.mark.parametrize("how", ["none", "calibrated", "running"])
def test_all_but_per_video_are_causal(how: str) -> None:
    changed = np.append(VALUES[:4], [100.0, -100.0])
    np.testing.assert_array_equal(normalise(VALUES, how)[:4], normalise(changed, how)[:4])


def test_causal_smoothing_knows_no_future() -> None:
    changed = np.append(VALUES[:4], [100.0, -100.0])
    np.testing.assert_array_equal(smooth(VALUES, "causal")[:4], smooth(changed, "causal")[:4])
    assert (smooth(VALUES, "centred")[:4] != smooth(changed, "centred")[:4]).all()


def test_smoothing_is_its_slow_self() -> None:
    values = np.random.default_rng(0).normal(size=40)
    np.testing.assert_allclose(smooth(values, "causal"), reference.running_average(values.tolist(), CAUSAL_SHARE))
    np.testing.assert_allclose(smooth(values, "centred"), reference.reflected_gaussian(values.tolist(), CENTRED_SIGMA))


@pytest.mark.parametrize("how", SMOOTHINGS)
@pytest.mark.parametrize("count", [1, 3, 50])
def test_a_constant_stays_constant(how: str, count: int) -> None:
    np.testing.assert_allclose(smooth(np.full(count, 4.0), how), 4.0)


@pytest.mark.parametrize("how", NORMALISATIONS)
def test_a_constant_video_has_finite_scores(how: str) -> None:
    assert np.isfinite(normalise(np.full(5, 4.0), how, (4, 4))).all()


def test_videos_do_not_see_each_other() -> None:
    videos = np.array([0, 0, 1, 1, 0])
    mapped = by_video(np.array([1.0, 2.0, 10.0, 30.0, 3.0]), videos, lambda own: normalise(own, "per_video"))
    assert mapped.tolist() == [0, 0.5, 0, 1, 1]


def test_other_choices_are_refused() -> None:
    with pytest.raises(ValueError, match=r"normalisation must be one of .*got 'minmax'"):
        normalise(VALUES, "minmax")
    with pytest.raises(ValueError, match=r"smoothing must be one of .*got 'median'"):
        smooth(VALUES, "median")


def test_shares_of_smoothing_are_those_that_were_fixed_beforehand() -> None:
    jump = np.array([0.0, 1.0, 1.0])
    np.testing.assert_allclose(smooth(jump, "causal"), [0, 0.2, 0.36])
    pulse = np.zeros(101)
    pulse[50] = 1
    spread = smooth(pulse, "centred")
    deviation = np.sqrt((spread * (np.arange(101) - 50) ** 2).sum())
    assert deviation == pytest.approx(5, abs=0.05)
