"""Adversarial training of classifiers: the same text, moved a little to where it reads worst."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from models.networks.encoder import length_mask


def perturb(embedded: Tensor, lengths: Tensor, loss: Tensor, size: float) -> Tensor:
    """Moves embedded texts along the gradient of their loss (Miyato et al. 2017, equation 5).

    The step is a share of the text's own norm, so that a model cannot escape it with larger
    embeddings; the paper normalises the embeddings for that. The gradient's graph is not kept: a
    loss of the moved texts trains the embeddings, not the direction.

    Args:
        embedded: (B, T, E), part of the graph of `loss`.
        lengths: (B) int64, >= 1; what lies beyond them does not count as text.
        loss: scalar; its graph is kept.
        size: norm of the step over the norm of the text, 0 to 1.

    Returns:
        (B, T, E).
    """
    (gradient,) = torch.autograd.grad(loss, embedded, retain_graph=True)
    tokens = length_mask(lengths, embedded.shape[1])[:, :, None]
    norms = (embedded.detach() * tokens).flatten(1).norm(dim=1)
    direction = normalize(gradient.flatten(1)).view_as(gradient)
    perturbed: Tensor = embedded + direction * (size * norms)[:, None, None]
    return perturbed
