"""What the registration hook costs a Python that never imports anomalib: start-up with and without it, interleaved.

Run ``python benchmarks/startup.py`` in an environment where anomalib-stmem is installed.
"""

import os
import statistics
import subprocess
import sys
import time

ROUNDS = 60
# -X importtime would disturb what it measures; the loaded modules are timed in-process instead.
INSIDE = """
import sys, time
for name in ("anomalib_stmem.registration", "anomalib_stmem"):
    sys.modules.pop(name, None)
sys.meta_path[:] = [f for f in sys.meta_path if type(f).__name__ != "_Watcher"]
start = time.perf_counter()
import anomalib_stmem.registration as r
r.install()
print((time.perf_counter() - start) * 1e3)
"""


def median_ms(command: list[str], environment: dict[str, str] | None = None) -> float:
    """Median wall time of a command in milliseconds."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        subprocess.run(command, check=True, env=environment)  # noqa: S603
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def main() -> None:
    """Print the hook's own time and the whole start-up."""
    inside = [
        float(subprocess.run([sys.executable, "-c", INSIDE], check=True, capture_output=True, text=True).stdout)  # noqa: S603
        for _ in range(ROUNDS)
    ]
    whole = median_ms([sys.executable, "-c", "pass"], dict(os.environ))
    without_site = median_ms([sys.executable, "-S", "-c", "pass"], dict(os.environ))
    print(f"hook: {statistics.median(inside):.3f} ms (median of {ROUNDS})")
    print(f"python -c pass: {whole:.1f} ms; without any .pth and site-packages: {without_site:.1f} ms")


if __name__ == "__main__":
    main()
