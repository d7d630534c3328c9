"""Shares the golden numbers of CoCa, and the values made by hand for objectives."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / name) for name in ("vlobj_models", "vlobj_common")]
