"""Prints the lowest version that pyproject.toml allows of each direct dependency, as pip constraints."""

import re
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
for requirement in project["dependencies"]:
    name, lowest = re.match(r"([\w.\-]+)(?:\[.*\])?\s*>=\s*([\w.]+)", requirement).groups()
    print(f"{name}=={lowest}")
