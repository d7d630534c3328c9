"""`python -m vlobjectives` is `vlobj`."""

import sys

from vlobjectives.cli import main

sys.exit(main())
