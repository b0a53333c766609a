"""Stamps in, seconds out: a table of what sources do."""

import numpy as np
import pytest

from anomalib_stmem.video.clock import Clock

STEP = 0.1


def seconds_of(stamps: list[float | None], rate: float | None = 10.0) -> tuple[list[float], list[int]]:
    """The seconds of stamps, and the frames at which the clock jumped."""
    clock, seconds, jumps = Clock(rate), [], []
    for number, stamp in enumerate(stamps):
        seconds.append(clock.tick(stamp))
        if clock.has_jumped:
            jumps.append(number)
    return seconds, jumps


def even(count: int, start: float = 0.0) -> list[float]:
    return [start + STEP * number for number in range(count)]


@pytest.mark.parametrize(
    ("stamps", "jumps"),
    [
        (even(30), []),
        (even(30, start=100000.0), []),
        (even(30, start=-2.0), []),
        ([None] * 30, []),
        ([*[None] * 10, *even(20)], []),  # Matroska with negative times
        ([*even(10), *[None] * 10, *even(10, start=2.0)], []),
        ([0.2 * (number // 2) for number in range(30)], []),
        ([float(number // 10) for number in range(30)], []),  # whole seconds only
        ([0.0] * 30, []),
        ([*even(15), *even(15)], [15]),  # segments that were joined
        ([*even(10), *even(10, start=5000.0 - 90000), *even(10, start=-95000.0)], [10, 20]),  # a recorder's resets
        ([*even(20, start=95443.0 - 2), *even(10)], [20]),  # 33 bits of 90 kHz that wrap
    ],
)
def test_every_frame_has_its_time(stamps: list[float | None], jumps: list[int]) -> None:
    seconds, jumped = seconds_of(stamps)
    assert np.allclose(seconds, even(30), atol=STEP / 2)
    assert jumped == jumps


def test_times_rise_whatever_the_stamps() -> None:
    stamps = np.random.default_rng(0).uniform(-5, 5, 500).round(1).tolist()
    seconds, _ = seconds_of(stamps)
    assert (np.diff(seconds) > 0).all()


def test_pause_of_the_source_is_kept() -> None:
    """A camera that records movement only: nobody else knows how long there was none."""
    seconds, jumped = seconds_of([*even(5), *even(5, start=3600.0)])
    assert seconds[5] == pytest.approx(3600)
    assert jumped == []


def test_stamps_that_stand_still_at_an_unknown_rate_do_not_run_away() -> None:
    """50 frames per second in pairs of one stamp, of a source that says no rate."""
    seconds, _ = seconds_of([0.04 * (number // 2) for number in range(400)], rate=None)
    assert np.allclose(seconds, 0.02 * np.arange(400), atol=0.08)


def test_order_that_is_a_little_wrong_is_no_jump() -> None:
    stamps = even(30)
    stamps[10], stamps[11] = stamps[11], stamps[10]
    seconds, jumped = seconds_of(stamps)
    assert (np.diff(seconds) > 0).all()
    assert np.allclose(seconds, even(30), atol=STEP + 1e-9)
    assert jumped == []


def test_times_that_ran_ahead_come_back() -> None:
    """25 frames per second in pairs of one stamp, of a source that says 10."""
    seconds, _ = seconds_of([0.08 * (number // 2) for number in range(400)], rate=10.0)
    assert (np.diff(seconds) > 0).all()
    assert np.allclose(seconds[200:], 0.04 * np.arange(200, 400), atol=0.045)
