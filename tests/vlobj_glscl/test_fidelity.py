"""What docs/fidelity.md points at exists: the tests that hold a decision, and the fields that choose otherwise."""

import re
from pathlib import Path

from vlobj_common.itc import ITC
from vlobj_common.itm import ITM
from vlobj_common.random_patches import RandomPatches
from vlobj_common.random_tokens import RandomTokens
from vlobj_glscl.mgsc import MGSC
from vlobj_glscl.mltc import MLTC
from vlobj_glscl.scl import SCL

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "fidelity.md").read_text()
NAMED = {"itc": ITC, "itm": ITM, "mgsc": MGSC, "mltc": MLTC, "scl": SCL, "random_patches": RandomPatches,
         "random_tokens": RandomTokens}


def test_tests_exist():
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", PAGE)
    assert len(named) > 40
    missing = [f"{file}::{test}" for file, test in named
               if not any(f"def {test}(" in path.read_text() for path in TESTS.rglob(file))]
    assert not missing


def test_fields_exist():
    named = re.findall(rf"`({'|'.join(NAMED)})\.(\w+)`", PAGE)
    assert len(named) > 10
    assert not [f"{owner}.{field}" for owner, field in named if field not in NAMED[owner].Config.model_fields]


def test_rows_are_whole():
    rows = [line for line in PAGE.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {7}
