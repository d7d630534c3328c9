"""Sweeps of a recipe that trains in a second; runs are forked from this process, which has imported everything."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "running"))
