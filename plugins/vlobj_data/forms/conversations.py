"""LLaVA's and ShareGPT4V's JSON: a picture and what a model answered about it."""

from typing import Any

from vlobj_data.forms.asked import Asked, Rows
from vlobj_data.forms.json_layouts import of_lines, of_list
from vlobj_data.forms.manifest import Manifest

ANSWERS = ("gpt", "assistant", "model")


def conversations(manifest: Manifest, asked: Asked) -> Rows:
    """A list, or lines, of image and conversations[].from, value (Liu et al. 2023; Chen et al. 2023).

    The first answer is the caption. What has no picture is text alone and is left out, with a note; so are noted the
    rows that have further answers.
    """
    manifest.lines = not manifest.text.lstrip().startswith("[")
    alone, more = [], []
    for at, row in (of_lines if manifest.lines else of_list)(manifest, asked):
        if not isinstance(row, dict):
            yield at, row
            continue
        file = next((row[name] for name in asked.kind.file if name in row), None)
        if file is None:
            alone.append(at)
            continue
        answers = _answers(row.get("conversations"))
        if len(answers) > 1:
            more.append(at)
        kept = {name: row[name] for name in ("split", *asked.more) if name in row}
        yield at, {**kept, asked.kind.file[0]: file, "caption": answers[0] if answers else None}
    for found, one, several in (
        (alone, f"row has no {asked.kind.name} and is left out", f"rows have no {asked.kind.name} and are left out"),
        (more, "row has further answers, which are not read", "rows have further answers, which are not read"),
    ):
        if found:
            what = f"{len(found)} {one if len(found) == 1 else several}; this is the first"
            manifest.note(what, "nothing, if that is meant", found[0])


def _answers(turns: Any) -> list[Any]:
    turns = turns if isinstance(turns, list) else []
    return [turn.get("value") for turn in turns if isinstance(turn, dict) and turn.get("from") in ANSWERS]
