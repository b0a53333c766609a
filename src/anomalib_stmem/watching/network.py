"""The network beside the watch: it sees what moves, while the watch goes on with what does not."""

import threading
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import NamedTuple, TypeVar

from ..model.normal_view import Trouble
from ..results.judged_frame import Verdict
from ..runtime.stream import FrameStreams
from ..video.frame import Frame

LOOK_EVERY = 0.1  # seconds, whether the watch has ended
Outcome = TypeVar("Outcome")


class Seen(NamedTuple):
    """A frame that was judged."""

    frame: Frame
    verdict: Verdict | None
    trouble: Trouble | None  # with its picture


class Network:
    """Judges a frame of each source in which something moves, in the thread that calls :meth:`serve`.

    That should be the main one: in any other, OpenMP lets torch's threads sleep between any two operations, and torch
    is a third slower.

    Args:
        streams: judge them.
        arrived: is set when they are judged.
    """

    def __init__(self, streams: FrameStreams, arrived: threading.Event) -> None:
        self._streams, self._arrived = streams, arrived
        self._jobs: SimpleQueue[tuple[dict[str, Frame], Future[dict[str, Seen]]]] = SimpleQueue()
        self._waiting: dict[str, Frame] = {}
        self._running: dict[str, Frame] = {}
        self._answers: Future[dict[str, Seen]] | None = None

    def has(self, name: str) -> bool:
        """Whether a frame of a source waits or is being judged."""
        return name in self._waiting or name in self._running

    @property
    def is_done(self) -> bool:
        """Whether there are answers."""
        return self._answers is not None and self._answers.done()

    def take(self, name: str, frame: Frame) -> None:
        """Let the next frame of a source wait for the next run."""
        self._waiting[name] = frame

    def start(self) -> None:
        """Begin a run, if frames wait and none is going on."""
        if self._answers is not None or not self._waiting:
            return
        self._running, self._waiting = self._waiting, {}
        self._answers = Future()
        self._answers.add_done_callback(lambda _: self._arrived.set())
        self._jobs.put((self._running, self._answers))

    def answers(self) -> dict[str, Seen]:
        """Wait for the end of the run, if there is one, and return what was judged.

        Raises:
            Exception: what :meth:`~anomalib_stmem.runtime.stream.FrameStreams.push` raised.
        """
        seen = {} if self._answers is None else self._answers.result()
        self._answers, self._running = None, {}
        return seen

    def serve(self, watch: Future[Outcome]) -> Outcome:
        """Run the network whenever :meth:`start` is called, until the watch in another thread has ended.

        Returns:
            What the watch returned.

        Raises:
            Exception: what the watch raised.
            KeyboardInterrupt: somebody signalled twice. The watch has ended before.
        """
        stopped: KeyboardInterrupt | None = None
        while not watch.done():
            try:
                frames, answers = self._jobs.get(timeout=LOOK_EVERY)
            except Empty:
                continue
            except KeyboardInterrupt as error:
                stopped = error
                continue
            try:
                answers.set_result(self._judge(frames))
            except BaseException as error:  # noqa: BLE001  # it is raised in the watch
                answers.set_exception(error)
        if stopped is not None:
            raise stopped
        return watch.result()

    def _judge(self, frames: dict[str, Frame]) -> dict[str, Seen]:
        verdicts = self._streams.push({name: frame.image for name, frame in frames.items()})
        return {name: Seen(frame, verdicts[name], self._streams.trouble(name)) for name, frame in frames.items()}
