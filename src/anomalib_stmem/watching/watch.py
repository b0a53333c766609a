"""Watch video: frames in, events out, until the sources end or somebody says stop."""

import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from ..streaming.backends import BackendName
from ..streaming.stream import FrameStreams
from .journal import Journal
from .lane import Lane, Watched
from .panel import Panel
from .reader import Arrived, Reader
from .source import Source, find_sources
from .webhook import Webhook, check_url

FILES = "<files>"  # the lane of files, which are watched one after the other; no source can have this name

IMPATIENT_AFTER = 1.0  # seconds; some senders signal twice at once, as `timeout` does


@dataclass(frozen=True)
class Outcome:
    """How a watch ended."""

    folder: Path  # of the results
    num_events: int
    failures: list[str]  # a sentence for each source that could not be watched to its end


def watch(
    sources: Sequence[str],
    ckpt: Path | str,
    results: Path | str = "results/watch",
    films: bool | None = None,
    margin: float = 2.0,
    webhook: str | None = None,
    backend: BackendName = "auto",
    patience: float = 10.0,
    console: Console | None = None,
) -> Outcome:
    """Judge sources frame by frame, and tell of events as they happen.

    Live sources share each run of the network; files are watched one after the other, as fast as they can be judged.
    SIGINT and SIGTERM end it with everything written.

    Args:
        sources: as :func:`~.source.find_sources` takes them.
        ckpt: a checkpoint, or an exported step; as :func:`~anomalib_stmem.streaming.backends.open_backend` takes it.
        results: folder of the results; where it holds an earlier watch, its name gets a number.
        films: whether to film the whole video, and not only events; by default of files, not of live sources.
        margin: seconds that the clip of an event shows before and after it.
        webhook: URL that gets a POST with each event when it begins, and when its clip is whole.
        backend: ``torch``, ``onnxruntime`` or ``openvino``; ``auto`` is the one of the file.
        patience: seconds that a live source may take to be there at the start.
        console: to print on.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the model has no threshold, is no model, or the sources or the URL make no sense.
        OSError: the results cannot be written.
    """
    if webhook is not None:
        check_url(webhook)
    found = find_sources(sources)
    lanes = {source.name: [source] for source in found if source.kind != "file"}
    files = [source for source in found if source.kind == "file"]
    if files:
        lanes[FILES] = files
    streams = FrameStreams(ckpt, list(lanes), backend)
    if not streams.info.is_calibrated:
        msg = f"{ckpt} has no threshold, since it has seen no normal video but its training's. Run `stmem calibrate`."
        raise ValueError(msg)
    about = {
        "anomalib_stmem": version("anomalib-stmem"),
        "model": {"file": str(ckpt)} | {name: v for name, v in asdict(streams.info).items() if name != "state"},
        "sources": [{"name": source.name, "source": source.shown} for source in found],
    }
    watching = _Watching(streams, Journal(Path(results), about), films, margin, webhook, patience, console or Console())
    with stopped_by_signals(watching.stopping, watching.arrived):
        return watching.run(lanes)


class _Watching:
    """A watch that is going on."""

    def __init__(
        self,
        streams: FrameStreams,
        journal: Journal,
        films: bool | None,
        margin: float,
        webhook: str | None,
        patience: float,
        console: Console,
    ) -> None:
        self.stopping, self.arrived = threading.Event(), threading.Event()
        self._streams, self._journal = streams, journal
        self._films, self._margin, self._patience = films, margin, patience
        self._watched: list[Watched] = []
        self._panel = Panel(console, self._shown)
        self._webhook = None if webhook is None else Webhook(webhook, self._panel.tell)

    def run(self, lanes_of: dict[str, list[Source]]) -> Outcome:
        lanes = [Lane(name, sources, self._open, self.arrived) for name, sources in lanes_of.items()]
        try:
            with self._panel.shown():
                if self._streams.info.frame_rate is None:
                    self._panel.tell(
                        "The model does not say the frame rate of its training video: every frame is judged."
                    )
                while not self.stopping.is_set() and not all(lane.is_done for lane in lanes):
                    self.arrived.clear()
                    if not self._judge_next(lanes):
                        self.arrived.wait(0.1)
                for lane in lanes:
                    left = lane.give_up()
                    if left is not None:
                        self._close(left)
        except BaseException:
            for one in self._watched:
                if not one.has_ended:
                    one.discard("the program ended")
            with suppress(OSError):  # the disk may be the reason
                self._end()
            raise
        self._end()
        failures = [one.failure for one in self._watched if one.failure is not None]
        return Outcome(self._journal.folder, sum(one.num_events for one in self._watched), failures)

    def _end(self) -> None:
        for one in self._watched:
            one.reader.wait()
        told = None
        if self._webhook is not None:
            self._webhook.close()
            told = {"delivered": self._webhook.num_delivered, "lost": self._webhook.num_lost}
        self._journal.close([one.as_dict() for one in self._watched], told)

    def _shown(self) -> list[Watched]:
        """Of many files, the last to end; everything that goes on."""
        return [*[one for one in self._watched if one.has_ended][-20:], *[o for o in self._watched if not o.has_ended]]

    def _open(self, source: Source) -> Watched:
        reader = Reader(source, self._streams.info.frame_rate, self.arrived, self._panel.tell, self._patience)
        folder, films, margin = self._journal.folder, self._films, self._margin
        watched = Watched(source, reader, folder, films, margin, self._announce, self._panel.tell)
        self._watched.append(watched)
        return watched

    def _judge_next(self, lanes: list[Lane]) -> bool:
        """Judge a frame of each source that has one; false if none has."""
        frames: dict[str, Arrived] = {}
        for lane in lanes:
            arrived, ended = lane.next()
            if ended is not None:
                self._streams.reset(lane.name)
                self._close(ended)
            if arrived is not None and lane.watched is not None:
                frames[lane.name] = arrived
                if arrived.is_new_start and arrived.index:
                    lane.watched.num_gaps += 1
                    self._streams.reset(lane.name)
        verdicts = self._streams.push({name: arrived.frame for name, arrived in frames.items()})
        for lane in lanes:
            if lane.name in frames and lane.watched is not None:
                lane.watched.push(frames[lane.name], verdicts[lane.name])
        return bool(frames)

    def _close(self, watched: Watched) -> None:
        watched.close()
        if watched.failure is not None:
            self._panel.tell(watched.failure)
        elif watched.source.kind == "file":
            events = f"{watched.num_events} event{'s' if watched.num_events != 1 else ''}"
            self._panel.tell(f"{watched.source.name}: {watched.num_judged} frames judged, {events}.")

    def _announce(self, state: str, event: dict[str, Any]) -> None:
        folder = next(one.folder for one in reversed(self._watched) if one.source.name == event["video"])
        below = folder.relative_to(self._journal.folder)
        told = {"state": state} | event | {name: (below / event[name]).as_posix() for name in ("snapshot", "clip")}
        self._journal.note(told)
        if self._webhook is not None:
            self._webhook.send(told)
        if state == "began":
            self._panel.tell(f"{event['video']}: ALARM at {event['start']:.1f} s. {event['reason']}")


@contextmanager
def stopped_by_signals(*events: threading.Event) -> Iterator[None]:
    """Set events at SIGINT and SIGTERM; who signals again after a second gets what the signal usually does."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    first: float | None = None

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal first
        now = time.monotonic()
        if first is not None and now - first > IMPATIENT_AFTER:
            signal.signal(number, before[signal.Signals(number)])
            signal.raise_signal(number)
        first = now if first is None else first
        for event in events:
            event.set()

    if threading.current_thread() is not threading.main_thread():  # who calls from a thread minds signals
        yield
        return
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
