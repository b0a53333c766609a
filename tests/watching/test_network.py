"""The network beside the watch: who waits for it, and who does not."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from cameras import WhiteAlarm

from anomalib_stmem.video.frame import Frame
from anomalib_stmem.watching.network import Network

PICTURE = np.zeros((16, 16, 3), np.uint8)


class Slow(WhiteAlarm):
    """Takes a while; what is given meanwhile waits."""

    def push(self, frames):  # noqa: ANN001, ANN201
        time.sleep(0.2)
        return super().push(frames)


def test_judges_what_waits_at_once_and_says_when_it_is_done() -> None:
    arrived = threading.Event()
    network = Network(Slow(None, ["gate", "yard", "door"]), arrived)

    def watch() -> str:
        for name in ("gate", "yard"):
            network.take(name, Frame(0, 0.0, PICTURE))
        network.start()
        network.take("door", Frame(0, 0.0, PICTURE))
        network.start()  # not before the first run has ended
        assert not network.is_done
        assert network.has("gate")
        assert network.has("door")
        assert arrived.wait(5)
        assert network.is_done
        assert list(network.answers()) == ["gate", "yard"]
        assert not network.has("gate")
        network.start()
        assert list(network.answers()) == ["door"]
        return "ended"

    with ThreadPoolExecutor(1) as beside:
        assert network.serve(beside.submit(watch)) == "ended"


def test_what_cannot_be_judged_is_raised_in_the_watch_and_by_it() -> None:
    network = Network(WhiteAlarm(None, ["gate"]), threading.Event())

    def watch() -> None:
        for size in (16, 8):
            network.take("gate", Frame(0, 0.0, PICTURE[:size]))
            network.start()
            network.answers()

    with ThreadPoolExecutor(1) as beside, pytest.raises(ValueError, match="another size"):
        network.serve(beside.submit(watch))


def test_second_ctrl_c_is_raised_when_the_watch_has_ended() -> None:
    network, ended = Network(WhiteAlarm(None, ["gate"]), threading.Event()), []

    class Interrupted:
        """In place of the queue of jobs: a signal comes instead of a job."""

        def get(self, timeout: float) -> None:
            time.sleep(timeout)
            raise KeyboardInterrupt

    network._jobs = Interrupted()
    with ThreadPoolExecutor(1) as beside, pytest.raises(KeyboardInterrupt):
        network.serve(beside.submit(lambda: time.sleep(0.3) or ended.append(True)))
    assert ended
