"""ALIGN-BENCH: do the fused text's attention maps lie on the regions that its phrases speak of."""

from collections.abc import Mapping, Sequence

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from vlobj_glscl import align_bench as bench
from vlobjectives import (
    Evaluation,
    EvaluationConfig,
    EvaluationContext,
    Input,
    InputName,
    PartName,
    Score,
    View,
    fused,
    not_none,
)
from vlobjectives.functional import mean_interval

ROWS = 64
"""Samples at once."""


class Alignment(Evaluation):
    """Share of the text's cross-attention (last fusion layer) that lies in the right region of the picture.

        global/box, global/pixel   map of the begin token, in the union of all regions (boxes or pixel masks)
        local/box, local/pixel     map of a phrase's words, in that phrase's region; mean over a picture's phrases

    Computed as GLSCL's benchmark does (arXiv 2306.07096; `align_bench`); value and Student's t interval are over
    pictures. The chance level is the uniform map's score, the mean of the resized mask: the share of the picture that
    the regions fill. Cubic resizing goes beyond 0 and 1, so a score may too, a little. Samples hold `phrases` (each
    with `text`), `boxes` [P,4] and `masks` [P,H,W] of the column `caption`, with which the text input begins. Clips get
    no score.
    """

    paper = "GLSCL, arXiv 2306.07096"
    needs = frozenset({"regions"})

    class Config(EvaluationConfig):
        image: InputName = Field("image", description="input that shows the picture")
        text: InputName = Field("text", description="input that holds the caption")
        fusion: PartName = Field("fusion", description="fusion whose text stream looks at the picture")

    def views(self, inputs: Mapping[str, Input]) -> Mapping[str, View]:
        pairs = fused(inputs[self.config.image], inputs[self.config.text], part=self.config.fusion)
        return {"pairs": pairs.with_maps()}

    def run(self, held: EvaluationContext) -> Mapping[str, Score]:
        picture, text = held.spec(self.config.image), held.spec(self.config.text)
        reader = held.readers[next(iter(text.fields))]
        rows: dict[str, list[tuple[float, float]]] = {}
        for first in range(0, held.size(), ROWS):
            numbers = range(first, min(first + ROWS, held.size()))
            samples = [held.sample(number) for number in numbers]
            batch = held.batch(samples, numbers)
            if batch[self.config.image].dim() > 4:
                return {}
            tokens = batch[self.config.text]
            maps = held.values(self.views(held.inputs), batch)["pairs"].text.maps["cross"].cpu()
            room = (~tokens.special & (tokens.segment == 0)).sum(1).tolist()
            for sample, attention, n in zip(samples, maps, room):
                phrases = [phrase.text for phrase in sample.values["phrases"]]
                if not phrases:
                    continue
                strings = marked(sample.values["caption"], reader.read(sample.values["caption"]).spans[:n])
                found = scores(
                    attention[:, : len(strings) + 2],
                    not_none(picture.grid, "grid of patches"),
                    strings,
                    phrases,
                    torch.arange(len(phrases)),
                    torch.as_tensor(sample.values["boxes"]),
                    torch.as_tensor(sample.values["masks"]),
                )
                for name, pair in found.items():
                    rows.setdefault(name, []).append(pair)
        return {name: _score(pairs) for name, pairs in rows.items()}


def scores(
    attention: Tensor,
    grid: tuple[int, int],
    tokens: Sequence[str],
    phrases: Sequence[str],
    owner: Tensor,
    boxes: Tensor,
    masks: Tensor,
) -> dict[str, tuple[float, float]]:
    """One picture's four numbers: name -> (score, score of the uniform map).

    attention      [heads, 2+T, C+rows*columns]: begin, T tokens, one more; C class tokens before the patches
    tokens         T strings as `align_bench.join_words` takes them
    phrases        P phrases; owner [R] int64, the phrase of each region
    boxes, masks   [R,4] in pixels, [R,H,W] bool
    """
    count, size = grid[0] * grid[1], (masks.shape[1], masks.shape[2])
    # The benchmark's maps have one class token; whatever this picture has, its patches come last.
    whole, each = bench.maps_of(F.pad(attention[..., -count:], (1, 0)), grid)
    words, each = bench.join_words(tokens, each)
    found = {}
    for kind, pixels in (("box", None), ("pixel", masks)):
        union = bench.resize_mask(bench.region_mask(boxes, size, pixels, bench.LARGEST), grid)
        found[f"global/{kind}"] = bench.score(union, whole).item(), union.mean().item()
        pairs = []
        for number, phrase in enumerate(phrases):
            mine = owner == number
            mask = bench.resize_mask(
                bench.region_mask(boxes[mine], size, None if pixels is None else pixels[mine]), grid
            )
            pairs.append((bench.score(mask, bench.phrase_map(words, each, phrase)).item(), mask.mean().item()))
        found[f"local/{kind}"] = tuple(sum(side) / len(pairs) for side in zip(*pairs))
    return found


def marked(caption: str, spans: Sequence[tuple[int, int]]) -> list[str]:
    """The caption's pieces as strings in which the blank marker says that a blank comes before."""
    found = []
    for first, end in spans:
        piece = caption[first:end]
        blank = piece[:1].isspace() or caption[first - 1 : first].isspace()
        found.append(bench.BLANK * blank + piece.lstrip())
    return found


def _score(pairs: Sequence[tuple[float, float]]) -> Score:
    value, low, high = mean_interval(score for score, _ in pairs)
    return Score(value, sum(chance for _, chance in pairs) / len(pairs), low, high, len(pairs))
