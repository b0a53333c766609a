"""Print the shell block of README.md that follows ``<!-- ci: NAME -->``."""

import re
import sys
from pathlib import Path

text = Path(__file__).parents[1].joinpath("README.md").read_text()
found = re.search(rf"<!-- ci: {re.escape(sys.argv[1])} -->\s*```bash\n(.*?)```", text, re.DOTALL)
if found is None:
    sys.exit(f"README.md has no block marked <!-- ci: {sys.argv[1]} -->")
print(found[1], end="")
