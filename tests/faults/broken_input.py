"""Breaks files in ten thousand ways, and counts what becomes of each."""

import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from faults.breakage import broken
from faults.originals import safe, write_originals
from faults.trials import BAD, Outcome, attempt
from faults.workers import run_jobs

SECONDS, MEGABYTES = 30.0, 3000.0  # that a trial may take


class Tried(NamedTuple):
    """A broken file, and what came of it. The same kind and number break it in the same way again."""

    kind: str
    number: int
    way: str
    file: str
    outcome: Outcome


def break_input(root: Path, count: int, kinds: Sequence[str] = (), num_workers: int = 2) -> Iterator[Tried]:
    """Break ``count`` files, as many of each kind.

    Args:
        root: empty folder.
        count: how many.
        kinds: that are tried, by the beginnings of their names; all by default.
        num_workers: processes.
    """
    trials = write_originals(root, kinds)
    chosen = list(trials)
    jobs = [(chosen[number % len(chosen)], number // len(chosen)) for number in range(count)]
    told = [(trials[kind], safe(kind), number) for kind, number in jobs]
    prepare = partial(prepare_trial, root)
    for (kind, number), came in zip(jobs, run_jobs(prepare, told, num_workers, SECONDS, MEGABYTES), strict=True):
        way, file = break_one(root / safe(kind), number, None)
        yield Tried(kind, number, way, file, Outcome(came) if isinstance(came, str) else came)


def prepare_trial(root: Path) -> "partial[Outcome]":
    """Make what a worker does with each job."""
    from anomalib_stmem.cli import _quiet

    _quiet().__enter__()
    return partial(_try, root)


def _try(root: Path, trial: str, kind: str, number: int) -> Outcome:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "files"
        _, file = break_one(root / kind, number, folder)
        return attempt(trial, folder, root / kind / "a", file)


def break_one(originals: Path, number: int, folder: Path | None) -> tuple[str, str]:
    """Copy the original to a folder, and break one file of it; without a folder, only say how.

    Returns:
        The way in which it is broken, and the name of the file.
    """
    draw = random.Random(f"{originals.name} {number}")  # noqa: S311  # no secret
    files = sorted(path.relative_to(originals / "a") for path in (originals / "a").rglob("*") if path.is_file())
    file = draw.choice(files)
    way, data = broken((originals / "a" / file).read_bytes(), (originals / "b" / file).read_bytes(), draw)
    if folder is not None:
        shutil.copytree(originals / "a", folder)
        (folder / file).write_bytes(data)
    return way, str(file)


def table(tried: Sequence[Tried]) -> str:
    """Count outcomes by kind, in Markdown."""
    counts = Counter((one.kind, one.outcome.what) for one in tried)
    kinds = list(dict.fromkeys(one.kind for one in tried))
    outcomes = sorted({what for _, what in counts}, key=lambda what: (what in BAD, what))
    lines = [f"| file | tried | {' | '.join(outcomes)} |", f"| --- | {'---: | ' * (len(outcomes) + 1)}"]
    for kind in [*kinds, "all"]:
        of_kind = [sum(n for (k, w), n in counts.items() if kind in {k, "all"} and w == what) for what in outcomes]
        lines.append(f"| {kind} | {sum(of_kind)} | {' | '.join(str(n or '') for n in of_kind)} |")
    return "\n".join(lines)
