"""SigLIP against its formula, and in blocks as over processes."""

import math

import pytest
import torch
from handmade import batch, close, itself, leaf, total
from vlobj_common.objectives.siglip import SigLIP

from vlobjectives import Joint
from vlobjectives.functional import l2_normalize

N = 6


def inputs():
    made = torch.Generator().manual_seed(0)
    image, text = (leaf(torch.randn(N, 4, dtype=torch.float64, generator=made)) for _ in range(2))
    return image, text, leaf(torch.tensor(math.log(10), dtype=torch.float64))


def siglip(image, text, log_scale, rows, gather=itself, bias=-10.0):
    objective = SigLIP(SigLIP.Config(bias=bias))
    objective.build()
    objective.double()
    made = (Joint(l2_normalize(x), log_scale.exp()) for x in (image, text))
    return objective, objective(**dict(zip(("image", "text"), made)), batch=rows, gather=gather)


def test_formula():
    """Algorithm 1: 1 / (1 + exp(z (-t u.v - b))), summed over all pairs and divided by N."""
    image, text, log_scale = inputs()
    objective, terms = siglip(image, text, log_scale, batch(N))
    bias, loss = leaf(torch.tensor(-10.0, dtype=torch.float64)), 0.0
    for i in range(N):
        for j in range(N):
            u, v = image[i] / image[i].norm(), text[j] / text[j].norm()
            z = 1 if i == j else -1
            loss = loss - torch.log(1 / (1 + torch.exp(z * (-log_scale.exp() * (u @ v) - bias)))) / N
    close(total(terms), loss)
    found = torch.autograd.grad(total(terms), [image, text, log_scale, objective.bias])
    for gradient, wanted in zip(found, torch.autograd.grad(loss, [image, text, log_scale, bias])):
        close(gradient, wanted)


def test_blocks_of_pictures_add_up():
    """What two processes compute, each its pictures against all captions, is the whole."""
    image, text, log_scale = inputs()
    rows, unit = batch(N), l2_normalize(text)
    whole = siglip(image, text, log_scale, rows)[1]["pairs"]
    parts = []
    for start in (0, N // 2):
        some = slice(start, start + N // 2)

        def gather(x):
            return unit if x.is_floating_point() else rows.number

        parts.append(siglip(image[some], text[some], log_scale, rows.rows(some), gather)[1]["pairs"])
    assert sum(part.count for part in parts) == whole.count == N
    close(sum(part.total for part in parts), whole.total)


def test_a_sample_that_stands_twice_is_right_with_itself():
    image, text, log_scale = inputs()
    twice = batch(2)
    twice.number[1] = 0
    found = siglip(image[:2], text[:2], log_scale, twice, bias=0.0)[1]["pairs"]
    logits = log_scale.exp() * l2_normalize(image[:2]) @ l2_normalize(text[:2]).T
    close(found.total, -torch.nn.functional.logsigmoid(logits).sum())


def test_chance_is_the_rate_of_right_pairs():
    image, text, _ = inputs()
    rate = math.log(1 / (N - 1))  # the bias whose sigmoid is 1/N
    term = siglip(image, text, leaf(torch.tensor(-60.0, dtype=torch.float64)), batch(N), bias=rate)[1]["pairs"]
    assert (term.total / term.count).item() == pytest.approx(term.chance, rel=1e-9)
