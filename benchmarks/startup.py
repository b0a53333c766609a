"""What the start of a command costs: the registration in every Python, and each import of ``stmem watch``.

    python benchmarks/startup.py
    python benchmarks/startup.py --video gate.mp4 --ckpt model.ckpt

Run it in an environment where anomalib-stmem is installed. The second command also watches a video: the imports until
its end, the time and the memory until its first verdict, and of all.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

ROUNDS = 100
FIRSTS = 3  # starts until the first verdict
SHOWN = 12  # packages
LINE = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+([\w.]+)$", re.MULTILINE)

# A watch that says at its first verdict how long its process has run, in seconds, and the most memory so far, in KiB.
UNTIL_FIRST = """
import os, resource, sys, time
import psutil
from anomalib_stmem import cli
from anomalib_stmem.results.video_results import VideoResults
def told(*_):
    seconds = time.time() - psutil.Process().create_time()
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, flush=True)
    os._exit(0)
VideoResults._write_row = told
cli.main(sys.argv[1:])
"""


def imports(code: list[str]) -> Counter[str]:
    """Milliseconds that ``python -X importtime`` reports for each package, whoever imports it."""
    command = [sys.executable, "-X", "importtime", *code]
    report = subprocess.run(command, check=True, capture_output=True, text=True).stderr  # noqa: S603
    spent: Counter[str] = Counter()
    for microseconds, name in LINE.findall(report):
        spent[name.split(".")[0]] += int(microseconds) / 1e3
    return spent


def show(title: str, spent: Counter[str]) -> None:
    """Print the packages that take longest."""
    total = sum(spent.values())
    print(f"\n{title}: imports take {total / 1e3:.2f} s")
    for name, milliseconds in spent.most_common(SHOWN):
        print(f"  {name:24} {milliseconds:7.0f} ms  {milliseconds / total:5.1%}")


def main() -> None:
    """Print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path)
    parser.add_argument("--ckpt", type=Path)
    given = parser.parse_args()
    times = [imports(["-c", "pass"])["_anomalib_stmem"] for _ in range(ROUNDS)]
    if not any(times):
        sys.exit("anomalib-stmem is not installed here: Python imports no _anomalib_stmem at its start.")
    print(f"import of _anomalib_stmem: median {statistics.median(times):.2f} ms, worst {max(times):.2f} ms of {ROUNDS}")
    show("stmem --help", imports(["-m", "anomalib_stmem.cli", "--help"]))
    show("what stmem watch imports at once", imports(["-c", "import anomalib_stmem.watching.watch"]))
    if given.video is None or given.ckpt is None:
        return
    with TemporaryDirectory() as folder:
        watch = ["-m", "anomalib_stmem.cli", "watch", str(given.video), "--ckpt", str(given.ckpt), "--films", "false"]
        show("stmem watch to its end", imports([*watch, "--results", f"{folder}/imports"]))
        for number in range(FIRSTS):
            until = [sys.executable, "-c", UNTIL_FIRST, *watch[2:], "--results", f"{folder}/first{number}"]
            said = subprocess.run(until, check=True, capture_output=True, text=True).stdout  # noqa: S603
            seconds, kibibytes = map(float, said.split()[-2:])
            print(f"\nfirst verdict after {seconds:.1f} s, with at most {kibibytes / 1024:.0f} MiB")
        began = time.monotonic()
        process = subprocess.Popen([sys.executable, *watch, "--results", f"{folder}/time"], stdout=subprocess.DEVNULL)  # noqa: S603
        _, _, usage = os.wait4(process.pid, 0)
        print(f"\nstmem watch: {time.monotonic() - began:.1f} s, at most {usage.ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
