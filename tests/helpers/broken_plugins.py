"""Plug-in files whose objectives or sources break a run."""

BAD = """
from vlobj_data.scenes.scenes import Scenes
from vlobjectives import UnusableSample, hookimpl

class Torn(Scenes):
    '''Scenes of which every sixth cannot be read, and one of those for the test.'''

    def sample(self, split, number, epoch, seed):
        if (split == "train" and number % 6 == 1) or (split, number) == ("test", 5):
            return UnusableSample("torn", f"picture {number}")
        return super().sample(split, number, epoch, seed)

@hookimpl
def vlobj_components():
    return {"source:torn": Torn}
"""

BROKEN = """
import torch
from pydantic import Field
from vlobjectives import Objective, ObjectiveConfig, Term, hookimpl, joint

class Broken(Objective):
    '''Goes wrong for one sample from a time on, in the way that its Config names.'''

    class Config(ObjectiveConfig):
        how: str = Field("nan", description="nan, inf, gradient or not")
        number: int = Field(0, description="the sample")

    def views(self, inputs):
        return {"text": joint(inputs["text"])}

    def forward(self, text, batch):
        value = text.pooled.square().sum()
        if (batch.number == self.config.number).any():
            if self.config.how == "gradient":    # finite, with the gradient 1 / 0
                value = value + (value - value.detach()).sqrt()
            elif self.config.how in ("nan", "inf"):
                value = value * float(self.config.how)
        return {"value": Term(value, batch.size)}

@hookimpl
def vlobj_components():
    return {"objective:broken": Broken}
"""

GREEDY = """
import torch
from vlobjectives import Evaluation, Objective, Term, hookimpl, joint

def take():
    return torch.empty(1 << 33, dtype=torch.uint8)    # 8.6 GB that nobody touches: a machine gives them, a limit not

class Greedy(Objective):
    def views(self, inputs):
        return {"text": joint(inputs["text"])}

    def forward(self, text):
        took = take()
        return {"value": Term(text.pooled.square().sum(), len(text.pooled))}

class Eager(Evaluation):
    def run(self, held):
        take()
        return {}

@hookimpl
def vlobj_components():
    return {"objective:greedy": Greedy, "evaluation:eager": Eager}
"""

ROOM = 3 << 30
"""Bytes that a process is given beyond what it has."""
