"""What evaluations run on: a small real system on scenes, and features made by hand."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from vlobj_data.scenes.scenes import Scenes

from vlobjectives import Batch, Encoded, Fused, Input, Joint, Source
from vlobjectives.data.data_module import build_data
from vlobjectives.evaluation.context import SplitContext
from vlobjectives.recipe.loading import load
from vlobjectives.registry import Registry
from vlobjectives.resolved.resolved import resolve
from vlobjectives.system import assemble

RECIPE = """
data: {type: scenes, image_size: 32, samples: 64, test: 40, batch: 16}
fields:
  caption: {type: byte_pair, size: 400, length: 40}
model:
  vision: {type: timm_vision, patch: 4, width: 16, depth: 1, heads: 2}
  text:
    type: hf_text
    config: {model_type: roberta-prelayernorm, hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2,
             intermediate_size: 16, hidden_dropout_prob: 0.0, attention_probs_dropout_prob: 0.0}
  fusion: {type: co_attention, width: 16, depth: 1, heads: 2}
  joint: {type: projection, width: 8}
  words: {type: vocabulary_head, of: text, tied: true}
masks:
  dropped: {type: random_patches, ratio: 0.8, fill: drop}
  replaced: {type: random_patches, ratio: 0.3, fill: token}
  noisy_words: {type: random_tokens, ratio: 0.3, fill: bert}
  hidden_words: {type: random_tokens, ratio: 0.4, fill: mask}
pairings:
  others: {type: random_negatives}
objectives:
  itc: {}
  itm: {negatives: others}
  mlm: {mask: noisy_words}
  mgsc: {image_mask: dropped, text_mask: hidden_words}
  mltc: {image_mask: replaced, text_mask: hidden_words, context_mask: dropped}
optim: {lr: 1e-3}
run: {steps: 1}
"""


def real(folder: Path) -> SplitContext:
    """A small untrained system on 40 test scenes, in batches of 16."""
    (folder / "tiny.yaml").write_text(RECIPE, encoding="utf-8")
    resolved = resolve(load(folder / "tiny.yaml"), Registry())
    made = build_data(resolved)
    source = made.source
    made.fields.fit(lambda column: (source.sample("train", n, 0, 0).values[column] for n in range(64)))
    system = assemble.system(resolved, made).eval()
    return SplitContext(system, source, made.fields, "test", 0, 16, torch.device("cpu"))


@dataclass
class Given:
    """Stands where a trained system would: the features of each sample are given.

    image, text  features [n,D] by sample number, as joint vectors and as class tokens
    same         which samples show one picture
    says         which captions are equal
    pooled       of a fused pair, a function of the two class tokens [R,D]: the log odds [R] of matching
    """

    image: Tensor
    text: Tensor
    pooled: Callable[[Tensor, Tensor], Tensor] | None = None
    same: Tensor | None = None
    says: Tensor | None = None
    rows: int = 16
    split: str = "test"
    seed: int = 0
    device: str = "cpu"
    source: Any = field(default_factory=lambda: Source(None))
    inputs = {"image": Input("image", "vision"), "text": Input("text", "text")}

    def size(self) -> int:
        return len(self.image)

    def batches(self) -> Iterator[Batch]:
        number = torch.arange(self.size())
        for rows in number.split(self.rows):
            says = {} if self.says is None else {"text": SimpleNamespace(ids=self.says[rows, None])}
            yield Batch(rows, rows if self.same is None else self.same[rows], says)

    def values(self, views: Mapping[str, Any], batch: Batch) -> dict[str, Any]:
        found = {}
        for name, view in views.items():
            x = (self.image if "image" in name else self.text)[batch.number]
            one = torch.ones(len(x), 1, dtype=torch.bool)
            tokens = x[:, None]
            found[name] = Joint(x, torch.tensor(1.0)) if view.part == "joint" else Encoded(tokens, one, cls=tokens)
        return found

    def part(self, name: str):
        assert name == "fusion"
        return lambda image, text, want: Fused(image, text, self.pooled(image.cls[:, 0], text.cls[:, 0]))

    def objective(self, name: str):
        return SimpleNamespace(log_odds=lambda pairs: pairs.pooled)


def scenes(**config) -> Scenes:
    return Scenes(Scenes.Config(image_size=32, samples=64, **config))
