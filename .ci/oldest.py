"""Print the oldest versions that pyproject.toml allows, as constraints for pip. Development tools are left free."""

import re
from pathlib import Path

TOOLS = {"hatchling", "hypothesis", "mypy", "pytest", "pytest-xdist", "ruff", "selenium"}

project = (Path(__file__).resolve().parents[1] / "pyproject.toml").read_text()
for name, version in re.findall(r'"([a-z][\w-]*)(?:\[\w+\])?>=([\d.]+)', project.split("[project.scripts]")[0]):
    if name not in TOOLS:
        print(f"{name}=={version}")
