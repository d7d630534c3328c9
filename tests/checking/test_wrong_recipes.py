"""What people write wrong: a change of a sound recipe, and what `vlobj check` then says, where, and what to change."""

import re
import shutil
from dataclasses import dataclass, field

import pytest
from huggingface_hub import constants
from small_recipes import LIGHT, changed, line_of, plugin, vlobj

from vlobjectives.checking import check
from vlobjectives.recipe import load
from vlobjectives.registry import Registry

OWN = """
    from vlobjectives import Objective, ObjectiveConfig, Term, encoded, hookimpl, joint

    class Wrong(Objective):
        class Config(ObjectiveConfig):
            pass

        def views(self, inputs):
            return {"image": joint(inputs["image"]), "text": encoded(inputs["text"])}

        def forward(self, image, text):
            return {"x": Term((image.pooled @ text.tokens).sum(), 1)}

    class Number(Wrong):
        def forward(self, image, text):
            return {"x": Term(image.pooled[image.pooled > 0].sum(), int(image.pooled.sum()))}

    class Maps(Wrong):
        def views(self, inputs):
            return {"image": joint(inputs["image"]).with_maps()}

    class Stranger(Wrong):
        def views(self, inputs):
            return {"image": joint(inputs["picture"])}

    class Refuses(Wrong):
        def build(self, image):
            raise self.cannot("it never can", "do without it")

    class Circular(Wrong):
        def views(self, inputs):
            raise RuntimeError("a bug of its own")

    @hookimpl
    def vlobj_components():
        return {"objective:wrong": Wrong, "objective:number": Number, "objective:maps": Maps,
                "objective:stranger": Stranger, "objective:refuses": Refuses, "objective:circular": Circular}
"""
PLUGIN = {"# Small: few objectives.": "plugins: [./own.py]"}
DATA = "data: {type: scenes, image_size: 32, samples: 64, val: 16, test: 16, test_new: 0, batch: 8}"


@dataclass(frozen=True)
class Case:
    """`at`: a word of the line that the message must name; None: not a line of the file."""

    name: str
    changes: dict[str, str]
    words: tuple[str, ...]
    at: str | None
    code: int = 2
    overrides: tuple[str, ...] = field(default=())


def own(objective: str) -> dict[str, str]:
    return PLUGIN | {"  itc: {}": f"  {objective}: {{}}\n  itc: {{}}"}


CASES = [
    Case("indent", {"  itm: {neg": " itm: {neg"}, ("indentation",), "itm:"),
    Case("twice", {"  itc: {}": "  itc: {}\n  itc: {}"}, ("objectives.itc", "twice"), None),
    Case("section", {"optim:": "optimiser:"}, ("optimiser", "did you mean 'optim'?"), "optimiser:"),
    Case(
        "missing section", {"run: {steps: 4, device: cpu, precision: fp32}\n": ""}, ("the key 'run' is missing",), None
    ),
    Case("objective", {"itc: {}": "itx: {}"}, ("objectives.itx", "there is no objective 'itx'", "known: "), "itx"),
    Case("evaluation", {"retrieval: {": "retreival: {"}, ("did you mean 'retrieval'?",), "retreival"),
    Case(
        "kind",
        {"type: random_negatives": "type: random_patches"},
        ("there is no pairing 'random_patches'",),
        "random_patches}",
    ),
    Case(
        "option",
        {"negatives: others": "negative: others"},
        ("objectives.itm.negative", "did you mean 'negatives'?"),
        "negative:",
    ),
    Case("host key", {"itc: {}": "itc: {wieght: 2}"}, ("did you mean 'weight'?",), "wieght"),
    Case(
        "missing option",
        {"itm: {negatives: others}": "itm: {}"},
        ("the key 'negatives' is missing", "give it:"),
        "itm:",
    ),
    Case(
        "quoted number", {"ratio: 0.5": 'ratio: "0.5"'}, ("masks.dropped.ratio", "write 0.5, without quotes"), '"0.5"'
    ),
    Case("bound", {"ratio: 0.5": "ratio: 1.5"}, ("1.5 must be less than 1",), "1.5"),
    Case("choice", {"fill: token": "fill: tokens"}, ("masks.replaced.fill", "did you mean token?"), "tokens}"),
    Case("mask", {"mlm: {mask: hidden_words": "mlm: {mask: hiden_words"}, ("did you mean 'hidden_words'?",), "hiden_"),
    Case(
        "part",
        {"  words: {type: vocabulary_head, of: text, tied: true}\n": ""},
        ("objectives.mlm.head", "add under model: words: {type: vocabulary_head, of: text, tied: true}"),
        "mlm:",
    ),
    Case(
        "joint",
        {"  joint: {type: projection, width: 32}\n": ""},
        ("evaluate.retrieval asks for it too", "add under model: joint: {type: projection, "),
        "itc:",
    ),
    Case(
        "encoder",
        {"  text:\n    type": "  txt:\n    type"},
        ("model.joint, model.words ask", "did you mean 'txt'?"),
        "fusion:",
    ),
    Case(
        "judge", {"retrieval: {gallery: 16}": "words: {of: mln}"}, ("evaluate.words.of", "did you mean 'mlm'?"), "mln"
    ),
    Case("checkpointed part", {"# Small": "plan: {checkpoint: [visoin]}\n# Small"}, ("'vision'",), "visoin"),
    Case(
        "no file",
        {"# Small": "plugins: [./nowhere.py]\n# Small"},
        ("there is no plug-in file", "folder of the recipe"),
        "nowhere",
        4,
    ),
    Case(
        "no reader",
        {"fields:\n  caption: {type: byte_pair, size: 400, length: 48}\n": ""},
        ("the column 'caption' needs a reader", "add under fields: caption: {type: byte_pair, "),
        None,
    ),
    Case(
        "column",
        {"  caption: {type": "  captoin: {type"},
        ("has no column 'captoin'", "did you mean 'caption'?"),
        "captoin",
    ),
    Case("of", {"length: 48": "length: 48, of: captoin"}, ("fields.caption.of", "'caption'?"), "captoin"),
    Case(
        "column of pictures",
        {"length: 48": "length: 48, of: image"},
        (
            "fields.caption.of",
            "captions are texts, and this one is array(",
            "name the column of texts (`of: COLUMN`)",
        ),
        "length: 48",
    ),
    Case(
        "clips alone",
        {DATA: DATA.replace("batch: 8", "batch: 8, frames: 2")},
        ("there is no field 'image'", "inputs: image: {fields: [clip]}"),
        "data:",
    ),
    Case(
        "split", {"retrieval: {gallery: 16}": "splits: [tset]"}, ("evaluate.splits.0", "did you mean 'test'?"), "tset"
    ),
    Case("no split", {"retrieval: {gallery: 16}": "splits: []"}, ("evaluate.splits  [] must be longer",), "splits"),
    Case(
        "evaluation of another objective",
        {"retrieval: {gallery: 16}": "captioning: {of: itc}"},
        ("evaluate.captioning", "'itc' is none that trains a decoder"),
        "captioning",
    ),
    Case(
        "two kinds in an input",
        {"fields:": "inputs: {text: {fields: [caption, image]}}\nfields:"},
        ("caption: tokens, image: picture", "an input of its own"),
        "inputs:",
    ),
    Case(
        "manifest",
        {DATA: "data: {type: captions, manifest: no.json, batch: 8}"},
        ("the manifest cannot be read", "set data.manifest"),
        "no.json",
        3,
    ),
    Case(
        "heads", {"depth: 1, heads: 2}\n  text": "depth: 1, heads: 3}\n  text"}, ("3 heads do not divide",), "vision:"
    ),
    Case("patches", {"patch: 8": "patch: 7"}, ("not made of whole patches of 7", "28 and 35"), "patch: 7"),
    Case("model type", {"model_type: bert": "model_type: bertt"}, ("model.text", "no model_type 'bertt'"), "text:"),
    Case(
        "caption as picture",
        {
            "  vision: {type: timm_vision, patch: 8, width: 32, depth: 1, heads: 2}\n": """\
  vision:
    type: hf_text
    config: {model_type: bert, hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 16}
""",
            "fields:\n": "inputs: {image: {fields: [told], part: vision}}\nfields:\n",
            "length: 48}": """length: 48}
  told: {type: byte_pair, size: 400, length: 48, of: caption}""",
            "  mgsc: {image_mask: dropped, text_mask: hidden_words}\n": "",
            "  mltc: {image_mask: replaced, text_mask: hidden_words, context_mask: dropped}\n": "",
        },
        ("inputs.image.fields.0", "'told' is made of the caption", "handed the answer"),
        "inputs:",
    ),
    Case(
        "words of no mask",
        {
            "mlm: {mask: hidden_words}": "mlm: {mask: null}",
            "retrieval: {gallery: 16}": "words: {}",
            "fields:\n": "inputs: {text: {mask: hidden_words}}\nfields:\n",
            "itm: {negatives: others}": "itm: {weight: 0, negatives: others}",
            "  mgsc: {image_mask: dropped, text_mask: hidden_words}\n": "",
            "  mltc: {image_mask: replaced, text_mask: hidden_words, context_mask: dropped}\n": "",
        },
        ("evaluate.words.mask", "names no mask of its own", "mask: hidden_words"),
        "words: {}",
    ),
    Case(
        "no word",
        {"size: 400, length: 48": "size: 260, length: 3"},
        ("fields.caption.length", "leaves no word", "raise it"),
        "length: 3",
    ),
    Case("vocabulary of a fusion", {"of: text, tied": "of: fusion, tied"}, ("model.words", "token"), "words:"),
    Case("kind of part", {"itc: {}": "itc: {joint: fusion}"}, ("'fusion' is a fusion, and a projection",), "itc:"),
    Case(
        "picture's mask on text",
        {"text_mask: hidden_words, context": "text_mask: replaced, context"},
        ("objectives.mltc.text_mask", "fill mask or bert"),
        "mltc:",
    ),
    Case(
        "second mask",
        {"fields:": "inputs: {text: {mask: hidden_words}}\nfields:"},
        ("objectives.mlm", "takes no second mask"),
        "mlm:",
    ),
    Case("many negatives", {"type: random_negatives": "type: all_pairs"}, ("56 wrong pairs for 8 rows",), "itm:"),
    Case(
        "dropped what is completed",
        {"image_mask: replaced": "image_mask: dropped"},
        ("objectives.mltc", "give it fill: token"),
        "mltc:",
    ),
    Case("maps", own("maps"), ("cannot give attention maps",), "  maps:"),
    Case("refused", own("refuses"), ("it never can", "do without it"), "refuses:"),
    Case("unknown input", own("stranger"), ("there is no input 'picture'", "own.py:24"), "stranger:", 4),
    Case("plug-in's bug", own("circular"), ("a bug of its own", "own.py:32"), "circular:", 4),
    Case("shapes", own("wrong"), ("must have same reduction dim", "own.py:12"), "  wrong:"),
    Case("asks the device", own("number"), ("asks the device for a number", "own.py:16"), "number:"),
    Case("nothing hidden", {"ratio: 0.3": "ratio: 0.01"}, ("hides none of the 16 patches",), "0.01"),
    Case("nothing seen", {"ratio: 0.5": "ratio: 0.99"}, ("may hide all 16 patches",), "0.99"),
    Case("pattern", {"model.fusion.*": "model.fuson.*"}, ("did you mean model.fusion.*?",), "fuson"),
    Case(
        "one row",
        {"batch: 8": "batch: 1"},
        ("a batch of 1 has no other row", "objectives.mgsc", "pairings.others"),
        "data:",
    ),
    Case("micro-batch", {"batch: 8": "batch: 8, micro_batch: 3"}, ("3 does not divide the batch of 8",), "data:"),
    Case(
        "group of a pairing",
        {"type: random_negatives": "type: random_negatives, group: 3"},
        ("pairings.others.group", "pairings.others.group=8"),
        "group: 3",
    ),
    Case(
        "group beyond a process",
        {"type: random_negatives": "type: random_negatives, group: 16"},
        ("pairings.others.group", "groups of 16 rows do not fit into the 8", "pairings.others.group=8"),
        "group: 16",
    ),
    Case("group of a loss", {"itc: {}": "itc: {group: 5}"}, ("objectives.itc.group=4",), "itc:"),
    Case(
        "nobody at work",
        {f"{name}: {{": f"{name}: {{weight: 0, " for name in ("itm", "mlm", "mgsc", "mltc")}
        | {"itc: {}": "itc: {weight: 0}"},
        ("no objective ever has a weight",),
        None,
    ),
    Case(
        "warm-up", {"  lr: 1e-3": "  lr: 1e-3\n  schedule: {warmup: 9}"}, ("longer than the run of 4 steps",), "warmup"
    ),
    Case("late group", {", lr: 2.0": ", lr: 2.0, start: 9"}, ("the run ends at step 4",), "start: 9"),
    Case(
        "weights",
        {"patch: 8,": "patch: 8, weights: ./gone.pt,"},
        ("there is no file or folder /", "gone.pt"),
        "gone",
        6,
    ),
    Case(
        "weights of a hub",
        {"  text:\n    type: hf_text": "  text:\n    weights: owner/model\n    type: hf_text"},
        ("'owner/model' was never fetched", "HF_HUB_OFFLINE", "model.text.weights=null"),
        "owner/model",
        6,
    ),
    Case("fp16 on a processor", {"precision: fp32": "precision: fp16"}, ("fp16 is for GPUs",), "fp16", 6),
    Case("override's value", {}, ("command line  optim.lr", '"fast" must be a number'), None, 2, ("optim.lr=fast",)),
    Case("override's key", {}, ("did you mean optim.lr?",), None, 2, ("optim.ler=1",)),
    Case("override's option", {}, ("command line", "did you mean 'ratio'?"), None, 2, ("masks.dropped.ratoi=0.5",)),
    Case("no override", {}, ("'--fast' is no override",), None, 2, ("--", "--fast")),
]


FUSED = {"encoder", "judge", "evaluation of another objective", "kind of part", "second mask"}
"""Cases of what contrast alone lacks, though their changes do not name it."""


ELSEWHERE = {
    "quoted number",
    "bound",
    "choice",
    "kind",
    "no override",
    "override's value",
    "override's key",
    "override's option",
    "kind of part",
    "missing section",
    "late group",
    "pattern",
    "judge",
    "micro-batch",
}
"""Slow, since what says them is tested by itself: tests/recipe, test_bounds, test_hints, test_sanity."""


@pytest.mark.parametrize(
    "case", [pytest.param(one, marks=[pytest.mark.slow] * (one.name in ELSEWHERE), id=one.name) for one in CASES]
)
def test_says_what_is_wrong_where_and_what_to_change(case, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    plugin(tmp_path, OWN)
    whole = bool(case.overrides) or "mgsc" in str(case.words)
    recipe = changed(tmp_path, case.changes, whole=whole, text=LIGHT if case.name in FUSED else None)
    ended = vlobj(capsys, "check", "small.yaml", *case.overrides)
    assert ended.code == case.code, ended
    assert "Traceback" not in ended.err and "hint:" in ended.err
    for words in case.words:
        assert words in ended.err
    if case.at is not None:
        assert f"small.yaml:{line_of(recipe, case.at)}:" in ended.err


def test_a_sound_recipe_passes(tmp_path, capsys):
    ended = vlobj(capsys, "check", changed(tmp_path, {}, whole=True))
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("small: no errors, no notes")


def test_a_vocabulary_may_be_learned_from_what_no_batch_reads(tmp_path, capsys):
    """Lists of captions teach word pieces; only what a batch needs is read one by one."""
    shared = {
        "  caption: {type: byte_pair, size: 400, length: 48}\n": "  all: "
        "{type: byte_pair, size: 400, length: 48, of: captions}\n"
        "  caption: {type: byte_pair, length: 48, with: all}\n"
    }
    assert vlobj(capsys, "check", changed(tmp_path, shared)).code == 0


def test_all_problems_of_a_stage_at_once(tmp_path, capsys):
    recipe = changed(
        tmp_path,
        {
            "itc: {}": "itx: {}",
            "ratio: 0.5": "ratio: 5",
            "patch: 8": "pach: 8",
            "negatives: others": "negatives: others, fuson: a",
        },
    )
    ended = vlobj(capsys, "check", recipe)
    assert all(
        path in ended.err
        for path in ("objectives.itx", "masks.dropped.ratio", "model.vision.pach", "objectives.itm.fuson")
    )
    assert "small: 4 errors, no notes" in ended.out
    assert "not checked to the end, since they need what is wrong: model.fusion, model.joint" in ended.err
    assert "4 errors" in ended.out


def test_what_nobody_reaches_is_a_note(tmp_path, capsys):
    """Without matching nothing reaches what pools both streams; a tower without a mask is no news."""
    recipe = changed(tmp_path, {"  mltc: {image_mask: replaced, text_mask: hidden_words, context_mask: dropped}\n": ""})
    ended = vlobj(capsys, "check", recipe, "objectives.itm.weight=0")
    assert ended.code == 0
    assert "model.fusion  no objective that is ever live reaches model.fusion.image_pooler.weight" in ended.out
    assert "mask_token" not in ended.out
    assert "masks.replaced  the mask 'replaced' is named nowhere" in ended.out


def test_captions_that_are_cut_are_a_note(tmp_path, capsys):
    """With the share that is cut; captions that fit are no note."""
    recipe = changed(tmp_path, {"length: 48": "length: 12"}, whole=True)
    ended = vlobj(capsys, "check", recipe)
    assert ended.code == 0
    found = re.search(rf"{recipe}:4:49  fields.caption.length  (\d+)% of the first 64 are longer than 12", ended.out)
    assert 0 < int(found[1]) <= 100
    needs = int(re.search(r"the longest of them needs (\d+) or more", ended.out)[1])
    ended = vlobj(capsys, "check", recipe, f"fields.caption.length={needs + 40}")
    assert ended.out.startswith("small: no errors, no notes")


def test_steps_that_train_nothing_are_a_note(tmp_path, capsys):
    idle = {f"{name}: {{": f"{name}: {{weight: [[2, 0], [3, 1]], " for name in ("itm", "mlm", "mgsc", "mltc")}
    ended = vlobj(capsys, "check", changed(tmp_path, idle | {"itc: {}": "itc: {weight: 0}"}))
    assert ended.code == 0
    assert "objectives  from step 0 on 3 of the 4 steps train nothing" in ended.out


def test_a_decay_of_averages_that_nobody_looks_at_is_a_note(tmp_path, capsys):
    ended = vlobj(capsys, "check", changed(tmp_path, {}), "run.ema.decay=0.99")
    assert ended.code == 0 and "run.ema.decay  no objective, mask or pairing looks at averaged weights" in ended.out


def test_processes_share_a_batch(tmp_path):
    """Checked for as many processes as will run: 8 pairs are no three equal parts."""
    _, report = check(load(changed(tmp_path, {})), Registry(), processes=3)
    assert [problem.what for problem in report.errors] == ["a batch of 8 cannot be shared by 3 processes"]
    assert report.skipped == {"shapes": "sanity"}


def test_a_disk_that_holds_no_checkpoint(tmp_path, monkeypatch):
    from vlobjectives.checking import resources

    full = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(resources.shutil, "disk_usage", lambda path: full)
    _, report = check(load(changed(tmp_path, {})), Registry(), place=tmp_path / "run")
    assert report.code == 6 and "3 checkpoints of" in report.errors[0].what
