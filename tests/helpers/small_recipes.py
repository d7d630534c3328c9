"""A small whole recipe, and the command line run on changes of it, in this process."""

import textwrap
from dataclasses import dataclass
from pathlib import Path

from vlobjectives.cli import main

SMALL = """\
# Small: few objectives.
data: {type: scenes, image_size: 32, samples: 64, val: 16, test: 16, test_new: 0, batch: 8}
fields:
  caption: {type: byte_pair, size: 400, length: 48}
model:
  vision: {type: timm_vision, patch: 8, width: 32, depth: 1, heads: 2}
  text:
    type: hf_text
    config: {model_type: bert, hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 64}
  fusion: {type: co_attention, width: 32, depth: 1, heads: 2}
  joint: {type: projection, width: 32}
  words: {type: vocabulary_head, of: text, tied: true}
masks:
  dropped: {type: random_patches, ratio: 0.5, fill: drop}
  replaced: {type: random_patches, ratio: 0.3, fill: token}
  hidden_words: {type: random_tokens, ratio: 0.4, fill: mask}
pairings:
  others: {type: random_negatives}
objectives:
  itc: {}
  itm: {negatives: others}
  mlm: {mask: hidden_words}
  mgsc: {image_mask: dropped, text_mask: hidden_words}
  mltc: {image_mask: replaced, text_mask: hidden_words, context_mask: dropped}
optim:
  lr: 1e-3
  groups: [{match: "model.fusion.*", lr: 2.0}]
run: {steps: 4, device: cpu, precision: fp32}
evaluate: {retrieval: {gallery: 16}}
"""
TINY = (
    "run.steps=2",
    "optim.schedule.warmup=0",
    "data.samples=64",
    "data.batch=8",
    "data.val=16",
    "data.test=16",
    "data.test_new=0",
    "model.vision.width=32",
    "model.vision.depth=1",
    "model.vision.heads=2",
    "model.joint.width=24",
    "model.text.config.hidden_size=32",
    "model.text.config.num_hidden_layers=1",
    "model.text.config.num_attention_heads=2",
    "model.text.config.intermediate_size=64",
    "evaluate={losses: false, retrieval: {gallery: 16}}",
)
"""What makes `itc`, and what is like it, a run of two steps and of few numbers."""
DEAR = tuple(f"  {name}: {{" for name in ("dropped", "replaced", "mgsc", "mltc"))
LIGHT = "\n".join(line for line in SMALL.split("\n") if not line.startswith(DEAR))
"""Without what takes half of the time of a check."""
FUSED = ("  fusion: {", "  words: {", "masks:", "  hidden_words: {", "pairings:", "  others: {", "  itm: {", "  mlm: {")
CONTRAST = "\n".join(line for line in LIGHT.split("\n") if not line.startswith((*FUSED, "  groups: [")))
"""Contrast alone, for what is of runs and commands and of no objective: half the time again."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


def changed(
    folder: Path, changes: dict[str, str], name: str = "small.yaml", whole: bool = False, text: str | None = None
) -> Path:
    """The lightest recipe with the texts that are replaced, each of which is there once; SMALL if `whole`.

    text  which one, or the lightest that may be taken; LIGHT where nothing is replaced
    """
    tried = [text] if text else [CONTRAST, LIGHT] if changes else [LIGHT]
    fit = [] if whole else [each for each in tried if all(each.count(old) == 1 for old in changes)]
    text = [*fit, SMALL][0]
    for old, new in changes.items():
        assert text.count(old) == 1, (old, text.count(old))
        text = text.replace(old, new)
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def line_of(path: Path, word: str) -> int:
    """The line of a file that holds a word, from 1."""
    return next(number for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if word in line)


def vlobj(capsys, *words: object) -> Ended:
    """The command line in this process."""
    capsys.readouterr()
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return Ended(code, out, err)


def plugin(folder: Path, code: str, name: str = "own.py") -> Path:
    """A local plug-in file."""
    path = folder / name
    path.write_text(textwrap.dedent(code), encoding="utf-8")
    return path
