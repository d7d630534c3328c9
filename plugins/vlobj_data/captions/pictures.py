"""Decoding is the host's, so that a run reads what it is shown later as its data was read."""

from vlobjectives.pictures import PictureError, as_pixels, check_header, opened, read_picture, said

__all__ = ["PictureError", "as_pixels", "check_header", "opened", "read_picture", "said"]
