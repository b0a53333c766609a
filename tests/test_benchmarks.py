"""The benchmarks run as their first lines say, without data."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.mark.slow
def test_reading(tmp_path: Path) -> None:
    command = [sys.executable, BENCHMARKS / "reading.py", "--size", "32", "32", "--json", tmp_path / "rows.json"]
    subprocess.run(command, check=True)
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert {row["decodes_per_frame"] for row in rows if "decodes_per_frame" in row} == {1.0}
    assert all(row["ratio"] > 0 for row in rows)
