"""The registry against real distributions: folders with metadata on the path, read by importlib.metadata."""

import subprocess
import sys
import textwrap
from itertools import count

import pytest

from vlobjectives.components import KINDS, ComponentFault
from vlobjectives.contracts import config as configs
from vlobjectives.errors import PluginError
from vlobjectives.recipe import model
from vlobjectives.recipe.known_keys import fields
from vlobjectives.registry import Registry

_NUMBER = count()
GOOD = """
    from vlobjectives.contracts.hooks import hookimpl
    @hookimpl
    def vlobj_components():
        return {components}
"""


class MaskTarget:
    """A folder on sys.path that distributions are put into."""

    def __init__(self, folder):
        self.folder = folder

    def module(self, text: str) -> str:
        name = f"stranger_{next(_NUMBER)}"  # never one that an earlier test has imported
        (self.folder / f"{name}.py").write_text(textwrap.dedent(text), encoding="utf-8")
        return name

    def add(self, name: str, text: str, entry: str = "plug", version: str = "1.0") -> str:
        """A distribution whose entry point aims at a module with this text."""
        module = self.module(text)
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[vlobjectives]\n{entry} = {module}\n", encoding="utf-8")
        return module

    def brings(self, name: str, components: dict, **more) -> str:
        return self.add(name, GOOD.format(components=components), **more)

    def objective(self, base: str = "Objective") -> str:
        return self.module(f"from vlobjectives import {base}\nclass Mine({base}):\n    pass\n")


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    return MaskTarget(tmp_path)


def strangers(registry: Registry, kind: str = "objective") -> list[str]:
    return [row.name for row in registry.all() if row.package != "vlobjectives" and row.kind == kind]


def faults_of(registry: Registry, distribution: str) -> list[str]:
    return [fault.reason for fault in registry.faults if fault.distribution == distribution]


def test_a_stranger_is_found_and_imported_only_when_asked_for(site):
    target = site.objective()
    site.brings("acme-losses", {"objective:acme": f"{target}:Mine"}, version="2.3")
    registry = Registry()
    row = next(row for row in registry.all() if row.name == "acme")
    assert (row.kind, row.package, row.version, row.target) == ("objective", "acme-losses", "2.3", f"{target}:Mine")
    assert target not in sys.modules
    found = registry.get("objective", "acme")
    assert found.__name__ == "Mine" and registry.get("objective", "acme-losses/acme") is found
    assert not faults_of(registry, "acme-losses")


def test_builtins_are_entry_points_like_any_other():
    registry = Registry(builtin_only=True)
    assert {row.package for row in registry.all()} == {"vlobjectives"}
    assert {"itc", "itm", "mlm", "mgsc"} <= set(registry.names("objective"))
    assert registry.component("objective", "vlobjectives/itc") is registry.component("objective", "itc")
    assert set(registry.names("part")) >= {"timm_vision", "hf_text", "projection"}
    assert registry.component("part", "timm_vision").kind == "encoder"


@pytest.mark.parametrize(
    "text, reason",
    [
        ("import no_such_module_at_all", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
        ("def f(:", "SyntaxError: invalid syntax"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("x = 1", "it brings nothing"),
        ("def vlobj_components(): return {}", "its vlobj_components is not marked with vlobjectives.hookimpl"),
        (GOOD.format(components="['itc']"), "TypeError: vlobj_components returned ['itc'], not a mapping"),
        (GOOD.format(components="1 / 0"), "ZeroDivisionError: division by zero"),
        (GOOD.format(components={"loss:x": "a:B"}), "'loss:x' is not kind:name with a kind of objective"),
        (GOOD.format(components={"objective:a/b": "a:B"}), "'objective:a/b' is not kind:name"),
        (GOOD.format(components={3: "a:B"}), "3 is not kind:name"),
        (GOOD.format(components={"objective:x": "a.B"}), "objective:x: 'a.B' is neither module:Class nor a class"),
        ("VLOBJ_API = 3\n" + textwrap.dedent(GOOD.format(components={})), "it asks for plug-in API 3"),
        (
            GOOD.format(components={}).replace("components():", "component():"),
            "there is no hook vlobj_component, did you mean vlobj_components?",
        ),
        (
            """
     from vlobjectives.contracts.hooks import hookimpl
     @hookimpl
     def vlobj_step_ended(run, stepp): pass
     """,
            "PluginValidationError",
        ),
    ],
)
def test_a_fault_is_kept_and_stops_nobody(site, text, reason):
    site.add("broken-one", text)
    site.brings("zz-sound", {"objective:sound": "a:B"})
    registry = Registry()
    assert strangers(registry) == ["sound"]
    (found,) = faults_of(registry, "broken-one")
    assert reason in found and "\n" not in found
    with pytest.raises(PluginError, match="plug of broken-one is left out"):
        registry.get("objective", "lost")


def test_one_bad_component_leaves_the_others(site):
    site.brings("half", {"objective:bad": "nothing", "objective:good": "a:B"})
    registry = Registry()
    assert strangers(registry) == ["good"] and len(faults_of(registry, "half")) == 1


def test_two_distributions_may_call_their_entry_point_the_same(site):
    site.brings("first", {"objective:one": "a:B"})
    site.brings("second", {"objective:two": "a:B"})
    assert strangers(Registry()) == ["one", "two"]


def test_two_entry_points_at_one_module_are_a_fault(site):
    module = site.brings("first", {"objective:one": "a:B"})
    info = site.folder / "first-1.0.dist-info" / "entry_points.txt"
    info.write_text(f"[vlobjectives]\nplug = {module}\nagain = {module}\n", encoding="utf-8")
    registry = Registry()
    assert strangers(registry) == ["one"] and "already registered" in faults_of(registry, "first")[0]


def test_a_short_name_belongs_to_the_builtin(site):
    site.brings("acme", {"objective:itc": "a:B", "fusion:timm_vision": "a:B"})
    registry = Registry()
    assert registry.component("objective", "itc").package == "vlobjectives"
    assert registry.component("objective", "acme/itc").package == "acme"
    assert "acme/itc" in registry.names("objective")
    # parts share their names: a stranger's fusion does not take an encoder's
    assert registry.component("part", "timm_vision").kind == "encoder"
    assert registry.component("fusion", "acme/timm_vision").kind == "fusion"


def test_strangers_with_one_name_need_their_packages(site):
    site.brings("acme", {"objective:same": "a:B"})
    site.brings("bolt", {"objective:same": "a:B"})
    registry = Registry()
    assert strangers(registry) == ["acme/same", "bolt/same"]
    with pytest.raises(PluginError, match=r"brought by several plug-ins\n.*acme/same or bolt/same"):
        registry.get("objective", "same")


def test_unknown_names_say_what_is_near_and_where_was_looked():
    registry = Registry(builtin_only=True)
    with pytest.raises(PluginError) as caught:
        registry.get("objective", "mgcs")
    assert caught.value.what == "there is no objective 'mgcs', did you mean 'mgsc'?"
    assert all(part in caught.value.hint for part in ("known: ", " itc, itm, ", "looked in vlobjectives"))
    with pytest.raises(PluginError, match="'timm_vision' is a plug-in of kind encoder, not fusion"):
        registry.get("fusion", "timm_vision")
    with pytest.raises(ValueError, match="no such kind of plug-in: 'loss'; there are objective, mask"):
        registry.get("loss", "itc")


def test_targets_that_do_not_load(site):
    wrong = site.objective("Mask")
    broken = site.module("x = 1\nimport no_such_thing\n")
    empty = site.module("")
    site.brings(
        "acme",
        {
            "objective:mask_in_disguise": f"{wrong}:Mine",
            "objective:broken": f"{broken}:X",
            "objective:absent": f"{empty}:X",
            "objective:nowhere": "no_module_here:X",
            "mask:right": f"{wrong}:Mine",
        },
    )
    registry = Registry()

    def error(name):
        with pytest.raises(PluginError) as caught:
            registry.get("objective", name)
        return caught.value

    assert "is no class derived of vlobjectives' Objective" in error("mask_in_disguise").what
    place = error("broken").place
    assert place.file.endswith(f"{broken}.py") and place.line == 2 and error("broken").hint == "install no_such_thing"
    assert "AttributeError" in error("absent").what and error("absent").hint == "correct or upgrade acme"
    assert error("nowhere").hint == "correct or upgrade acme" and error("nowhere").place is None
    assert registry.get("mask", "right").__name__ == "Mine"
    faulty = {row.name for row in registry.all(load=True) if row.fault and row.package == "acme"}
    assert faulty == {"mask_in_disguise", "broken", "absent", "nowhere"}
    assert not any(row.fault for row in registry.all())


def test_blocking(site):
    site.brings("acme", {"objective:one": "a:B", "mask:two": "a:B"}, entry="acme_plug")
    assert strangers(Registry(["acme_plug"])) == []
    registry = Registry(["objective:one", "mgcs"])
    assert strangers(registry) == [] and strangers(registry, "mask") == ["two"]
    assert registry.faults == (
        ComponentFault("no:mgcs", "command line", "there is no such plug-in or component to leave out"),
    )
    assert not {"itc", "itm"} & set(Registry(["common"]).names("objective"))


def test_builtin_only_leaves_distributions_out_and_keeps_local_files(site):
    site.brings("acme", {"objective:one": "a:B"})
    registry = Registry(builtin_only=True)
    assert strangers(registry) == []
    local = site.folder / "my_loss.py"
    local.write_text(LOCAL, encoding="utf-8")
    registry.add_file(local)
    assert strangers(registry) == ["local", "my_loss/itc"]


LOCAL = """
from vlobjectives import Objective, hookimpl

class Local(Objective):
    pass

@hookimpl
def vlobj_components():
    return {"objective:local": Local, "objective:itc": Local}
"""


def test_a_local_file_brings_classes(tmp_path):
    (tmp_path / "my_loss.py").write_text(LOCAL, encoding="utf-8")
    registry = Registry()
    registry.add_file(tmp_path / "my_loss.py")
    registry.add_file(tmp_path / "my_loss.py")  # named twice: once is enough
    found = registry.get("objective", "local")
    assert found.__name__ == "Local" and registry.get("objective", "my_loss/itc") is found
    assert registry.get("objective", "itc") is not found
    other = Registry()
    other.add_file(tmp_path / "my_loss.py")
    assert other.get("objective", "local") is found  # one class in a process, whoever asks


@pytest.mark.parametrize(
    "text, line, what",
    [
        ("x = 1\ndef f(:\n", 2, "SyntaxError"),
        ("x = 1\n\nimport no_such_thing\n", 3, "No module named 'no_such_thing'"),
        ("x = 1\n", 1, "it brings nothing"),
        ("def vlobj_components(): return {}", 1, "not marked with vlobjectives.hookimpl"),
        (LOCAL.replace("objective:local", "local"), 7, "'local' is not kind:name"),
    ],
)
def test_a_local_file_that_is_wrong(tmp_path, text, line, what):
    path = tmp_path / "wrong.py"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PluginError, match=what) as caught:
        Registry().add_file(path)
    assert caught.value.place.file == str(path) and caught.value.place.line == line and caught.value.hint


def test_local_files_that_are_none(tmp_path):
    with pytest.raises(PluginError, match="there is no plug-in file"):
        Registry().add_file(tmp_path / "absent.py")
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")
    with pytest.raises(PluginError, match=r"name a file that ends in .py"):
        Registry().add_file(tmp_path / "notes.txt")


WATCHER = """
from vlobjectives.contracts.hooks import hookimpl
SEEN = []

@hookimpl
def vlobj_step_ended(step, metrics):
    SEEN.append((step, metrics))
    if {fails}:
        raise RuntimeError("disk is full")

@hookimpl
def vlobj_run_ended(summary):
    SEEN.append(summary)
"""


def test_a_watcher_that_raises_is_switched_off_and_the_others_go_on(site):
    bad = site.add("bad", WATCHER.format(fails="step == 1"))
    good = site.add("good", WATCHER.format(fails="False"))
    registry = Registry()
    registry.call_safely("vlobj_step_ended", run=None, step=0, metrics={})
    with pytest.warns(RuntimeWarning, match=r"'bad:plug' is switched off .* vlobj_step_ended raised .*disk is full"):
        registry.call_safely("vlobj_step_ended", run=None, step=1, metrics={})
    registry.call_safely("vlobj_step_ended", run=None, step=2, metrics={})
    registry.call_safely("vlobj_run_ended", run=None, summary={"loss": 1})
    assert sys.modules[bad].SEEN == [(0, {}), (1, {})]
    assert sys.modules[good].SEEN == [(0, {}), (1, {}), (2, {}), {"loss": 1}]


def test_watch_registers_an_object():
    from vlobjectives import Tracker, TrackerConfig, hookimpl

    class Mine(Tracker):
        steps = ()

        @hookimpl
        def vlobj_step_ended(self, step):
            self.steps = (*self.steps, step)

    registry, tracker = Registry(), Mine(TrackerConfig())
    registry.watch(tracker, "mine")
    registry.call_safely("vlobj_step_ended", run=None, step=4, metrics={})
    assert tracker.steps == (4,)
    with pytest.raises(PluginError, match="'nothing' cannot watch runs: it brings nothing"):
        registry.watch(object(), "nothing")


def test_every_kind_has_its_contract():
    from importlib import import_module

    from vlobjectives.components import _MODULE

    for kind in KINDS:
        module = import_module(f"vlobjectives.contracts.{_MODULE.get(kind, kind)}")
        assert isinstance(getattr(module, kind.capitalize()), type)


def test_finding_plugins_imports_nothing_heavy():
    code = (
        "import sys, vlobjectives.recipe; from vlobjectives.registry import Registry; Registry(builtin_only=True);"
        "print([name for name in ('torch', 'timm', 'transformers', 'numpy') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8").stdout.strip() == "[]"


def test_the_narrowest_bound_of_a_number_is_the_one_that_holds():
    """Pydantic goes by the last of two bounds of a kind: a bound in the default's Field loses to its type's."""
    wrong, registry = [], Registry()
    for row in registry.all():
        for name, field in registry.get(row.kind, row.name).Config.model_fields.items():
            for kind, narrowest in (("ge", max), ("gt", max), ("le", min), ("lt", min)):
                bounds = [getattr(one, kind) for one in field.metadata if hasattr(one, kind)]
                if bounds and bounds[-1] != narrowest(bounds):
                    wrong.append(f"{row.kind} {row.name}.{name}: {kind} {bounds}")
    assert not wrong


CLASS = """
from pydantic import BaseModel, Field
from vlobjectives import {base}, {base}Config, hookimpl
class Own({base}):
    class Config({config}):
        {key}: float = 0.5
@hookimpl
def vlobj_components():
    return {{"{kind}:own": Own}}
"""


@pytest.mark.parametrize(
    ("base", "kind", "key"),
    [
        ("Objective", "objective", "weight"),
        ("Objective", "objective", "sources"),
        ("Mask", "mask", "stream"),
        ("Pairing", "pairing", "group"),
        ("Reader", "reader", "of"),
        ("Source", "source", "batch"),
        ("Source", "source", "weight"),
        ("Evaluation", "evaluation", "sources"),
        ("Head", "head", "type"),
    ],
)
def test_an_option_called_like_a_key_of_the_host(base, kind, key, tmp_path):
    """It would never be given: the host takes what stands there."""
    path = tmp_path / "plug.py"
    config = "PartConfig" if base == "Head" else f"{base}Config"
    code = CLASS.format(base=base, config=config, key=key, kind=kind)
    path.write_text(code.replace(f"{base}Config, h", f"{config}, h"), encoding="utf-8")
    with pytest.raises(PluginError, match=f"`{key}`, which is the host.s key") as caught:
        Registry().add_file(path)
    assert (caught.value.place.file, caught.value.place.line) == (str(path), 5)


def test_a_config_of_another_kind(tmp_path):
    path = tmp_path / "plug.py"
    code = CLASS.format(base="Objective", config="BaseModel", key="margin", kind="objective")
    path.write_text(code, encoding="utf-8")
    with pytest.raises(PluginError, match="Own is a class of BaseModel, and must derive ObjectiveConfig"):
        Registry().add_file(path)


def test_keys_of_the_host_are_those_of_its_recipes():
    for entry, config in (
        (model.ObjectiveEntry, configs.ObjectiveConfig),
        (model.MaskEntry, configs.MaskConfig),
        (model.PairingEntry, configs.PairingConfig),
        (model.PartEntry, configs.PartConfig),
        (model.FieldEntry, configs.ReaderConfig),
        (model.EvaluationEntry, configs.EvaluationConfig),
    ):
        assert set(fields(entry)) == config.HOST
    assert {*fields(model.DataEntry), *fields(model.MixEntry)} == configs.SourceConfig.HOST
