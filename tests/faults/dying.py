"""Runs something in a process that dies, or whose disk fails, at a moment that is chosen. Not on Windows."""

import errno
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

WRITES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "sqlite3.connect"}
LONGEST = 120.0  # seconds


class Ended(NamedTuple):
    """How a process ended."""

    status: int | None  # of its end; None where it was killed, "hang" is a negative one
    moments: int  # at which it changed files
    seconds: float
    said: str


def run_dying(
    do: Callable[[], int], folder: Path, at: int | None = None, after: float | None = None, fails: bool = False
) -> Ended:
    """Run something in a fork of this process.

    Args:
        do: what; returns the status of its end.
        folder: of the files that count.
        at: number of the change to a file in ``folder`` before which it dies.
        after: seconds after which it dies.
        fails: whether the disk is full from that change on, instead.
    """
    reader, writer = os.pipe()
    log = folder.parent / f"{folder.name}.log"
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        _live(do, folder, at, fails, writer, log)
    os.close(writer)
    status = _wait(child, began + (LONGEST if after is None else after), after is not None)
    told = os.read(reader, 100).decode()
    os.close(reader)
    return Ended(status, int(told or 0), time.monotonic() - began, log.read_text(errors="replace"))


def _live(do: Callable[[], int], folder: Path, at: int | None, fails: bool, writer: int, log: Path) -> None:
    """Be the process that may die; never returns."""
    os.setpgid(0, 0)
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_DFL)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number in (1, 2):
        os.dup2(output, number)
    count = [0]

    def hook(event: str, about: tuple[Any, ...]) -> None:
        if event not in WRITES and not (event == "open" and _writes(about[2])):
            return
        if not str(about[0]).startswith(str(folder)) or event == "os.remove":
            return
        count[0] += 1
        if at is not None and count[0] >= at:
            if fails:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(about[0]))
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    status = 99
    try:
        status = do()
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:  # noqa: BLE001  # whatever it is, this process does not go on as its parent
        traceback.print_exc()
    os.write(writer, str(count[0]).encode())
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _writes(flags: Any) -> bool:
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR))


def _wait(child: int, until: float, is_killed: bool) -> int | None:
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return None if code == -signal.SIGKILL else code
        time.sleep(0.005)
    with suppress(ProcessLookupError):  # it has only just begun, and is in our group still
        os.killpg(child, signal.SIGKILL)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None if is_killed else -1
