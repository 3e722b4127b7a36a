import pytest
import torch

from models.study.gradients import measure_norms
from models.study.networks import CELLS, SequenceModel, StudyCell


def test_gradient_of_a_linear_recurrence_is_a_power_of_its_weight() -> None:
    """h_t = 0.5 h_{t-1} + x_t where ReLU is open: each step back halves the gradient."""
    model = SequenceModel("rnn-relu", 5, 3)
    weights = dict(model.layer.named_parameters())
    with torch.no_grad():
        weights["weight_hh_l0"].copy_(0.5 * torch.eye(3))
        weights["weight_ih_l0"].copy_(torch.eye(3))
        weights["bias_ih_l0"].fill_(1.0)
        weights["bias_hh_l0"].fill_(0.0)
        model.embedding.weight.abs_()

    norms = measure_norms(model, torch.randint(5, (4, 8)))

    assert len(norms) == 7
    assert [norm / norms[0] for norm in norms] == pytest.approx([0.5**step for step in range(7)])


@pytest.mark.parametrize("cell", CELLS)
def test_norms_agree_with_finite_differences(cell: StudyCell) -> None:
    """The state after the first symbol, moved a little, changes the loss as its gradient says."""
    torch.manual_seed(2)
    model = SequenceModel(cell, 5, 3).double()
    ids = torch.randint(5, (1, 5))
    norms = measure_norms(model, ids)
    with torch.no_grad():
        _, state = model(ids[:, :1])
        parts = list(state) if isinstance(state, tuple) else [state]
        slopes = []
        for index, part in enumerate(parts):
            for unit in range(3):
                losses = []
                for step in (1e-5, -1e-5):
                    moved = part.clone()
                    moved[0, 0, unit] += step
                    each = [moved if place == index else p for place, p in enumerate(parts)]
                    given = (each[0], each[1]) if len(each) == 2 else each[0]
                    logits = model(ids[:, 1:-1], given)[0][0, -1]
                    losses.append(-logits.log_softmax(dim=-1)[ids[0, -1]])
                slopes.append((losses[0] - losses[1]) / 2e-5)

    assert norms[-1] == pytest.approx(float(torch.stack(slopes).norm()), rel=1e-5)
