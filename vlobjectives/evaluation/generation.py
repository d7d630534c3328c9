"""Texts by a decoder, word by word: greedy and beam search, with what was computed for the words so far kept."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vlobjectives.contracts.batch import Batch, Rows, Tokens
from vlobjectives.contracts.field import FieldSpec
from vlobjectives.contracts.objective import GenerationSpec
from vlobjectives.contracts.passes import RequestedOutputs
from vlobjectives.contracts.values import Encoded
from vlobjectives.data.collate import Fields
from vlobjectives.errors import RecipeError
from vlobjectives.planning import execute
from vlobjectives.planning.plan import of_views
from vlobjectives.system.system import System

NEVER = float("-inf")


def captions(
    system: System,
    fields: Fields,
    name: str,
    batch: Batch,
    beams: int = 1,
    stage: execute.ExecutionContext | None = None,
) -> list[str]:
    """A text for each picture of a batch; of it only what the objective's memory looks at needs to be there.

    name  the objective whose decoder writes. Raises RecipeError where it writes none.
    """
    writing = of(system, fields, name)
    stage, views = stage or system.stage("captions"), {"memory": writing.memory}
    field = fields.inputs[writing.text.name][0]
    with torch.no_grad(), system.autocasting():
        values = execute.run(of_views(system, views, "captions"), stage, batch)
        memory = execute.read(writing.memory, values)
        written = search(
            steps(system, writing, memory),
            len(memory.tokens),
            fields.spec(field),
            beams,
            writing.first,
            memory.tokens.device,
        )
    return [fields.readers[field].text(ids) for ids in written]


def of(system: System, fields: Fields, name: str) -> GenerationSpec:
    """How the objective writes. Raises RecipeError where it does not, or where no reader gives its text back."""
    writing = system.objectives[name].writes(system.bare)
    if writing is None:
        able = writers(system)
        raise RecipeError.one(
            f"the objective '{name}' trains no decoder of texts",
            f"name {' or '.join(able)}" if able else "take a recipe with one that does, such as coca",
            path=f"objectives.{name}",
        )
    names = fields.inputs[writing.text.name]
    if len(names) != 1 or names[0] not in fields.readers:
        raise RecipeError.one(
            f"the input '{writing.text.name}' is not one field of text",
            "write with one that is",
            path=f"inputs.{writing.text.name}",
        )
    return writing


def writers(system: System) -> list[str]:
    """The objectives that train a decoder of texts."""
    return [name for name, objective in system.objectives.items() if objective.writes(system.bare) is not None]


Step = Callable[[Tensor, Any], tuple[Tensor, Any]]
"""(ids [R,n] that come next, past) -> (logits [R,V] of what follows the last of them, past with them)."""


def steps(system: System, writing: GenerationSpec, memory: Encoded, cached: bool | None = None) -> Step:
    """What names the next word. `cached`: by default where both parts can continue."""
    text: Any = system.model[writing.text.part]
    decoder: Any = system.model[writing.decoder]
    head = system.model[writing.head]
    able = "continue" in text.spec.can and "continue" in decoder.spec.can

    def onward(ids: Tensor, past: Any) -> tuple[Tensor, Any]:
        before, kept = past or (None, None)
        tokens, before = text.decode_step(ids, before)
        tokens, kept = decoder.decode_step(tokens, memory, kept)
        return head(tokens[:, -1:])[:, 0], (before, kept)

    def afresh(ids: Tensor, past: Any) -> tuple[Tensor, Any]:
        ids, looked = (ids, memory) if past is None else (torch.cat([past[0], ids], 1), past[1])
        valid = torch.ones_like(ids, dtype=torch.bool)
        query = text(Tokens(ids, valid, torch.zeros_like(valid), torch.zeros_like(ids)), None, RequestedOutputs())
        tokens = decoder(query, looked, RequestedOutputs()).tokens
        return head(tokens[:, -1:])[:, 0], (ids, looked)

    return onward if (able if cached is None else cached) else afresh


@dataclass(frozen=True, eq=False)
class Beams:
    """What is written so far: ids [B,K,t], the sum of their log-probabilities [B,K], whether it has ended [B,K]."""

    ids: Tensor
    score: Tensor
    ended: Tensor


def search(
    step: Step, rows: int, spec: FieldSpec, beams: int, first: int = 0, device: torch.device | str = "cpu"
) -> list[list[int]]:
    """The ids that each of `rows` pictures is given, without begin and end; at most the field's length.

    The `beams` most likely beginnings are kept at each word, one that has ended as it is; of those at the end the one
    with the highest mean log-probability a word, its end counted, is given. One beam is greedy search. No special id
    but the end is ever written.

    first  the id of the logits' row 0
    """
    special, most = spec.special, spec.shape[0] - 1
    kept = Beams(
        torch.zeros(rows, 1, 0, dtype=torch.int64, device=device),
        torch.zeros(rows, 1, device=device),
        torch.zeros(rows, 1, dtype=torch.bool, device=device),
    )
    new, past = torch.full((rows, 1), special["begin"], device=device), None
    for place in range(most):
        logits, past = step(new, past)
        chances = _chances(logits, special, first, last=place == most - 1).unflatten(0, kept.score.shape)
        kept, parent = _longer(kept, chances, special, first, beams)
        if bool(kept.ended.all()):
            break
        past, new = rows_of(past, parent), kept.ids[:, :, -1].reshape(-1, 1)
    length = (kept.ids != special["pad"]).sum(-1).clamp_min(1)
    best = (kept.score / length).argmax(1)
    chosen = kept.ids[torch.arange(rows, device=device), best].tolist()
    return [[one for one in ids if one not in (special["end"], special["pad"])] for ids in chosen]


def _chances(logits: Tensor, special: Mapping[str, int], first: int, last: bool) -> Tensor:
    """Log-probabilities [R,V] of what may come: words and the end; in the last place the end alone."""
    logits = logits.float() if logits.itemsize < 4 else logits
    end = special["end"] - first
    allowed = torch.full_like(logits[0], NEVER if last else 0.0)
    allowed[[number - first for number in special.values() if 0 <= number - first < len(allowed)]] = NEVER
    allowed[end] = 0.0
    return (logits + allowed).log_softmax(-1)


def _longer(kept: Beams, chances: Tensor, special: Mapping[str, int], first: int, beams: int) -> tuple[Beams, Tensor]:
    """The best beginnings with a word more, and the rows [B*K] that they go on from."""
    rows, before, words = chances.shape
    stay = torch.full_like(chances, NEVER)
    stay[:, :, 0] = 0.0  # one that has ended goes on in one way: as it is
    total = kept.score[:, :, None] + torch.where(kept.ended[:, :, None], stay, chances)
    score, place = total.flatten(1).topk(min(beams, before * words), 1)
    parent, word = place // words, place % words + first
    ended = kept.ended.gather(1, parent)
    word = torch.where(ended, special["pad"], word)
    ids = kept.ids.gather(1, parent[:, :, None].expand(-1, -1, kept.ids.shape[2]))
    row = torch.arange(rows, device=parent.device)[:, None] * before + parent
    grown = Beams(torch.cat([ids, word[:, :, None]], 2), score, ended | (word == special["end"]))
    return grown, row.flatten()


def rows_of(past: Any, index: Tensor) -> Any:
    """These rows of every tensor in a nest of lists, tuples and mappings."""
    if isinstance(past, Tensor):
        return past.index_select(0, index)
    if isinstance(past, Rows):
        return past.rows(index)
    if isinstance(past, Mapping):
        return {key: rows_of(value, index) for key, value in past.items()}
    if isinstance(past, list | tuple):
        return type(past)(rows_of(value, index) for value in past)
    return past
