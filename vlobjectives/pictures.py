"""Decoding: a picture in whatever form it is given becomes uint8 RGB, or a PictureError that says why not.

Rules. The content counts, never the extension. The pixels are judged from the header, before anything is decoded.
The EXIF orientation is applied; a broken EXIF block is passed over. Of an animation the first frame is taken.
Transparent pictures are laid on white. Of 16 bits the high byte is kept; a picture of 16 bits that has values over 255
and none over 4095 is refused, since one of 10 or 12 bits looks so too, and a TIFF that says 12 is read so. CMYK is
converted. Pictures of floats or of 32-bit integers are refused: nothing says which value is white. A truncated file is
refused, never filled up with gray. What a training run reads, and what is shown to its weights later, is read here.

Pillow decodes everything. torchvision's decoders are on their way out (deprecated in 0.29); its JPEG decoder agrees
with Pillow's to the bit and is faster, its PNG decoder ends the process on some damaged files (docs/shards.md).
"""

import re
import stat
from collections.abc import Sequence
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

Image.init()
# Only plain raster formats: among the others are some that run programs (EPS) or fetch what they name.
FORMATS = tuple(
    name for name in ("JPEG", "MPO", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "AVIF") if name in Image.OPEN
)
WHITE = (255, 255, 255, 255)
FAINT = range(1, 16)
"""The brightest high byte of 16-bit pictures that may hold 12 bits, or 10."""
SIXTEEN = re.compile(r";16|\b65535\)$")
"""How Pillow calls what it decodes where a channel has 16 bits, of which it keeps eight."""
SIGNED = re.compile(r";16B?S\b")
BITS = 258
"""TIFF's BitsPerSample."""
UNSURE = (
    "has 16-bit pixels of which none is over 4095: it may hold 12 bits or fewer, and nothing says which value is "
    "white: convert it to 8 bits"
)


class PictureError(ValueError):
    """What is no picture (or clip) this library takes; the message says why and does not name the file."""


def read_picture(given: Any, max_pixels: int) -> Tensor:
    """A picture as uint8 [3,H,W]: a path, the bytes of a file, a PIL picture, or a tensor or array of that form.

    Raises PictureError.
    """
    if isinstance(given, Image.Image):
        return _decoded(_within(given, max_pixels))
    if not isinstance(given, str | PathLike | bytes):
        return as_pixels(given, max_pixels)
    with (
        BytesIO(given) if isinstance(given, bytes) else opened(Path(given)) as file,
        _header(file, max_pixels) as picture,
    ):
        return _decoded(picture)


def squeezed(given: Any, shape: Sequence[int], max_pixels: int) -> Tensor:
    """A picture, or a clip that is given in pixels, of whatever size as uint8 of `shape`. Raises PictureError."""
    from torchvision.transforms.v2 import functional as change

    if len(shape) == 3 and shape[0] == 3:
        picture = read_picture(given, max_pixels)
    else:
        picture = as_pixels(given, max_pixels, shape[0] if len(shape) == 4 else None, shape[-3])
    return change.resize(picture, list(shape[-2:]), antialias=True)


def as_pixels(given: Any, max_pixels: int, frames: int | None = None, channels: int = 3) -> Tensor:
    """A tensor or array that is a picture, uint8 [C,H,W], as it is; with `frames` a clip of so many (0: of any number).

    Raises PictureError.
    """
    wanted = f"[{channels},H,W]" if frames is None else f"[{frames or 'F'},{channels},H,W]"
    try:
        pixels = torch.as_tensor(np.ascontiguousarray(given) if isinstance(given, np.ndarray) else given).cpu()
    except Exception as error:  # whatever has no numbers in rows
        raise PictureError(f"is {type(given).__name__} and no uint8 {wanted}") from error
    fits = pixels.shape[-3:-2] == (channels,) and pixels.numel() and pixels.dim() == (3 if frames is None else 4)
    if pixels.dtype != torch.uint8 or not fits or (frames and len(pixels) != frames):
        kind = str(pixels.dtype).removeprefix("torch.")
        raise PictureError(f"is {kind} {list(pixels.shape)} and no uint8 {wanted}")
    high, wide = pixels.shape[-2:]
    _few(wide, high, max_pixels)
    return pixels


def check_header(given: Path | bytes, max_pixels: int) -> None:
    """Raises PictureError where the file is missing, is no picture or has too many pixels; decodes nothing."""
    with BytesIO(given) if isinstance(given, bytes) else opened(given) as file:
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
    except UnidentifiedImageError as error:
        file.seek(0)
        why = f"is damaged at its start or none of {', '.join(FORMATS)}{_text(file.read(200))}"
        raise PictureError(why) from error
    except Exception as error:
        raise PictureError(f"has a header that is refused: {said(error)}") from error
    return _within(picture, max_pixels)


def _text(start: bytes) -> str:
    """What a text is that lies in a picture's place, by its first bytes."""
    start = start.lstrip().lower()
    if start.startswith(b"version https://git-lfs"):
        return ": it is a pointer of Git LFS, and its picture was not fetched (git lfs pull)"
    if b"/annex/objects/" in start:
        return ": it is a pointer of git-annex, and its picture was not fetched (git annex get)"
    return ": it is a web page or other markup, as a failed download leaves" if start.startswith(b"<") else ""


def _within(picture: Image.Image, max_pixels: int) -> Image.Image:
    _few(*picture.size, max_pixels)
    return picture


def _few(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise PictureError(f"has {width} x {height} pixels, more than data.max_pixels = {max_pixels}")


def _decoded(picture: Image.Image) -> Tensor:
    try:
        stored = {str(tile[3]) for tile in getattr(picture, "tile", ())}  # empty once it was decoded
        if any(SIGNED.search(how) for how in stored):
            raise PictureError("has signed 16-bit pixels, whose range is unknown: convert it to 8 bits")
        sixteen = any(SIXTEEN.search(how) for how in stored)
        twelve = tuple(getattr(picture, "tag_v2", {}).get(BITS, ())) == (12,)
        return torch.from_numpy(np.array(_rgb(_upright(picture), sixteen, twelve))).permute(2, 0, 1).contiguous()
    except PictureError:
        raise
    except Exception as error:  # decoders raise nearly anything on damaged files
        raise PictureError(f"is damaged: {said(error)}") from error


def _upright(picture: Image.Image) -> Image.Image:
    picture.load()
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # a broken EXIF block must not lose the picture
        return picture


def _rgb(picture: Image.Image, sixteen: bool, twelve: bool) -> Image.Image:
    """sixteen, twelve: whether the file holds 16 bits a channel, or says that it holds 12."""
    if picture.mode.startswith("I"):
        values = np.asarray(picture).astype(np.int64)
        low, high = int(values.min()), int(values.max())
        unsaid = not sixteen and not picture.mode.startswith("I;16")
        if not 0 <= low <= high <= 0xFFFF or (unsaid and 0 < high < 256):
            raise PictureError("has 32-bit integer pixels, whose range is unknown: convert it to 8 or 16 bits")
        if not twelve and high >> 8 in FAINT:
            raise PictureError(UNSURE)
        # convert("RGB") would clip all above 255 to white
        return Image.fromarray((values >> (4 if twelve else 8)).astype(np.uint8)).convert("RGB")
    if picture.mode == "F":
        raise PictureError("has floating-point pixels, whose range is unknown: convert it to 8 or 16 bits")
    colours = [name for name in picture.getbands() if name != "A"] if sixteen else []
    if max((int(np.asarray(picture.getchannel(name)).max()) for name in colours), default=0) in FAINT:
        raise PictureError(UNSURE)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, WHITE), picture)
    return picture.convert("RGB")


def said(error: Exception) -> str:
    """The first line of an error's message."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
