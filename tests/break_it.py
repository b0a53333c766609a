"""Tries to break the project. ``python tests/break_it.py --count 10000`` takes some minutes; CI runs a small part."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from faults.broken_input import break_input, table
from faults.trials import BAD


def main() -> int:
    """Break files, print what came of them, and fail where something bad did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="files to break")
    parser.add_argument("--kinds", nargs="*", default=[], help="beginnings of the kinds' names; all by default")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    given = parser.parse_args()
    began, tried = time.monotonic(), []
    with tempfile.TemporaryDirectory() as root:
        for one in break_input(Path(root), given.count, given.kinds, given.workers):
            tried.append(one)
            if one.outcome.what in BAD:
                print(
                    f"{one.kind} {one.number} ({one.file}, {one.way}): {one.outcome.what}. {one.outcome.words}",
                    flush=True,
                )
    print(f"\n{table(tried)}\n\n{time.monotonic() - began:.0f} s")
    return int(any(one.outcome.what in BAD for one in tried))


if __name__ == "__main__":
    sys.exit(main())
