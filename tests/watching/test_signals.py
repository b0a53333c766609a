"""A signal may come at any moment, also while the event that it is to set is being set."""

import signal
import threading

from anomalib_stmem.watching.signals import stopped_by_signals


def test_signal_that_comes_while_an_event_is_being_set_does_not_wait_for_itself() -> None:
    stopping, arrived = threading.Event(), threading.Event()
    with stopped_by_signals(stopping, arrived):
        with arrived._cond:  # as within `arrived.set()`
            signal.raise_signal(signal.SIGTERM)
        assert stopping.wait(10)
        assert arrived.wait(10)
