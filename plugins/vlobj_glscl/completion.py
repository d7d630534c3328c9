"""Completion judged by twins: is what was hidden recovered as what it was, or as what could as well stand there."""

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from vlobjectives import (
    ContrastPair,
    Evaluation,
    EvaluationConfig,
    EvaluationContext,
    MaskSample,
    Noise,
    ObjectiveName,
    Samples,
    Score,
    Tokens,
    encoded,
)
from vlobjectives.functional import indices, mark, take, wilson

TWINS = 64
"""Twins passed at once."""


class Completion(Evaluation):
    """Accuracy of completion on contrast pairs: a completed feature is nearer to its own target than to the other's.

    The passes of MGSC and MLTC, with what differs hidden: the patches that touch it, or the words that differ.

        KIND/global_image   picture's class, picture hidden (pass A), to that of the whole picture, words hidden (C)
        KIND/global_text    text's class, words hidden (C), to that of the whole caption, picture hidden (A)
        KIND/local_image    hidden patches under `local_of`'s image mask (B) to the same of the whole picture (C)
        KIND/local_text     hidden words (C) to the same of the whole caption, picture under the context mask (A)

    A decision is right where the cosine (of several positions the mean) to the own target is above that to the twin's;
    a tie is half of one. A target lacks what differs on the *other* side, so only the side that is whole can tell. Both
    sides of a twin decide; Wilson's interval is over twins, as if the two decisions were one. Chance is 50 %; features
    that were never trained to complete lie below it (they tell rather which side was hidden).

    An image mask hides as many patches as in training (more where what differs is larger): those that touch what
    differs, which alone are scored, and random others, the same ones on both sides. Hidden words are exactly those that
    differ; twins whose captions are then not equal piece by piece are left out.
    """

    paper = "GLSCL, arXiv 2306.07096"
    needs = frozenset({"twins"})

    class Config(EvaluationConfig):
        of: ObjectiveName = Field("mgsc", description="global completion, whose passes are taken")
        local_of: ObjectiveName | None = Field("mltc", description="local completion, whose passes are taken, or null")
        kinds: tuple[str, ...] = Field(("colour", "shape"), min_length=1, description="kinds of twins")
        count: Samples = Field(256, description="twins a kind")

    def run(self, held):
        objectives = {"global": held.objective(self.config.of)}
        if self.config.local_of:
            objectives["local"] = held.objective(self.config.local_of)
        scores = {}
        for kind in self.config.kinds:
            twins = held.source.twins(held.split, kind, self.config.count)
            found: dict[str, list[Tensor]] = {}
            most = max(int(patches(twin.where, self._picture(held, objectives)).sum()) for twin in twins)
            for first in range(0, len(twins), TWINS):
                some = {number: twins[number] for number in range(first, min(first + TWINS, len(twins)))}
                for name, hits in self._decided(held, objectives, some, most).items():
                    found.setdefault(name, []).append(hits)
            scores |= {f"{kind}/{name}": _score(torch.cat(hits)) for name, hits in found.items()}
        return {name: score for name, score in scores.items() if score.n}

    def _picture(self, held, objectives):
        """Spec of the encoder that sees the pictures."""
        return held.part(held.inputs[objectives["global"].config.image].part).spec

    def _decided(self, held, objectives, twins: dict[int, ContrastPair], most: int) -> dict[str, Tensor]:
        """Score -> of each twin that serves the share of right decisions: 0, 1/2 or 1.

        twins  by number
        most   patches that touch what differs, of the twin that has most
        """
        numbers, config = [*twins, *twins], objectives["global"].config
        batch = held.batch([twin.left for twin in twins.values()] + [twin.right for twin in twins.values()], numbers)
        views = {
            f"{scope}_{key}": view
            for scope, objective in objectives.items()
            for key, view in objective.views(held.inputs).items()
        }
        where = torch.stack([patches(twin.where, self._picture(held, objectives)) for twin in twins.values()])
        touched = where.to(batch.number.device).repeat(2, 1)
        words = hide_words(held, config.text, batch[config.text], twins)
        draws = {}
        for objective in objectives.values():
            for key, mask in objective.config.named("mask").items():
                draws[mask] = (
                    words
                    if key == "text_mask"
                    else self._hidden(held, held.inputs[config.image].masked(mask), batch, touched, most)
                )
        value = held.values(views, batch, draws)
        a, c = value["global_a"], value["global_c"]
        found = {"global_image": decided(a.image.cls, c.image.cls), "global_text": decided(c.text.cls, a.text.cls)}
        if "local" in objectives:
            a, b, c = value["local_a"], value["local_b"], value["local_c"]
            for name, draw, x, y in (("image", b.image.draw, b.image, c.image), ("text", words, c.text, a.text)):
                found[f"local_{name}"] = decided(take(x.tokens, draw.index), take(y.tokens, draw.index), draw.index_ok)
        left, right = words.ids.chunk(2)
        serves = (left == right).all(1) & words.hidden.chunk(2)[0].any(1)
        return {name: hits[serves] for name, hits in found.items()}

    def _hidden(self, held, masked, batch, touched: Tensor, most: int) -> MaskSample:
        """What a mask of pictures hides here, touched [R,N] bool among it; as many patches in every row."""
        own = held.values({"own": encoded(masked)}, batch.rows(slice(0, 1)))["own"].draw
        n, hides = touched.shape[1], max(int(own.hidden.sum()), most)
        noise = Noise(held.seed, f"evaluation completion {masked.mask}", held.split, batch.number)
        rank = noise.order("others", n) + n * ~touched
        order = rank.argsort(dim=-1, stable=True)
        index, ok = indices(touched, most)
        return MaskSample(
            mark(order[:, :hides], n),
            touched,
            index,
            ok,
            fill=own.fill,
            keep=order[:, hides:] if own.fill == "drop" else None,
        )


def patches(where: np.ndarray, spec) -> Tensor:
    """[N] bool, the patches that pixels `where` [H,W] bool touch, on the grid of the encoder's Spec."""
    (rows, columns), side = spec.grid, spec.patch_size
    return torch.from_numpy(np.asarray(where)).reshape(rows, side, columns, side).any(3).any(1).flatten()


def hide_words(held: EvaluationContext, text: str, tokens: Tokens, twins: dict[int, ContrastPair]) -> MaskSample:
    """The draw that hides the differing words of left, then of right captions; rows of `tokens` in that order."""
    name, spec = next(iter(held.part(held.inputs[text].part).spec.fields.items()))
    hidden = torch.zeros_like(tokens.special)
    room = (~tokens.special & (tokens.segment == 0)).sum(1).tolist()
    sides = [(twin.left, twin.spans[0]) for twin in twins.values()] + [
        (twin.right, twin.spans[1]) for twin in twins.values()
    ]
    for row, (sample, spans) in enumerate(sides):
        pieces = held.readers[name].read(sample.values["caption"]).spans[: room[row]]
        hit = [any(first < last and end > start for start, last in spans) for first, end in pieces]
        hidden[row, 1 : 1 + len(hit)] = hidden.new_tensor(hit)
    index, ok = indices(hidden, max(1, int(hidden.sum(1).max())))
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
    return Score(total / n if n else 0.0, 0.5, *wilson(total, n), n)
