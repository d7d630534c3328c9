"""Each objective against its paper's formula written out in loops: values and gradients in float64, to 1e-12.

The checks of `vlobjectives.testing` hold what the host relies on; only this holds that the loss is the paper's.
"""

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor
from vlobj_modern.cyclip import CyCLIP
from vlobj_modern.filip import FILIP
from vlobj_modern.flair import FLAIR
from vlobj_modern.negclip import NegCLIP
from vlobj_modern.silc import SILC
from vlobj_modern.silc import Head as DinoHead
from vlobj_modern.slip import SLIP

from vlobjectives import Batch, Encoded, Joint, Spec, Term

N, E = 5, 4
ROWS = Batch(torch.arange(N), torch.arange(N), {})


def random(*shape: int, seed: int = 0) -> Tensor:
    made = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return made.requires_grad_()


def unit(x: Tensor) -> Tensor:
    return x / x.square().sum(-1, keepdim=True).sqrt()


def mean(values: list[Tensor]) -> Tensor:
    return torch.stack(values).sum(0) / len(values)


def space(x: Tensor, scale: Tensor | None = None, tokens: Tensor | None = None) -> Joint:
    return Joint(unit(x), torch.ones(()) if scale is None else scale.exp(), None if tokens is None else unit(tokens))


def encoded(cls: Tensor) -> Encoded:
    return Encoded(cls[:, None], torch.ones(len(cls), 1, dtype=torch.bool), cls=cls[:, None])


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
    """Section 3.1: both similarities, and the contrast of each."""
    patches, words, scale = random(N, 3, E), random(N, 6, E, seed=1), random()
    lengths = [6, 2, 3, 1, 4]
    seen = torch.ones(N, 3, dtype=torch.bool)
    seen[2, 1:] = False
    said = torch.arange(6) < torch.tensor(lengths)[:, None]
    image = Joint(unit(patches[:, 0]), scale.exp(), unit(patches), seen)
    text = Joint(unit(words[:, 0]), scale.exp(), unit(words), said)
    terms = FILIP(FILIP.Config.model_validate({}))(image=image, text=text, batch=ROWS, gather=itself)

    def similarity(i: int, j: int) -> tuple[Tensor, Tensor]:
        of_image, of_text = unit(patches[i][seen[i]]), unit(words[j, : lengths[j]])
        best_words = [max(patch @ word for word in of_text) for patch in of_image]
        best_patches = [max(patch @ word for patch in of_image) for word in of_text]
        return mean(best_words), mean(best_patches)

    s = [[similarity(i, j) for j in range(N)] for i in range(N)]
    by_image = [softmax_loss([scale.exp() * s[i][j][0] for j in range(N)], i) for i in range(N)]
    by_text = [softmax_loss([scale.exp() * s[i][j][1] for i in range(N)], j) for j in range(N)]
    agree(terms, {"image_to_text": mean(by_image), "text_to_image": mean(by_text)}, patches, words, scale)
    assert {(term.weight, term.chance) for term in terms.values()} == {(0.5, math.log(N))}


def test_cyclip() -> None:
    """Section 2: cross-modal and in-modal consistency."""
    pictures, captions = random(N, E), random(N, E, seed=1)
    terms = CyCLIP(CyCLIP.Config.model_validate({}))(image=space(pictures), text=space(captions), gather=itself)
    u, v = unit(pictures), unit(captions)
    cross = inner = torch.tensor(0.0, dtype=torch.float64)
    for i in range(N):
        for j in range(N):
            cross = cross + (u[i] @ v[j] - u[j] @ v[i]) ** 2
            inner = inner + (u[i] @ u[j] - v[i] @ v[j]) ** 2
    agree(terms, {"cross": cross / N, "inner": inner / N}, pictures, captions)
    assert [term.weight for term in terms.values()] == [0.25, 0.25]


def test_negclip() -> None:
    """Section 4: rows over 2N captions, columns over the N that are right alone."""
    pictures, captions, wrong, scale = random(N, E), random(N, E, seed=1), random(N, E, seed=2), random()
    image, text, negative = (space(x, scale) for x in (pictures, captions, wrong))
    objective: Any = NegCLIP(NegCLIP.Config.model_validate({}))
    terms = objective(image=image, text=text, wrong=negative, batch=ROWS, gather=itself)
    u, c = unit(pictures), torch.cat([unit(captions), unit(wrong)])
    by_picture = [softmax_loss([scale.exp() * (u[i] @ c[j]) for j in range(2 * N)], i) for i in range(N)]
    by_caption = [softmax_loss([scale.exp() * (u[i] @ c[j]) for i in range(N)], j) for j in range(N)]
    agree(terms, {"contrast": 0.5 * (mean(by_picture) + mean(by_caption))}, pictures, captions, wrong, scale)
    assert terms["contrast"].chance == pytest.approx(0.5 * (math.log(2 * N) + math.log(N)))


def test_slip() -> None:
    """Section 3 and SimCLR's NT-Xent; batch norm of each view by all rows, before each ReLU."""
    one, two = random(N, E), random(N, E, seed=1)
    objective: Any = SLIP(SLIP.Config.model_validate({"hidden": 7, "width": 3}))
    objective.build(one=Spec(E))
    objective.double()
    terms = objective(one=encoded(one), two=encoded(two), gather=itself)
    first, norm_1, _, second, norm_2, _, last = objective.head

    def head(x: Tensor) -> Tensor:
        for linear, norm in ((first, norm_1), (second, norm_2)):
            x = torch.nn.functional.batch_norm(x @ linear.weight.T, None, None, norm.weight, norm.bias, training=True)
            x = x.clamp_min(0)
        return unit(x @ last.weight.T + last.bias)

    z, losses = torch.cat([head(one), head(two)]), []
    for i in range(2 * N):
        others = [j for j in range(2 * N) if j != i]
        losses.append(softmax_loss([z[i] @ z[j] / 0.1 for j in others], others.index((i + N) % (2 * N))))
    agree(terms, {"views": mean(losses)}, one, two, *objective.parameters())
    assert terms["views"].chance == math.log(2 * N - 1)


def test_flair() -> None:
    """Section 3: attention of each caption over a picture's patches and a token of zeros, two sigmoid losses."""
    pictures, patches, scale = random(N, E), random(N, 3, E), random()
    captions = [random(N, E, seed=1), random(N, E, seed=2)]
    objective: Any = FLAIR(FLAIR.Config.model_validate({"heads": 1, "bias": -1.0}))
    objective.build(image=Spec(E))
    objective.double()
    image, first, second = space(pictures, scale, patches), *(space(x, scale) for x in captions)
    terms = objective(image=image, text_0=first, text_1=second, batch=ROWS, gather=itself)
    in_weights, in_biases = objective.pool.in_proj_weight.chunk(3), objective.pool.in_proj_bias.chunk(3)
    conditioned: list[Tensor] = []
    whole: list[Tensor] = []
    for i in range(N):
        key, value = (norm(unit(patches[i])) for norm in list(objective.norms)[1:])
        key, value = key @ in_weights[1].T + in_biases[1], value @ in_weights[2].T + in_biases[2]
        key, value = torch.cat([key, key[:1] * 0]), torch.cat([value, value[:1] * 0])
        for j, t in ((j, unit(x[j])) for j in range(N) for x in captions):
            query = objective.norms[0](t) @ in_weights[0].T + in_biases[0]
            seen = (query @ key.T / E**0.5).softmax(-1) @ value
            looked = unit(objective.pool.out_proj(seen))
            for losses, x in ((conditioned, looked), (whole, unit(pictures[i]))):
                logit = scale.exp() * (x @ t) + objective.bias
                losses.append(-torch.sigmoid(logit if i == j else -logit).log())
    formula = {"conditioned": mean(conditioned) * N, "global": mean(whole) * N}  # means over the N K captions
    agree(terms, formula, pictures, patches, scale, *captions, *objective.parameters())
    assert [term.weight for term in terms.values()] == [0.5, 0.5]


def test_silc() -> None:
    """Section 3.2 and DINO's algorithm 1: cross-entropy of sharpened, centred teachers, and the centre's average."""
    globals_, locals_ = [random(N, E), random(N, E, seed=1)], [random(N, E, seed=k) for k in (2, 3, 4)]
    objective: Any = SILC(SILC.Config.model_validate({"student": ["a", "b", "c"], "width": 6, "hidden": 5}))
    objective.build(crop_0=Spec(E))
    teacher = DinoHead(E, 5, 6).double()
    objective.double()
    views = {f"whole_{k}": encoded(x) for k, x in enumerate(globals_)}
    views |= {f"crop_{k}": encoded(x) for k, x in enumerate(locals_)}
    for step in range(2):
        terms = objective(averaged={"head": teacher}, **views)
        losses, said = [], []
        for y in globals_:
            said += list(teacher(y))
            for x in locals_:
                for row in range(N):
                    p = ((teacher(y)[row] - objective.centre) / 0.04).softmax(-1)
                    losses.append(-(p * (objective.head(x)[row] / 0.1).softmax(-1).log()).sum())
        statistic = terms.pop("centre")
        agree(terms, {"crops": mean(losses)}, *locals_, *objective.head.parameters())
        centre = 0.9 * objective.centre + 0.1 * mean(said)
        objective.after_step(centre=(statistic.total / statistic.count).detach())
        assert torch.allclose(objective.centre, centre, rtol=0, atol=1e-12), step


def test_head_of_silc() -> None:
    """DINO, appendix: an MLP of three layers with GELU, a direction, weight-normed directions without length."""
    x, head = random(N, E), DinoHead(E, 5, 6).double()
    first, _, second, _, third = head.layers
    inner = third(torch.nn.functional.gelu(second(torch.nn.functional.gelu(first(x)))))
    wanted = torch.stack([torch.stack([unit(row) @ unit(way) for way in head.directions]) for row in inner])
    assert (head(x) - wanted).abs().max() <= 1e-12
