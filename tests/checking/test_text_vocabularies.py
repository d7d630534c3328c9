"""A second text through one tower: refused with a vocabulary of its own, taken with the tower's."""

import pytest
from small_recipes import CONTRAST, changed, vlobj

SECOND = "inputs: {second: {fields: [caption_2], part: text}}\nobjectives:\n  again: {type: itc, text: second}"


@pytest.mark.parametrize(
    ("reader", "says"),
    [
        ("type: byte_pair, with: caption, length: 48", ""),
        ("type: byte_pair, size: 400, length: 48", "fields.caption_2  it gives words other ids than 'caption'"),
    ],
    ids=["shared", "own"],
)
def test_a_second_caption(capsys, tmp_path, reader, says):
    changes = {"model:\n": f"  caption_2: {{{reader}}}\nmodel:\n", "objectives:": SECOND}
    changes["data: {"] = "data: {captions: {draw: 2}, "
    ended = vlobj(capsys, "check", changed(tmp_path, changes, text=CONTRAST))
    assert (ended.code == 2, says in ended.err) == (bool(says), True), ended.err
    assert not says or "write `with: caption` in it" in ended.err
