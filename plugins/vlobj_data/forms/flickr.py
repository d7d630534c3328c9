"""Flickr8k's and Flickr30k's own files: NAME#NUMBER and a caption, or NAME| NUMBER| CAPTION."""

import re

from vlobj_data.forms.asked import Asked, LayoutFault, Rows
from vlobj_data.forms.manifest import Manifest
from vlobjectives.errors import DataError

TOKEN = re.compile(r"\s*([^\t\n]*\S)#\d+[ ]*\t([^\n]*)")
RESULTS = re.compile(r"\s*image_name\| comment_number\| comment\s*\n")
_ROW = re.compile(r"\s*([^|]*[^|\s])\s*\|\s*\d+(\s*\|)?(.*)")


def token(manifest: Manifest, asked: Asked) -> Rows:
    """Flickr8k.token.txt (Hodosh et al. 2013), results_20130124.token (Young et al. 2014): NAME#NUMBER TAB CAPTION."""
    if not TOKEN.match(manifest.text):
        raise DataError(
            "the file is not in Flickr's layout: a line is NAME#NUMBER, a tab and a caption",
            "leave data.form out: the form is found by content",
            manifest.place(1),
        )
    for at, line in manifest.numbered():
        found = TOKEN.fullmatch(line)
        if found:
            yield at, {asked.kind.file[0]: found[1], "caption": found[2]}
        else:
            yield at, LayoutFault("no NAME#NUMBER, tab and caption where they should be")


def results(manifest: Manifest, asked: Asked) -> Rows:
    """Flickr30k's results.csv: NAME| NUMBER| CAPTION; a line of it lacks its second bar, and is read all the same."""
    lacking = []
    for at, line in manifest.numbered():
        found = _ROW.fullmatch(line)
        if at == 1 and not found:
            continue
        if not found:
            yield at, LayoutFault("no NAME| NUMBER| CAPTION where they should be")
            continue
        if not found[2]:
            lacking.append(at)
        yield at, {asked.kind.file[0]: found[1], "caption": found[3]}
    if lacking:
        what = f"{len(lacking)} row{'s lack' if len(lacking) > 1 else ' lacks'} the second bar; this is the first"
        manifest.note(what, "nothing, if the caption begins behind the number", lacking[0])
