"""The clock over all connections of a source."""

import pytest

from anomalib_stmem.video import connection
from anomalib_stmem.video.connection import ConnectionClock


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Our clock, set by the test."""
    now = [1000.0]
    monkeypatch.setattr(connection.time, "monotonic", lambda: now[0])
    return now


def test_file_is_counted_by_its_own_clock_however_fast_it_is_read(ours: list[float]) -> None:
    clock = ConnectionClock()
    clock.connect(is_live=False)
    assert [clock.now(seconds) for seconds in (0.0, 0.1, 3600.0)] == [0.0, 0.1, 3600.0]
    assert ours == [1000.0]


def test_connection_begins_when_it_does_by_our_clock(ours: list[float]) -> None:
    clock = ConnectionClock()
    clock.connect(is_live=True)
    assert clock.now(0.0) == 0
    ours[0] += 5
    assert clock.now(4.9) == 4.9
    ours[0] += 60
    clock.connect(is_live=True)
    assert clock.now(0.0) == 65


def test_source_without_a_clock_is_counted_by_arrival(ours: list[float]) -> None:
    clock = ConnectionClock()
    clock.connect(is_live=True)
    assert clock.now(None) == 0
    ours[0] += 0.25
    assert clock.now(None) == 0.25


def test_live_clock_that_jumps_ahead_is_set_by_ours(ours: list[float]) -> None:
    """RTSP, whose stamps become the time of day once the camera has reported it."""
    clock = ConnectionClock()
    clock.connect(is_live=True)
    assert clock.now(0.0) == 0
    ours[0] += 1
    assert clock.now(1.8e9) == 1
    ours[0] += 0.04
    assert clock.now(1.8e9 + 0.04) == pytest.approx(1.04)
    ours[0] += 30  # a burst after a stall is behind us, and keeps its own times
    assert clock.now(1.8e9 + 0.08) == pytest.approx(1.08)
