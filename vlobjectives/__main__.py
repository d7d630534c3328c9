"""`python -m vlobjectives` is `vlobj`."""

import sys

from vlobjectives.cli import main

if __name__ == "__main__":  # processes that a check starts import this file again
    sys.exit(main())
