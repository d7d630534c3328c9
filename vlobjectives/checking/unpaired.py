"""Sources of a mix that do not feed every input: what each lacks, and which objectives it trains."""

from collections.abc import Iterator, Sequence

from vlobjectives.checking.meta_build import MetaBuild
from vlobjectives.errors import Problem
from vlobjectives.recipe.loading import Loaded
from vlobjectives.recipe.model import source_path
from vlobjectives.system.live_sources import Lacking, lacked, lacking, live_sources, renames


def trained(loaded: Loaded, built: MetaBuild) -> dict[str, tuple[str, ...]]:
    """Source -> the objectives that are computed on its batches."""
    written = {name: loaded.recipe.objectives[name].sources for name in built.objectives}
    live = {name: live_sources(built, built.made, name, sources) for name, sources in written.items()}
    return {source: tuple(name for name in live if source in live[name]) for source in built.made.feeds}


def unpaired(loaded: Loaded, built: MetaBuild) -> Iterator[Problem]:
    """A note on each source, where one of them lacks an input; an error on one that therefore trains nothing."""
    lacks = {source: _lack(built, source) for source in built.made.feeds}
    if not any(lacks.values()):
        return
    for source, names in trained(loaded, built).items():
        lack, others = lacks[source], [name for name in built.objectives if name not in names]
        lines = [line.replace(f"data.mix.{source} ", "it ", 1) for line in renames(built.made, source, lack)]
        if not lack:
            what, hint = f"it feeds every input and trains {', '.join(names) or 'nothing'}", ""
        elif names:
            hint = "; or ".join([*lines, "nothing, if that is meant"])
            what = f"it has {lacked(built.made, lack)}: it trains {', '.join(names)}"
            what += f", and not {', '.join(others)}" if others else ""
        else:
            hint = "; or ".join([*lines, f"add an objective that it can feed, or leave it out: data.mix.{source}=null"])
            what = f"it trains nothing: it has {lacked(built.made, lack)}"
        yield loaded.problem(source_path(source), what, hint, note=bool(names or not lack), key=True)


def _lack(built: MetaBuild, source: str) -> Lacking:
    """What a source does not feed of all inputs, and of what objectives read beside them."""
    lack: dict[str, Sequence[str]] = {
        name: columns for name in built.inputs if (columns := built.made.lacking(source, name))
    }
    for objective in built.objectives.values():
        lack |= lacking(built, built.made, objective, source)
    return lack
