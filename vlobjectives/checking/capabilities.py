"""Stage `capabilities`: everything can be built, and each part can do what the views ask of it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from vlobjectives.checking.balancers import balancer
from vlobjectives.checking.data import told
from vlobjectives.checking.meta_build import MetaBuild
from vlobjectives.contracts.parts import CannotBuild, Decoder, Encoder, Fusion, Head, Part, Projection
from vlobjectives.contracts.passes import MaskKey
from vlobjectives.contracts.views import Input, View, ViewError
from vlobjectives.data.data_module import DataModule
from vlobjectives.data.field_kinds import FILLS
from vlobjectives.data.field_kinds import KINDS as FIELD_KINDS
from vlobjectives.errors import PluginError, Problem
from vlobjectives.planning.plan import make
from vlobjectives.plugin_loading.attribution import ContractError, an, given, line_of, whose
from vlobjectives.plugin_loading.instantiate import BuildError
from vlobjectives.plugin_loading.load import defined, reason_of, where_raised
from vlobjectives.plugin_loading.side_effects import contained
from vlobjectives.recipe.loading import Loaded
from vlobjectives.recipe.report import Report, where
from vlobjectives.recipe.yaml import KeyPath, dotted
from vlobjectives.resolved.entries import Named
from vlobjectives.resolved.remainder import rest
from vlobjectives.resolved.resolved import Resolved
from vlobjectives.system import assemble
from vlobjectives.system.input_specs import KnownSpecs
from vlobjectives.system.live_sources import live_sources

STAGE = "capabilities"
KINDS = {Encoder: "an encoder", Fusion: "a fusion", Decoder: "a decoder", Projection: "a projection", Head: "a head"}
WANTED: dict[str, type[Part]] = {"encoded": Encoder, "fused": Fusion, "decoded": Decoder, "joint": Projection}
"""Kind of view -> the part that runs it."""
VIEWS = "{name: view}, such as {'image': encoded(inputs['image'])}"
PATCHES = "give model.{part} a type whose tokens are patches: `vlobj plugins` lists all"
SHARED = {"drop", "token", "pixels", "mask", "bert"}
"""Fills that the host knows; any other is a third party's own, between its mask and an encoder that says it can."""


def capabilities(resolved: Resolved, made: DataModule, report: Report) -> tuple[Resolved, MetaBuild | None]:
    """Everything built on the meta device, with the recipe that is left without what cannot be built or asked for;
    None where no part is."""
    loaded = resolved.loaded
    failed: list[BuildError] = []
    with torch.device("meta"):
        try:
            parts = assemble.build_parts(resolved, made, failed)
        except BuildError as error:
            failed.append(error)
            parts = {}
        except Exception as error:  # a plug-in's own code
            note = whose(error)
            report.add(STAGE, [_fault(loaded, note.path if note else ("model",), error)], PluginError.code)
            parts = {}
        report.add(STAGE, [told(loaded, error) for error in failed])
        report.add(STAGE, _forms(loaded, made, parts))
        if not parts or any(where(problem)[0] == "data" for problem in report.errors_of(STAGE)):
            return resolved, None
        resolved = rest(resolved, report.errors_of(STAGE))
        micro = max(1, resolved.rows)
        built = MetaBuild(
            made, parts, {}, {}, {name: entry.group or micro for name, entry in resolved.recipe.pairings.items()}
        )
        built = built.of_recipe(resolved.recipe)
        for act in (_made, _asked, _finished):
            for path, one in resolved.entries.items():
                if one.kind in ("mask", "pairing", "objective"):
                    try:
                        report.add(STAGE, act(loaded, path, one, built))
                    except Exception as error:  # a plug-in's own code
                        report.add(STAGE, [_fault(loaded, path, error, one.cls)], PluginError.code)
            resolved = rest(resolved, report.errors_of(STAGE))
            built = built.of_recipe(resolved.recipe)
        if "" in resolved.of("balancer"):
            try:
                report.add(STAGE, balancer(resolved, built))
            except Exception as error:  # a plug-in's own code
                one = resolved.of("balancer")[""]
                report.add(STAGE, [_fault(loaded, ("balance",), error, one.cls)], PluginError.code)
            resolved = rest(resolved, report.errors_of(STAGE))
    return resolved, built


def _made(loaded: Loaded, path: KeyPath, one: Named, built: MetaBuild) -> Iterator[Problem]:
    try:
        with contained(dotted(path)):
            built.of(one.kind)[str(path[1])] = one.cls(one.config)
    except CannotBuild as error:
        yield loaded.problem(path, error.why, error.hint, key=True)


def _finished(loaded: Loaded, path: KeyPath, one: Named, built: MetaBuild) -> Iterator[Problem]:
    """An objective's own modules."""
    if one.kind == "objective":
        name = str(path[1])
        try:
            fields = built.made.fields_on(live_sources(built, built.made, name, one.sources))
            assemble.build_objective(
                name, built.objectives[name], built.inputs, built.parts, fields, loaded.recipe.seed
            )
        except BuildError as error:
            yield told(loaded, error)


def _forms(loaded: Loaded, made: DataModule, parts: Mapping[str, Part]) -> Iterator[Problem]:
    """Pictures and sounds that their encoder cannot read: of another size than its own, in an input or in a source of a
    mix, and of several lengths."""
    for name, x in made.inputs.items():
        feeds = {source: feed for source, feed in made.feeds.items() if name in feed.fields.inputs}
        specs = {source: feed.fields.spec(feed.fields.inputs[name][0]) for source, feed in feeds.items()}
        if x.part not in parts or any(spec.size is None for spec in specs.values()):
            continue
        frames = {spec.frames for spec in specs.values()}
        if len(frames) > 1 and "frames" not in parts[x.part].spec.can:
            yield loaded.problem(
                ("model", x.part),
                f"it takes clips of one length, and the sources of data.mix have "
                f"{' and '.join(map(str, sorted(frames)))} frames",
                "take an encoder of pictures and clips: `vlobj plugins` lists all",
                key=True,
            )
            continue
        mixed = len({spec.shape[-3:] for spec in specs.values()}) > 1
        for source, feed in feeds.items():
            try:
                KnownSpecs(parts, feed.fields).spec(x.part, name)
            except BuildError as error:
                able = [other for other, part in parts.items() if "sizes" in part.spec.can and other != x.part]
                what = f"its {specs[source].kind}s" if mixed else f"the input '{name}'"
                yield loaded.problem(
                    ("data", "mix", source) if mixed else ("inputs", name),
                    f"the encoder '{x.part}' cannot read {what}: {error.why}",
                    error.hint + (f" ({', '.join(able)} can)" if able else ""),
                    key=True,
                )
                break


def _fault(loaded: Loaded, path: KeyPath, error: Exception, cls: type | None = None) -> Problem:
    """A plug-in that raised what it should not."""
    place = line_of(error, ()) or where_raised(error) or (cls and defined(cls))
    what, hint = (
        (error.why, error.hint)
        if isinstance(error, ContractError)
        else (error.what, error.hint)
        if isinstance(error, PluginError)
        else (f"its plug-in fails: {reason_of(error)}", "correct the plug-in; `vlobj --debug run` shows the traceback")
    )
    return loaded.problem(path, what + (f" ({place})" if place else ""), hint, key=True)


def _asked(loaded: Loaded, path: KeyPath, one: Named, built: MetaBuild) -> Iterator[Problem]:
    """What is wrong with the views of an objective, mask or pairing."""
    name, whole = str(path[1]), built.of(one.kind)[str(path[1])]
    try:
        views = views_of(whole, built.bare if one.kind == "mask" else built.made.inputs)
        for view in views.values():
            for view_path, what, hint in asked_in_vain(view, path, one, built):
                yield loaded.problem(view_path, what, hint)
        if one.kind == "objective":
            make(built, [(name,)])
    except ViewError as error:
        yield loaded.problem(path, str(error), f"`vlobj plugins {one.entry.type}` shows its views", key=True)
    except CannotBuild as error:
        yield loaded.problem(path, error.why, error.hint, key=True)


def views_of(whole: Any, inputs: Mapping[str, Input]) -> Mapping[str, View]:
    """The views of an objective, mask, pairing or evaluation. Raises ContractError where it gives something else."""
    views = given(whole.views(inputs), Mapping, whole.views, VIEWS)
    for name, view in views.items():
        if not isinstance(view, View):
            raise ContractError(f"views returned under '{name}' {an(view)}", f"views must return {VIEWS}", whole.views)
    return views


Found = tuple[KeyPath, str, str]


def asked_in_vain(view: View, path: KeyPath, one: Named, built: MetaBuild) -> Iterator[Found]:
    """(key path, what, hint) for whatever a view and all that it is fed ask in vain."""
    for fed in view.fed:
        yield from asked_in_vain(fed, path, one, built)
    part = built.parts.get(view.part)
    wanted = WANTED[view.kind]
    if part is None:
        yield path, f"there is no part '{view.part}' in this recipe", f"the model has {', '.join(built.parts)}"
        return
    if not isinstance(part, wanted):
        kind = next(word for cls, word in KINDS.items() if isinstance(part, cls))
        there = [name for name, other in built.parts.items() if isinstance(other, wanted)]
        yield (
            _at(path, one, "part", view.part),
            f"'{view.part}' is {kind}, and {KINDS[wanted]} is asked for",
            f"the model has {', '.join(there)}" if there else f"add {KINDS[wanted]} under model",
        )
        return
    yield from _readings(view, part, path, one)
    if any(isinstance(needed, MaskKey) for needed in view.required):
        yield from _fill(view.seen, part, path, one, built)
    if view.reading.visible:
        yield from _sight(view.reading.visible, view.seen, path, one, built)
    if misfit := view.misfit(part, built):
        yield _at(path, one, misfit.kind, misfit.name), misfit.why, misfit.hint


def _readings(view: View, part: Any, path: KeyPath, one: Named) -> Iterator[Found]:
    can = part.spec.can
    for what, asked in (("layers", bool(view.reading.layers)), ("maps", view.reading.maps)):
        if asked and what not in can:
            said = {"layers": "hidden states of layers", "maps": "attention maps"}[what]
            yield (
                _at(path, one, "part", view.part),
                f"'{view.part}' cannot give {said}",
                f"take a part that can, or leave out {path[0]}.{path[1]}",
            )


def _sight(mask: str, x: Input, path: KeyPath, one: Named, built: MetaBuild) -> Iterator[Found]:
    """Whether positions can be taken from sight by a mask: a pooled encoder's tokens are not the mask's patches."""
    first = built.made.fields.spec(built.made.fields.inputs[x.name][0])
    if first.kind in FIELD_KINDS and FIELD_KINDS[first.kind].alone and built.parts[x.part].spec.grid is None:
        yield (
            _at(path, one, "mask", mask),
            f"the tokens of '{x.part}' are no patches, and the mask '{mask}' has none to take from sight",
            f"{PATCHES.format(part=x.part)}, or no mask",
        )


def _fill(x: Input, part: Part, path: KeyPath, one: Named, built: MetaBuild) -> Iterator[Found]:
    """Whether an encoder can hide what a mask hides."""
    assert x.mask is not None, "the view needs its mask"
    mask, spec, fields = built.masks[x.mask], part.spec, built.made.fields
    first = fields.spec(fields.inputs[x.name][0])
    slots = [slot for slot, name in one.config.named("input").items() if name == x.name]
    fills, fill, at = FILLS.get(first.kind, ()), mask.fill, _at(path, one, "mask", x.mask, slots)
    frames = {sites[x.name].frames for sites in built.sites.values() if x.name in sites}
    if "frames" in mask.needs and frames == {1}:
        yield (
            at,
            f"the mask '{x.mask}' is for clips, and the input '{x.name}' shows pictures",
            f"add under inputs: {x.name}: {{fields: [clip]}}, with a source that has frames (data.frames=4), or "
            "take a mask for pictures",
        )
    elif fill not in SHARED:
        if fill not in spec.can:
            able = [name for name, other in built.parts.items() if fill in other.spec.can]
            yield (
                at,
                f"the encoder '{x.part}' does not hide by '{fill}' (mask '{x.mask}'): its Spec.can does not hold it",
                f"mask an input of {' or '.join(able)}" if able else f"take a mask with fill {' or '.join(fills)}",
            )
    elif fill not in fills:
        yield (
            at,
            f"the mask '{x.mask}' (fill: {fill}) is not for the input '{x.name}' of {first.kind}",
            f"take a mask with fill {' or '.join(fills) or 'of its own'}",
        )
    elif first.kind == "tokens":
        if "mask" not in first.special:
            yield (
                at,
                f"the vocabulary of '{fields.inputs[x.name][0]}' has no mask id for '{x.mask}'",
                "take a reader that has one",
            )
        elif "mask" not in spec.can:
            yield at, f"the encoder '{x.part}' cannot hide words (mask '{x.mask}')", "take an encoder that can"
    elif fill not in spec.can or (not spec.length and fill != "pixels"):
        could = [other for other in fills if other in spec.can]
        yield (
            at,
            f"the encoder '{x.part}' cannot hide {FIELD_KINDS[first.kind].positions} by {fill} (mask '{x.mask}')",
            f"give masks.{x.mask} fill: {could[0]}" if could else PATCHES.format(part=x.part),
        )


def _at(path: KeyPath, one: Named, kind: str, name: str, slots: Sequence[str] = ()) -> KeyPath:
    """The option of an entry that names this thing, best one called after a slot (`text_mask`), or else the entry."""
    places = [place for place, held in one.config.places(kind).items() if held == name]
    places.sort(key=lambda place: not any(str(place[0]).startswith(slot) for slot in slots))
    return (*path, *places[0]) if places else path
