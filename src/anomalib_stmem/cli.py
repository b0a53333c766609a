"""``stmem``: what anomalib's command has no verb for. Training, testing and predicting stay ``anomalib``'s."""

import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Any

from jsonargparse import Namespace

from . import cli_options

BAD_INPUT, STOPPED = 2, 130  # exit statuses
ENVIRONMENT = {  # read when torch and cv2 are first imported; what the user sets stays
    "OPENCV_LOG_LEVEL": "OFF",
    "OPENCV_FFMPEG_LOGLEVEL": "-8",
    "GOMP_SPINCOUNT": "1000",  # torch's waiting threads leave the cores to other processes (docs/results.md)
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    options = cli_options.parser().parse_args(arguments)
    given = options[options.subcommand]
    with _quiet():
        try:
            return _VERBS[options.subcommand](given)
        except (ValueError, OSError, ModuleNotFoundError) as error:
            print(f"stmem {options.subcommand}: {_sentence(error)}", file=sys.stderr)  # noqa: T201  # for a person
            return BAD_INPUT
        except KeyboardInterrupt:  # while nothing is watched yet; `watch` and `calibrate` end properly by it
            return STOPPED


def _watch(given: Namespace) -> int:
    import cv2
    from rich.console import Console

    from .watching.watch import watch

    cv2.setNumThreads(1)  # the sources are the parallelism; parts of one picture would wait for each other
    console = Console()
    options: dict[str, Any] = given.as_dict()
    outcome = watch(**options, console=console)
    events = f"{outcome.num_events} event{'' if outcome.num_events == 1 else 's'}"
    console.print(f"{events}. Results: {outcome.folder}", soft_wrap=True, highlight=False)
    return BAD_INPUT if outcome.failures else 0


def _report(given: Namespace) -> int:
    from .page.page import write_page

    print(write_page(given.results, given.page).resolve())  # noqa: T201  # what a command is for
    return 0


def _learn(given: Namespace) -> int:
    from rich.console import Console

    from .learning.learn import learn
    from .model.calibration import as_time

    console = Console()
    done = learn(**given.as_dict(), console=console)
    said = f"Learned in {as_time(done.seconds / 3600)}, in {done.steps} steps. {done.basis} Written: {done.path}"
    console.print(said, soft_wrap=True, highlight=False)
    console.print(f"Look at it: {done.page.resolve()}", soft_wrap=True, highlight=False)
    console.print(f"The same by anomalib's command: {done.command}", soft_wrap=True, highlight=False, markup=False)
    return 0


def _calibrate(given: Namespace) -> int:
    from rich.console import Console

    from .video.source import masked
    from .watching.calibrate import calibrate

    console = Console()
    done = calibrate(**given.as_dict(), console=console)
    before = "" if done.alarms_before is None else f"; the threshold of before gives {done.alarms_before}"
    for used in done.used:
        console.print(f"{masked(str(used))}.", soft_wrap=True, highlight=False)
    alarms = f"{done.alarms_now} false alarm{'' if done.alarms_now == 1 else 's'}"
    said = f"{alarms} in {done.seconds:.0f} s of video{before}."
    console.print(f"{said} {done.basis} Written: {done.path}", soft_wrap=True, highlight=False)
    for failure in done.failures:
        print(f"stmem calibrate: {masked(failure)} The threshold rests on what could be read.", file=sys.stderr)  # noqa: T201  # as above
    return BAD_INPUT if done.failures else 0


def _snapshot(given: Namespace) -> int:
    from .watching.snapshot import snapshot

    print(snapshot(**given.as_dict()).resolve())  # noqa: T201  # what a command is for
    return 0


def _accept(given: Namespace) -> int:
    from rich.console import Console

    from .watching.accept import accept, accepted, forget

    console, ckpt, out = Console(), given.ckpt, given.out
    if given.forget and given.events:
        msg = "Say either which events are accepted, or with --forget which are not any more."
        raise ValueError(msg)
    if not given.forget and not given.events:
        for number, one in enumerate(accepted(ckpt), start=1):
            console.print(f"{number}. {one.when} {one}", soft_wrap=True, highlight=False, markup=False)
        console.print(f"{len(accepted(ckpt))} accepted.", highlight=False)
        return 0
    if len(given.events) == 1:
        msg = f"Name the events of {given.events[0]} that are normal, as gate/3."
        raise ValueError(msg)
    taken_back = [int(number) for number in given.forget]
    done = forget(taken_back, ckpt, out) if taken_back else accept(given.events[0], given.events[1:], ckpt, out)
    for one in done:
        said = "Forgotten" if taken_back else "Normal now"
        console.print(f"{said}: {one}", soft_wrap=True, highlight=False, markup=False)
    console.print(f"Written: {out}", soft_wrap=True, highlight=False)
    return 0


def _demo(given: Namespace) -> int:
    from rich.console import Console

    from .demo.walkthrough import run_demo

    console = Console()
    page = run_demo(given.results, int(given.steps), console)  # a plain int, which checkpoints hold
    console.print(f"Open this page: {page.resolve()}", soft_wrap=True, highlight=False)
    return 0


_VERBS = {
    "accept": _accept,
    "calibrate": _calibrate,
    "demo": _demo,
    "learn": _learn,
    "report": _report,
    "snapshot": _snapshot,
    "watch": _watch,
}


def _sentence(error: Exception) -> str:
    from .video.source import masked

    if isinstance(error, OSError) and error.errno is not None and error.strerror:
        where = f" {error.filename}" if error.filename else ""
        return masked(f"cannot read or write{where}: {error.strerror}.")
    return masked(str(error))


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave the terminal to what is said to the user; cv2 would also print URLs with their passwords."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a name that the terminal cannot show must not end a watch
            stream.reconfigure(errors="backslashreplace")
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


if __name__ == "__main__":
    sys.exit(main())
