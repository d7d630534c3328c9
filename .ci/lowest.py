"""Prints the lowest versions that pyproject.toml declares, one `name==version` a line: a constraints file for pip."""

import re
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
for line in (*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]):
    name, bound = re.fullmatch(r"([\w.-]+)>=([\d.]+)", line).groups()
    print(f"{name}=={bound}")
