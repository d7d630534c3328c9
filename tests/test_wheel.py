"""What people install: the wheel's contents, and the installed package at work outside the checkout."""

import json
import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RECIPES = {path.stem for path in (ROOT / "recipes").glob("*.yaml")}
OFFLINE = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "PIP_NO_INDEX": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "HF_HUB_OFFLINE": "1",
    "PYTHONPATH": "",
}


def call(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=OFFLINE, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built as a release would build it but for downloads."""
    out = tmp_path_factory.mktemp("wheel")
    call(sys.executable, "-m", "pip", "wheel", ROOT, "--no-deps", "--no-build-isolation", "--wheel-dir", out, cwd=out)
    (found,) = out.glob("*.whl")
    return found


def installed(place: Path, wheel: Path) -> Path:
    """The folder of commands of a fresh environment that has the wheel, and sees the packages of this one behind it."""
    venv.create(place, with_pip=False, symlinks=True)
    binaries = place / "bin"
    call(sys.executable, "-m", "pip", "--python", binaries / "python", "install", "--no-deps", wheel, cwd=place)
    own = call(binaries / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=place).strip()
    behind = "\n".join({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    (Path(own) / "behind.pth").write_text(behind, encoding="utf-8")
    return binaries


@pytest.fixture(scope="module")
def fresh(wheel, tmp_path_factory) -> Path:
    return installed(tmp_path_factory.mktemp("fresh") / "environment", wheel)


def test_contents(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    plugins = {path.parent.name for path in (ROOT / "plugins").glob("*/__init__.py")}
    assert tops == {"vlobjectives", *plugins, f"vlobjectives-{PROJECT['version']}.dist-info"}
    shipped = {name.removeprefix("vlobjectives/_recipes/") for name in names if "/_recipes/" in name}
    assert shipped == {str(path.relative_to(ROOT / "recipes")) for path in (ROOT / "recipes").rglob("*.yaml")}
    assert {Path(name).stem for name in shipped if "/" not in name} == RECIPES
    assert "sweeps/glscl_ablation.yaml" in shipped
    assert {f"{package}/py.typed" for package in ("vlobjectives", *plugins)} <= set(names)
    assert not [name for name in names if "__pycache__" in name or "test_" in name or "shared" in name]
    assert {Path(name).suffix for name in names if "dist-info" not in name} == {
        ".py",
        ".pyi",
        ".yaml",
        ".typed",
        ".tmpl",
    }


def test_everything_of_the_checkout_travels(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    here = {
        path.relative_to(root).as_posix()
        for root, folder in ((ROOT, "vlobjectives"), (ROOT / "plugins", "."))
        for path in (root / folder).rglob("*.*")
        if path.suffix in (".py", ".tmpl")
    }
    assert here - names == set()


def test_metadata(wheel):
    archive = zipfile.ZipFile(wheel)
    info = f"vlobjectives-{PROJECT['version']}.dist-info"
    assert archive.read(f"{info}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
    metadata = archive.read(f"{info}/METADATA").decode()
    assert "License-Expression: Apache-2.0" in metadata
    needed = [
        line for line in metadata.splitlines() if line.startswith("Requires-Dist") and "extra == 'docs'" not in line
    ]
    assert not [line for line in needed if "<" in line]  # nothing that runs is held back; the site's builder may be
    entries = archive.read(f"{info}/entry_points.txt").decode()
    for name, module in PROJECT["entry-points"]["vlobjectives"].items():
        assert f"{name} = {module}\n" in entries
    assert "vlobj = vlobjectives.cli:main" in entries


def test_installed_package_is_the_one_that_runs(fresh, tmp_path):
    place = call(
        fresh / "python",
        "-c",
        "import vlobjectives, vlobj_glscl; print(vlobjectives.__file__, vlobj_glscl.__file__)",
        cwd=tmp_path,
    )
    assert str(ROOT) not in place
    assert place.count(str(fresh.parent)) == 2


def test_recipes_are_listed_and_copied(fresh, tmp_path):
    assert json.loads(call(fresh / "vlobj", "recipes", "--json", cwd=tmp_path)).keys() == RECIPES
    assert {line.split()[0] for line in call(fresh / "vlobj", "recipes", cwd=tmp_path).splitlines()} == RECIPES
    call(fresh / "vlobj", "recipes", "copy", "glscl", cwd=tmp_path)
    assert (tmp_path / "glscl.yaml").read_text("utf-8") == (ROOT / "recipes" / "glscl.yaml").read_text(encoding="utf-8")


def test_shipped_recipes_load_with_the_files_that_they_name(fresh, tmp_path):
    code = (
        "import sys; from pathlib import Path; from vlobjectives.recipe import load\n"
        "for name in sys.argv[1:]:\n"
        "    for path in load(name).recipe.plugins: assert Path(path).is_file(), (name, path)"
    )
    call(fresh / "python", "-c", code, *sorted(RECIPES), cwd=tmp_path)


def test_shipped_sweeps_are_found(fresh, tmp_path):
    code = "import vlobjectives.sweeping.sweep_file as f; print([f.read_sweep(name).name for name in f.names()])"
    found = call(fresh / "python", "-c", code, cwd=tmp_path)
    assert "'glscl_ablation'" in found and "'glscl_ablation_small'" in found


def test_plugins_are_found(fresh, tmp_path):
    listed = call(fresh / "vlobj", "plugins", cwd=tmp_path)
    for word in ("mgsc", "itc", "scenes", "timm_vision"):
        assert word in listed


@pytest.mark.slow
def test_a_recipe_runs_outside_the_checkout(fresh, tmp_path):
    call(fresh / "vlobj", "run", "itc", "--tiny", "--out", tmp_path / "run", cwd=tmp_path)
    assert "retrieval/test/image_to_text/r1" in json.loads((tmp_path / "run" / "summary.json").read_text("utf-8"))


def test_an_editable_install_finds_the_recipes_of_the_checkout(tmp_path):
    build = "import sys, hatchling.build; hatchling.build.build_editable(sys.argv[1])"  # what `pip install -e` calls
    call(sys.executable, "-c", build, tmp_path, cwd=ROOT)
    binaries = installed(tmp_path / "environment", next(tmp_path.glob("*.whl")))
    place = call(binaries / "python", "-c", "import vlobjectives.recipe.recipes as r; print(r.folder())", cwd=tmp_path)
    assert Path(place.strip()) == ROOT / "recipes"
    assert json.loads(call(binaries / "vlobj", "recipes", "--json", cwd=tmp_path)).keys() == RECIPES
