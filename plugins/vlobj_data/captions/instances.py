"""COCO's instances, and phrases of captions that point at them, as objects of the pictures that a manifest lists."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from vlobj_data.captions.objects import is_span
from vlobj_data.forms.json_layouts import parsed
from vlobj_data.forms.manifest import Manifest, decoded, read
from vlobj_data.forms.opening import Opened
from vlobj_data.forms.records import Record
from vlobjectives.errors import DataError

KEYS = ("images", "annotations", "categories")
COLUMN = "objects"
"""The column of objects that these files fill."""


class Instances:
    """Objects of pictures, by the file's own name (without folders), as COCO's file of instances lists them.

    With a file of phrases they are the objects that phrases of the captions point at, each under the phrase and its
    characters; else those of the instances, each under its category's name.
    """

    def __init__(self, instances: str, phrases: str | None = None):
        self._instances, self._phrases = instances, phrases
        self._of: dict[str, list[dict[str, Any]]] = {}

    def _read(self) -> None:
        manifest, whole = _json(self._instances)
        images, annotations, categories = (_rows(whole, key, manifest) for key in KEYS)
        names = {one.get("id"): one.get("name") for one in categories}
        listed: dict[Any, tuple[str, list[Any]]] = {}
        for at, image in enumerate(images, 1):
            name = PurePosixPath(str(image.get("file_name"))).name
            if name in self._of:
                raise DataError(
                    f"two images are called {name!r}, so that nobody knows whose the objects are",
                    "leave one of them out",
                    manifest.place(at),
                )
            self._of[name] = []
            listed[image.get("id")] = name, [image.get("width"), image.get("height")]
        known: dict[Any, tuple[str, dict[str, Any]]] = {}
        for at, one in enumerate(annotations, 1):
            if one.get("image_id") not in listed or one.get("category_id") not in names:
                raise DataError(
                    f"annotation {at} is of the image {one.get('image_id')!r} and the category "
                    f"{one.get('category_id')!r}, which are not both listed",
                    "take it out, or name the whole file",
                    manifest.place(at),
                )
            name, size = listed[one["image_id"]]
            entry = {"text": names[one["category_id"]], "bbox": one.get("bbox"), "size": size}
            known[one.get("id")] = name, entry | {"segmentation": one.get("segmentation")}
        if not self._phrases:
            for name, entry in known.values():
                self._of[name].append(entry)
            return
        manifest, whole = _json(self._phrases)
        for at, one in enumerate(_rows(whole, "phrases", manifest), 1):
            for number in one.get("ann_ids") or ():
                if number not in known or one.get("image_id") not in listed:
                    raise DataError(
                        f"phrase {at} points at the annotation {number!r} of the image {one.get('image_id')!r}, which "
                        f"are not both in {self._instances}",
                        "name the files that belong together",
                        manifest.place(at),
                    )
                name, entry = known[number]
                self._of[name].append(entry | {"text": one.get("phrase"), "span": one.get("char_span")})

    def joined(self, opened: Opened) -> Iterator[Record]:
        """The records, each with the objects of its picture under `objects`: of phrases those of its own captions.

        Raises DataError where a file is none of these. What no caption speaks of is noted at the end.
        """
        if not self._of:
            self._read()
        lost: dict[str, set[int]] = {}
        for record in opened.records:
            if record.fault:
                yield record
                continue
            name = PurePosixPath(record.file).name
            of = self._of.get(name, [])
            if self._phrases:
                spoken = [place for place, one in enumerate(of) if any(_speaks(text, one) for text in record.captions)]
                lost.setdefault(name, set(range(len(of)))).difference_update(spoken)
                of = [of[place] for place in spoken]
            yield record._replace(more={**record.more, COLUMN: of})
        if count := sum(map(len, lost.values())):
            name = next(name for name, places in lost.items() if places)
            opened.manifest.note(
                f"{count} regions are of phrases that no caption of their picture has at char_span, such as "
                f"{self._of[name][min(lost[name])]['text']!r} of {name} ({self._phrases})",
                "nothing, if captions were changed or left out; else name the phrases of these captions",
            )


def _speaks(caption: str, one: dict[str, Any]) -> bool:
    return is_span(one["span"]) and caption[slice(*one["span"])] == one["text"]


def _json(name: str) -> tuple[Manifest, Any]:
    path = Path(name)
    manifest = Manifest(path)
    manifest.text = decoded(read(path, "objects"), path)
    whole = parsed(manifest)
    manifest.text = ""
    return manifest, whole


def _rows(whole: Any, key: str, manifest: Manifest) -> list[dict[str, Any]]:
    rows = whole.get(key) if isinstance(whole, dict) else None
    if not isinstance(rows, list) or not all(isinstance(one, dict) for one in rows):
        raise DataError(
            f"the JSON has no list of objects under '{key}'",
            "data.instances names COCO's file of instances, and data.phrases a file of phrases with image_id, phrase, "
            "char_span and ann_ids",
            manifest.place(),
        )
    if odd := [at for at, one in enumerate(rows, 1) if not isinstance(one.get("id", 0), int | str)]:
        raise DataError(f"entry {odd[0]} of '{key}' has an id that is no number", "number it", manifest.place())
    return rows
