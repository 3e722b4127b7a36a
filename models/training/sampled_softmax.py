"""Cross entropy over a sample of the vocabulary: cheaper training of a large output layer.

The sums over the vocabulary, of the partition function and of label smoothing, are estimated by
importance sampling (Bengio and Senecal 2003): each token of the sample counts for several.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear


class Candidates(NamedTuple):
    """The sample that stands for the vocabulary.

    Attributes:
        token_ids: (C) int64, each target among them.
        counts: (C), for how many tokens of the vocabulary each of them counts: the inverse of its
            probability of being in the sample.
        labels: (N) int64, where each target is among them.
    """

    token_ids: Tensor
    counts: Tensor
    labels: Tensor


def draw_candidates(targets: Tensor, vocab_size: int, num_sampled: int) -> Candidates:
    """Draws a uniform sample of the tokens that are not targets; the targets count as they are.

    The sample is drawn from torch's generator.

    Args:
        targets: (N) int64, the tokens that should be predicted.
        vocab_size: of which there are tokens.
        num_sampled: number of tokens to draw; all that are not targets if that is as many.
    """
    present, labels = torch.unique(targets, return_inverse=True)
    absent = torch.ones(vocab_size, dtype=torch.bool, device=targets.device)
    absent[present] = False
    others = absent.nonzero().flatten()
    drawn = others[torch.randperm(len(others), device=targets.device)[:num_sampled]]
    token_ids = torch.cat([present, drawn])  # (C)
    counts = torch.ones(len(token_ids), device=targets.device)
    counts[len(present) :] = len(others) / max(1, len(drawn))
    return Candidates(token_ids, counts, labels)


def sampled_cross_entropy(
    readout: Tensor,
    weight: Tensor,
    bias: Tensor,
    candidates: Candidates,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Estimates the mean cross entropy of a softmax over all tokens; exact if all are candidates.

    Args:
        readout: (N, E), inputs of the output layer.
        weight: (V, E), of the output layer.
        bias: (V), of the output layer.
        candidates: with the N targets.
        label_smoothing: share of each target's probability that is spread over the vocabulary.

    Returns:
        The mean over N in nats, a scalar.
    """
    token_ids, counts, labels = candidates
    rows, offsets = weight[token_ids], bias[token_ids]
    logits = linear(readout, rows, offsets).float() + counts.log()  # (N, C)
    losses = torch.logsumexp(logits, dim=-1)
    losses = losses - (1.0 - label_smoothing) * logits.gather(1, labels[:, None])[:, 0]
    if label_smoothing:
        share = counts * (label_smoothing / len(bias))
        # the mean logit is the logit of the mean row
        losses = losses - readout.float() @ (share @ rows.float()) - share @ offsets.float()
    return losses.mean()
