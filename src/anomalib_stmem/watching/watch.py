"""Watch video: frames in, events out, until the sources end or somebody says stop."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from ..runtime.open_backend import BackendName
from ..runtime.stream import FrameStreams
from ..video.connection import Rtsp
from ..video.reader import Reader
from ..video.region import region_of
from ..video.source import find_sources
from .delivery import Delivery
from .loop import Loop, Outcome
from .mqtt import Mqtt, check_mqtt
from .panel import Panel
from .run_folder import RunFolder, earlier_folders
from .signals import stopped_by_signals
from .space import Space, bytes_of
from .webhook import Webhook, check_url

if TYPE_CHECKING:  # torch is imported by the torch backend only
    from ..model.trained_model import TrainedModel

UNSAID = {"state", "normal"}  # of a model, in run.json: shapes, and pictures in text
FILES = "<files>"  # the playlist of files, which are watched one after the other; no source can have this name


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
    keep: str | None = None,
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
        keep: size that films may take, such as ``50GB``, as :class:`~.space.Space` has it; no limit by default.
        console: to print on.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the model has no threshold, is no model, or the sources, the URLs or the size make no sense.
        ModuleNotFoundError: something that an option needs is not installed.
        OSError: the results cannot be written.
    """
    if webhook is not None:
        check_url(webhook)
    if mqtt is not None:
        check_mqtt(mqtt)
    limit = None if keep is None else bytes_of(keep)
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
    space = Space(Path(results), limit, panel.tell)
    watching = Loop(streams, folder, films, margin, least_size, deliveries, read, space, panel)
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
