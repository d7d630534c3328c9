"""What contrastive objectives share: the rows of this process against those of all."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def cross_entropy(logits: Tensor, right: Tensor) -> Tensor:
    """-log softmax of each row at the column that is right, [B] of logits [B,M] and right bool [B,M].

    Several that are right share the probability evenly.
    """
    return -(logits.log_softmax(-1) * right).sum(-1) / right.sum(-1)


def sigmoid_losses(logits: Tensor, right: Tensor) -> Tensor:
    """-log sigmoid(z logits), z = 1 where `right` (bool, of the same shape) and -1 elsewhere."""
    return -F.logsigmoid(torch.where(right, logits, -logits))


def sigmoid_chance(n: int) -> float:
    """The sum of n sigmoid losses, one of them right, where each is said to be right with probability 1/n."""
    return n * math.log(n) - (n - 1) * math.log(n - 1) if n > 1 else 0.0
