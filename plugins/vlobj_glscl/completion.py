"""Completion judged by twins: is what was hidden recovered as what it was, or as what could as well stand there."""

from collections.abc import Mapping
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from vlobjectives import (
    Batch,
    ContrastPair,
    Evaluation,
    EvaluationConfig,
    EvaluationContext,
    FeatureRecovery,
    Input,
    MaskSample,
    Needs,
    Noise,
    ObjectiveName,
    RecoversClass,
    RecoversTokens,
    Samples,
    Score,
    Spec,
    Tokens,
    encoded,
    not_none,
)
from vlobjectives.functional import gather_tokens, indices_to_mask, mask_to_indices, wilson_interval
from vlobjectives.functional.pixels import patch_sides

TWINS = 64
"""Twins passed at once."""


class Completion(Evaluation):
    """Accuracy of completion on contrast pairs: a completed feature is nearer to its own target than to the other's.

    The passes of `of` and `local_of`, with what differs hidden: the patches that touch it, or the words that differ. In
    brackets those of MGSC and MLTC.

        KIND/global_image   picture's class, picture hidden (pass A), to that of the whole picture, words hidden (C)
        KIND/global_text    text's class, words hidden (C), to that of the whole caption, picture hidden (A)
        KIND/local_image    hidden patches under `local_of`'s image mask (B) to the same of the whole picture (C)
        KIND/local_text     hidden words (C) to the same of the whole caption, picture under the context mask (A)

    Needs of `of` that it recovers class tokens (`RecoversClass`), of `local_of` that it recovers tokens
    (`RecoversTokens`): which pass holds a prediction, and which its target.

    A decision is right where the cosine (of several positions the mean) to the own target is above that to the other's;
    a tie is half of one. A target lacks what differs on the *other* side, so only the side that is whole can tell. Both
    sides of a pair decide; Wilson's interval is over pairs, as if the two decisions were one. Chance level 50 %;
    features that were never trained to complete lie below it (they tell rather which side was hidden).

    An image mask hides as many patches as in training (more where what differs is larger): those that touch what
    differs, which alone are scored, and random others, the same ones on both sides. Hidden words are exactly those that
    differ; pairs whose captions are then not equal piece by piece are left out.
    """

    paper = "GLSCL, arXiv 2306.07096"
    needs = frozenset({"twins"})

    class Config(EvaluationConfig):
        of: Annotated[ObjectiveName, Needs(RecoversClass)] = Field(
            "mgsc", description="global completion, whose passes are taken"
        )
        local_of: Annotated[ObjectiveName, Needs(RecoversTokens)] | None = Field(
            "mltc", description="local completion, whose passes are taken, or null"
        )
        kinds: tuple[str, ...] = Field(("colour", "shape"), min_length=1, description="kinds of contrast pairs")
        count: Samples = Field(256, description="contrast pairs a kind")

    def run(self, held: EvaluationContext) -> Mapping[str, Score]:
        recoveries = self._recoveries(held)
        scores: dict[str, Score] = {}
        for kind in self.config.kinds:
            twins = held.source.twins(held.split, kind, self.config.count)
            found: dict[str, list[Tensor]] = {}
            picture = held.spec(next(iter(recoveries.values())).prediction.image.seen.name)
            where = {number: patches(twin.where, picture) for number, twin in enumerate(twins)}
            most = max(int(touched.sum()) for touched in where.values())
            for first in range(0, len(twins), TWINS):
                some = {number: twins[number] for number in range(first, min(first + TWINS, len(twins)))}
                touched = torch.stack([where[number] for number in some])
                for name, hits in self._decided(held, recoveries, some, touched, most).items():
                    found.setdefault(name, []).append(hits)
            scores |= {f"{kind}/{name}": _score(torch.cat(hits)) for name, hits in found.items()}
        return {name: score for name, score in scores.items() if score.n}

    def _recoveries(self, held: EvaluationContext) -> dict[str, FeatureRecovery]:
        """Score -> what is recovered, such as `global_image`."""
        whole = held.objective(self.config.of).class_recoveries(held.inputs)
        of = self.config.local_of
        local = held.objective(of).token_recoveries(held.inputs) if of else ()
        return {f"{scope}_{one.side}": one for scope, found in (("global", whole), ("local", local)) for one in found}

    def _decided(
        self,
        held: EvaluationContext,
        recoveries: dict[str, FeatureRecovery],
        twins: dict[int, ContrastPair],
        where: Tensor,
        most: int,
    ) -> dict[str, Tensor]:
        """Score -> of each twin that serves the share of right decisions: 0, 1/2 or 1.

        twins  by number
        where  [twins,N] bool, the patches that touch what differs; most: of the twin that has most
        """
        batch = held.batch(
            [twin.left for twin in twins.values()] + [twin.right for twin in twins.values()], [*twins] * 2
        )
        passes = {
            (name, role): view
            for name, one in recoveries.items()
            for role, view in (("prediction", one.prediction), ("target", one.target))
        }
        text = next(iter(passes.values())).text.seen.name
        words = hide_words(held, text, batch[text], twins)
        touched = where.to(batch.number.device).repeat(2, 1)
        draws = {view.text.seen.mask: words for view in passes.values() if view.text.seen.mask}
        draws |= {
            mask: self._hidden(held, view.image.seen, batch, touched, most)
            for mask, view in {view.image.seen.mask: view for view in passes.values()}.items()
            if mask
        }
        value = held.values({"_".join(key): view for key, view in passes.items()}, batch, draws)
        found = {}
        for name, one in recoveries.items():
            x, y = (getattr(value[f"{name}_{role}"], one.side) for role in ("prediction", "target"))
            if name.startswith("global"):
                found[name] = decided(x.cls, y.cls)
            else:
                index = x.draw.index
                found[name] = decided(gather_tokens(x.tokens, index), gather_tokens(y.tokens, index), x.draw.index_ok)
        left, right = not_none(words.ids, "ids in the draw of a text").chunk(2)
        serves = (left == right).all(1) & words.hidden.chunk(2)[0].any(1)
        return {name: hits[serves] for name, hits in found.items()}

    def _hidden(self, held: EvaluationContext, masked: Input, batch: Batch, touched: Tensor, most: int) -> MaskSample:
        """What a mask of pictures hides here, touched [R,N] bool among it; as many patches in every row."""
        own = held.values({"own": encoded(masked)}, batch.rows(slice(0, 1)))["own"].draw
        n, hides = touched.shape[1], max(int(own.hidden.sum()), most)
        noise = Noise(held.seed, f"evaluation completion {masked.mask}", held.split, batch.number)
        rank = noise.order("others", n) + n * ~touched
        order = rank.argsort(dim=-1, stable=True)
        index, ok = mask_to_indices(touched, most)
        return MaskSample(
            indices_to_mask(order[:, :hides], n),
            touched,
            index,
            ok,
            fill=own.fill,
            keep=order[:, hides:] if own.fill == "drop" else None,
        )


def patches(where: np.ndarray, spec: Spec) -> Tensor:
    """[N] bool, the patches that pixels `where` [H,W] bool touch, on the grid of the encoder's Spec."""
    (rows, columns), (height, width) = not_none(spec.grid, "grid of patches"), patch_sides(spec.patch_size)
    return torch.from_numpy(np.asarray(where)).reshape(rows, height, columns, width).any(3).any(1).flatten()


def hide_words(held: EvaluationContext, text: str, tokens: Tokens, twins: dict[int, ContrastPair]) -> MaskSample:
    """The draw that hides the differing words of left, then of right captions; rows of `tokens` in that order."""
    name, spec = next(iter(held.spec(text).fields.items()))
    hidden = torch.zeros_like(tokens.special)
    room = (~tokens.special & (tokens.segment == 0)).sum(1).tolist()
    sides = [(twin.left, twin.spans[0]) for twin in twins.values()] + [
        (twin.right, twin.spans[1]) for twin in twins.values()
    ]
    for row, (sample, spans) in enumerate(sides):
        pieces = held.readers[name].read(sample.values["caption"]).spans[: room[row]]
        hit = [any(first < last and end > start for start, last in spans) for first, end in pieces]
        hidden[row, 1 : 1 + len(hit)] = hidden.new_tensor(hit)
    index, ok = mask_to_indices(hidden, max(1, int(hidden.sum(1).max())))
    return MaskSample(hidden, hidden, index, ok, ids=tokens.ids.masked_fill(hidden, spec.special["mask"]), fill="mask")


def decided(prediction: Tensor, target: Tensor, ok: Tensor | None = None) -> Tensor:
    """[T] share of right decisions of a twin: rows are left sides, then right sides; prediction, target [2T,K,D].

    ok  [2T,K] bool, positions that count; None for all
    """

    def likeness(other: Tensor) -> Tensor:
        cosine = F.cosine_similarity(prediction.double(), other.double(), dim=-1)
        return cosine.sum(1) if ok is None else cosine.where(ok, 0.0).sum(1)

    own, twin = likeness(target), likeness(torch.cat(target.chunk(2)[::-1]))
    return ((own > twin).double() + 0.5 * (own == twin)).reshape(2, -1).mean(0)


def _score(hits: Tensor) -> Score:
    total, n = hits.sum().item(), hits.numel()
    return Score(total / n if n else 0.0, 0.5, *wilson_interval(total, n), n)
