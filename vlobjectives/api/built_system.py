"""A recipe's system for a loop of one's own, with batches of the recipe's data or of the user's."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from vlobjectives.api import arguments
from vlobjectives.api.arguments import blaming, whole
from vlobjectives.api.saving import Provenance, Saving
from vlobjectives.api.system_optimizer import SystemOptimizer
from vlobjectives.contracts.batch import Batch
from vlobjectives.data import user_samples
from vlobjectives.data.data_module import DataModule
from vlobjectives.data.loader import Layout, micro_batches
from vlobjectives.data.streams import training
from vlobjectives.data.user_pictures import listed
from vlobjectives.errors import DataError, RecipeError
from vlobjectives.plugin_loading.attribution import an
from vlobjectives.recipe.model import Recipe
from vlobjectives.runtime import distributed
from vlobjectives.system.losses import Losses
from vlobjectives.system.system import System


class BuiltSystem(System):
    """A recipe's system with its data, for a loop of one's own.

    Passes run in the recipe's `run.precision`. `optimizer()` moves the system as `vlobj run` does. With an optimiser of
    the caller's own, clipping is the caller's too (and fp16 needs a `torch.amp.GradScaler`), `sum_gradients` follows
    the backward pass on several processes, and `after_step(losses)` each step. `save` writes a run folder.

    Attributes:
        data_module: The recipe's data, with readers fitted.
        made_of: The recipe and the plug-ins that made the system.

    Example:
        optimizer = system.optimizer()
        for step, batch in enumerate(system.batches()):
            optimizer.backward(system(batch, step))
            optimizer.step()
        system.save("runs/mine")
    """

    data_module: DataModule
    made_of: Provenance
    moved_by: SystemOptimizer | None = None
    """What `optimizer()` gave last."""

    @property
    def recipe(self) -> Recipe:
        """The recipe that the system was built from."""
        return self.made_of.loaded.recipe

    @property
    def device(self) -> torch.device:
        """The device of its parameters."""
        return next(self.parameters()).device

    def forward(self, batch: Batch, step: int, *args: Any, **kwargs: Any) -> Losses:
        """Compute the losses of a batch, as `System` does.

        Args:
            batch: The batch, as `batches` or `batch` gives it.
            step: The training step, from 0.
            *args: As in `System.forward`.
            **kwargs: As in `System.forward`.

        Returns:
            The losses, whose `total` is ready for `backward()`.

        Raises:
            VlobjError: A user can correct what is wrong; what failed is the error's cause.
        """
        if not isinstance(batch, Batch):
            raise DataError(f"the system takes a Batch, and this is {an(batch)}", "system.batch(samples) makes one")
        whole("step", step, 0)
        with blaming():
            return super().forward(batch, step, *args, **kwargs)

    def after_step(self, *losses: Losses) -> None:
        """Let the objectives write their buffers after a step, as `System` does.

        Args:
            *losses: The losses of the step's micro-batches.

        Raises:
            VlobjError: A user can correct what is wrong; what failed is the error's cause.
        """
        with blaming():
            super().after_step(*losses)

    def optimizer(self) -> SystemOptimizer:
        """Make the recipe's optimiser for this system, with schedule, groups, clipping and balancer, over processes.

        Returns:
            A new one; `save` writes the state of the last.
        """
        self.moved_by = SystemOptimizer(self, self.recipe, self.device)
        return self.moved_by

    def save(self, folder: str | Path, steps: int | None = None) -> Path:
        """Write a run folder, which `vlobj eval`, `vlobj run`, `init` of a recipe and `load` take.

        On several processes all call it, and the first writes. A folder that an earlier call made of this system gets
        another checkpoint; the recipe's `run.checkpoint.keep` newest stay.

        Args:
            folder: The folder, new or empty.
            steps: How many steps the system was trained; by default those of its `optimizer()`.

        Returns:
            The folder of the checkpoint.

        Raises:
            RecipeError: Something else lies in the folder, or nobody knows the steps.
            ResourceError: The folder or the disk cannot be written.
        """
        if steps is None and self.moved_by is None:
            raise RecipeError.one(
                "how many steps the system was trained is known where its optimizer() moved it",
                f"system.save({str(folder)!r}, steps=...)",
            )
        steps = self.moved_by.steps if steps is None and self.moved_by else whole("steps", steps, 0)
        state = self.moved_by.state() if self.moved_by else {"optimiser": {}, "scaler": None}
        return Saving(self, self.data_module, self.made_of).to(Path(folder).expanduser().resolve(), steps, state)

    def batches(self, first: int = 0) -> Iterator[Batch]:
        """Iterate over training batches of the recipe's data.

        They are on the system's device and in its dtype, pictures normalised.

        Args:
            first: The first step; the last is the recipe's.

        Yields:
            The batch of each step: `data.batch` pairs; on several processes (`torch.distributed` is initialised) those
            rows of them that are this process's.

        Raises:
            RecipeError: The first step is none, or the rows do not divide among the processes.
        """
        whole("first", first, 0)
        recipe, world = self.recipe, distributed.joined()
        if recipe.data.batch % world.size:
            raise RecipeError.one(
                f"a batch of {recipe.data.batch} rows does not divide into {world.size} processes",
                "data.batch is a whole multiple of the processes",
                path="data.batch",
            )
        layout = Layout(recipe.data.batch, recipe.data.batch // world.size, world.size, world.rank)
        data = training(self.data_module.feeds, layout, recipe.seed)
        for loaded in micro_batches(data, first, recipe.run.steps, recipe.data.workers, False):
            yield self.prepared(loaded.batch)

    def batch(
        self,
        samples: Sequence[Mapping[str, Any]],
        numbers: Sequence[int] | None = None,
        source: str | None = None,
        device: torch.device | str | None = None,
    ) -> Batch:
        """Make a batch of captions and pictures of one's own, read and framed as the run's held-out data is.

        Args:
            samples: Column -> value, columns named as the recipe calls them: a picture as `embed_images` takes it, a
                text, or what else the source has in that column. Columns that nothing reads are passed over.
            numbers: The samples' numbers, which masks, wrong pairs and dropout hang on; by default they are counted
                from 0, through all processes. Equal numbers are the same picture.
            source: The source of a mix whose framing, columns and objectives are meant; by default the first.
            device: Where the batch is made; by default the system's device. A DataLoader's workers need "cpu".

        Returns:
            A Batch of as many rows, on that device and in the system's dtype, pictures normalised.

        Raises:
            DataError: A sample lacks a column or cannot be read; the message names it.
            RecipeError: There is no such source.
        """
        samples, feeds = listed(samples, "samples"), self.data_module.feeds
        source = next(iter(feeds)) if source is None else source
        if source not in feeds:
            hint = f"there are {', '.join(feeds)}" if len(feeds) > 1 else "leave it out: the recipe has one source"
            raise RecipeError.one(f"there is no source '{source}'", hint, path="data")
        if not samples:
            raise DataError("a batch of no sample has no loss", "give one sample at least")
        if numbers is None:
            first = distributed.joined().rank * len(samples)
            numbers = range(first, first + len(samples))
        numbers = [whole("a number", number, 0) for number in listed(numbers, "numbers")]
        if len(numbers) != len(samples):
            raise DataError(f"{len(numbers)} numbers are given for {len(samples)} samples", "give one for each")
        read = user_samples.framed(feeds[source], samples, self.recipe.data.max_pixels)
        return self.prepared(user_samples.batch(feeds[source].fields, read, numbers), device)

    def prepared(self, batch: Batch, device: torch.device | str | None = None) -> Batch:
        """Return a batch as encoders get it: in the system's dtype, pictures normalised.

        Args:
            batch: A batch as the loader gives it.
            device: Where it is moved; by default the system's device.

        Raises:
            RecipeError: `device` is none that torch knows.
        """
        own = next(self.parameters())
        batch = self.data_module.normalised(batch.to(own.device if device is None else arguments.device(device)))
        return batch.map(lambda x: x.to(own.dtype) if x.is_floating_point() else x)
