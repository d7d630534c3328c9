"""Each objective against its paper's formula written out in loops: values and gradients in float64, to 1e-12.

The checks of `vlobjectives.testing` hold what the host relies on; only this holds that the loss is the paper's.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from vlobj_modern.cyclip import CyCLIP
from vlobj_modern.filip import FILIP

from vlobjectives import Batch, Joint, Term

N, E = 5, 4
ROWS = Batch(torch.arange(N), torch.arange(N), {})


def random(*shape: int, seed: int = 0) -> Tensor:
    made = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return made.requires_grad_()


def unit(x: Tensor) -> Tensor:
    return x / x.square().sum(-1, keepdim=True).sqrt()


def mean(values: list[Tensor]) -> Tensor:
    return torch.stack(values).sum() / len(values)


def itself(x: Tensor) -> Tensor:
    """`gather` of one process."""
    return x


def softmax_loss(scores: list[Tensor], right: int) -> Tensor:
    """-log of the share of exp(score) that the right one has."""
    return torch.stack([score.exp() for score in scores]).sum().log() - scores[right]


def agree(terms: Mapping[str, Term], formula: Mapping[str, Tensor], *leaves: Tensor) -> None:
    """Hold each term's mean and its gradients against the formula's; prints both (`pytest -s`)."""
    assert terms.keys() == formula.keys()
    for name, term in terms.items():
        value, wanted = term.total / term.count, formula[name]
        sides = [torch.autograd.grad(x, leaves, retain_graph=True, materialize_grads=True) for x in (value, wanted)]
        gap = max((a - b).abs().max().item() for a, b in zip((value, *sides[0]), (wanted, *sides[1])))
        print(f"{name}: {value.item():.12f}, by the formula {wanted.item():.12f}, gradients too to {gap:.1e}")
        assert gap <= 1e-12 * max(1.0, *(b.abs().max().item() for b in (wanted, *sides[1])))


def test_filip() -> None:
    """Section 3.1, equations 1, 2 (contrast), 3 to 5 (similarity)."""
    patches, words, scale = random(N, 3, E), random(N, 6, E, seed=1), random()
    lengths = [6, 2, 3, 1, 4]
    seen = torch.ones(N, 3, dtype=torch.bool)
    said = torch.arange(6) < torch.tensor(lengths)[:, None]
    image = Joint(unit(patches[:, 0]), scale.exp(), unit(patches), seen)
    text = Joint(unit(words[:, 0]), scale.exp(), unit(words), said)
    terms = FILIP(FILIP.Config.model_validate({}))(image=image, text=text, batch=ROWS, gather=itself)

    def similarity(i: int, j: int) -> tuple[Tensor, Tensor]:
        of_image, of_text = unit(patches[i]), unit(words[j, : lengths[j]])
        best_words = [max(patch @ word for word in of_text) for patch in of_image]
        best_patches = [max(patch @ word for patch in of_image) for word in of_text]
        return mean(best_words), mean(best_patches)

    s = [[similarity(i, j) for j in range(N)] for i in range(N)]
    by_image = [softmax_loss([scale.exp() * s[i][j][0] for j in range(N)], i) for i in range(N)]
    by_text = [softmax_loss([scale.exp() * s[i][j][1] for i in range(N)], j) for j in range(N)]
    agree(terms, {"contrast": 0.5 * (mean(by_image) + mean(by_text))}, patches, words, scale)
    assert terms["contrast"].chance == math.log(N)


def test_cyclip() -> None:
    """Section 2, equations 2 (cross-modal) and 3 (in-modal)."""
    pictures, captions = random(N, E), random(N, E, seed=1)
    image, text = Joint(unit(pictures), torch.tensor(1.0)), Joint(unit(captions), torch.tensor(1.0))
    terms = CyCLIP(CyCLIP.Config.model_validate({}))(image=image, text=text, gather=itself)
    u, v = unit(pictures), unit(captions)
    cross = inner = torch.tensor(0.0, dtype=torch.float64)
    for i in range(N):
        for j in range(N):
            cross = cross + (u[i] @ v[j] - u[j] @ v[i]) ** 2
            inner = inner + (u[i] @ u[j] - v[i] @ v[j]) ** 2
    agree(terms, {"cross": cross / N, "inner": inner / N}, pictures, captions)
    assert [term.weight for term in terms.values()] == [0.25, 0.25]
