"""The command line, one file a verb."""

from vlobjectives.cli.app import main

__all__ = ["main"]
