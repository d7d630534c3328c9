"""Reading YAML: YAML 1.2's scalars, places, bounds, and messages for what people get wrong."""

import json
from math import isfinite

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from vlobjectives.errors import Place, RecipeError
from vlobjectives.recipe.dump import dump_data
from vlobjectives.recipe.yaml import MAX_BYTES, MAX_DEPTH, parse, read

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)
TRICKY = st.sampled_from(
    [
        "1e-4",
        "off",
        "on",
        "yes",
        "no",
        "1:30",
        "1_000",
        "0x1f",
        "0o17",
        "012",
        "~",
        "null",
        "",
        "true",
        "True",
        ".inf",
        "-.nan",
        "+.5",
        "1.",
        "<<",
        "=",
        "2026-11-21",
        "a: b",
        "- a",
        "#x",
        "&a",
        "*a",
        "!t",
        "%x",
        "@x",
        "`x",
        "? x",
        "|",
        ">",
        "'",
        '"',
        "{",
        "[",
        "x\ny",
        "\ttab",
        " lead",
        "trail ",
        "\u2028",
        "\x85",
        "\ufeff",
        "ü",
        "😀",
        "0b1",
        "1e5",
        "NaN",
    ]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63) + 1, 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    WORDS,
    TRICKY,
)
DATA = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.one_of(WORDS, TRICKY), inner, max_size=4)),
    max_leaves=12,
)


@given(DATA)
def test_what_is_dumped_reads_back_equal(data):
    again = parse(dump_data(data), "x").data
    assert again == data and json.dumps(again) == json.dumps(data)  # json tells 1, 1.0 and True apart


@given(SCALARS)
def test_a_yaml_1_1_reader_reads_the_same(data):
    assert yaml.safe_load(dump_data([data])) == [data]


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["{!r}", "{:.3e}", "{:E}", "{:g}"]))
def test_floats_however_written(number, form):
    text = form.format(number)
    if not isfinite(float(text)):
        return
    value = parse(text, "x").data
    assert type(value) is (float if set(text) & set(".eE") else int) and value == float(text)


@pytest.mark.parametrize(
    "text, value",
    [
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        (".5", 0.5),
        ("-1.", -1.0),
        ("+3", 3),
        ("012", 12),
        ("0o17", 15),
        ("0x1F", 31),
        ("off", "off"),
        ("no", "no"),
        ("Yes", "Yes"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("1.2.3", "1.2.3"),
        ("true", True),
        ("TRUE", True),
        ("False", False),
        ("tRue", "tRue"),
        ("null", None),
        ("~", None),
        ("", None),
        ("'1'", "1"),
        ('"true"', "true"),
        ("2026-11-21", "2026-11-21"),
        ("0b1", "0b1"),
        ("=", "="),
        ("nan", "nan"),
        ("1e", "1e"),
        ("e5", "e5"),
        ("-", [None]),
        ("--1", "--1"),
        (".", "."),
        ("0x", "0x"),
    ],
)
def test_scalars(text, value):
    found = parse(text, "x").data
    assert found == value and type(found) is type(value)


def test_places_of_keys_and_values():
    spots = parse("a: 1\nb:\n  - x\n  - {c: 2, d: [3]}\n", "f.yaml").spots
    at = {path: (spot.key.line, spot.key.column, spot.value.line, spot.value.column) for path, spot in spots.items()}
    assert at == {
        (): (1, 1, 1, 1),
        ("a",): (1, 1, 1, 4),
        ("b",): (2, 1, 3, 3),
        ("b", 0): (3, 5, 3, 5),
        ("b", 1): (4, 5, 4, 5),
        ("b", 1, "c"): (4, 6, 4, 9),
        ("b", 1, "d"): (4, 12, 4, 15),
        ("b", 1, "d", 0): (4, 16, 4, 16),
    }
    assert spots[("a",)].value == Place("f.yaml", 1, 4)


def test_an_alias_is_written_out_with_the_key_where_it_stands():
    document = parse("a: &x {k: 1}\nb: *x\n", "f")
    assert document.data == {"a": {"k": 1}, "b": {"k": 1}} and document.data["a"] is not document.data["b"]
    assert document.spots[("b",)].key.line == 2 and document.spots[("b", "k")].value.line == 1


@pytest.mark.parametrize(
    "text, line, column, what, hint",
    [
        ("a: 1\nb: 2\na: 3", 3, 1, "the key 'a' stands here twice, first at f.yaml:1:1", "keep one"),
        ("a:\n\tb: 1", 2, 1, r"'\t' that cannot start any token", "indent with spaces"),
        ("a: b: c", 1, 5, "mapping values are not allowed", "quotes"),
        ("a: [1, 2\nb: 3", 2, 2, "expected ',' or ']'", "brackets"),
        ("a: 'x", 1, 6, "unexpected end of stream", "quotes"),
        ("a: @x", 1, 4, "'@' that cannot start", "put the value in quotes"),
        ("a: *x", 1, 4, "undefined alias 'x'", "correct"),
        ("a: .inf", 1, 4, ".inf: numbers must be finite", "number"),
        ("a: -.NaN", 1, 4, "", ""),  # YAML has no negative nan: a word
        ("a: [.nan]", 1, 5, ".nan: numbers must be finite", "number"),
        ("a: 1e999", 1, 4, "1e999: numbers must be finite", "number"),
        ("a: 9223372036854775808", 1, 4, "must fit 64 bits", "number"),
        ("a: " + "9" * 5000, 1, 4, "must fit 64 bits", "number"),
        ("a: !!python/object:os.system x", 1, 4, "the tag tag:yaml.org,2002:python/object:os.system is not", "leave"),
        ("a: !!str 1", 1, 4, "is not allowed: recipes hold plain values", "leave the tag out"),
        ("a: !mine {b: 1}", 1, 4, "the tag !mine is not allowed", "leave the tag out"),
        ("1: a", 1, 1, "the key 1 is not a word", "quotes"),
        ("true: a", 1, 1, "the key true is not a word", "quotes"),
        ("1e-4: a", 1, 1, "the key 1e-4 is not a word", "quotes"),
        ("~: a", 1, 1, "the key ~ is not a word", "quotes"),
        ("? [a, b]\n: c", 1, 3, "a key must be a plain word", "write"),
        ("a: &a {b: 1}\nc:\n  <<: *a", 3, 3, "merge keys (<<) are no part of YAML 1.2", "extends"),
        ("a: 1\n---\nb: 2", 2, 1, "expected a single document", "second `---`"),
        ("a: x\x07y", 1, 5, "U+0007 is not allowed", "take it out"),
        ("a: " + "[" * 100, 1, MAX_DEPTH + 3, "more than 64 levels deep", "few levels"),
        ("a: [" + "1," * 50_000 + "]", 1, 79_999, "more than 20,000 values", "data files"),
        ("a: &x [*x]", 1, 4, "once aliases are written out", "fewer aliases"),
        ("%YAML 3.0\n---\na: 1", 1, 1, "incompatible YAML document", "correct"),
        ("a: &x 1\nb: &x 2", 2, 4, "duplicate anchor 'x'", "correct"),
    ],
)
def test_what_people_get_wrong(text, line, column, what, hint):
    if not what:
        assert parse(text, "f.yaml").data == {"a": "-.NaN"}
        return
    with pytest.raises(RecipeError) as caught:
        parse(text, "f.yaml")
    (problem,) = caught.value.problems
    assert what in problem.what and hint in problem.hint
    assert problem.place == Place("f.yaml", line, column)


def test_all_problems_of_structure_at_once():
    with pytest.raises(RecipeError) as caught:
        parse("a: .inf\nb: !!x 1\na: 2\n3: c", "f")
    assert [problem.place.line for problem in caught.value.problems] == [1, 2, 3, 4]


def test_a_billion_laughs_end_early():
    lines = ["a: &a [" + ", ".join(["lol"] * 9) + "]"]
    lines += [f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]" for i in range(9)]
    with pytest.raises(RecipeError, match="once aliases are written out"):
        parse("\n".join(lines), "f")


@pytest.mark.parametrize(
    "raw, what, place",
    [
        (b"\xff\xfea\x00", "the file is UTF-16", Place("r", 1, 1)),
        (b"a: 1\nb: \xe9t\xe9", "the byte 0xe9 is no UTF-8", Place("r", 2, 4)),
        (b"a: " + b"x" * MAX_BYTES, "larger than 1,000,000 bytes", Place("r")),
        (b"", "the file holds nothing", Place("r", 1, 1)),
        (b"# later\n", "the file holds nothing", Place("r", 1, 1)),
        (b"- 1", "the file is no mapping", Place("r", 1, 1)),
        (b"word", "the file is no mapping", Place("r", 1, 1)),
    ],
)
def test_files_that_are_no_recipes(tmp_path, raw, what, place):
    path = tmp_path / "r.yaml"
    path.write_bytes(raw)
    with pytest.raises(RecipeError, match=what) as caught:
        read(path, "r")
    assert caught.value.place == place


def test_files_that_cannot_be_read(tmp_path):
    for path in (tmp_path / "absent.yaml", tmp_path):
        with pytest.raises(RecipeError, match="cannot read the file"):
            read(path)


def test_a_byte_order_mark(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    document = read(path)
    assert document.data == {"a": 1, "b": 2} and document.spots[("a",)].key.column == 1
