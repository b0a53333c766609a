"""How many live frames may wait; the rest of the reader is tested through a watch."""

import threading

import numpy as np
import pytest

from anomalib_stmem.video.frame import Frame
from anomalib_stmem.video.reader import AHEAD, Reader
from anomalib_stmem.video.source import Source


@pytest.mark.parametrize(
    ("wanted", "size", "room"),
    [
        (25.0, (240, 360), 50),  # two seconds
        (10.0, (240, 360), 20),
        (None, (240, 360), 50),  # of 25 frames per second, which are assumed
        (25.0, (1080, 1920), 41),  # 256 MB
        (2.0, (240, 360), AHEAD),
    ],
)
def test_two_seconds_or_256_megabytes_of_live_video_may_wait(
    wanted: float | None, size: tuple[int, int], room: int
) -> None:
    reader = Reader(Source("gate", "camera", "0", "camera 0"), wanted, threading.Event(), pytest.fail)
    assert reader._has_room()  # before the first picture
    reader._size, waiting = (*size, 3), 0
    while reader._has_room():
        reader._queue.put(Frame(waiting, waiting / 10, np.zeros((1, 1, 3), np.uint8)))
        waiting += 1
    assert waiting == room
    reader.next()
    assert not reader._has_room()  # until all of them are judged
    assert reader.give_up() == room - 1
    assert reader._has_room()
