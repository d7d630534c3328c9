"""Decoders of JPEG on photos: how fast each is, how far it is from Pillow, and what it does with damaged files.

Of every photo there is one that is cut off at a random place, and one in whose pixels' data a few bytes are flipped.
Nobody can see every flipped bit in a JPEG; a file that is cut off can be refused. A decoder runs on damaged files in a
process of its own, so that one that ends the process is counted.
"""

import os
import random
from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec

import torch
from torch import Tensor

from vlobjectives.pictures import read_picture

Decode = Callable[[bytes], Tensor]
OUTCOMES = ("refused", "decoded", "ended the process")


def decoders() -> dict[str, Decode]:
    """To uint8 [3,H,W]; those that are installed."""
    from torchvision.io import ImageReadMode, decode_image

    made: dict[str, Decode] = {
        "Pillow (vlobjectives)": lambda data: read_picture(data, 10**8),
        "torchvision.io.decode_image": lambda data: decode_image(
            torch.frombuffer(bytearray(data), dtype=torch.uint8), ImageReadMode.RGB
        ),
    }
    if find_spec("simplejpeg"):
        import simplejpeg

        made["simplejpeg"] = lambda data: torch.from_numpy(simplejpeg.decode_jpeg(data)).permute(2, 0, 1)
        made["simplejpeg, strict=False"] = lambda data: torch.from_numpy(
            simplejpeg.decode_jpeg(data, strict=False)
        ).permute(2, 0, 1)
    return made


def differences(decode: Decode, photos: list[bytes]) -> int:
    """Photos of which a pixel is not Pillow's."""
    return sum(not torch.equal(decode(photo), read_picture(photo, 10**8)) for photo in photos)


def cut(photos: list[bytes]) -> list[bytes]:
    dice = random.Random(0)
    return [photo[: dice.randrange(len(photo) // 3, len(photo) - 2)] for photo in photos]


def flipped(photos: list[bytes]) -> list[bytes]:
    dice, made = random.Random(1), []
    for photo in photos:
        data = bytearray(photo)
        for _ in range(4):
            data[dice.randrange(len(data) // 3, len(data) - 2)] ^= 1 << dice.randrange(8)
        made.append(bytes(data))
    return made


def outcomes(decode: Decode, files: list[bytes]) -> dict[str, int]:
    """How often each outcome came."""
    found: Counter[str] = Counter()
    at = 0
    while at < len(files):
        done = _in_a_process(decode, files[at:])
        found.update(OUTCOMES[number] for number in done)
        at += len(done)
        if at < len(files):
            found[OUTCOMES[2]] += 1
            at += 1
    return {name: found[name] for name in OUTCOMES}


def _in_a_process(decode: Decode, files: list[bytes]) -> bytes:
    """The outcome of each file, up to one that ends the process."""
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(read)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what libjpeg prints of each file
        torch.set_num_threads(1)
        for data in files:
            try:
                decode(data)
                os.write(write, b"\1")
            except Exception:
                os.write(write, b"\0")
        os._exit(0)
    os.close(write)
    with open(read, "rb") as file:
        done = file.read()
    os.waitpid(pid, 0)
    return done
