"""The sources of a mix on whose batches an objective is computed: those that feed all that it reads."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from vlobjectives.contracts.evaluation import Evaluation
from vlobjectives.contracts.objective import Objective
from vlobjectives.data.data_module import DataModule
from vlobjectives.planning.batch_reads import batch_reads
from vlobjectives.planning.plan import PlanContext, bare
from vlobjectives.plugin_loading.instantiate import BuildError

Lacking = Mapping[str, Sequence[str]]
"""Input or field -> its columns that a source does not have."""


def lacking(cast: PlanContext, made: DataModule, one: Objective | Evaluation, source: str) -> Lacking:
    """What of all that it reads a source does not feed; nothing where no sources are mixed.

    An evaluation reads what the objectives read that it names.
    """
    if not source:
        return {}
    if isinstance(one, Evaluation):
        reads = batch_reads(cast, one.views(bare(cast.inputs)), one.config)
        named = [name for name in one.config.named("objective").values() if name in cast.objectives]
        reads = reads.union(*(_reads(cast, cast.objectives[name]) for name in named))
    else:
        reads = _reads(cast, one)
    return {name: columns for name in sorted(reads) if (columns := made.lacking(source, name))}


def _reads(cast: PlanContext, objective: Objective) -> frozenset[str]:
    return batch_reads(cast, objective.views(cast.inputs), objective.config)


def live_sources(
    cast: PlanContext, made: DataModule, name: str, written: Sequence[str] | None = None
) -> tuple[str, ...]:
    """The sources on whose batches an objective is computed: those that its `sources` names, or else those that feed
    all that it reads.

    Args:
        cast: The recipe's inputs, masks, pairings and objectives.
        made: The recipe's data.
        name: The objective's name.
        written: The objective's `sources`.

    Raises:
        BuildError: A source that is written does not feed it, or no source does.
        ViewError: Its views cannot be.
    """
    lacks = {source: lacking(cast, made, cast.objectives[name], source) for source in written or made.feeds}
    for number, (source, lack) in enumerate(lacks.items()):
        if written and lack:
            raise BuildError(
                ("objectives", name, "sources", number),
                f"'{source}' cannot train it: it has {lacked(made, lack)}",
                "; or ".join([*renames(made, source, lack), f"take '{source}' out of `sources`"]),
            )
    found = tuple(source for source, lack in lacks.items() if not lack)
    if not found:
        each = "; ".join(f"{source} has {lacked(made, lack)}" for source, lack in lacks.items())
        lines = [line for source, lack in lacks.items() for line in renames(made, source, lack)]
        raise BuildError(
            ("objectives", name),
            f"no source of data.mix feeds all that it reads: {each}",
            "; or ".join([*lines, f"add a source that has them all, or leave it out: objectives.{name}=null"]),
        )
    return found


def lacked(made: DataModule, lack: Lacking) -> str:
    """What a source lacks, in words: `no column 'image', which inputs.image reads`."""
    return " and ".join(
        f"no column {' or '.join(map(repr, columns))}" + (f", which inputs.{name} reads" if name in made.inputs else "")
        for name, columns in lack.items()
    )


def renames(made: DataModule, source: str, lack: Lacking) -> list[str]:
    """Hints that would call another column of a source as the recipe does: the nearest name, or its picture."""
    feed, whole = made.feeds[source], made.fields
    read = {whole.of.get(field, field) for fields in whole.inputs.values() for field in fields}
    spare = [own for own in feed.source.columns if own not in read and own not in feed.fields.renamed.values()]
    lines = []
    for column in dict.fromkeys(column for columns in lack.values() for column in columns):
        kind = whole.columns[column].kind if column in whole.columns else "raw"
        alike = [own for own in spare if feed.source.columns[own].kind == kind]
        near = get_close_matches(column, alike, 1) or (alike[:1] if kind == "picture" else [])
        lines += [f"add to data.mix.{source} rename: {{{own}: {column}}}" for own in near]
    return lines
