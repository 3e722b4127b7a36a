"""Adversarial training of classifiers: texts perturbed in the direction of the highest loss."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from models.networks.encoder import length_mask


def perturb(embedded: Tensor, lengths: Tensor, loss: Tensor, size: float) -> Tensor:
    """Perturbs embedded texts along the gradient of their loss (Miyato et al. 2017, equation 5).

    The step is relative to the norm of the text, so that a model cannot evade it with larger
    embeddings; the paper normalises the embeddings instead. The direction is a constant: no
    gradient flows through it.

    Args:
        embedded: (B, T, E), part of the graph of `loss`.
        lengths: (B) int64, >= 1; padding does not count towards the norm.
        loss: scalar; its graph is kept.
        size: norm of the step relative to the norm of the text, 0 to 1.

    Returns:
        (B, T, E).
    """
    (gradient,) = torch.autograd.grad(loss, embedded, retain_graph=True)
    tokens = length_mask(lengths, embedded.shape[1])[:, :, None]
    norms = (embedded.detach() * tokens).flatten(1).norm(dim=1)
    direction = normalize(gradient.flatten(1)).view_as(gradient)
    perturbed: Tensor = embedded + direction * (size * norms)[:, None, None]
    return perturbed
