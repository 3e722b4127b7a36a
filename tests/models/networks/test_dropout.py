import pytest
import torch

from models.networks.dropout import LockedDropout, WordDropout


def test_locked_dropout_drops_the_same_units_at_every_step() -> None:
    torch.manual_seed(1)
    outputs = LockedDropout(0.5)(torch.ones(4, 9, 64))

    assert torch.equal(outputs, outputs[:, :1].expand_as(outputs))
    assert not torch.equal(outputs[0], outputs[1])


def test_locked_dropout_keeps_the_mean() -> None:
    torch.manual_seed(1)
    outputs = LockedDropout(0.25)(torch.ones(200, 3, 200))

    assert outputs.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert outputs.mean().item() == pytest.approx(1.0, abs=0.02)


def test_word_dropout_zeroes_whole_tokens() -> None:
    torch.manual_seed(1)
    outputs = WordDropout(0.3)(torch.ones(50, 40, 8))

    assert torch.equal(outputs.amin(dim=-1), outputs.amax(dim=-1))
    assert outputs.mean().item() == pytest.approx(0.7, abs=0.05)


@pytest.mark.parametrize("kind", [LockedDropout, WordDropout])
def test_dropout_is_off_in_evaluation_and_at_rate_zero(
    kind: type[LockedDropout] | type[WordDropout],
) -> None:
    inputs = torch.randn(2, 3, 4)

    assert kind(0.9).eval()(inputs) is inputs
    assert kind(0.0)(inputs) is inputs
