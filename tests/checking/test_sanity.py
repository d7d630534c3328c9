"""What a newcomer writes as another framework, or YAML, would have it: the message says what to write here."""

import pytest
from small_recipes import SMALL, changed, line_of, vlobj

from vlobjectives.errors import RecipeError
from vlobjectives.recipe import load
from vlobjectives.recipe.recipes import copy

OBJECTIVES = SMALL[SMALL.index("objectives:\n") : SMALL.index("optim:\n")]
DATA = next(line for line in SMALL.splitlines() if line.startswith("data:"))
RUN, RATE, TOP, SCORES = "steps: 4,", "  lr: 1e-3", "# Small: few objectives.", "evaluate: {retrieval: {gallery: 16}}"


def beside(key: str, text: str) -> dict[str, str]:
    """A line more in a section."""
    places = {
        "run": (RUN, f"{RUN} {text},"),
        "optim": (RATE, f"{RATE}\n  {text}"),
        "top": (TOP, text),
        "data": ("batch: 8", f"batch: 8, {text}"),
        "evaluate": ("evaluate: {", f"evaluate: {{{text}, "),
        "itc": ("itc: {}", f"itc: {{{text}}}"),
        "vision": ("timm_vision,", f"timm_vision, {text},"),
    }
    return dict([places[key]])


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({OBJECTIVES: "objectives: [itc, itm]\n"}, "objectives: {itc: {}, itm: {}}"),
        (
            {OBJECTIVES: "objectives:\n- itc: {}\n- mlm: {mask: hidden_words}\n"},
            "objectives: {itc: {}, mlm: {mask: hidden_words}}",
        ),
        ({OBJECTIVES: "objectives: itc\n"}, "objectives: {itc: {}}"),
        ({"  itc: {}": "  itc:"}, "`itc: {}`"),
        ({"  itc: {}": "  itc: null"}, "`itc: {}`"),
        ({"  itc: {}": "  itc: 0.5"}, "itc: {weight: 0.5}"),
        ({"  itc: {}": "  itc: true"}, "itc: {}"),
        ({DATA: "data: scenes"}, "data: {type: scenes}"),
        ({SCORES: "evaluate: [retrieval]"}, "evaluate: {retrieval: {}}"),
        ({SCORES: "evaluate: retrieval"}, "evaluate: {retrieval: {}}"),
        (beside("evaluate", "every: 100"), "every: {steps: 100}"),
        (beside("evaluate", "every: 0.1"), "every: {share: 0.1}"),
        (beside("run", "checkpoint: 100"), "checkpoint: {steps: 100}"),
        (beside("optim", "schedule: linear"), "schedule: {then: linear}"),
        (beside("optim", "clip: none"), "clip: null"),
        ({"device: cpu": "device: gpu"}, "device: cuda"),
        ({"device: cpu": "device: 1"}, "device: cuda:1"),
        ({"device: cpu": "device: [0, 1]"}, "--nproc 2"),
        ({"precision: fp32": "precision: 16"}, "precision: fp16"),
        ({"precision: fp32": "precision: bfloat16"}, "precision: bf16"),
        ({"precision: fp32": "compile: true"}, "compile: parts"),
        (beside("top", "epochs: 3"), "run.steps=N"),
        (beside("run", "epochs: 3"), "run.steps=N"),
        (beside("top", "lr: 1e-3"), "optim.lr"),
        (beside("optim", "learning_rate: 1e-3"), "optim.lr"),
        (beside("optim", "warmup_steps: 10"), "optim.schedule.warmup"),
        (beside("optim", "warmup: 10"), "optim.schedule.warmup"),
        (beside("optim", "scheduler: cosine"), "optim: {schedule:"),
        (beside("optim", "max_grad_norm: 1"), "optim.clip"),
        (beside("data", "batch_size: 8"), "data.batch=N"),
        (beside("data", "num_workers: 2"), "data.workers=N"),
        (beside("data", "shuffle: true"), "keys here:"),
        (beside("run", "gpu: 0"), "run.device=cuda"),
        (beside("run", "gpus: 2"), "--nproc N"),
        (beside("run", "devices: 2"), "--nproc N"),
        (beside("run", "fp16: true"), "run.precision"),
        (beside("run", "amp: true"), "run.precision"),
        (beside("run", "max_steps: 4"), "run.steps=N"),
        (beside("run", "seed: 3"), "`seed` stands at the top"),
        (beside("run", "output_dir: x"), "--out FOLDER"),
        (beside("run", "resume: true"), "`vlobj run FOLDER`"),
        (beside("run", "gradient_checkpointing: true"), "plan.checkpoint=[PART]"),
        (beside("run", "accumulate_grad_batches: 2"), "data.micro_batch"),
        (beside("run", "log_every: 10"), "run.log.steps=N"),
        (beside("run", "eval_steps: 10"), "evaluate.every: {steps: N}"),
        (beside("run", "save_steps: 10"), "run.checkpoint: {steps: N"),
        (beside("top", "loss: [itc]"), "objectives: {NAME:"),
        (beside("top", "optimizer: adamw"), "optim: {lr: 1e-3}"),
        (beside("top", "_base_: glscl"), "extends: FILE.yaml"),
        (beside("itc", "lr: 1e-3"), "optim.lr"),
        (beside("vision", "pretrained: true"), "model.PART.weights"),
        (beside("vision", "img_size: 32"), "data.image_size"),
    ],
)
def test_a_file(changes, hint, tmp_path, capsys):
    ended = vlobj(capsys, "plan", changed(tmp_path, changes))
    assert ended.code == 2
    assert any(hint in line for line in ended.err.splitlines() if "hint: " in line), ended.err
    assert "is missing" not in ended.err or "steps" not in changes


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("lr=1e-3", "did you mean optim.lr?"),
        ("epochs=3", "run.steps=N"),
        ("batch_size=8", "data.batch=N"),
        ("run.gpus=2", "--nproc N"),
        ("optim.learning_rate=1", "optim.lr"),
        ("run.device=", "run.device=null"),
        ("optim.lr", "without blanks"),
        ("optim.lr:1e-3", "write optim.lr=1e-3"),
        ("evaluate.every=100", "every: {steps: 100}"),
        ("optim.groups[0].lr=1", "optim.groups.0.lr?"),
        ("optim/lr=1", "optim.lr?"),
        ("+optim.lr=1", "optim.lr?"),
        ("Optim.LR=1", "optim.lr?"),
        ("~objectives.mlm", "objectives.mlm=null"),
        ("objectives.tgmim={}", "`extends: ...`"),
        ("objectives=[itc, itm]", "objectives: {itc: {}, itm: {}}"),
        ("init=", "init=null"),
    ],
)
def test_an_override(override, hint, tmp_path, capsys):
    ended = vlobj(capsys, "plan", changed(tmp_path, {}), override)
    assert ended.code == 2
    assert any(hint in line for line in ended.err.splitlines() if "hint: " in line), ended.err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("run", "itc", "--lr", "1e-4"), "optim.lr"),
        (("run", "itc", "--epochs=3"), "run.steps=N"),
        (("run", "--config", "r.yaml"), "behind the verb"),
        (("run", "itc", "--optim.lr=3"), "optim.lr=3"),
        (("train", "itc"), "vlobj run"),
        (("evaluate", "x"), "vlobj eval"),
        (("r.yaml",), "vlobj run r.yaml"),
        (("check", "itc", "--batch-size", "3"), "data.batch=N"),
        (("-p", "no:itc", "train", "itc"), "vlobj run"),
    ],
)
def test_a_command_line(words, hint, capsys):
    ended = vlobj(capsys, *words)
    assert ended.code == 2
    assert hint in ended.err.splitlines()[-1]


def test_what_yaml_makes_of_it(tmp_path, capsys):
    for written in ("*.bias", "*bias", "&bias"):
        path = changed(tmp_path, {'"model.fusion.*"': written})
        ended = vlobj(capsys, "check", path)
        assert ended.code == 2 and f":{line_of(path, written)}:" in ended.err
    assert "quotes" in vlobj(capsys, "check", changed(tmp_path, {'"model.fusion.*"': "*.bias"})).err
    assert "blank behind each colon" in vlobj(capsys, "check", changed(tmp_path, {SMALL: "lr:1e-3\nsteps:4\n"})).err


def test_nothing_behind_a_key(tmp_path):
    """Where nobody wrote null nothing is taken away: a section is empty, an evaluation on, another key refused."""
    (tmp_path / "base.yaml").write_text(SMALL, encoding="utf-8")
    path = tmp_path / "own.yaml"

    def refused(text: str) -> str:
        path.write_text(f"extends: base.yaml\n{text}", encoding="utf-8")
        with pytest.raises(RecipeError) as caught:
            load(path)
        return str(caught.value)

    assert "`mlm: null` takes it away" in refused("objectives:\n  mlm:\n")
    assert "nothing is written behind `init:`" in refused("init:\n")
    assert "nothing is written behind `weights:`" in refused("model: {vision: {weights: }}\n")
    path.write_text("extends: base.yaml\ninputs:\n  # none\nevaluate:\n  probe:\n", encoding="utf-8")
    assert {"probe", "retrieval"} <= load(path).recipe.evaluate.entries.keys()


def test_what_is_given_twice_is_noted(tmp_path, capsys):
    recipe = changed(tmp_path, {})
    note = vlobj(capsys, "check", recipe, "optim.lr=1e-4", "optim.lr=1e-5").out
    assert "optim.lr  it is given twice, and optim.lr=1e-5 holds, not optim.lr=1e-4" in note
    assert load(recipe, ["optim.groups.0.lr=3", "optim.groups=[]"]).layered.notes
    for fine in (
        ["optim.lr=1e-4", "optim.lr=1e-4"],
        ["objectives.mlm=null", "optim.lr=1"],
        ["evaluate={every: {steps: 2}}", "evaluate.every.steps=2"],
    ):
        assert not load(recipe, fine).layered.notes


def test_names_of_files(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    changed(tmp_path, {}, "mine.yml")
    assert "mv mine.yml mine.yaml" in vlobj(capsys, "check", "mine.yml").err
    assert "mv mine.yml mine.yaml" in vlobj(capsys, "check", "mine.yaml").err
    changed(tmp_path, {}, "other.yaml")
    assert "did you mean other.yaml?" in vlobj(capsys, "check", "other").err
    assert "did you mean other.yaml?" in vlobj(capsys, "check", "othr.yaml").err
    assert "without .yaml: glscl" in vlobj(capsys, "check", "glscl.yaml").err


def test_sweeps_and_recipes_taken_for_each_other(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweep.yaml").write_text("base: itc\nseeds: [0]\n", encoding="utf-8")
    copy("itc", "own.yaml")
    for verb in ("run", "check", "plan"):
        ended = vlobj(capsys, verb, "sweep.yaml")
        assert ended.code == 2 and "`vlobj sweep sweep.yaml`" in ended.err
    assert "vlobj sweep glscl_ablation" in vlobj(capsys, "run", "glscl_ablation").err
    assert "`vlobj run own.yaml`" in vlobj(capsys, "sweep", "own.yaml").err
    assert "vlobj run glscl" in vlobj(capsys, "sweep", "glscl").err


def test_a_batch_of_one_is_one_problem(tmp_path, capsys):
    ended = vlobj(capsys, "check", changed(tmp_path, {"batch: 8": "batch: 1"}))
    assert ended.err.count("hint: ") == 1
    assert "data.batch  a batch of 1 has no other row, and objectives.itc" in ended.err and "data.batch=2" in ended.err


def test_a_head_that_cannot_read_its_objectives_view(tmp_path, capsys):
    ended = vlobj(capsys, "check", changed(tmp_path, {"co_attention, width: 32": "co_attention, width: 64"}))
    assert ended.code == 2
    assert "model.words  'words' (of: text, width 32) cannot read 'fusion' (width 64), which objectives" in ended.err
    assert "model.words.width=64" in ended.err
    wider = {"co_attention, width: 32": "co_attention, width: 64", "tied: true": "tied: true, width: 64"}
    assert vlobj(capsys, "check", changed(tmp_path, wider), "evaluate.retrieval=false").code == 0


def test_nothing_is_trained(tmp_path, capsys):
    less = ["objectives.mlm=null", "evaluate={losses: false}"]
    ended = vlobj(capsys, "check", changed(tmp_path, {}), 'optim.groups=[{match: "*", lr: 0}]', *less)
    assert ended.code == 0
    assert "optim.groups.0.lr  nothing is trained: optim.groups gives lr 0 to all" in ended.out
    ended = vlobj(capsys, "check", changed(tmp_path, {}), 'optim.groups=[{match: "model.*", lr: 0}]', *less)
    assert "nothing is trained" not in ended.out  # matching has a head of its own
