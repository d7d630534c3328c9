"""A plug-in: `scenes` whose pictures are noise that hangs on the sample's number alone."""

import numpy as np
from vlobj_data.scenes.scenes import Scenes
from vlobj_data.scenes.shown import Columns

from vlobjectives import Sample, hookimpl


class NoiseScenes(Scenes):
    """Captions, phrases and boxes as in `scenes`; what is seen in the picture says nothing of them."""

    def sample(self, split: str, number: int, epoch: int, seed: int) -> Sample:
        plain, shape = super().sample(split, number, epoch, seed), self.columns["image"].shape
        dice = np.random.default_rng([number, ["train", "val", "test", "test_new"].index(split)])
        values = {name: lambda name=name: plain.values[name] for name in plain.values}
        values["image"] = lambda: dice.integers(0, 256, shape, dtype=np.uint8)
        return Sample(Columns(values), plain.same, plain.key)


@hookimpl
def vlobj_components():
    return {"source:noise_scenes": NoiseScenes}
