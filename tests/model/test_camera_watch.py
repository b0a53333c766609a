"""When trouble of the camera is told, and when it is over."""

import numpy as np
import pytest

from anomalib_stmem.model import camera_watch
from anomalib_stmem.model.camera_watch import CameraWatch
from anomalib_stmem.model.normal_view import Trouble

RATE = 10.0


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> CameraWatch:
    """Pictures say themselves what is wrong with them."""
    monkeypatch.setattr(camera_watch, "PictureCheck", lambda _: lambda picture: picture)
    return CameraWatch(None, RATE)


def told(watch: CameraWatch, *pictures: tuple[Trouble | None, int]) -> list[tuple[Trouble | None, bool]]:
    found = []
    for trouble, count in pictures:
        for _ in range(count):
            watch.push(trouble)
            found.append((watch.trouble, watch.is_silent))
    return found


def test_trouble_silences_at_once_and_is_told_when_it_lasts(watch: CameraWatch) -> None:
    states = told(watch, (None, 10), ("dark", 40), (None, 40))
    assert states[:10] == [(None, False)] * 10
    assert states[10:29] == [(None, True)] * 19
    assert states[29:69] == [("dark", True)] * 40  # until two seconds without
    assert states[69:] == [(None, False)] * 21


def test_a_flash_is_not_told(watch: CameraWatch) -> None:
    states = told(watch, (None, 10), ("blinded", 10), (None, 10))
    assert {trouble for trouble, _ in states} == {None}
    assert [silent for _, silent in states] == [False] * 10 + [True] * 10 + [False] * 10


def test_what_came_most_often_is_told_and_once(watch: CameraWatch) -> None:
    states = told(watch, ("covered", 4), ("moved", 30), ("covered", 30), (None, 10), ("moved", 10))
    assert [trouble for trouble, _ in states[20:]] == ["moved"] * 64


def test_watch_goes_on_where_it_was_saved(watch: CameraWatch) -> None:
    told(watch, ("dark", 4), ("covered", 11))
    saved, again = watch.save(), CameraWatch(None, RATE)
    assert saved.dtype == np.float64
    again.restore(saved)
    rest = [("covered", 10), (None, 30)]
    assert told(again, *rest) == told(watch, *rest)


def test_picture_that_shows_nothing_new_is_not_looked_at(watch: CameraWatch) -> None:
    """What was wrong before still is, and lasts."""
    told(watch, ("dark", 2))
    for _ in range(30):
        watch.push(None, is_new=False)
    assert (watch.trouble, watch.is_silent) == ("dark", True)
