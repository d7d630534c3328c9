"""Files that lie within others."""

from vlobj_data.forms.asked import Slice
from vlobjectives.pictures import PictureError


def bytes_of(lies: Slice) -> bytes:
    """The bytes of a slice. Raises PictureError where its container has them no more."""
    try:
        with open(lies.container, "rb") as file:
            file.seek(lies.offset)
            found = file.read(lies.size)
    except OSError as error:
        raise PictureError(f"cannot be read from {lies.container}: {error.strerror}") from error
    if len(found) < lies.size:
        raise PictureError(f"is cut off: {lies.container} ends within it, at byte {lies.offset + len(found)}")
    return found
