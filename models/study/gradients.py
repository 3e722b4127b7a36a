"""How much an earlier state matters to the last loss: the norm of its gradient over distance.

Bengio et al. (1994) and Pascanu et al. (2013, section 2) show why it vanishes or explodes: it is a
product of as many Jacobians as there are steps in between.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from models.study.networks import SequenceModel, State


def measure_norms(model: SequenceModel, ids: Tensor) -> list[float]:
    """Norms of d loss / d state, by the distance of the state from the last symbol read.

    The loss is that of the last symbol alone. The norm is over the units of a text's state, hidden
    and cell together, and averaged over the texts.

    Args:
        model: any.
        ids: (N, T + 1) int64; the last symbol is predicted.

    Returns:
        T norms; the first is that of the state after symbol T, which the prediction is made from.
    """
    embedded = model.embedding(ids[:, :-1])
    state: State | None = None
    parts: list[list[Tensor]] = []
    for step in embedded.split(1, dim=1):
        _, state = model.layer(step, state)
        assert state is not None
        parts.append(list(state) if isinstance(state, tuple) else [state])
    # the outputs of a step are its hidden state, but another node of the graph
    loss = cross_entropy(model.output(parts[-1][0][0]), ids[:, -1], reduction="sum")
    flat = [part for each in parts for part in each]
    found = torch.autograd.grad(loss, flat, allow_unused=True)  # the last cell is not read
    gradients = [
        torch.zeros_like(part) if gradient is None else gradient
        for part, gradient in zip(flat, found, strict=True)
    ]
    width = len(parts[0])
    norms = [
        float(torch.cat(gradients[start : start + width], dim=-1).norm(dim=-1).mean())
        for start in range(0, len(gradients), width)
    ]
    return norms[::-1]
