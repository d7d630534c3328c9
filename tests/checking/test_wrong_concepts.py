"""What `vlobj check` says of phrases, links, tags and regions that cannot be."""

import json

import pytest
from PIL import Image
from small_recipes import changed, line_of, vlobj

from vlobjectives.checking.text_lengths import lengths
from vlobjectives.data.data_module import build_data
from vlobjectives.recipe import load
from vlobjectives.registry import Registry
from vlobjectives.resolved.resolved import resolve
from vlobjectives.resolved.tiny import tiny

SCENES = "data: {type: scenes, image_size: 32, samples: 64, val: 16, test: 16, test_new: 0, batch: 8}"
LISTED = "data: {type: captions, manifest: listed.jsonl, image_size: 32, batch: 8, hold_out: {}}"
FIELDS = """  phrases: {type: phrases, of: caption, with: caption, size: 100, least: 2, length: 8}
  links: {type: links, of: phrases, with: caption}
"""
INPUTS = "inputs:\n  text: {fields: [caption, phrases], part: text, mask: linked}\n"
MASKS = "  linked: {type: linked_tokens}\n"
SMALLER = {
    "tied: true": "tied: true, field: caption",
    "  mgsc: {image_mask: dropped, text_mask: hidden_words}\n": "",
    "  mltc: {image_mask: replaced, text_mask: hidden_words, context_mask: dropped}\n": "",
    "mlm: {mask: hidden_words}": "mlm: {mask: null}",
}


def recipe(folder, fields=FIELDS, inputs=INPUTS, masks=MASKS, **data):
    changes = {"model:\n": fields + inputs + "model:\n", "pairings:\n": masks + "pairings:\n", **SMALLER, **data}
    return changed(folder, changes)


@pytest.fixture
def listed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    rows = [{"image": "a.png", "caption": f"a dog near {count} balls", "split": "train"} for count in range(16)]
    (tmp_path / "listed.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    "change, words, at",
    [
        (
            {"fields": "  tags: {type: tags, with: caption, length: 9}\n"},
            ("has no column 'tags'", "add under data: columns: {tags: names}"),
            "tags: {",
        ),
        (
            {"fields": FIELDS.replace("of: caption, with", "with")},
            ("has no column 'phrases'", "add under data: columns: {phrases: phrases}"),
            "phrases: {type",
        ),
        (
            {
                "inputs": "inputs:\n  text: {fields: [caption], part: text}\n"
                "  image: {fields: [regions], part: vision}\n",
                "masks": "",
            },
            ("no field 'regions'", "add under data: columns: {regions: [50, 2054]}"),
            "regions",
        ),
    ],
    ids=["tags", "phrases", "regions"],
)
def test_columns_that_the_data_lacks(listed, capsys, change, words, at):
    path = recipe(listed, **{SCENES: LISTED}, **change)
    ended = vlobj(capsys, "check", path)
    assert ended.code == 2 and "Traceback" not in ended.err
    assert all(word in ended.err for word in words), ended.err
    assert f"small.yaml:{line_of(path, at)}:" in ended.err


def test_records_that_lack_a_column_are_bad_samples(listed, capsys):
    fields = FIELDS + "  tags: {type: tags, with: caption, length: 9}\n"
    path = recipe(listed, fields, **{SCENES: LISTED.replace("hold", "columns: {tags: names}, hold")})
    ended = vlobj(capsys, "check", path)
    assert ended.code == 3 and "listed.jsonl:1" in ended.err and "no tags, which data.columns names" in ended.err
    assert "listed.jsonl:5" not in ended.err and "and 12 more records\n    hint: `vlobj check --data`" in ended.err
    assert "listed.jsonl:16" in vlobj(capsys, "check", path, "--data").err


@pytest.mark.parametrize(
    "change, words, at",
    [
        (
            {"fields": FIELDS.replace("with: caption, size", "size")},
            ("fields.phrases", "with: caption"),
            "phrases: {type",
        ),
        ({"fields": FIELDS.replace("of: phrases", "of: caption")}, ("fields.links", "of: phrases"), "links: {type"),
        (
            {"inputs": "inputs:\n  text: {fields: [caption], part: text, mask: linked}\n"},
            ("masks.linked", "holds caption, not a caption and its phrases", "inputs.text.fields: [caption, phrases]"),
            "linked: {type",
        ),
        (
            {"fields": FIELDS.splitlines()[0] + "\n"},
            ("masks.linked.links", "there is no field 'links'"),
            "linked: {type",
        ),
        (
            {"fields": FIELDS.replace("size: 100", "file: no.json")},
            ("fields.phrases", "no.json cannot be read"),
            "phrases: {type",
        ),
        (
            {
                "fields": FIELDS.replace("of: caption, with", "with")
            },  # scenes have a column of this name, for alignments
            ("fields.phrases", "phrases are read from a caption, or", "hint: `of: caption`"),
            "phrases: {type",
        ),
        (
            {"fields": FIELDS + "  tags: {type: tags, of: caption, with: caption, length: 9}\n"},
            ("fields.tags.of", "tags are read from a list of names, not from '"),
            "tags: {",
        ),
        (
            {"masks": MASKS.replace("linked_tokens", "linked_tokens, links: phrases")},
            (
                "masks.linked",
                "'phrases' holds no links",
                "add under fields: links: {type: links, of: phrases, with: caption}",
            ),
            "linked: {type",
        ),
        (
            {
                "patch: 8": "patch: 8, slots: 2",
                "itc: {}": "itc: {}\n  mcr: {source: slots, targets: phrases, head: words}",
            },
            (
                "objectives.mcr",
                "'phrases' is a field of tokens, and targets are labels",
                "{type: counted, of: caption}",
            ),
            "mcr: {",
        ),
    ],
    ids=[
        "with",
        "of",
        "one field",
        "no links",
        "file",
        "phrases of another kind",
        "tags of a text",
        "no field of links",
        "targets",
    ],
)
def test_says_what_is_wrong_where_and_what_to_change(tmp_path, capsys, change, words, at):
    path = recipe(tmp_path, **change)
    ended = vlobj(capsys, "check", path)
    assert ended.code == 2 and "Traceback" not in ended.err and "hint:" in ended.err
    assert all(word in ended.err for word in words), ended.err
    assert f"small.yaml:{line_of(path, at)}:" in ended.err
    assert ended.err.count("hint:") == 1  # what reads what cannot be read is told once


def test_a_plan_says_what_to_change_where_a_plugin_refuses(tmp_path, capsys):
    path = recipe(tmp_path, masks=MASKS.replace("linked_tokens", "linked_tokens, links: phrases"))
    ended = vlobj(capsys, "plan", path)
    assert ended.code == 2 and "masks.linked  'phrases' holds no links" in ended.err
    assert "hint: add under fields: links: {" in ended.err


def test_phrases_that_no_caption_has_often_enough(tmp_path, capsys):
    """A run would train without any; what other fields lose is said all the same."""
    path = recipe(tmp_path, FIELDS.replace("least: 2", "least: 65"), **{"length: 48": "length: 12"})
    assert "fields.caption.length" in vlobj(capsys, "check", path).out
    ended = vlobj(capsys, "run", path, "--out", tmp_path / "run")
    assert ended.code == 3 and "no phrase is in 65 of the training captions" in ended.err


def test_a_tiny_run_finds_phrases_in_captions_of_its_own(listed):
    """Whatever the recipe's data says of its captions: `scenes` has other columns of these names."""
    fields = FIELDS.replace("of: caption, with", "with") + "  tags: {type: tags, with: caption, length: 9}\n"
    path = recipe(listed, fields, **{SCENES: LISTED.replace("hold", "columns: {tags: names, phrases: phrases}, hold")})
    registry = Registry()
    small, _ = tiny(load(path), registry)
    assert {name: small.recipe.column(name) for name in ("phrases", "links", "tags")} == {
        "phrases": "caption",
        "links": "caption",
        "tags": "tags",
    }
    made = build_data(resolve(small, registry))
    made.fields.fit(lambda column: (made.source.value("train", number, column, 0, 0) for number in range(64)))
    text = made.fields.batch([made.source.sample("train", 0, 0, 0)], [0])["text"]
    assert (text.segment == 1).any() and made.fields.readers["phrases"].state()


def test_phrases_that_fill_what_the_caption_left_lose_nothing(tmp_path):
    """A note on phrases counts the room that captions leave to them."""
    registry = Registry()
    for length, noted in ((34, True), (60, False)):
        loaded = load(recipe(tmp_path, FIELDS.replace("length: 8", "length: 1"), **{"length: 48": f"length: {length}"}))
        found = [problem.path for problem in lengths(loaded, build_data(resolve(loaded, registry)))]
        assert ("fields.phrases.length" in found) == noted


def test_a_plan_needs_no_tokenizer_whatever_shares_its_vocabulary(tmp_path):
    words = (
        "  caption: {type: hugging_face, name: ./none, length: 35, vocabulary: 30522, "
        "special: {begin: 101, end: 102, pad: 0, mask: 103}}"
    )
    path = recipe(tmp_path, **{"  caption: {type: byte_pair, size: 400, length: 48}": words})
    made = build_data(resolve(load(path), Registry()), described=True)
    assert made.fields.spec("phrases").ids == (30522, 100) and made.fields.spec("links").shape == (41, 33)
