"""One resolved recipe: a command validates each entry's Config once, and derives rows, device and precision from it."""

import json
from collections import Counter

import pytest
from small_recipes import changed, vlobj

import vlobjectives
from vlobjectives.contracts.config import Config
from vlobjectives.recipe import load
from vlobjectives.registry import Registry
from vlobjectives.resolved.entries import entries
from vlobjectives.resolved.resolved import resolve
from vlobjectives.runtime.distributed import World

SHORT = {
    "samples: 64, val: 16, test: 16": "samples: 16, val: 8, test: 8",
    "  mlm: {mask: hidden_words}\n": "",
    "run: {steps: 4,": "run: {steps: 1,",
    "{retrieval: {gallery: 16}}": "{losses: false, retrieval: {gallery: 8}}",
}


@pytest.fixture
def validated(monkeypatch):
    """(Config, options) of every validation so far, in whatever way pydantic is asked for it."""
    found = []
    for name, text in (("model_validate_json", json.loads), ("model_validate", lambda given: given)):
        real = getattr(Config, name).__func__

        def seen(cls, given, *more, real=real, text=text, **keywords):
            found.append(key(cls, text(given)))
            return real(cls, given, *more, **keywords)

        monkeypatch.setattr(Config, name, classmethod(seen))
    return found


def key(cls: type[Config], options: dict) -> tuple[type[Config], str]:
    return cls, json.dumps(options, sort_keys=True)


def once(found: list, path) -> None:
    """Each entry of the recipe was validated once; whatever else was is no entry's, but a form that a note offers."""
    registry = Registry()
    own = Counter(key(registry.get(kind, one.type).Config, one.options) for _, kind, one in entries(load(path).recipe))
    assert len(own) > 10 and {one: number for one, number in Counter(found).items() if one in own} == own
    found.clear()


def test_each_config_is_validated_once(capsys, tmp_path, validated):
    """By a check, a plan, a run, its evaluation, and a model of it in Python."""
    path, run = changed(tmp_path, SHORT), tmp_path / "run"
    for words in (("check", path), ("plan", path, "--json"), ("run", path, "--out", run), ("eval", run)):
        ended = vlobj(capsys, *words)
        assert ended.code == 0, ended
        once(validated, path)
    vlobjectives.load(run)
    assert len(validated) == len(set(validated)) > 8 and not any(
        "Retrieval" in one.__qualname__ for one, _ in validated
    )


def test_the_rest_of_a_wrong_recipe_is_validated_once(capsys, tmp_path, validated):
    """What a check goes on with keeps its Configs."""
    path = changed(tmp_path, {"  others: {type: random_negatives}": "  others: {type: random_negatives, groop: 4}"})
    ended = vlobj(capsys, "check", path)
    assert ended.code == 2 and "groop" in ended.err
    found = {one: number for one, number in Counter(validated).items() if "equal_captions" not in one[1]}
    assert set(found.values()) == {1}


def test_a_changed_recipe_keeps_the_configs_of_what_is_the_same(tmp_path, validated):
    resolved = resolve(load(changed(tmp_path, {})), Registry())
    validated.clear()
    other = resolved.changed(
        resolved.loaded.replaced({("pairings", "others", "group"): 4, ("model", "joint", "width"): 8})
    )
    assert len(validated) == 1 and other.of("part")["joint"].config.width == 8
    assert other.of("pairing")["others"].entry.group == 4
    same = [path for path, one in other.entries.items() if one.config is resolved.entries[path].config]
    assert len(same) == len(resolved.entries) - 1


@pytest.mark.parametrize(
    "processes, changes, rows, together", [(1, (), 8, 8), (2, (), 4, 8), (2, ("data.micro_batch=2",), 2, 4)]
)
def test_rows_follow_from_recipe_and_processes(tmp_path, processes, changes, rows, together):
    resolved = resolve(load(changed(tmp_path, {}), changes), Registry(), World(size=processes))
    assert (resolved.rows, resolved.together, resolved.weights) == (rows, together, {"": 1.0})


@pytest.mark.parametrize(
    "asked, device, planned, autocast",
    [
        ("fp32", "cpu", ("cpu", "fp32"), None),
        ("bf16", "cpu", ("cpu", "bf16"), "torch.bfloat16"),
        ("fp16", "cuda", ("cuda", "fp16"), None),
    ],
)
def test_precision_follows_from_recipe_and_device(tmp_path, asked, device, planned, autocast):
    """`planned` hangs on no device that must be here."""
    changes = (f"run.precision={asked}", f"run.device={device}")
    resolved = resolve(load(changed(tmp_path, {}), changes), Registry())
    assert resolved.planned == planned
    if device == "cpu":
        assert resolved.precision == asked and resolved.device.type == "cpu"
        assert (str(resolved.autocast[1]) if resolved.autocast else None) == autocast
