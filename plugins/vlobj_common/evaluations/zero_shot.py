"""Classes that were never trained as such, named by sentences in the joint space."""

import re
from collections import ChainMap
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, cast

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from vlobjectives import (
    Evaluation,
    EvaluationConfig,
    EvaluationContext,
    Input,
    InputName,
    PartName,
    Sample,
    Score,
    UnusableSample,
    View,
    accuracy,
    joint,
)

PLACE = "{}"


class ZeroShot(Evaluation):
    """Accuracy of zero-shot classification: the class whose prompt is nearest to a picture in the joint space.

        u_c = unit(mean over prompts of joint("a photo of a {c}"));   right where argmax_c <v, u_c> is there

    A class is there where one of the picture's own words names it (`tags` where there are some, else its captions; a
    plural s does not matter). Pictures in which none or all of the classes are there decide nothing and are left out.
    The chance level is what always naming the most frequent class would score; Wilson's interval over pictures. On
    `scenes` the classes are its shapes and its colours, `shape` and `colour`; elsewhere those of `classes`, `top1`.
    """

    paper = "CLIP, arXiv 2103.00020"

    class Config(EvaluationConfig):
        classes: tuple[str, ...] | None = Field(
            None, min_length=2, description="names of classes, for sources that know none; null: the source's own"
        )
        kinds: tuple[str, ...] = Field(
            ("shape", "colour"), min_length=1, description="the source's kinds of words that are classes"
        )
        prompts: tuple[str, ...] = Field((PLACE,), min_length=1, description="sentences with {} where the name stands")
        image: InputName = Field("image", description="input that shows the picture")
        text: InputName = Field("text", description="input that reads the sentences")
        column: str = Field("caption", description="the source's column that the text input reads")
        joint: PartName = Field("joint", description="projection to the joint space")

    def __init__(self, config: "ZeroShot.Config"):
        super().__init__(config)
        if lost := [prompt for prompt in config.prompts if PLACE not in prompt]:
            raise self.cannot(f"the prompt '{lost[0]}' has no place for a name", f"write {PLACE} where it stands")
        self.needs = frozenset({"caption"} if config.classes else {"caption", "words"})

    def views(self, inputs: Mapping[str, Input]) -> Mapping[str, View]:
        image, text = inputs[self.config.image], inputs[self.config.text]
        return {"image": joint(image, part=self.config.joint), "text": joint(text, part=self.config.joint)}

    def run(self, held: EvaluationContext) -> Mapping[str, Score]:
        groups = {"top1": self.config.classes} if self.config.classes else self._kinds(held)
        views = self.views(held.inputs)
        sentences = {name: self._sentences(held, views["text"], classes) for name, classes in groups.items()}
        near: dict[str, list[Tensor]] = {name: [] for name in groups}
        said: dict[int, str] = {}
        for batch in held.batches():
            v = held.values({"image": views["image"]}, batch)["image"].pooled
            first = []
            for row, (number, same) in enumerate(zip(batch.number.tolist(), batch.same.tolist())):
                first += [] if same in said else [row]
                said[same] = f"{said.get(same, '')} {self._said(held, number)}"
            for name in groups:
                near[name].append((v[first] @ sentences[name].T).argmax(1).cpu())
        scores = {}
        for name, classes in groups.items():
            there = torch.tensor([[names(one, text) for one in classes] for text in said.values()])
            asked = there.any(1) & ~there.all(1)
            if asked.any():
                hits = there[asked].gather(1, torch.cat(near[name])[asked, None])[:, 0]
                scores[name] = accuracy(hits, there[asked].double().mean(0).max().item())
        return scores

    def _kinds(self, held: EvaluationContext) -> dict[str, Sequence[str]]:
        return {kind: held.source.words(kind) for kind in self.config.kinds}

    def _said(self, held: EvaluationContext, number: int) -> str:
        """All that a sample says of its picture."""
        column = "tags" if "tags" in held.source.columns else "caption"
        value = held.source.value(held.split, number, column, 0, held.seed)
        return "" if isinstance(value, UnusableSample) else value if isinstance(value, str) else " ".join(value)

    def _sentences(self, held: EvaluationContext, view: View, classes: Sequence[str]) -> Tensor:
        """[C,E] of unit length: the mean direction of each class's sentences."""
        sample, found = held.sample(0), []
        rest = cast(MutableMapping[str, Any], sample.values)  # of a chain only the first mapping is written to
        for prompt in self.config.prompts:
            samples = [
                Sample(ChainMap({self.config.column: prompt.replace(PLACE, name)}, rest), number)
                for number, name in enumerate(classes)
            ]
            found.append(held.values({"text": view}, held.batch(samples, range(len(samples))))["text"].pooled)
        return F.normalize(torch.stack(found).mean(0), dim=-1)


def names(name: str, text: str) -> bool:
    """Whether a text names a class, as whole words, one or several of it."""
    return re.search(rf"\b{re.escape(name.lower())}(e?s)?\b", text.lower()) is not None
