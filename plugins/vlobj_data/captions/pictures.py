"""Decoding: the bytes of a picture file become uint8 RGB, or a PictureError that says why not.

Rules. The content counts, never the extension. The pixels are judged from the header, before anything is decoded.
The EXIF orientation is applied; a broken EXIF block is passed over. Of an animation the first frame is taken.
Transparent pictures are laid on white. Of 16 bits the high byte is kept. CMYK is converted. Pictures of floats or
of 32-bit integers are refused: nothing says which value is white. A truncated file is refused, never filled up
with gray.

Pillow decodes everything. torchvision's decoders are on their way out (deprecated in 0.29); its JPEG decoder agrees
with Pillow's to the bit but takes files that are cut off, its PNG decoder ends the process on some damaged files.
"""

import stat
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

Image.init()
# Only plain raster formats: among the others are some that run programs (EPS) or fetch what they name.
FORMATS = tuple(name for name in ("JPEG", "MPO", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "AVIF")
                if name in Image.OPEN)
WHITE = (255, 255, 255, 255)


class PictureError(ValueError):
    """A file that is no picture (or clip) this library takes; the message says why and does not name the file."""


def read_picture(path: Path, max_pixels: int) -> Tensor:
    """The picture in a file: uint8 [3,H,W]. Raises PictureError."""
    with opened(path) as file, _header(file, max_pixels) as picture:
        try:
            return torch.from_numpy(np.array(_rgb(_upright(picture)))).permute(2, 0, 1).contiguous()
        except PictureError:
            raise
        except Exception as error:  # decoders raise nearly anything on damaged files
            raise PictureError(f"is damaged: {said(error)}") from error


def check_header(path: Path, max_pixels: int) -> None:
    """Raises PictureError where the file is missing, is no picture or has too many pixels; decodes nothing."""
    with opened(path) as file:
        _header(file, max_pixels).close()


def opened(path: Path) -> BinaryIO:
    """A plain file that holds something, opened. Raises PictureError."""
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):  # a pipe would be waited for
            raise PictureError("is a folder" if stat.S_ISDIR(about.st_mode) else "is no plain file")
        if not about.st_size:
            raise PictureError("is empty (0 bytes)")
        return path.open("rb")
    except FileNotFoundError as error:
        raise PictureError("does not exist") from error
    except OSError as error:
        raise PictureError(f"cannot be opened: {error.strerror}") from error


def _header(file: BinaryIO, max_pixels: int) -> Image.Image:
    try:
        picture = Image.open(file, formats=FORMATS)
    except Image.UnidentifiedImageError as error:
        raise PictureError(f"is damaged at its start or none of {', '.join(FORMATS)}") from error
    except Exception as error:
        raise PictureError(f"has a header that is refused: {said(error)}") from error
    width, height = picture.size
    if width * height > max_pixels:
        raise PictureError(f"has {width} x {height} pixels, more than data.max_pixels = {max_pixels}")
    return picture


def _upright(picture: Image.Image) -> Image.Image:
    picture.load()
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # a broken EXIF block must not lose the picture
        return picture


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I"):
        values = np.asarray(picture).astype(np.int64)
        if not picture.mode.startswith("I;16") and not 0 <= values.min() <= values.max() <= 0xFFFF:
            raise PictureError("has 32-bit integer pixels, whose range is unknown: convert it to 8 or 16 bits")
        # convert("RGB") would clip all above 255 to white
        return Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")
    if picture.mode == "F":
        raise PictureError("has floating-point pixels, whose range is unknown: convert it to 8 or 16 bits")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, WHITE), picture)
    return picture.convert("RGB")


def said(error: Exception) -> str:
    """The first line of an error's message."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
