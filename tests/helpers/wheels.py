"""Packages beside the library as pip would install them, without pip: their wheel, unpacked, metadata and all."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

BUILD = "import sys, hatchling.build; print(hatchling.build.build_wheel(sys.argv[1]))"
COMMAND = """
import sys
from vlobjectives.cli import main
code = main(sys.argv[1:])
print(*sorted(sys.modules), file=sys.stderr)
sys.exit(code)
"""


def unpacked(package: Path, folder: Path) -> Path:
    """The folder that holds what pip would put into site-packages."""
    subprocess.run([sys.executable, "-c", BUILD, folder], cwd=package, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


def vlobj_with(site: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """The command line in a process that finds such a folder; it must end well. Its stderr ends with its modules."""
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", COMMAND, *map(str, words)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done
