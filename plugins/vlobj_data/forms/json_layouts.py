"""JSON: one value, or one a line; the layouts that people write captions in, and what another one looks like."""

import json
from typing import Any, NoReturn

from vlobj_data.forms.asked import Asked, Kind, LayoutFault, Rows
from vlobj_data.forms.looking import settled
from vlobj_data.forms.manifest import Manifest
from vlobjectives.errors import DataError, Place


def parsed(manifest: Manifest, row: str | None = None, line: int = 1) -> Any:
    """One JSON value: the manifest's whole text, or a row of it."""
    path, text = str(manifest.path), manifest.text if row is None else row
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        where = Place(path, line + error.lineno - 1, error.colno)
        if _ends(text, error.pos) and manifest.text.endswith(text):
            raise DataError(
                f"not JSON: {error.msg}, where the file ends: it is cut off", "fetch or write it again", where
            ) from None
        raise DataError(f"not JSON: {error.msg}", _form_that_fits(manifest, row is not None), where) from None
    except RecursionError:
        raise DataError(
            "not plain JSON: it is nested deeper than can be read",
            "write a list, or lines, of objects with a file and its caption",
            Place(path, line),
        ) from None
    except ValueError as error:
        why = "a number of thousands of digits" if "int_max_str_digits" in str(error) else str(error)
        raise DataError(f"not plain JSON: {why}", "write the manifest again without that", Place(path, line)) from None


def _ends(text: str, at: int) -> bool:
    """Whether nothing is left behind a place, or a text that begins there never ends."""
    return not text[at:].strip() or (text[at] == '"' and text[-1] not in "]}" and '"' not in text[at + 1 :])


def _form_that_fits(manifest: Manifest, lines: bool) -> str:
    """What to write where a text is not JSON of the form that it was read as."""
    start = manifest.text.lstrip()
    try:
        if lines and start.startswith(("[", "{\n", "{\r")):
            json.loads(start)
            return (
                "set data.form to list: the file is one list"
                if start[0] == "["
                else "give the file the extension .json: it is one object"
            )
        if not lines and all(isinstance(json.loads(one), dict) for one in start.split("\n") if one.strip()):
            return "set data.form to jsonl: each line is an object"
    except (ValueError, RecursionError):
        pass
    return "write one JSON object a line" if lines else "write the manifest again, by a program that writes JSON"


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in pairs:
        if name in made:
            raise ValueError(f"key {name!r} twice in one object")
        made[name] = value
    return made


_DECODER = json.JSONDecoder(parse_constant=_no_number, object_pairs_hook=_no_key_twice)
"""One for all lines: json.loads would make one for each."""


def of_lines(manifest: Manifest, asked: Asked) -> Rows:
    """A JSON object a line."""
    for line, row in manifest.numbered():
        if row := row.removeprefix("\ufeff").strip():  # a mark where files were joined
            yield line, parsed(manifest, row, line)


def of_list(manifest: Manifest, asked: Asked) -> Rows:
    """A JSON list of objects with a file and its caption, as ALBEF's."""
    whole = parsed(manifest)
    if not isinstance(whole, list):
        raise unlike(f"a list of objects with {asked.kind.file[0]} and caption", whole, manifest, asked.kind)
    return enumerate(whole, 1)


def karpathy(manifest: Manifest, asked: Asked) -> Rows:
    """Karpathy and Fei-Fei's layout: images[].(filepath/)filename, split, sentences[].raw.

    `filepath` stands before the name, or is left off where the first pictures lie so.
    """
    whole = parsed(manifest)
    images = whole.get("images") if isinstance(whole, dict) else None
    if not isinstance(images, list) or "annotations" in whole:
        raise unlike(
            "in Karpathy's layout: an object with images[].filename and images[].sentences[].raw",
            whole,
            manifest,
            asked.kind,
        )
    ways = (_ways(image) for image in images if isinstance(image, dict) and isinstance(image.get("filename"), str))
    alone = settled(ways, asked)
    for at, image in enumerate(images, 1):
        if isinstance(image, dict):
            name, sentences = image.get("filename"), image.get("sentences")
            if isinstance(name, str):
                name = _ways(image)[alone]
            if isinstance(sentences, list):
                sentences = [one.get("raw") if isinstance(one, dict) else one for one in sentences]
            further = {key: image.get(key) for key in asked.more}
            image = further | {"image": name, "caption": sentences, "split": image.get("split")}
        yield at, image


def _ways(image: dict[str, Any]) -> tuple[str, str]:
    """A picture's name with its `filepath`, if it has one, and without."""
    folder, name = image.get("filepath"), image["filename"]
    return f"{folder}/{name}" if isinstance(folder, str) and folder else name, name


def two_lists(manifest: Manifest, asked: Asked, first: str, second: str, layout: str) -> tuple[list[Any], list[Any]]:
    """What stands under two keys of a manifest's one object. Raises DataError where it is not in this layout."""
    whole = parsed(manifest)
    one, other = (whole.get(key) if isinstance(whole, dict) else None for key in (first, second))
    if not isinstance(one, list) or not isinstance(other, list):
        raise unlike(layout, whole, manifest, asked.kind)
    return one, other


def coco(manifest: Manifest, asked: Asked) -> Rows:
    """COCO's captions (Chen et al. 2015): images[].id, file_name and annotations[].image_id, caption.

    A caption of a picture that is not listed is a bad record, as is a picture without a caption.
    """
    layout = "in COCO's layout: an object with images[].id, file_name and annotations[].image_id, caption"
    images, captions = two_lists(manifest, asked, "images", "annotations", layout)
    if captions and not any(isinstance(one, dict) and "caption" in one for one in captions):
        raise DataError(
            "these are COCO's annotations of objects, and none holds a caption",
            "name the file of captions, as captions_train2017.json",
            manifest.place(),
        )
    found: dict[Any, dict[str, Any]] = {}
    for at, image in enumerate(images, 1):
        known = image.get("id") if isinstance(image, dict) else None
        if isinstance(known, bool) or not isinstance(known, int | str):
            yield at, LayoutFault("no id where an image should be")
            continue
        if known in found:
            raise DataError(
                f"two images have the id {known!r}, so that nobody knows whose its captions are",
                "give each image an id of its own",
                manifest.place(at),
            )
        further = {key: image.get(key) for key in asked.more}
        found[known] = further | {"image": image.get("file_name"), "split": image.get("split"), "at": at, "caption": []}
    for at, one in enumerate(captions, 1):
        of = one.get("image_id") if isinstance(one, dict) else None
        if not isinstance(of, int | str) or of not in found:
            yield at, LayoutFault(f"annotation {at} is for the image {of!r}, which is not listed")
            continue
        found[of]["caption"].append(one.get("caption"))
    for row in found.values():
        yield row.pop("at"), row


READ_BY = {"picture": ("karpathy", "coco", "list", "jsonl"), "clip": ("msrvtt", "list", "jsonl")}
SOURCES = {"coco": "captions", "karpathy": "captions", "msrvtt": "video_captions"}
"""Form that one source alone reads -> that source."""


def unlike(form: str, whole: Any, manifest: Manifest, kind: Kind) -> DataError:
    """What stops a manifest of another layout: what it looks like, and what to write."""
    looks, reads = _looks(whole)
    hint = (
        f"set data.form to {reads}"
        if reads in READ_BY[kind.name]
        else f"the source `{SOURCES[reads]}` reads it: set data.type"
        if reads in SOURCES
        else (
            f'write JSON lines, {{"{kind.file[0]}": "a file", "caption": "a text", "split": "train"}} each, into a '
            "file that ends in .jsonl"
        )
    )
    return DataError(f"the JSON is not {form}: it is {looks}", hint, manifest.place())


def _looks(whole: Any) -> tuple[str, str]:
    """What a JSON value looks like, and the form that would read it."""
    if isinstance(whole, list):
        return "a list", "list"
    if not isinstance(whole, dict):
        return kind_of(whole), ""
    lists = {key for key, value in whole.items() if isinstance(value, list)}
    for keys, name, form in (
        ({"images", "annotations"}, "COCO's layout", "coco"),
        ({"videos", "sentences"}, "MSR-VTT's layout", "msrvtt"),
        ({"images"}, "Karpathy's layout", "karpathy"),
    ):
        if keys <= lists:
            return f"{name}, with the keys {', '.join(sorted(keys))}", form
    first = ", ".join(list(whole)[:5]) + (f" and {len(whole) - 5} more" if len(whole) > 5 else "")
    return f"an object with the keys {first}" if first else "an object without keys", ""


def kind_of(value: Any) -> str:
    """What a value of JSON is, in words."""
    names = {
        str: "a text",
        bool: "true or false",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "an object",
        type(None): "nothing",
    }
    return names.get(type(value), f"a {type(value).__name__}")
