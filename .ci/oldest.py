"""Print the oldest versions that pyproject.toml allows with all extras, as constraints for pip; tools are left free."""

import re
from pathlib import Path

TOOLS = {"hatchling", "hypothesis", "mypy", "pytest", "pytest-xdist", "ruff", "selenium"}

project = (Path(__file__).resolve().parents[1] / "pyproject.toml").read_text()
asked = re.findall(r'"([a-z][\w-]*)(?:\[\w+\])?>=([\d.]+)', project.split("[project.scripts]")[0])
oldest = dict(asked)  # an extra comes later, and may ask for more
print("\n".join(f"{name}=={version}" for name, version in oldest.items() if name not in TOOLS))
