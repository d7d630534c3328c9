"""What others call the tensors of a vision transformer, in timm's names: CLIP's, and timm's under a prefix."""

from collections import Counter
from collections.abc import Collection, Iterable

from vlobjectives import CannotBuild

CLIP = {
    "class_embedding": "cls_token",
    "positional_embedding": "pos_embed",
    "conv1.": "patch_embed.proj.",
    "ln_pre.": "norm_pre.",
    "ln_post.": "norm.",
    "transformer.resblocks.": "blocks.",
    ".ln_1.": ".norm1.",
    ".ln_2.": ".norm2.",
    ".in_proj_": ".qkv.",
    ".out_proj.": ".proj.",
    ".c_fc.": ".fc1.",
    ".c_proj.": ".fc2.",
}
APART = (".query.weight", ".q_proj.weight")
"""transformers keeps queries, keys and values apart, timm in one tensor."""


def timm_names(found: Collection[str], own: Collection[str], source: object) -> tuple[dict[str, str], str]:
    """timm's name -> the name in `found`, and the prefix that these names had.

    found   names of a file: the tower alone or within a whole model, wrapped or not
    own     timm's names of what is to be filled
    Raises CannotBuild where several models of these names are in it.
    """
    clip = {key: of_clip(key) for key in found} if any(_last(key) == "class_embedding" for key in found) else None
    names = clip or {key: key for key in found}
    plain, root = without_prefix(names.values(), own, [key for key in own if key.startswith("patch_embed.")], source)
    keys = {name: key for key, name in names.items()}
    return {name: keys[longer] for name, longer in plain.items()}, root


def without_prefix(
    found: Collection[str], own: Collection[str], anchors: Collection[str], source: object
) -> tuple[dict[str, str], str]:
    """Own name -> the name in `found`, and the prefix that is taken off: the one before most of `own`.

    anchors  of the own names those of which one stands behind such a prefix
    """
    roots = _roots(found, set(own), set(anchors))
    if len(roots) > 1:
        first = min(roots)
        raise CannotBuild(
            f"{source} holds several models of these names: {', '.join(sorted(roots))}",
            "save the one that you mean: torch.save({k.removeprefix('" + first + "'): v for k, v in "
            "state.items() if k.startswith('" + first + "')}, FILE)",
        )
    root = roots[0] if roots else ""
    return {name.removeprefix(root): name for name in found if name.startswith(root)}, root


def hint_of(found: Collection[str], own: Collection[str]) -> str:
    """What to do about names that are not timm's."""
    if any(key.endswith(APART) for key in found):
        return "these are transformers' names, with queries, keys and values apart: give timm's weights of that model"
    if not set(found) & set(own):
        return f"name its tensors as timm does ({', '.join(list(own)[:2])}, ...)"
    return "write the architecture that it was trained with"


def _roots(names: Iterable[str], own: set[str], anchors: set[str]) -> list[str]:
    """The prefixes before an anchor under which most of `own` stands; several where several copies do."""
    count: Counter[str] = Counter()
    starts = set()
    for name in names:
        parts = name.split(".")
        place = next((place for place in range(len(parts)) if ".".join(parts[place:]) in own), None)
        if place is None:
            continue
        root = "".join(f"{part}." for part in parts[:place])
        count[root] += 1
        if name.removeprefix(root) in anchors:
            starts.add(root)
    most = max((count[root] for root in starts), default=0)
    return [root for root in starts if count[root] == most]


def of_clip(key: str) -> str:
    """timm's name of what CLIP calls so."""
    for theirs, ours in CLIP.items():
        key = key.replace(theirs, ours)
    return key


def _last(key: str) -> str:
    return key.rpartition(".")[2]
