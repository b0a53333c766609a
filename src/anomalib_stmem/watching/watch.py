"""Watch video: frames in, events out, until the sources end or somebody says stop."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from ..runtime.open_backend import BackendName
from ..runtime.stream import FrameStreams
from ..video.connection import Rtsp
from ..video.frame import Frame
from ..video.reader import Reader
from ..video.region import region_of
from ..video.source import Source, find_sources
from .delivery import Delivery
from .mqtt import Mqtt, check_mqtt
from .network import Network, Seen
from .panel import Panel
from .playlist import Playlist
from .run_folder import RunFolder, earlier_folders
from .signals import stopped_by_signals
from .watched import Watched
from .webhook import Webhook, check_url

if TYPE_CHECKING:  # torch is imported by the torch backend only
    from ..model.trained_model import TrainedModel

UNSAID = {"state", "normal"}  # of a model, in run.json: shapes, and pictures in text
FILES = "<files>"  # the playlist of files, which are watched one after the other; no source can have this name


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
    least_seconds: float = 0.0,
    least_size: float = 0.0,
    ignore: str | None = None,
    only: str | None = None,
    webhook: str | None = None,
    mqtt: str | None = None,
    backend: BackendName = "auto",
    patience: float = 10.0,
    frame_rate: float | None = None,
    rtsp: Rtsp = "tcp",
    console: Console | None = None,
) -> Outcome:
    """Judge sources frame by frame, and tell of events as they happen.

    Live sources share each run of the network; files are watched one after the other, as fast as they can be judged.
    SIGINT and SIGTERM end it with everything written.

    Args:
        sources: as :func:`~anomalib_stmem.video.source.find_sources` takes them.
        ckpt: a checkpoint, or an exported step; as :func:`~anomalib_stmem.runtime.open_backend.open_backend` takes it.
        results: folder of the results; where it holds an earlier watch, its name gets a number.
        films: whether to film the whole video, and not only events; by default of files, not of live sources.
        margin: seconds that the clip of an event shows before and after it.
        least_seconds: that something must last before it is an event, beside the 0.8 s that decide.
        least_size: share of the picture, in [0, 1], that it must have.
        ignore: what of the picture does not count, beside what the checkpoint leaves out already; as
            :func:`~anomalib_stmem.video.region.region_of` takes it.
        only: the same of what alone counts.
        webhook: URL that gets a POST with each event when it begins, and when its clip is whole.
        mqtt: broker and topic that get the same, as :class:`~.mqtt.Mqtt` has it.
        backend: ``torch``, ``onnxruntime`` or ``openvino``; ``auto`` is the one of the file.
        patience: seconds that a live source may take to be there at the start.
        frame_rate: frames per second of recorded sources that do not say theirs; the training video's by default.
        rtsp: how RTSP is carried, ``tcp`` or ``udp``.
        console: to print on.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the model has no threshold, is no model, or the sources or the URLs make no sense.
        ModuleNotFoundError: something that an option needs is not installed.
        OSError: the results cannot be written.
    """
    if webhook is not None:
        check_url(webhook)
    if mqtt is not None:
        check_mqtt(mqtt)
    panel = Panel(console or Console())
    found = find_sources(sources, panel.tell)
    playlists = {source.name: [source] for source in found if source.kind != "file"}
    files = [source for source in found if source.kind == "file"]
    if files:
        playlists[FILES] = files
    model: TrainedModel | Path | str = ckpt if ignore is None and only is None else narrowed(ckpt, ignore, only)
    streams = FrameStreams(model, list(playlists), backend, least_seconds=least_seconds)
    if not streams.info.is_calibrated:
        msg = f"{ckpt} has no threshold, since it has seen no normal video but its training's. Run `stmem calibrate`."
        raise ValueError(msg)
    about = {
        "anomalib_stmem": version("anomalib-stmem"),
        "model": {"file": str(ckpt)} | {name: v for name, v in asdict(streams.info).items() if name not in UNSAID},
        "sources": [{"name": source.name, "source": source.shown} for source in found],
    }
    folder = RunFolder(Path(results), about)
    panel.tell(streams.info.threshold_basis)
    deliveries: dict[str, Delivery] = {}
    if webhook is not None:
        deliveries["webhook"] = Webhook(webhook, folder.path, panel.tell, earlier_folders(Path(results)))
    if mqtt is not None:
        names = [source.name for source in found]
        deliveries["mqtt"] = Mqtt(mqtt, names, folder.path, panel.tell, earlier_folders(Path(results)))
    rate, proportion = streams.info.frame_rate, streams.info.proportion
    read = partial(Reader, wanted=rate, proportion=proportion, patience=patience, frame_rate=frame_rate, rtsp=rtsp)
    watching = _Watching(streams, folder, films, margin, least_size, deliveries, read, panel)
    with stopped_by_signals(watching.stopping, watching.arrived), ThreadPoolExecutor(1, "watch") as beside:
        return watching.network.serve(beside.submit(watching.run, playlists))


def narrowed(ckpt: Path | str, ignore: str | None, only: str | None) -> "TrainedModel":
    """Load a checkpoint, and leave out more of the picture.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no checkpoint, or what is left out makes no sense.
    """
    from ..model.trained_model import TrainedModel

    if Path(ckpt).suffix in {".xml", ".onnx"}:
        msg = (
            f"{ckpt} holds what counts of the picture as it was exported. Give --ignore and --only with a checkpoint, "
            "or export anew with --model.ignore and --model.only."
        )
        raise ValueError(msg)
    trained = TrainedModel.load(ckpt)
    trained.network.exemptions.narrow(region_of(trained.image_size, ignore, only, trained.proportion))
    return trained


class _Watching:
    """A watch that is going on."""

    def __init__(
        self,
        streams: FrameStreams,
        folder: RunFolder,
        films: bool | None,
        margin: float,
        least_size: float,
        deliveries: dict[str, Delivery],
        read: Callable[..., Reader],
        panel: Panel,
    ) -> None:
        self.stopping, self.arrived = threading.Event(), threading.Event()
        self._streams, self._folder = streams, folder
        self._films, self._margin, self._read = films, margin, read
        self._least_size = least_size
        self._watched: list[Watched] = []
        self._panel, self._deliveries = panel, deliveries
        self.network = Network(streams, self.arrived)
        self._judged: dict[str, Seen] = {}  # by the network, and not kept yet

    def run(self, sources_of: dict[str, list[Source]]) -> Outcome:
        playlists = [Playlist(name, sources, self._open, self.arrived) for name, sources in sources_of.items()]
        try:
            with self._panel.showing(self._shown):
                if self._streams.info.frame_rate is None:
                    self._panel.tell(
                        "The model does not say the frame rate of its training video: every frame is judged. Train "
                        "with --data.frame_rate to say it."
                    )
                while not self.stopping.is_set() and not all(one.is_done for one in playlists):
                    self.arrived.clear()
                    if not self._go_on(playlists):
                        self.arrived.wait(0.1)
                self._judged = self.network.answers()
                for playlist in playlists:
                    self._keep_judged(playlist.name, playlist.watched)
                    left = playlist.give_up()
                    if left is not None:
                        left.num_left = int(self.network.has(playlist.name))
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
        return Outcome(self._folder.path, sum(one.num_events for one in self._watched), failures)

    def _end(self) -> None:
        for one in self._watched:
            one.reader.wait()
        told: dict[str, Any] = {"webhook": None, "mqtt": None}
        for name, delivery in self._deliveries.items():
            waiting = delivery.close()
            told[name] = {"delivered": delivery.num_delivered, "lost": delivery.num_lost, "waiting": waiting}
        self._folder.close([one.as_dict() for one in self._watched], told)

    def _shown(self) -> list[Watched]:
        """Of many files, the last to end; everything that goes on."""
        return [*[one for one in self._watched if one.has_ended][-20:], *[o for o in self._watched if not o.has_ended]]

    def _open(self, source: Source) -> Watched:
        reader = self._read(source, arrived=self.arrived, tell=self._panel.tell)
        folder, films, margin = self._folder.path, self._films, self._margin
        size, announce, tell = self._least_size, self._announce, self._panel.tell
        ignored = self._streams.info.ignored
        watched = Watched(source, reader, folder, films, margin, size, ignored, announce, tell)
        self._watched.append(watched)
        return watched

    def _go_on(self, playlists: list[Playlist]) -> bool:
        """Judge what has come of each source, and keep it; false if there was nothing to do.

        The network sees what moves, one frame of each such source at a time. Where nothing moves, nobody waits for it.
        """
        self._judged = self.network.answers() if self.network.is_done else {}
        num_judged, watched = len(self._judged), {one.name: one.watched for one in playlists}
        takes = [self._take_next(one) for one in playlists if not self.network.has(one.name)]
        self.network.start()
        for name in list(self._judged):  # while the network sees the next ones
            self._keep_judged(name, watched[name])
        return num_judged > 0 or any(takes)

    def _take_next(self, playlist: Playlist) -> bool:
        """Take the next frame of a source; false if there is none."""
        name = playlist.name
        frame, ended = playlist.next()
        if ended is not None:
            self._keep_judged(name, ended)
            self._streams.reset(name)
            self._close(ended)
        elif frame is not None:
            self._judge(playlist, frame)
        elif playlist.watched is not None and name not in self._judged:
            playlist.watched.tick()
        return frame is not None

    def _judge(self, playlist: Playlist, frame: Frame) -> None:
        """Judge a frame at once, or let it wait for the network."""
        name, watched = playlist.name, playlist.watched
        assert watched is not None  # noqa: S101  # the frame is its
        if frame.follows_gap and frame.index:
            watched.num_gaps += 1
            if not self._streams.is_at_rest(name, frame.image):
                self._streams.reset(name)
        is_frozen = frame.frozen_since is not None
        verdict = None if is_frozen else self._streams.glance(name, frame.image)
        if verdict is None and not is_frozen:
            self.network.take(name, frame)
            return
        self._keep_judged(name, watched)
        self._keep(watched, Seen(frame, verdict, self._streams.trouble(name)))

    def _keep_judged(self, name: str, watched: Watched | None) -> None:
        seen = self._judged.pop(name, None)
        if seen is not None and watched is not None:
            self._keep(watched, seen)

    @staticmethod
    def _keep(watched: Watched, seen: Seen) -> None:
        watched.push(seen.frame, None if seen.frame.is_late else seen.verdict, seen.trouble)

    def _close(self, watched: Watched) -> None:
        watched.close()
        if watched.failure is not None:
            self._panel.tell(watched.failure)
        elif watched.source.kind == "file":
            events = f"{watched.num_events} event{'s' if watched.num_events != 1 else ''}"
            self._panel.tell(f"{watched.source.name}: {watched.num_judged} frames judged, {events}.")

    def _announce(self, state: str, event: dict[str, Any]) -> None:
        folder = next(one.folder for one in reversed(self._watched) if one.source.name == event["video"])
        below = folder.relative_to(self._folder.path)
        files = [name for name in ("snapshot", "clip", "nearest", "plain") if event[name] is not None]
        told = {"state": state} | event | {name: (below / event[name]).as_posix() for name in files}
        self._folder.add_event(told)
        for delivery in self._deliveries.values():
            delivery.send(told)
        if state == "began":
            what = f"{event['camera'].upper()} since" if event["kind"] == "camera" else "ALARM at"
            self._panel.tell(f"{event['video']}: {what} {event['start']:.1f} s. {event['reason']}")
