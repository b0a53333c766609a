"""The network beside the watch: it sees what moves, while the watch goes on with what does not."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from ..model.normal_view import Trouble
from ..results.judged_frame import Verdict
from ..runtime.stream import FrameStreams
from ..video.frame import Frame


class Seen(NamedTuple):
    """A frame that was judged."""

    frame: Frame
    verdict: Verdict | None
    trouble: Trouble | None  # with its picture


class Network:
    """Judges a frame of each source in which something moves, in a thread of its own.

    Args:
        streams: judge them.
        arrived: is set when they are judged.
    """

    def __init__(self, streams: FrameStreams, arrived: threading.Event) -> None:
        self._streams, self._arrived = streams, arrived
        self._thread = ThreadPoolExecutor(1, "network")
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
        self._answers = self._thread.submit(self._judge, self._running)
        self._answers.add_done_callback(lambda _: self._arrived.set())

    def answers(self) -> dict[str, Seen]:
        """Wait for the end of the run, if there is one, and return what was judged.

        Raises:
            Exception: what :meth:`~anomalib_stmem.runtime.stream.FrameStreams.push` raised.
        """
        seen = {} if self._answers is None else self._answers.result()
        self._answers, self._running = None, {}
        return seen

    def close(self) -> dict[str, Seen]:
        """Return the last answers; what waits is not judged any more."""
        seen = self.answers()
        self._thread.shutdown()
        return seen

    def _judge(self, frames: dict[str, Frame]) -> dict[str, Seen]:
        verdicts = self._streams.push({name: frame.image for name, frame in frames.items()})
        return {name: Seen(frame, verdicts[name], self._streams.trouble(name)) for name, frame in frames.items()}
