"""Decoding: a video file, or a folder of frames, and the numbers of the frames wanted -> uint8 [F,3,H,W].

Rules. The content counts, never the extension, and only MP4 (MOV), WebM, MKV, GIF and AVI are opened: playlists and
other formats that name further files are not. Frames are counted in the order in which they are shown, all of them
alike, however long each one stays. The display matrix that a file asks for is applied (quarter turns and mirroring).
Transparent frames are laid on white. A file that is cut off, or in which a frame that is wanted (or one that leads to
it) does not decode, is refused as a whole: damage in other places is not looked for, and titles may hold any bytes.

Only packets are read to learn when frames are shown; then the decoder starts at the key frame before each frame that is
wanted, unless it is already past it. AVI does not say when frames are shown: there they are decoded in turn.
"""

import math
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from av.sidedata.sidedata import Type
from torch import Tensor

from vlobj_data.videos.whole import cut_off
from vlobjectives.pictures import PictureError, as_pixels, check_header, opened, read_picture, said

DEMUXERS = {"format_whitelist": "mov,mp4,matroska,webm,gif,avi"}
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".avif")
Choose = Callable[[int], list[int]]
"""How many frames there are -> the numbers of those wanted, ascending."""
NUMBER = re.compile(r"(\d+)")

av.logging.set_level(av.logging.PANIC)  # what is wrong comes as an exception too


def read_clip(given: Any, choose: Choose, max_pixels: int) -> Tensor:
    """The frames that `choose` takes of a file (or folder), of a file's bytes, or of frames [N,3,H,W], uint8.

    Raises PictureError.
    """
    if not isinstance(given, str | PathLike | bytes):
        frames = as_pixels(given, max_pixels, frames=0)
        return frames[choose(len(frames))]
    if not isinstance(given, bytes) and Path(given).is_dir():
        return _one_size([read_picture(frame, max_pixels) for frame in _of(_frames_in(Path(given)), choose)])
    with _container(given if isinstance(given, bytes) else Path(given), max_pixels) as container:
        try:
            shown, keys = _times(container)
            wanted = choose(len(shown))
            if container.format.name == "avi":
                return _one_size(list(_in_turn(container, wanted)))
            return _one_size(list(_sought(container, [shown[number] for number in wanted], keys)))
        except PictureError:
            raise
        except Exception as error:  # decoders raise nearly anything on damaged files
            raise PictureError(f"is damaged: {_why(error)}") from error


def check_clip(path: Path, max_pixels: int) -> None:
    """Raises PictureError where a file is missing, is no video, is cut off or is too large; decodes nothing."""
    if path.is_dir():
        check_header(_frames_in(path)[0], max_pixels)
        return
    with _container(path, max_pixels):
        pass


def _frames_in(folder: Path) -> list[Path]:
    """The pictures of a folder by name, numbers in names by value."""
    found = [path for path in folder.iterdir() if path.suffix.lower() in PICTURES and not path.name.startswith(".")]
    if not found:
        raise PictureError("is a folder without pictures")
    return sorted(found, key=lambda path: [int(part) if part.isdigit() else part for part in NUMBER.split(path.name)])


def _of(frames: Sequence[Path], choose: Choose) -> list[Path]:
    return [frames[number] for number in choose(len(frames))]


def _container(given: Path | bytes, max_pixels: int) -> Any:
    with BytesIO(given) if isinstance(given, bytes) else opened(given) as file:
        if cut_off(file):
            raise PictureError("is cut off: its last part ends after the file does")
    try:  # an absolute path, since a name such as http:x is an address to FFmpeg
        container = av.open(
            BytesIO(given) if isinstance(given, bytes) else str(given.absolute()),
            options=DEMUXERS,
            metadata_errors="replace",
        )
    except Exception as error:
        raise PictureError(
            f"is damaged at its start or none of MP4, MOV, WebM, MKV, GIF, AVI ({_why(error)})"
        ) from error
    if not container.streams.video:
        container.close()
        raise PictureError("holds no pictures")
    coded = container.streams.video[0].codec_context
    if coded is None or coded.width * coded.height > max_pixels:
        container.close()
        raise PictureError(
            "is of a codec that is not known"
            if coded is None
            else f"has {coded.width} x {coded.height} pixels, more than data.max_pixels = {max_pixels}"
        )
    coded.thread_count = 1  # a loader's worker is one core
    return container


def _times(container: Any) -> tuple[list[int], list[int]]:
    """When frames are shown, and when key frames are, in the stream's units and in order."""
    stream = container.streams.video[0]
    packets = [packet for packet in container.demux(stream) if packet.size and not packet.is_discard]
    if any(packet.pts is None for packet in packets):
        raise PictureError("does not say when its frames are shown: convert it to MP4")
    if not packets or len(packets) < stream.frames:
        raise PictureError(
            f"is cut off: {len(packets)} of {stream.frames} frames are there" if packets else "holds no frames"
        )
    return sorted(packet.pts for packet in packets), sorted(packet.pts for packet in packets if packet.is_keyframe)


def _in_turn(container: Any, wanted: Sequence[int]) -> Iterator[Tensor]:
    """The frames of these numbers, in order, all before them decoded."""
    stream = container.streams.video[0]
    container.seek(0, stream=stream)
    frames, at = container.decode(stream), -1
    shown: Tensor | None = None
    for number in wanted:
        if shown is None or number > at:
            shown, at = _sound(next(islice(frames, number - at - 1, None), None)), number
        yield shown


def _sought(container: Any, wanted: Sequence[int], keys: Sequence[int]) -> Iterator[Tensor]:
    """The frames shown at these times, in order; what lies between is decoded only where the decoder needs it."""
    stream = container.streams.video[0]
    frames: Iterator[Any] = iter(())
    at: int | None = None
    shown: Tensor | None = None
    for time in wanted:
        if shown is None or time != at:
            key = keys[max(bisect_right(keys, time) - 1, 0)]
            if at is None or key > at:
                container.seek(min(key, time), stream=stream)
                frames = container.decode(stream)
            frame = next((frame for frame in frames if frame.pts is not None and frame.pts >= time), None)
            at, shown = time, _sound(frame if frame is not None and frame.pts == time else None)
        yield shown


def _sound(frame: Any) -> Tensor:
    if frame is None or frame.is_corrupt:
        raise PictureError("is damaged: a frame does not decode")
    return _upright(_rgb(frame), frame.side_data.get(Type.DISPLAYMATRIX))


def _rgb(frame: Any) -> np.ndarray:
    """[H,W,3] uint8, on white.

    By one thread: a loader's worker is one core, and one that was forked beside waiting threads hangs when it collects
    what they belong to.
    """
    if not any(component.is_alpha for component in frame.format.components):
        return frame.to_ndarray(format="rgb24", threads=1)
    rgba = frame.to_ndarray(format="rgba", threads=1).astype(np.uint16)
    alpha = rgba[..., 3:]
    return ((rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _upright(picture: np.ndarray, matrix: Any) -> Tensor:
    """[3,H,W], mirrored and turned as the display matrix [a b u; c d v; x y w] asks, by the nearest quarter turn.

    A point (p, q) is shown at (a p + c q, b p + d q), and somewhere else again.
    """
    if matrix is not None:
        a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5].astype(float)
        if a * d < b * c:
            picture, a, b = picture[:, ::-1], -a, -b
        picture = np.rot90(picture, -round(math.atan2(b, a) / (math.pi / 2)) % 4)
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))


def _one_size(frames: Sequence[Tensor]) -> Tensor:
    if len({frame.shape for frame in frames}) > 1:
        raise PictureError("has frames of several sizes")
    return torch.stack(list(frames))


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or said(error)
