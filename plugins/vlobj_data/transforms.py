"""torchvision's transforms (v2) by name, as a recipe lists them, drawn as a pure function of a key.

    transforms:
      - RandomApply: {transforms: [{GaussianBlur: {kernel_size: 9, sigma: [0.1, 2.0]}}], p: 0.5}
      - RandomGrayscale: {p: 0.2}
      - RandomSolarize: {threshold: 128, p: 0.2}
      - RandAugment: {num_ops: 2, magnitude: 9}

What is drawn hangs on torchvision's version too, and on nothing else but the key.
"""

import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

Named = Mapping[str, Mapping[str, Any] | None]
"""One name with its arguments."""
PROBE = 96
"""Pixels a side of the picture on which transforms are tried."""
MIRRORS = "mirrors pictures, whose captions may say left and right: use the view's own option `flip`"
SEVERAL = "mixes several samples, which is an objective's work"


def check_transforms(listed: Sequence[Named]) -> None:
    """Raise ValueError where a transform is not there, takes other arguments, or gives anything but such a picture."""
    import torch

    for one in listed:
        made = _made(one)
        if (length := len(_text(one))) > 10_000:
            raise ValueError(f"the arguments of {next(iter(one))} are {length} characters long")
        probe = torch.zeros(3, PROBE, PROBE, dtype=torch.uint8)
        try:
            seen = _drawn(made, probe, 0)
        except Exception as error:  # a transform may raise anything
            raise ValueError(f"{next(iter(one))} cannot be applied to a picture of bytes: {error}") from error
        if not isinstance(seen, torch.Tensor) or seen.dtype != torch.uint8 or seen.shape != probe.shape:
            raise ValueError(
                f"{next(iter(one))} gives no picture of bytes of the same size: sizes are the options crop and size, "
                "normalisation is the host's"
            )


def transformed(picture: "Tensor", listed: Sequence[Named], key: int) -> "Tensor":
    """The picture, uint8 [...,3,H,W], through all of them in their order; frames of a clip are changed alike."""
    for place, one in enumerate(listed):
        picture = _drawn(_kept(_text(one)), picture, key + place)
    return picture


def _drawn(transform: Any, picture: "Tensor", key: int) -> "Tensor":
    """What a transform makes where torch's generator has a seed from the key; the generator is left as it was."""
    import torch

    before = torch.get_rng_state()
    try:
        torch.default_generator.manual_seed(key % 2**63)
        made: Tensor = transform(picture)
    finally:
        torch.set_rng_state(before)
    return made


def _text(one: Named) -> str:
    return json.dumps(one, sort_keys=True, default=str)


@cache
def _kept(text: str) -> Any:
    return _made(json.loads(text))


def _made(one: Named) -> Any:
    """A transform. Raises ValueError where it is none, or refuses its arguments."""
    from torchvision.transforms import v2

    if not isinstance(one, Mapping) or len(one) != 1:
        raise ValueError("each transform is a name with its arguments, as {RandomGrayscale: {p: 0.2}}")
    ((name, options),) = one.items()
    kind = getattr(v2, name, None)
    if not (isinstance(kind, type) and issubclass(kind, v2.Transform)) or name == "Transform":
        near = get_close_matches(name, [each for each in dir(v2) if each[:1].isupper()], 1)
        raise ValueError(f"torchvision.transforms.v2 has no transform '{name}'" + (f": {near[0]}?" if near else ""))
    if "Flip" in name or name in ("CutMix", "MixUp"):
        raise ValueError(f"{name} {MIRRORS if 'Flip' in name else SEVERAL}")
    arguments = dict(options or {})
    if isinstance(inner := arguments.get("transforms"), Sequence) and not isinstance(inner, str):
        arguments["transforms"] = [_made(each) for each in inner]
    try:
        return kind(**arguments)
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{name} does not take these arguments: {error}") from error
