"""A trained run to embed and to write texts with."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from vlobjectives.api.arguments import whole
from vlobjectives.api.built_system import BuiltSystem
from vlobjectives.contracts.batch import Batch
from vlobjectives.contracts.parts import Projection
from vlobjectives.contracts.source import Sample
from vlobjectives.contracts.values import Joint
from vlobjectives.contracts.views import View, joint
from vlobjectives.data import user_pictures, user_samples
from vlobjectives.data.collate import Fields
from vlobjectives.data.user_pictures import listed
from vlobjectives.errors import DataError, RecipeError
from vlobjectives.evaluation import generation
from vlobjectives.planning import execute
from vlobjectives.planning.plan import of_views
from vlobjectives.plugin_loading.attribution import an


class TrainedModel:
    """A trained system without its training: `.vision` and the other parts by name, and embeddings in the joint space.

    Numbers are those of the run's own evaluations, in its precision.

    Attributes:
        system: The system with the run's weights.
        step: The training step of the weights.
    """

    def __init__(self, system: BuiltSystem, step: int):
        self.system, self.step = system, step

    def __getattr__(self, name: str) -> torch.nn.Module:
        parts: Mapping[str, torch.nn.Module] = vars(self)["system"].model if "system" in vars(self) else {}
        if name in parts:
            return parts[name]
        raise AttributeError(f"the model has no part '{name}'; it has {', '.join(parts)}")

    def embed(self, input: str, values: Sequence[Any], rows: int = 64) -> Tensor:
        """Embed values of any input of the recipe in the joint space.

        Args:
            input: The input's name in the recipe: `image`, `text`, or what a recipe calls its others.
            values: What the input is shown, a list: pictures as in `embed_images`; else what the data has in the
                column that the input reads, texts where that is captions. Of an input that reads several columns
                mappings, column -> value.
            rows: So many are computed at once.

        Returns:
            Unit vectors [N, E], float32.

        Raises:
            DataError: A value cannot be read as that input.
            RecipeError: There is no such input, or no projection to a joint space takes it.
        """
        values, space = listed(values, "values"), self._space(input)
        whole("rows", rows, 1)
        fields, samples = self._shown(input, values)
        found = [
            self._values(self._batch(fields, input, samples[start : start + rows]), input, space)
            for start in range(0, len(samples), rows)
        ]
        return torch.cat([torch.empty(0, self.system.model[space].spec.pooled, device=self.system.device), *found])

    def embed_images(self, pictures: Sequence[Any], rows: int = 64) -> Tensor:
        """Embed pictures in the joint space.

        They are read, cut and resized, and frames chosen, as the run's held-out pictures are (`Source.framed`); of a
        mix as by the first source that takes them.

        Args:
            pictures: Paths, bytes of files, PIL pictures or uint8 [3,H,W], tensors or arrays. Of a run on clips files
                and folders of frames, bytes, or uint8 [N,3,H,W]. A model of both takes either, all of a call of one
                kind.
            rows: So many are computed at once.

        Returns:
            Unit vectors [N,E], float32.

        Raises:
            DataError: A value is no picture.
        """
        return self.embed("image", pictures, rows)

    def embed_texts(self, texts: Sequence[str], rows: int = 64) -> Tensor:
        """Embed texts in the joint space, cut at the model's length.

        Args:
            texts: The texts.
            rows: So many are computed at once.

        Returns:
            Unit vectors [N,E], float32.

        Raises:
            DataError: A value is no text.
        """
        return self.embed("text", texts, rows)

    def write_texts(self, pictures: Sequence[Any], beams: int = 1, rows: int = 64) -> list[str]:
        """Generate a text for each picture, by the decoder that some objective trained.

        Args:
            pictures: As in `embed_images`.
            beams: Beginnings that are kept while searching; 1 is greedy.
            rows: So many pictures are computed at once.

        Returns:
            As many texts.

        Raises:
            DataError: A value is no picture.
            RecipeError: Nothing was trained to write.
        """
        whole("beams", beams, 1)
        whole("rows", rows, 1)
        able = generation.writers(self.system)
        if not able:
            raise RecipeError.one(
                "no objective of this run trains a decoder of texts",
                "take a run of a recipe with one that does, such as coca",
                path="objectives",
            )
        image = generation.of(self.system, self.system.data_module.fields, able[0]).image
        (fields, samples), found = self._shown(image, listed(pictures, "pictures")), []
        for start in range(0, len(samples), rows):
            batch = self._batch(fields, image, samples[start : start + rows])
            found += generation.captions(self.system, self.system.data_module.fields, able[0], batch, beams)
        return found

    def _shown(self, name: str, values: Sequence[Any]) -> tuple[Fields, list[Sample]]:
        """What the input is shown of each value, and the fields of the source that reads it."""
        data_module, most = self.system.data_module, self.system.recipe.data.max_pixels
        columns = user_samples.columns(data_module.fields, [name])
        if len(columns) > 1:
            if odd := [value for value in values if not isinstance(value, Mapping)]:
                raise DataError(
                    f"the input '{name}' of this run reads {', '.join(columns)}, and a value is {an(odd[0])}",
                    f"give {{{', '.join(f'{column!r}: ...' for column in columns)}}} for each",
                )
            feed = next(feed for feed in data_module.feeds.values() if name in feed.fields.inputs)
            return feed.fields, user_samples.framed(feed, values, most, [name])
        if data_module.fields.spec(data_module.fields.inputs[name][0]).kind == "picture":
            fields, values = user_pictures.framed(data_module, name, values, most)
        else:
            fields = next(feed.fields for feed in data_module.feeds.values() if name in feed.fields.inputs)
        own = fields.renamed.get(columns[0], columns[0])
        return fields, [Sample({own: value}, number, f"value {number}") for number, value in enumerate(values)]

    def _space(self, name: str) -> str:
        """The projection to the joint space that takes an input: `joint`, or the only one."""
        inputs = self.system.bare
        if name not in inputs:
            raise RecipeError.one(f"the recipe has no input '{name}'", f"one of {', '.join(inputs)}", path="inputs")
        found = [
            key
            for key, part in self.system.model.items()
            if isinstance(part, Projection) and inputs[name].part in part.config.named("part").values()
        ]
        if "joint" in found or len(found) == 1:
            return "joint" if "joint" in found else found[0]
        raise RecipeError.one(
            f"the model has {len(found)} projections of the input '{name}' to a joint space and none named 'joint'",
            "compute the views that you want with the parts by name",
            path="model",
        )

    def _batch(self, fields: Fields, name: str, samples: Sequence[Sample]) -> Batch:
        """A batch of one input alone."""
        return self.system.prepared(user_samples.batch(fields, samples, range(len(samples)), [name]))

    @torch.no_grad()
    def _values(self, batch: Batch, name: str, space: str) -> Tensor:
        view: View = joint(self.system.bare[name], part=space)
        share = of_views(self.system, {"x": view}, "embedding")
        with self.system.autocasting():
            computed = execute.run(share, self.system.stage("embedding"), batch)
        value: Joint = execute.read(view, computed)
        return value.pooled.float()
