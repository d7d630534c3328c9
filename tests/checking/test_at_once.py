"""Several mistakes in a recipe: one call names them all, and nothing that is none."""

from random import Random

import pytest
from small_recipes import changed, vlobj

from vlobjectives.checking import check
from vlobjectives.recipe import load
from vlobjectives.registry import Registry

MISTAKES = [  # (override, where it is told, what is told only where these are sound: their parts are built on them)
    ("optim.lr=fast", "optim.lr", ()),
    ("optim.betas=[0.9, high]", "optim.betas.1", ()),
    ("optim.momentum=0.9", "optim.momentum", ()),
    ("optim.groups.0.match=model.fuson.*", "optim.groups.0.match", ()),
    ("run.steps=ten", "run.steps", ()),
    ("run.device=gpu", "run.device", ()),
    ("data.samples=many", "data.samples", ()),
    ("data.workers=-1", "data.workers", ()),
    ("plan.checkpoint=[visoin]", "plan.checkpoint.0", ()),
    ("evaluate.splits=[tset]", "evaluate.splits.0", ()),
    ("evaluate.retreival=true", "evaluate.retreival", ()),
    ("evaluate.retrieval.gallery=some", "evaluate.retrieval.gallery", ()),
    ("evaluate.rerank={of: itc}", "evaluate.rerank.of", ("model", "itm")),
    ("evaluate.probe={fusion: joint}", "evaluate.probe.fusion", ("model",)),
    ("masks.dropped.ratio=1.8", "masks.dropped.ratio", ()),
    ("masks.replaced.fill=tokens", "masks.replaced.fill", ()),
    ("masks.hidden_words.ratoi=0.4", "masks.hidden_words.ratoi", ()),
    ("objectives.itc.temprature=3", "objectives.itc.temprature", ()),
    ("objectives.itm.negatives=otters", "objectives.itm.negatives", ()),
    ("objectives.mlm.mask=nosy_words", "objectives.mlm.mask", ()),
    ("objectives.mgsc.weight=heavy", "objectives.mgsc.weight", ()),
    ("objectives.mltc.text_mask=replaced", "objectives.mltc.text_mask", ("model", "masks")),
    ("model.fusion.heads=3", "model.fusion", ("vision",)),
    ("model.vision.patch=7", "model.vision", ()),
    ("model.joint.image=vison", "model.joint.image", ()),
]
HIDES = {
    "model.fusion": {"model"},
    "model.vision": {"model", "vision"},
    "model.joint.image": {"model"},
    "masks.dropped.ratio": {"masks"},
    "masks.replaced.fill": {"masks"},
    "objectives.itm.negatives": {"itm"},
}


def mixed(seed: int) -> list[tuple[str, str]]:
    """Two to six mistakes at keys apart, none of which needs what another one breaks."""
    random, chosen, hidden = Random(seed), [], set()
    for override, path, needs in random.sample(MISTAKES, len(MISTAKES)):
        apart = all(path.split(".")[:2] != other.split(".")[:2] for _, other, _ in chosen)
        hides = HIDES.get(path, set())
        if apart and not hidden & set(needs) and not any(hides & set(theirs) for *_, theirs in chosen):
            chosen.append((override, path, needs))
            hidden |= hides
    return [(override, path) for override, path, _ in chosen[: random.randint(2, 6)]]


def told(tmp_path, seed: int) -> None:
    mistakes = mixed(seed)
    _, report = check(
        load(changed(tmp_path, {}, whole=True), [override for override, _ in mistakes], check=True), Registry()
    )
    assert sorted(problem.path for problem in report.errors) == sorted(path for _, path in mistakes), (
        mistakes,
        [str(problem) for problem in report.errors],
    )
    assert report.code == 2 and all(problem.hint for problem in report.errors)


@pytest.mark.parametrize("seed", range(4))
def test_all_mistakes_in_one_call(tmp_path, seed):
    told(tmp_path, seed)


@pytest.mark.slow
def test_all_mistakes_of_sixty_recipes(tmp_path):
    for seed in range(4, 64):
        told(tmp_path, seed)


def test_stages_do_not_hide_each_other(tmp_path, capsys):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "extends: glscl\nobjectives: {mgcs: {}, itc: {temprature: 3}, mlm: {mask: nosy_words}}\n"
        "masks: {dropped: {ratio: 1.8}}\noptim: {lr: fast}\nno_such_key: 1\n",
        encoding="utf-8",
    )
    ended = vlobj(capsys, "check", path, "evaluate.itm.of=itc")
    assert ended.code == 2
    for at in (
        "2:14  objectives.mgcs",
        "2:30  objectives.itc.temprature",
        "2:58  objectives.mlm.mask",
        "3:26  masks.dropped.ratio",
        "4:13  optim.lr",
        "5:1  no_such_key",
        "evaluate.itm.of",
    ):
        assert at in ended.err, ended.err
    assert "7 errors" in ended.out and "not checked to the end, since they need what is wrong: " in ended.err
