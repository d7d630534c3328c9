"""Shares the values made by hand for the objectives of `vlobj_common`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "vlobj_common"))
