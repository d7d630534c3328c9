"""The Python door: a recipe's system for a loop of one's own, and a trained run to embed with."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vlobjectives.checking import check
from vlobjectives.checking.references import idle
from vlobjectives.contracts.batch import Batch
from vlobjectives.contracts.parts import Projection
from vlobjectives.contracts.source import Sample
from vlobjectives.contracts.views import View, joint
from vlobjectives.data import fit_readers, user_pictures
from vlobjectives.data.collate import Fields
from vlobjectives.data.data_module import DataModule, build_data
from vlobjectives.data.loader import Layout, micro_batches
from vlobjectives.data.streams import training
from vlobjectives.errors import DataError, RecipeError
from vlobjectives.evaluation import generation
from vlobjectives.files import is_file
from vlobjectives.planning import execute
from vlobjectives.planning.plan import of_views
from vlobjectives.plugin_loading.instantiate import BuildError
from vlobjectives.recipe import Loaded
from vlobjectives.recipe import load as load_recipe
from vlobjectives.recipe.model import Recipe
from vlobjectives.recipe.report import Report
from vlobjectives.registry import Registry
from vlobjectives.resolved.absolute_paths import taken_in
from vlobjectives.resolved.entries import names
from vlobjectives.run_folder import RunFolder, kept_fields
from vlobjectives.runs import resume
from vlobjectives.runtime.log import Log
from vlobjectives.runtime.resources import KINDS, device_of, precision_of
from vlobjectives.system import assemble, checkpoint, warm_start
from vlobjectives.system.system import System


class Built(System):
    """A recipe's system with its data: `for batch in system.batches(): system(batch, step).total.backward()`.

    Passes run in the recipe's `run.precision`. The optimiser, clipping and micro-batches are the caller's own (fp16
    needs a `torch.amp.GradScaler` beside it); `after_step()` after each of its steps.
    """

    data_module: DataModule
    recipe: Recipe

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def batches(self, first: int = 0) -> Iterator[Batch]:
        """Training batches, `data.batch` pairs each, of steps `first` to the recipe's last; on the system's device,
        pictures normalised."""
        if first < 0:
            raise ValueError(f"steps count from 0, and {first} is none")
        recipe = self.recipe
        layout = Layout(recipe.data.batch, recipe.data.batch)
        data = training(self.data_module.feeds, layout, recipe.seed)
        for loaded in micro_batches(data, first, recipe.run.steps, recipe.data.workers, False):
            yield self.data_module.normalised(loaded.batch.to(self.device))


def build(recipe: str | Path, *overrides: str, device: str = "cpu", trust: bool = False) -> Built:
    """The system that a recipe describes, with first weights (or those of its parts, or of `init`), readers fitted.

    recipe     a file, a shipped recipe's name, or a run folder (its recipe; `load` brings its weights)
    overrides  `key.path=value` as on the command line
    trust      runs the plug-in files that a run folder names, and records that they are trusted
    Checks what `vlobj check` does, and raises the same errors, all of VlobjError: RecipeError with every problem found.
    """
    registry = Registry(trust=trust)
    loaded = _checked(recipe, overrides, registry, str(device))
    try:
        begun = warm_start.origin(loaded, registry)
        made = build_data(loaded.recipe, registry, kept=kept_fields(loaded))
        fit_readers.fit(made, loaded.recipe.seed, Log(first=False), begun.learned(loaded.recipe) if begun else {})
        system = _built(loaded.recipe, registry, made, device)
    except BuildError as error:
        raise RecipeError([loaded.problem(error.path, error.why, error.hint)]) from error
    if begun:
        warm_start.begin(system, begun, loaded)
        for line in begun.warned:
            warnings.warn(line, stacklevel=2)
    return system


def _checked(recipe: str | Path, overrides: Sequence[str], registry: Registry, device: str) -> Loaded:
    """The recipe resolved. Raises Refused where a check finds an error, but for the disk: nothing is written here.

    An objective that is taken out takes the evaluations along that name it, with a warning: none is made here.
    """
    loaded = load_recipe(recipe, overrides)
    named = names(taken_in(loaded, registry), registry, Report())
    if more := idle(loaded, named) if named is not None else []:
        warnings.warn(f"left out, since they name what is taken away: {' '.join(more)}", stacklevel=3)
        loaded = load_recipe(recipe, [*overrides, *more])
    asked = loaded.recipe.run.device
    with torch.enable_grad():
        loaded, report = check(loaded.replaced({("run", "device"): device}), registry)
    report.without("run.folder", "run.checkpoint").refuse()
    return loaded.replaced({("run", "device"): asked})


def load(run: str | Path, *overrides: str, device: str = "cpu", trust: bool = False) -> "TrainedModel":
    """The newest checkpoint of a run, without its data where the source can tell what it would give.

    overrides  `data.KEY=PATH` where the data lies elsewhere than it did, for a source that must open it
    trust      as in `build`
    Raises RecipeError where the folder is no run or something else would change, DataError where it has no checkpoint
    whose hashes hold, or other data.
    """
    place = Path(run)
    if not is_file(place / "recipe.yaml"):
        raise RecipeError.one(
            f"{run} is no run folder: it has no recipe.yaml", "name the folder that `vlobj run` printed"
        )
    registry = Registry(trust=trust)
    loaded = taken_in(load_recipe(place, overrides), registry)
    resume.refuse_moved(overrides, loaded, registry)
    recipe = loaded.recipe
    found, broken = checkpoint.newest(place / "checkpoints")
    if found is None:
        raise DataError(
            f"{run} has no whole checkpoint" + "".join(f"; {line}" for line in broken),
            "train it: `vlobj run` with this folder goes on",
        )
    made = build_data(recipe, registry, samples=False, kept=place / "fields")
    resume.refuse_other_data(RunFolder(place), made)
    made.fields.load(place / "fields", RunFolder(place).manifest()["fields"])
    for line in (*broken, *resume.edited(RunFolder(place), registry)):
        warnings.warn(f"{run}: {line}", stacklevel=2)
    system = _built(recipe, registry, made, device, weights=False)
    checkpoint.load_weights(system, found.folder)
    return TrainedModel(system.eval(), found.step)


def registry_of(recipe: Recipe) -> Registry:
    """The registry with the local plug-in files that a recipe names."""
    registry = Registry()
    for path in recipe.plugins:
        registry.add_file(path)
    return registry


def _built(recipe: Recipe, registry: Registry, made: DataModule, device: str, weights: bool = True) -> Built:
    system = assemble.system(recipe, registry, made)
    if weights:
        assemble.load_weights(system)
    system.__class__ = Built
    system.data_module, system.recipe = made, recipe
    place = device_of(device)
    precision, _ = precision_of(recipe.run.precision, place)
    system.autocast = (place.type, KINDS[precision]) if precision in KINDS else None
    return system.to(place)


class TrainedModel:
    """A trained system without its training: `.vision` and the other parts by name, and embeddings in the joint space.

    `step` is the training step of the weights. Numbers are those of the run's own evaluations, in its precision.
    """

    def __init__(self, system: Built, step: int):
        self.system, self.step = system, step

    def __getattr__(self, name: str) -> torch.nn.Module:
        parts = vars(self)["system"].model if "system" in vars(self) else {}
        if name in parts:
            return parts[name]
        raise AttributeError(f"the model has no part '{name}'; it has {', '.join(parts)}")

    def embed_images(self, pictures: Sequence[Any], rows: int = 64) -> Tensor:
        """Pictures -> unit vectors [N,E], `rows` at once: paths, bytes of files, PIL pictures or uint8 [3,H,W], tensors
        or arrays. Of a run on clips files and folders of frames, bytes, or uint8 [N,3,H,W]. A model of both takes
        either, all of a call of one kind.

        They are read, cut and resized, and frames chosen, as the run's held-out pictures are (`Source.framed`); of a
        mix as by the first source that takes them. Raises DataError for what is no picture.
        """
        fields, values = self._shown("image", pictures)
        return self._embed(fields, "image", values, rows)

    def embed_texts(self, texts: Sequence[str], rows: int = 64) -> Tensor:
        """Texts -> unit vectors [N,E], cut at the model's length; `rows` at once."""
        if isinstance(texts, str):
            raise TypeError("embed_texts takes a list of texts; one text is a list of one")
        if odd := [text for text in texts if not isinstance(text, str)]:
            raise TypeError(f"embed_texts takes a list of texts, and one of these is of type {type(odd[0]).__name__}")
        return self._embed(self.system.data_module.fields, "text", list(texts), rows)

    def write_texts(self, pictures: Sequence[Any], beams: int = 1, rows: int = 64) -> list[str]:
        """A text for each picture (as in `embed_images`), by the decoder that some objective trained.

        beams  beginnings that are kept while searching; 1 is greedy. Raises RecipeError where nothing was trained to
        write.
        """
        able = generation.writers(self.system)
        if not able:
            raise RecipeError.one(
                "no objective of this run trains a decoder of texts",
                "take a run of a recipe with one that does, such as coca",
                path="objectives",
            )
        image = generation.of(self.system, self.system.data_module.fields, able[0]).image
        (fields, values), found = self._shown(image, pictures), []
        for start in range(0, len(values), rows):
            found += generation.captions(
                self.system, fields, able[0], self._batch(fields, image, values[start : start + rows]), beams
            )
        return found

    def _shown(self, image: str, pictures: Sequence[Any]) -> tuple[Fields, list[Any]]:
        return user_pictures.framed(self.system.data_module, image, pictures, self.system.recipe.data.max_pixels)

    def _space(self) -> str:
        """The projection whose joint space is meant: `joint`, or the only one."""
        found = [name for name, part in self.system.model.items() if isinstance(part, Projection)]
        if "joint" in found or len(found) == 1:
            return "joint" if "joint" in found else found[0]
        raise RecipeError.one(
            f"the model has {len(found)} projections to a joint space and none named 'joint'",
            "compute the views that you want with the parts by name",
            path="model",
        )

    def _embed(self, fields: Fields, name: str, values: list[Any], rows: int) -> Tensor:
        space = self._space()
        view = joint(self.system.bare[name], part=space)
        found = [
            self._values(fields, name, view, values[start : start + rows]) for start in range(0, len(values), rows)
        ]
        return (
            torch.cat(found)
            if found
            else torch.empty(0, self.system.model[space].spec.pooled, device=self.system.device)
        )

    def _batch(self, fields: Fields, name: str, values: Iterable[Any]) -> Batch:
        """A batch of one input alone."""
        column = fields.of.get(fields.inputs[name][0], fields.inputs[name][0])
        column = fields.renamed.get(column, column)
        samples = [Sample({column: value}, number) for number, value in enumerate(values)]
        return fields.normalised(fields.batch(samples, range(len(samples)), inputs=(name,)).to(self.system.device))

    @torch.no_grad()
    def _values(self, fields: Fields, name: str, view: View, values: Iterable[Any]) -> Tensor:
        batch = self._batch(fields, name, values)
        share = of_views(self.system, {"x": view}, "embedding")
        with self.system.autocasting():
            computed = execute.run(share, self.system.stage("embedding"), batch)
        return execute.read(view, computed).pooled.float()
