"""What the registration costs a Python that never imports anomalib: its module's import, timed by Python itself.

Run ``python benchmarks/startup.py`` in an environment where anomalib-stmem is installed.
"""

import re
import statistics
import subprocess
import sys

ROUNDS = 100


def imported_in_ms() -> float:
    """Time that ``python -X importtime`` reports for the module that the ``.pth`` file imports."""
    command = [sys.executable, "-X", "importtime", "-c", "pass"]
    report = subprocess.run(command, check=True, capture_output=True, text=True).stderr  # noqa: S603
    found = re.search(r"(\d+) \|\s+_anomalib_stmem$", report, re.MULTILINE)
    if found is None:
        sys.exit("anomalib-stmem is not installed here: Python imports no _anomalib_stmem at its start.")
    return int(found[1]) / 1e3


def main() -> None:
    """Print median and worst."""
    times = [imported_in_ms() for _ in range(ROUNDS)]
    print(f"import of _anomalib_stmem: median {statistics.median(times):.2f} ms, worst {max(times):.2f} ms of {ROUNDS}")


if __name__ == "__main__":
    main()
