"""Pictures that are none of the data, as an input is shown them: read and framed as the run's held-out data is."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

from vlobjectives.contracts.field import FieldSpec
from vlobjectives.data.collate import Fields
from vlobjectives.data.data_module import DataModule
from vlobjectives.data.streams import DataStream
from vlobjectives.errors import DataError, Place, RecipeError
from vlobjectives.pictures import PictureError
from vlobjectives.plugin_loading.attribution import an


def listed(values: Any, what: str) -> list[Any]:
    """What a user gives as a list, in whatever has rows. Raises DataError for one thing by itself."""
    if isinstance(values, str | bytes | PathLike | Mapping) or not hasattr(values, "__iter__"):
        raise DataError(f"{what} are given as a list, and this is {an(values)}", "one is a list of one")
    return list(values)


def framed(data_module: DataModule, image: str, pictures: Sequence[Any], max_pixels: int) -> tuple[Fields, list[Any]]:
    """What the input `image` is shown of each picture, and the fields of the source that read them: of a mix the first
    that takes all.

    Raises DataError as the source does that got furthest, RecipeError where the input reads something else, such as
    regions.
    """
    pictures = listed(pictures, "pictures")
    failed: list[tuple[int, DataError]] = []
    for feed in (feed for feed in data_module.feeds.values() if image in feed.fields.inputs):
        spec, values = _spec(feed, image), []
        try:
            for picture in pictures:
                values.append(seen(feed, spec, picture, max_pixels))
        except DataError as error:
            failed.append((len(values), error))
        else:
            return feed.fields, values
    raise max(failed, key=lambda one: one[0])[1]


def seen(feed: DataStream, spec: FieldSpec, picture: Any, max_pixels: int) -> Any:
    """A picture as a source's held-out samples show one. Raises DataError for what is none."""
    try:
        return feed.source.framed(feed.source.config, spec, picture, max_pixels)
    except PictureError as error:
        what, file = ("clip", "a video, or a folder of frames") if spec.frames > 1 else ("picture", "a picture's file")
        named = isinstance(picture, str | PathLike)
        raise DataError(
            f"cannot be read as a {what}: it {error}",
            f"name {file}" if named else f"give {file}, the bytes of one, a PIL picture or uint8 numbers",
            Place(str(picture)) if named else None,
        ) from error


def _spec(feed: DataStream, image: str) -> FieldSpec:
    """The field that shows the picture."""
    read = feed.fields.inputs[image]
    spec = feed.fields.spec(read[0])
    if spec.kind != "picture":
        raise RecipeError.one(
            f"the input '{image}' of this run reads {', '.join(read)}, which a picture alone does not tell",
            "make a batch of these fields, and call the parts by name",
            path=f"inputs.{image}.fields",
        )
    return spec
