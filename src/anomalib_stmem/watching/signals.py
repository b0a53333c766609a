"""Ctrl-C and SIGTERM end a run properly; the second one ends it at once."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from types import FrameType

IMPATIENT_AFTER = 1.0  # seconds; some senders signal twice at once, as `timeout` does


@contextmanager
def stopped_by_signals(*events: threading.Event) -> Iterator[None]:
    """Set events at SIGINT and SIGTERM; who signals again after a second gets what the signal usually does."""
    asked: SimpleQueue[bool] = SimpleQueue()  # its put may interrupt anything; Event.set in itself waits for ever
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    first: float | None = None

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal first
        now = time.monotonic()
        if first is not None and now - first > IMPATIENT_AFTER:
            signal.signal(number, before[signal.Signals(number)])
            signal.raise_signal(number)
        first = now if first is None else first
        asked.put(True)

    def pass_on() -> None:
        while asked.get():
            for event in events:
                event.set()

    if threading.current_thread() is not threading.main_thread():  # who calls from a thread minds signals
        yield
        return
    passing_on = threading.Thread(target=pass_on, name="signals", daemon=True)
    passing_on.start()
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        asked.put(False)
        passing_on.join()
