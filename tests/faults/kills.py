"""Kills each command at random moments and at each change of a file, and looks at what is left and how it goes on."""

import random
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from faults.dying import Ended, run_dying
from faults.kill_jobs import JOBS, broken_files, make_inputs

FINE = {0, 2}  # statuses of an end with a sentence


class Killed(NamedTuple):
    """A command that was killed, or whose disk was full, and what is wrong with what came of it, if anything is."""

    job: str
    how: str
    wrong: str | None


def kill_jobs(root: Path, times: int, jobs: Sequence[str] = (), seed: int = 0) -> Iterator[Killed]:
    """Kill each job so many times at a random time and before a random change of a file, and fill its disk as often.

    Args:
        root: empty folder.
        times: of each of the three.
        jobs: their names; all by default.
        seed: of the moments.
    """
    inputs = root / "inputs"
    inputs.mkdir()
    _preload()
    _must(run_dying(lambda: _prepare(inputs), inputs))
    for name in jobs or JOBS:
        job = JOBS[name]
        whole = root / "whole"
        whole.mkdir()
        ended = _must(run_dying(lambda: job.run(inputs, whole), whole))  # noqa: B023  # is called at once
        expected = job.left(whole)
        draw = random.Random(f"{seed} {name}")  # noqa: S311  # no secret
        for _ in range(times):
            for how in ("killed at", "killed before change", "disk full from change"):
                moment = draw.uniform(0, 1.1 * ended.seconds) if how == "killed at" else draw.randint(1, ended.moments)
                said = f"{how} {moment:.3g} of {ended.seconds if how == 'killed at' else ended.moments:.3g}"
                yield Killed(name, said, _try(root, inputs, name, how, moment, expected))
        shutil.rmtree(whole)


def _try(root: Path, inputs: Path, name: str, how: str, moment: float, expected: object) -> str | None:
    """Let a job die, look at what it leaves, and let it go on; return what is wrong."""
    job, out = JOBS[name], root / "out"
    out.mkdir()

    def do() -> int:
        return job.run(inputs, out)

    try:
        at = None if how == "killed at" else int(moment)
        ended = run_dying(do, out, at, moment if at is None else None, how.startswith("disk"))
        if how.startswith("disk") and (ended.status == -1 or ("Traceback" in ended.said and name.startswith("stmem"))):
            return f"with a full disk it ended with {ended.status}: {ended.said[-600:]}"
        if broken := broken_files(out):
            return f"half-written under a final name: {broken}"
        again = run_dying(do, out)
        if again.status != 0:
            return f"it does not go on: {again.status}, {again.said[-600:]}"
        if broken := broken_files(out):
            return f"after going on: {broken}"
        return None if job.left(out) == expected else "it ends otherwise than an unbroken run"
    finally:
        shutil.rmtree(out)


def _must(ended: Ended) -> Ended:
    if ended.status != 0:
        msg = f"A run that nothing disturbs ended with {ended.status}: {ended.said[-3000:]}"
        raise RuntimeError(msg)
    return ended


def _preload() -> None:
    """Import what children need, once; nothing may be computed here, for threads do not survive a fork."""
    import anomalib.engine  # noqa: F401
    import pandas as pd  # noqa: F401
    import torch

    import anomalib_stmem
    from anomalib_stmem.learning import learn  # noqa: F401
    from anomalib_stmem.page import page  # noqa: F401
    from anomalib_stmem.watching import accept, calibrate, watch  # noqa: F401

    torch.set_num_threads(1)
    assert anomalib_stmem.STMem
    assert anomalib_stmem.VideoArchive


def _prepare(inputs: Path) -> int:
    from faults.kill_jobs import JOBS
    from makers import write_long

    make_inputs(inputs)
    status = JOBS["stmem watch"].run(inputs, inputs)
    (inputs / "watch").rename(inputs / "watched")
    write_long(inputs / "long.mp4", 75, rate=5)
    return 0 if status in FINE else status
