"""The forms of the built-ins are written once, beside the tests of the laws."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "testing"))
