"""Shares the golden numbers of CoCa with the parts' tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "vlobj_models"))
