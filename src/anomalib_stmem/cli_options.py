"""What ``stmem`` takes: its verbs, their options, and the help of each."""

from typing import Literal

from jsonargparse import ArgumentParser, DefaultHelpFormatter
from jsonargparse.typing import ClosedUnitInterval, NonNegativeFloat, PositiveFloat, PositiveInt

from . import __version__

DESCRIPTION = """\
Abnormal events in the video of a fixed camera.

  stmem demo                                      train, watch and report on a drawn scene, in a few minutes
  stmem learn my_videos --out model.ckpt          learn a camera from normal video, in ten minutes
  stmem watch gate.mp4 --ckpt model.ckpt          judge a file, a folder, a camera or a stream
  stmem report results/watch                      one page with player, time line and events
  stmem calibrate normal.mp4 --ckpt model.ckpt    a new threshold from normal video, without training
  stmem accept results/watch gate/3 --ckpt model.ckpt --out gate.ckpt
                                                  call a false alarm normal, for good
  stmem snapshot gate.mp4                         a picture, to paint on it what is to be left out

Exit status: 0 when all went well, also after Ctrl-C; 2 when something given cannot be used, with a sentence that says
what and why."""


class _AsWritten(DefaultHelpFormatter):
    """Keeps the lines of the description."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        del width
        return "\n".join(indent + line for line in text.splitlines())


def parser() -> ArgumentParser:
    """Return the parser of the whole command; its ``subcommand`` names the verb."""
    whole = ArgumentParser(
        prog="stmem", description=DESCRIPTION, version=__version__, formatter_class=_AsWritten, default_env=False
    )
    whole.fromfile_prefix_chars = "@"  # other users of a machine see the command line, and with it passwords
    verbs = whole.add_subcommands(dest="subcommand", metavar="VERB")
    verbs.add_subcommand("learn", _learn_parser(), help="a model of a camera from normal video, within some minutes")
    verbs.add_subcommand("watch", _watch_parser(), help="judge video as it comes, and tell of events")
    verbs.add_subcommand("report", _report_parser(), help="results as one page, to look at and to send")
    verbs.add_subcommand("demo", _demo_parser(), help="train, watch and report on a drawn scene, in a few minutes")
    verbs.add_subcommand("calibrate", _calibrate_parser(), help="a new threshold from normal video, without training")
    verbs.add_subcommand("accept", _accept_parser(), help="call events normal, for good and without training")
    verbs.add_subcommand("snapshot", _snapshot_parser(), help="a picture, to paint on it what is to be left out")
    return whole


def _demo_parser() -> ArgumentParser:
    parser = ArgumentParser(
        formatter_class=_AsWritten,
        description="""\
All of it on a drawn walkway, without any data: learn from normal video, test, watch four new videos (someone cycles,
runs, walks against the flow, throws something), call an event normal, and write the page of the results.""",
    )
    parser.add_argument("--results", type=str, default="results/demo", help="folder to write to; never written over")
    parser.add_argument("--steps", type=PositiveInt, default=150, help="of the training; fewer are quicker and worse")
    return parser


def _learn_parser() -> ArgumentParser:
    parser = ArgumentParser(
        formatter_class=_AsWritten,
        description="""\
Learn a camera from normal video: an hour or more, at the times of day that matter. In ten minutes it learns from ten
minutes of the video, spread over all of it. So ten hours of video take no longer. A camera or a stream is recorded
first. Ctrl-C ends the recording or the training early; the threshold is still set. The page beside the checkpoint shows
what was seen.

  stmem learn monday.mp4 tuesday.mp4 --out gate.ckpt
  stmem learn my_videos --minutes 30 --false-alarms-per-day 3 --out gate.ckpt
  stmem learn rtsp://10.0.0.7/live --record 2h --out gate.ckpt""",
    )
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="normal video of one camera, as for stmem watch")
    parser.add_argument("--out", type=str, default="model.ckpt", help="checkpoint to write")
    parser.add_argument("--minutes", type=PositiveFloat, default=10.0, help="that all may take, after recording")
    parser.add_argument("--record", type=str, default="30m", help="how long to record a live source: 30m, 2h, 90s")
    parser.add_argument(
        "--recordings",
        type=str | None,
        default=None,
        help="folder to keep what is recorded; deleted at the end if none",
    )
    parser.add_argument("--false-alarms-per-day", type=PositiveFloat, default=1.0, help="budget for the threshold")
    _add_region(parser)
    parser.add_argument(
        "--frame-rate", type=PositiveFloat | None, default=None, help="of videos that do not say theirs"
    )
    _add_rtsp(parser)
    return parser


def _calibrate_parser() -> ArgumentParser:
    parser = ArgumentParser(
        formatter_class=_AsWritten,
        description="""\
Set the threshold of a model anew, from normal video of the camera that it will watch: an hour or more, at the times of
day that matter. The network stays as it is. A budget that the video is too short to count is extrapolated from its
highest peaks, and the answer says so.

  stmem calibrate monday.mp4 --ckpt model.ckpt --out gate.ckpt --false-alarms-per-day 1
  stmem calibrate rtsp://10.0.0.7/live --minutes 60 --ckpt model.ckpt --out gate.ckpt""",
    )
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="normal video, as for stmem watch")
    parser.add_argument("--ckpt", required=True, type=str, help="checkpoint to start from; left as it is")
    parser.add_argument("--out", type=str, default="calibrated.ckpt", help="checkpoint to write")
    parser.add_argument("--false-alarms-per-day", type=PositiveFloat, default=1.0, help="budget for the threshold")
    parser.add_argument(
        "--minutes", type=PositiveFloat | None, default=None, help="of each source to use; all, or until Ctrl-C"
    )
    _add_region(parser)
    _add_reading(parser)
    return parser


def _accept_parser() -> ArgumentParser:
    parser = ArgumentParser(
        formatter_class=_AsWritten,
        description="""\
Call events of a watch normal: how they look goes into the memory, and their peaks into what sets the threshold. The
network is not trained. What was accepted is listed in the checkpoint, and can be taken back.

  stmem accept results/watch gate/3 gate/7 --ckpt gate.ckpt --out gate2.ckpt
  stmem accept --ckpt gate2.ckpt                                     list what was accepted
  stmem accept --forget 1 --ckpt gate2.ckpt --out gate3.ckpt         take the first of the list back""",
    )
    parser.add_argument(
        "events", nargs="*", metavar="RESULTS EVENT", help="folder of stmem watch, and of it video/number of each event"
    )
    parser.add_argument("--ckpt", required=True, type=str, help="checkpoint to start from; left as it is")
    parser.add_argument("--out", type=str, default="accepted.ckpt", help="checkpoint to write")
    parser.add_argument("--forget", type=PositiveInt, nargs="+", default=[], help="numbers of the list to take back")
    return parser


def _snapshot_parser() -> ArgumentParser:
    parser = ArgumentParser(
        formatter_class=_AsWritten,
        description="""\
Write one picture of a source. Paint on it in pure red what is to be left out (or what alone counts), and give it to
stmem watch or stmem calibrate:

  stmem snapshot rtsp://10.0.0.7/live --out gate.png
  stmem watch rtsp://10.0.0.7/live --ckpt model.ckpt --ignore gate.png""",
    )
    parser.add_argument("source", metavar="SOURCE", help="as for stmem watch")
    parser.add_argument("--out", type=str, default="snapshot.png", help="picture to write, .png or .jpg")
    parser.add_argument(
        "--patience", type=PositiveFloat, default=10.0, help="seconds that a live source may take to be there"
    )
    _add_rtsp(parser)
    return parser


def _add_region(parser: ArgumentParser) -> None:
    """Add what of the picture counts."""
    how = 'painted red on a picture, or polygons in fractions of it: "0,0 1,0 1,0.1 0,0.1"'
    parser.add_argument("--ignore", type=str | None, default=None, help=f"what does not count, {how}")
    parser.add_argument("--only", type=str | None, default=None, help="what alone counts, in the same way")


def _add_rtsp(parser: ArgumentParser) -> None:
    parser.add_argument("--rtsp", type=Literal["tcp", "udp"], default="tcp", help="how RTSP is carried")


def _add_reading(parser: ArgumentParser) -> None:
    """Add what is to be known of sources that do not say it."""
    parser.add_argument(
        "--frame-rate",
        type=PositiveFloat | None,
        default=None,
        help="frames per second of folders and files that do not say theirs; the training video's by default",
    )
    _add_rtsp(parser)


def _report_parser() -> ArgumentParser:
    parser = ArgumentParser(
        formatter_class=_AsWritten,
        description="""\
Write results as one HTML page that needs neither network nor server: player with heat map, score over time (a click
seeks), events, distribution of scores, metrics, and how the model was trained.

  stmem report results/watch
  stmem report results/STMem/VideoFolder/latest --page friday.html""",
    )
    parser.add_argument("results", metavar="RESULTS", help="folder of stmem watch, anomalib test or anomalib predict")
    parser.add_argument("--page", type=str | None, default=None, help="file to write; by default RESULTS/report.html")
    return parser


def _watch_parser() -> ArgumentParser:
    parser = ArgumentParser(
        formatter_class=_AsWritten,
        description="""\
Judge video frame by frame, and tell of events as they happen. Several sources share one process:

  stmem watch gate.mp4 --ckpt model.ckpt
  stmem watch gate=rtsp://user:password@10.0.0.7/live yard=0 --ckpt model.ckpt --webhook http://127.0.0.1:8080/alarm

A source is a video file, a folder of pictures, a folder of videos, a pipe, a camera by its number or device, or a
URL; NAME=SOURCE names its results. @cameras.txt stands for the lines of a file, a source each: so no password is on the
command line, where other users of the machine see it. Live sources that are lost are opened again. Ctrl-C (or SIGTERM)
ends it with everything written: RESULTS/events.jsonl (a line when an event begins and one when its clip is whole) and,
per source, scores, events, snapshots, clips, and a film of the whole video.""",
    )
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="what to watch")
    parser.add_argument("--ckpt", required=True, type=str, help="checkpoint (.ckpt) or exported step (.xml, .onnx)")
    parser.add_argument("--results", type=str, default="results/watch", help="folder to write to; never written over")
    parser.add_argument(
        "--films", type=bool | None, default=None, help="film whole videos; by default of files, not of live sources"
    )
    parser.add_argument("--margin", type=NonNegativeFloat, default=2.0, help="seconds of clip around an event")
    parser.add_argument("--least-seconds", type=NonNegativeFloat, default=0.0, help="that an event must last")
    parser.add_argument(
        "--least-size", type=ClosedUnitInterval, default=0.0, help="share of the picture that an event must have"
    )
    _add_region(parser)
    parser.add_argument(
        "--keep", type=str | None, default=None, help="size of films and clips, as 50GB: the oldest make room"
    )
    parser.add_argument("--webhook", type=str | None, default=None, help="URL that gets a POST per event")
    parser.add_argument(
        "--mqtt", type=str | None, default=None, help="mqtt://user:password@host/topic that gets each event"
    )
    parser.add_argument("--backend", type=str, default="auto", help="auto, torch, onnxruntime or openvino")
    parser.add_argument(
        "--patience", type=PositiveFloat, default=10.0, help="seconds that a live source may take to be there"
    )
    _add_reading(parser)
    return parser
