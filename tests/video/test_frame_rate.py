import numpy as np
import pytest

from anomalib_stmem.video.frame_rate import FramePicker, Take, explain_other_rate, known_rates


def taken(pace: FramePicker, times: np.ndarray) -> list[int]:
    return [index for index, seconds in enumerate(times) if pace.take(float(seconds)) is not Take.SKIP]


@pytest.mark.parametrize(
    ("source", "wanted", "stride"),
    [(25, 25, 1), (30, 25, 1), (50, 25, 2), (60, 25, 2), (120, 25, 5), (30, 10, 3), (10, 25, 1), (25, None, 1)],
)
def test_every_nth_frame_where_n_is_nearest_to_the_training_rate(
    source: float, wanted: float | None, stride: int
) -> None:
    pace = FramePicker(wanted, usual=source)
    assert taken(pace, np.arange(200) / source) == list(range(0, 200, stride))
    assert pace.rate == pytest.approx(source / stride)


def test_rate_is_learned_where_the_source_does_not_say_it() -> None:
    pace = FramePicker(10)
    times = np.arange(100) / 30
    assert taken(pace, times)[-20:] == list(range(42, 100, 3))
    assert pace.source_rate == pytest.approx(30)


def test_jitter_of_arrival_is_no_gap() -> None:
    rng = np.random.default_rng(0)
    times = np.arange(500) / 25 + rng.uniform(-0.015, 0.015, 500)
    pace = FramePicker(25, exact=False)
    assert {pace.take(float(seconds)) for seconds in times} == {Take.NEXT}


@pytest.mark.parametrize(
    ("exact", "lost", "what", "late"),
    [(True, 1, Take.NEXT, True), (True, 2, Take.GAP, True), (False, 1, Take.NEXT, False), (False, 3, Take.GAP, True)],
)
def test_one_missing_frame_makes_late_and_more_are_a_gap(exact: bool, lost: int, what: Take, late: bool) -> None:
    pace = FramePicker(10, usual=10, exact=exact)
    for index in range(20):
        assert pace.take(index / 10) is Take.NEXT
        assert not pace.is_late(index / 10)
    assert pace.take((20 + lost) / 10) is what
    assert pace.is_late((20 + lost) / 10) == late
    assert pace.take((21 + lost) / 10) is Take.NEXT
    assert not pace.is_late((21 + lost) / 10)


def test_clock_that_jumps_back_is_a_gap_and_the_same_picture_is_skipped() -> None:
    pace = FramePicker(10, usual=10)
    assert [pace.take(when) for when in (0.0, 0.1, 0.1, 5.0, 0.0)] == [
        Take.NEXT,
        Take.NEXT,
        Take.SKIP,
        Take.GAP,
        Take.GAP,
    ]


def test_rate_that_changes_is_followed() -> None:
    """A camera that halves its rate in the dark."""
    pace = FramePicker(15, usual=30)
    fast, slow = np.arange(60) / 30, 2 + np.arange(60) / 15
    assert len(taken(pace, fast)) == 30
    assert len(taken(pace, slow)[20:]) == 40
    assert pace.stride == 1


@pytest.mark.parametrize(("steps", "taken"), [(2.4, False), (2.6, True)])
def test_frame_is_taken_from_half_a_step_before_it_is_due(steps: float, taken: bool) -> None:
    """Of 30 frames per second every third is judged; one that comes a little early is still the third."""
    picker = FramePicker(10, usual=30)
    for index in range(31):
        picker.take(index / 30)
    assert (picker.take((30 + steps) / 30) is not Take.SKIP) == taken


def test_unknown_rates_are_assumed_and_said(caplog: pytest.LogCaptureFixture) -> None:
    assert known_rates(np.array([10.0, np.nan]), "Test of rates").tolist() == [10, 25]
    assert known_rates(np.array([np.nan]), "Test of rates").tolist() == [25]
    assert caplog.text.count("Test of rates: the frame rate is not known, so 25 frames per second are assumed") == 1
    assert known_rates(np.array([10.0]), "Nothing to say").tolist() == [10]
    assert "Nothing to say" not in caplog.text


@pytest.mark.parametrize(
    ("rate", "trained_at", "said"),
    [(10, 25, True), (25, 10, True), (11, 10, False), (10, None, False), (float("nan"), 10, False)],
)
def test_other_rate_is_explained_where_both_are_known(rate: float, trained_at: float | None, said: bool) -> None:
    sentence = explain_other_rate("gate", rate, trained_at)
    assert (sentence is not None) == said
    if said:
        assert f"Video gate has {rate:g} frames per second, the training video had {trained_at:g}" in sentence
