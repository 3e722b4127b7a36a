"""Cross entropy over a sample of the vocabulary: cheaper training of a large output layer."""

import torch
from torch import Tensor
from torch.nn.functional import linear


def sampled_cross_entropy(
    readout: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    num_sampled: int,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Estimates the mean cross entropy of a softmax over all tokens.

    The sums over the vocabulary, of the partition function and of label smoothing, are estimated:
    the targets of the batch count as they are, and of the other tokens a uniform sample counts for
    all (importance sampling, Bengio and Senecal 2003). The sample is drawn from torch's generator.

    Args:
        readout: (N, E), inputs of the output layer.
        weight: (V, E), of the output layer.
        bias: (V), of the output layer.
        targets: (N) int64, the tokens that should be predicted.
        num_sampled: number of tokens to draw; the result is exact if that is as many as the batch
            lacks.
        label_smoothing: share of each target's probability that is spread over the vocabulary.

    Returns:
        The mean over N in nats, a scalar.
    """
    present, labels = torch.unique(targets, return_inverse=True)
    absent = torch.ones(len(bias), dtype=torch.bool, device=targets.device)
    absent[present] = False
    others = absent.nonzero().flatten()
    drawn = others[torch.randperm(len(others), device=targets.device)[:num_sampled]]
    stands_for = len(others) / max(1, len(drawn))

    candidates = torch.cat([present, drawn])  # (C)
    counts = torch.ones(len(candidates), device=targets.device)
    counts[len(present) :] = stands_for
    rows, offsets = weight[candidates], bias[candidates]
    logits = linear(readout, rows, offsets).float()  # (N, C)
    losses = torch.logsumexp(logits + counts.log(), dim=-1)
    losses = losses - (1.0 - label_smoothing) * logits.gather(1, labels[:, None])[:, 0]
    if label_smoothing:
        share = counts * (label_smoothing / len(bias))
        # the mean logit is the logit of the mean row
        losses = losses - readout.float() @ (share @ rows.float()) - share @ offsets.float()
    return losses.mean()
