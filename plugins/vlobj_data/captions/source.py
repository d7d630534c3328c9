"""The source `captions`: photos in a folder and a manifest that says what they show."""

from pydantic import Field

from vlobj_data.captions.listed import PATH, Listed, ListedConfig
from vlobj_data.captions.manifests import Form, decoded, form_of, records
from vlobj_data.captions.pictures import check_header, read_picture


class Captions(Listed):
    """Photos with captions from a manifest: Karpathy's JSON, a JSON list, JSON lines, CSV or TSV.

    Columns: `image`, uint8 [3,S,S], and `caption`, raw. Splits, captions, framing and faults as `Listed` says.
    """

    column, folder, plural = "image", "images", "pictures"

    class Config(ListedConfig):
        images: str | None = Field(None, json_schema_extra=PATH,
                                   description="folder of the pictures; by default the manifest's")
        form: Form | None = Field(None, description="the manifest's form; by default found out")

    config: Config

    def listed(self, data, path):
        text = decoded(data, path)
        form = self.config.form or form_of(text, path)
        return records(text, path, form), form in ("csv", "jsonl")

    def shown(self, path, draw):
        return read_picture(path, self.max_pixels)

    def looked_at(self, path):
        check_header(path, self.max_pixels)
