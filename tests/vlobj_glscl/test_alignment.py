"""ALIGN-BENCH as an evaluation: the published numbers through its own path, and maps whose scores are known."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from handmade import GOLDEN
from helds import real, scenes
from torch import Tensor
from torch.nn import functional as F
from vlobj_glscl import align_bench as bench
from vlobj_glscl.alignment import Alignment, marked, scores

from vlobjectives import Encoded, Fused

NAMES = {"global/box", "global/pixel", "local/box", "local/pixel"}


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    return real(tmp_path_factory.mktemp("recipe"))


def golden(name: str) -> dict[str, Any]:
    with np.load(GOLDEN / f"{name}.npz") as file:
        return {
            key: file[key].tolist() if file[key].dtype.kind == "U" else torch.from_numpy(file[key])
            for key in file.files
        }


@pytest.mark.parametrize("classes", [0, 1, 3])
@pytest.mark.parametrize("name", ["align_0", "align_1"])
def test_golden(name, classes):
    """The published numbers, whatever class tokens come before the patches."""
    z = golden(name)
    attention = F.pad(z["in_cross_attention"], (classes - 1, 0), value=7.0)
    found = scores(
        attention,
        (int(z["in_grid"]),) * 2,
        z["in_tokens"],
        z["in_phrases"],
        z["in_box_phrase"],
        z["in_boxes"],
        z["in_pixel_masks"],
    )
    assert set(found) == NAMES
    for key, (score, chance) in found.items():
        key = f"out_{key.replace('/', '_')}"
        assert score == pytest.approx(z[key].item(), abs=1e-9)
        if f"{key}_mask" in z:
            assert chance == pytest.approx(z[f"{key}_mask"].mean().item(), abs=1e-9)


@pytest.mark.parametrize("name", ["align_0", "align_1"])
def test_spans_become_the_tokens_that_the_benchmark_joins(name):
    """A caption put together of the golden tokens gives them back; so does one whose spans hold the blanks."""
    tokens = golden(name)["in_tokens"]
    caption, inner, outer = "", [], []
    for token in tokens:
        piece = token.replace(bench.BLANK, " ")
        outer.append((len(caption), len(caption) + len(piece)))
        caption += piece
        inner.append((len(caption) - len(piece.strip()), len(caption)))
    assert marked(caption, inner) == marked(caption, outer) == tokens


class Looks:
    """A real SplitContext whose text looks at the picture as `maps(sample, attention [heads,L,1+N])` fills in."""

    def __init__(self, held, source, maps):
        self.held, self.source, self.maps = held, source, maps

    def __getattr__(self, name):
        return getattr(self.held, name)

    def size(self) -> int:
        return 20

    def sample(self, number: int):
        return self.source.sample("test", number, 0, 0)

    def batch(self, samples, numbers):
        self.samples = samples
        return self.held.batch(samples, numbers)

    def values(self, views, batch):
        attention = torch.zeros(len(self.samples), 2, 40, 1 + 64)
        for sample, mine in zip(self.samples, attention):
            self.maps(sample, mine)
        text = Encoded(attention[:, 0], batch["text"].valid, maps={"cross": attention})
        return {"pairs": Fused(text, text)}


def region(mask) -> Tensor:
    """A thing's pixels as a map over 8 x 8 patches of 4 pixels."""
    return F.avg_pool2d(torch.as_tensor(mask)[None].float(), 4).flatten()


def run(held):
    return Alignment(Alignment.Config()).run(held)


def test_a_uniform_map_is_at_chance(held):
    found = run(Looks(held, scenes(), lambda sample, mine: mine.fill_(1 / 65)))
    assert set(found) == NAMES
    for score in found.values():
        assert score.value == pytest.approx(score.chance, abs=1e-6) and score.n == 20
        assert score.low < score.value < score.high
    assert found["local/pixel"].chance < found["local/box"].chance < found["global/box"].chance


def test_words_that_look_at_their_thing_raise_the_local_score_alone(held):
    """Each phrase's words look at its thing, everything else nowhere in particular."""
    reader = held.readers["caption"]

    def looks(sample, mine):
        mine.fill_(1 / 65)
        spans = reader.read(sample.values["caption"]).spans
        for phrase, mask in zip(sample.values["phrases"], sample.values["masks"]):
            for k, (first, end) in enumerate(spans):
                if phrase.first <= first and end <= phrase.end:
                    mine[:, 1 + k] = F.pad(region(mask), (1, 0))

    uniform, found = (run(Looks(held, scenes(), maps)) for maps in (lambda sample, mine: mine.fill_(1 / 65), looks))
    for kind in ("box", "pixel"):
        assert found[f"local/{kind}"].low > 3 * found[f"local/{kind}"].chance
        assert found[f"global/{kind}"] == uniform[f"global/{kind}"]


def test_the_begin_token_alone_makes_the_global_score(held):
    def looks(sample, mine):
        mine.fill_(1 / 65)
        mine[:, 0] = F.pad(region(torch.as_tensor(sample.values["masks"]).any(0)), (1, 0))

    uniform, found = (run(Looks(held, scenes(), maps)) for maps in (lambda sample, mine: mine.fill_(1 / 65), looks))
    for kind in ("box", "pixel"):
        assert found[f"global/{kind}"].low > 1.5 * found[f"global/{kind}"].chance
        assert found[f"local/{kind}"] == uniform[f"local/{kind}"]


def test_on_a_real_system(held):
    found = run(held)
    assert set(found) == NAMES
    assert all(score.n == 40 and score.low < score.value < score.high for score in found.values())
    assert found == run(held)


def test_clips_get_no_score(held):
    class Clips:
        def __getattr__(self, name):
            return getattr(held, name)

        def batch(self, samples, numbers):
            batch = held.batch(samples, numbers)
            return replace(batch, values={**batch.values, "image": batch["image"][:, None]})

    assert run(Clips()) == {}
