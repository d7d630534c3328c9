"""Prints the lowest versions that pyproject.toml declares, one `name==version` a line: a constraints file for pip."""

import re
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LISTS = (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
for line in dict.fromkeys(line for requirements in LISTS for line in requirements):
    if not line.startswith(f"{PROJECT['name']}["):  # an extra that takes in another
        name, bound = re.fullmatch(r"([\w.-]+)(?:\[[\w,-]+\])?[>=]=([\d.]+)(?:,<[\d.]+)?", line).groups()
        print(f"{name}=={bound}")
