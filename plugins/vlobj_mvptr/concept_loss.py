"""A set of concepts named by several slots: the loss behind masked concept recovering."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def set_logits(logits: Tensor) -> Tensor:
    """What slots say together: logsumexp_k z_k - ln K, [..., V] of [..., K, V]. Of one slot it is z itself."""
    return logits.logsumexp(dim=-2) - math.log(logits.shape[-2])


def set_nll(logits: Tensor, ids: Tensor, valid: Tensor) -> Tensor:
    """Mean surprise at a row's concepts, 0 where it has none.

        value_i = - 1/|T_i| sum_{c in T_i} log softmax(z_i)_c

    A softmax and not a sigmoid for each: a concept that is not in T_i may be in the picture all the same. With one
    concept a row it is the cross-entropy (MVPTR, arXiv 2201.12596, its code: a masked piece of a tag).

    logits  [N,V], float32 or wider
    ids     [N,M] int64 in 0..V-1, each concept once a row; what stands where `valid` [N,M] is False is not read

    Returns [N].
    """
    ids = ids.masked_fill(~valid, 0)
    if ids.shape[-1] == 1:
        return F.cross_entropy(logits, ids[:, 0].masked_fill(~valid[:, 0], -100), ignore_index=-100, reduction="none")
    surprise = -torch.log_softmax(logits, dim=-1).gather(-1, ids)
    return torch.where(valid, surprise, 0.0).sum(-1) / valid.sum(-1).clamp_min(1)
