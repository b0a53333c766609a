"""Tries to break the project, for some minutes to an hour; CI runs a small part.

python tests/break_it.py input --count 10000    breaks files of every kind
python tests/break_it.py kills --times 33       kills each command 66 times, and fills its disk 33 times
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from faults.broken_input import break_input, table
from faults.kill_jobs import JOBS
from faults.kills import kill_jobs
from faults.trials import BAD


def main() -> int:
    """Try, print what came of it, and fail where something bad did."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True, dest="verb")
    broken = verbs.add_parser("input", help="break files")
    broken.add_argument("--count", type=int, default=10_000, help="files to break")
    broken.add_argument("--kinds", nargs="*", default=[], help="beginnings of the kinds' names; all by default")
    broken.add_argument("--workers", type=int, default=2, help="processes")
    killed = verbs.add_parser("kills", help="kill commands")
    killed.add_argument("--times", type=int, default=33, help="of each command and each of three kinds of death")
    killed.add_argument("--seed", type=int, default=0, help="of the moments")
    killed.add_argument("--jobs", nargs="*", default=[], choices=[*JOBS, []], help="commands; all by default")
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as root:
        is_fine = _break(Path(root), given) if given.verb == "input" else _kill(Path(root), given)
    print(f"\n{time.monotonic() - began:.0f} s")
    return int(not is_fine)


def _break(root: Path, given: argparse.Namespace) -> bool:
    tried = []
    for one in break_input(root, given.count, given.kinds, given.workers):
        tried.append(one)
        if one.outcome.what in BAD:
            print(
                f"{one.kind} {one.number} ({one.file}, {one.way}): {one.outcome.what}. {one.outcome.words}", flush=True
            )
    print(f"\n{table(tried)}")
    return not any(one.outcome.what in BAD for one in tried)


def _kill(root: Path, given: argparse.Namespace) -> bool:
    counts: Counter[tuple[str, bool]] = Counter()
    for one in kill_jobs(root, given.times, given.jobs, given.seed):
        counts[one.job, one.wrong is None] += 1
        if one.wrong is not None:
            print(f"{one.job}, {one.how}: {one.wrong}", flush=True)
    print("\n| command | killed, or disk full | something wrong |\n| --- | ---: | ---: |")
    for job in dict.fromkeys(name for name, _ in counts):
        print(f"| {job} | {counts[job, True] + counts[job, False]} | {counts[job, False]} |")
    return not any(not fine for _, fine in counts)


if __name__ == "__main__":
    sys.exit(main())
