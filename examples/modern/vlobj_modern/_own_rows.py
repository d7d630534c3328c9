"""What contrastive objectives share: the rows of this process against those of all."""

from torch import Tensor


def cross_entropy(logits: Tensor, right: Tensor) -> Tensor:
    """-log softmax of each row at the column that is right, [B] of logits [B,M] and right bool [B,M].

    Several that are right share the probability evenly.
    """
    return -(logits.log_softmax(-1) * right).sum(-1) / right.sum(-1)
