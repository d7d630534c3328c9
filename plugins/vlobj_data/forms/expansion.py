"""A name that stands for several files: braces, wildcards, a folder of shards or of a set of Hugging Face's."""

import glob
import json
import re
from itertools import product
from pathlib import Path

from vlobj_data.forms.split_names import SPLITS
from vlobjectives.errors import DataError, Place

BRACES = re.compile(r"\{([^{}]*)\}")
RANGE = re.compile(r"(\d+)\.\.(\d+)")


def expanded(name: str) -> list[Path]:
    """The files that a name stands for, in the order that it says; wildcards and folders give them by name.

    `{000000..000127}` and `{a,b}` as shells and WebDataset read them; `*`, `?`, `[...]` and `**` as Python's glob. What
    lies there under the very name is that. A folder without shards is left as it is: who reads it says what it is.

    Raises:
        DataError: No file has such a name, or a folder of Hugging Face's is damaged.
    """
    path = Path(name)
    try:
        if path.is_dir():
            return _of_folder(path) or [path]
        if path.exists():
            return [path]
    except (OSError, ValueError):  # a name that is too long, or holds a NUL character: who opens it says so
        return [path]
    return [file for one in _of_braces(name) for file in _of_wildcards(one)]


def _of_braces(name: str) -> list[str]:
    pieces = BRACES.split(name)
    if len(pieces) == 1:
        return [name]
    inner = [_of_brace(piece, name) for piece in pieces[1::2]]
    return ["".join(text for pair in zip(pieces[::2], (*chosen, "")) for text in pair) for chosen in product(*inner)]


def _of_brace(text: str, name: str) -> list[str]:
    found = RANGE.fullmatch(text)
    if not found:
        if "," not in text:
            raise DataError(
                f"{{{text}}} stands for no files",
                "write {000000..000127} for a range, or {a,b} for several",
                Place(name),
            )
        return text.split(",")
    first, last = int(found[1]), int(found[2])
    width = len(found[1]) if found[1].startswith("0") or len(found[1]) == len(found[2]) else 0
    step = 1 if last >= first else -1
    return [f"{number:0{width}d}" for number in range(first, last + step, step)]


def _of_wildcards(name: str) -> list[Path]:
    if not glob.has_magic(name):
        return [Path(name)]
    found = sorted(glob.glob(name, recursive=True))
    if not found:
        folder = Path(re.split(r"[*?\[]", name)[0] + "x").parent
        raise DataError(
            "no file has such a name",
            f"{folder} holds {_some(folder)}" if folder.is_dir() else f"there is no folder {folder}",
            Place(name),
        )
    return [Path(one) for one in found]


def _some(folder: Path) -> str:
    names = sorted(one.name for one in folder.iterdir())
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "") or "nothing"


def _of_folder(folder: Path) -> list[Path]:
    """The shards of a folder, or the files of a set; nothing where there are none."""
    if (folder / "dataset_dict.json").is_file():
        splits = _json(folder / "dataset_dict.json", "splits")
        return [file for split in splits for file in _saved(folder / str(split))]
    if (folder / "state.json").is_file():
        return _saved(folder)
    for endings in ((".tar",), (".tar.gz", ".tgz"), (".arrow",), (".parquet",)):
        found = [one for one in sorted(folder.iterdir()) if one.name.lower().endswith(endings) and one.is_file()]
        if found:
            return found
    return _on_a_hub(folder)


def _saved(folder: Path) -> list[Path]:
    """The files of a set that `datasets` saved (`save_to_disk`)."""
    return [folder / str(one.get("filename")) for one in _json(folder / "state.json", "_data_files")]


def _on_a_hub(folder: Path) -> list[Path]:
    """The parquet files of a set as a hub has it: in data/, or in a folder for each split."""
    inner = [one for one in sorted(folder.iterdir()) if one.is_dir() and not one.name.startswith(".")]
    found = {one: files for one in inner if (files := sorted(one.glob("*.parquet")))}
    if len(found) > 1 and not all(one.name.lower() in SPLITS for one in found):
        names = [one.name for one in found]
        raise DataError(
            f"several folders of parquet files: {', '.join(names[:5])}{', ...' if names[5:] else ''}",
            f"name one: data.manifest: {folder / names[0]}",
            Place(str(folder)),
        )
    return [file for files in found.values() for file in files]


def _json(path: Path, key: str) -> list:
    """A list in a file that `datasets` writes beside a set."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))[key]
        if isinstance(value, list):
            return value
        why = f"'{key}' is no list"
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
    except (KeyError, TypeError):
        why = f"it has no '{key}'"
    raise DataError(f"the saved set cannot be read: {why}", "save it again (save_to_disk)", Place(str(path)))
