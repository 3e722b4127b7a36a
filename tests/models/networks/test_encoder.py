"""Compares the encoder with torch's packed sequences, and checks that padding has no effect."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from models.config import Cell, ModelConfig
from models.networks.encoder import Encoder, build_layer, length_mask, reverse_padded

CELLS: list[Cell] = ["lstm", "gru", "rnn"]
KINDS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
INPUT, HIDDEN, LAYERS = 10, 6, 3
LENGTHS = torch.tensor([7, 1, 12, 2, 12, 5])


def make_encoder(
    cell: Cell, num_layers: int = LAYERS, dropout: float = 0.0, **flags: bool
) -> Encoder:
    torch.manual_seed(1)
    config = ModelConfig(
        cell=cell,
        embedding_size=INPUT,
        encoder_size=HIDDEN,
        encoder_layers=num_layers,
        dropout=dropout,
        **flags,
    )
    return Encoder(config).eval()


def run_packed(encoder: Encoder, cell: Cell, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
    """Runs the same weights in torch's bidirectional stack over packed sequences."""
    reference = KINDS[cell](
        INPUT, HIDDEN, len(encoder.layers), batch_first=True, bidirectional=True
    )
    weights = {}
    for index, layer in enumerate(encoder.layers):
        for name, suffix in (("forward_layer", ""), ("backward_layer", "_reverse")):
            for key, value in layer.get_submodule(name).state_dict().items():
                weights[key.replace("_l0", f"_l{index}{suffix}")] = value
    reference.load_state_dict(weights)
    packed = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
    outputs, state = reference(packed)
    hidden = state[0] if cell == "lstm" else state
    padded, _ = pad_packed_sequence(outputs, batch_first=True, total_length=inputs.shape[1])
    return padded, torch.cat([hidden[-2], hidden[-1]], dim=-1)


@pytest.mark.parametrize("num_layers", [1, LAYERS])
@pytest.mark.parametrize("cell", CELLS)
def test_outputs_equal_those_of_packed_sequences(cell: Cell, num_layers: int) -> None:
    encoder = make_encoder(cell, num_layers)
    inputs = torch.randn(len(LENGTHS), 12, INPUT)

    outputs = encoder(inputs, LENGTHS)

    expected, final = run_packed(encoder, cell, inputs, LENGTHS)
    torch.testing.assert_close(outputs, expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(encoder.final_states(outputs, LENGTHS), final, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_equal_those_of_packed_sequences(cell: Cell) -> None:
    encoder = make_encoder(cell)
    ours = torch.randn(len(LENGTHS), 12, INPUT, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()

    (gradient,) = torch.autograd.grad(encoder(ours, LENGTHS).square().sum(), ours)
    reference = run_packed(encoder, cell, theirs, LENGTHS)[0]
    (expected,) = torch.autograd.grad(reference.square().sum(), theirs)

    torch.testing.assert_close(gradient, expected, atol=1e-6, rtol=1e-4)
    assert gradient[~length_mask(LENGTHS, 12)].eq(0.0).all()


@pytest.mark.parametrize("cell", CELLS)
def test_padding_never_changes_a_result(cell: Cell) -> None:
    encoder = make_encoder(cell)
    lengths = torch.arange(1, 16)
    inputs = torch.randn(15, 15, INPUT)
    garbage = torch.randn(15, 40, INPUT) * 100.0
    garbage[:, :15] = torch.where(length_mask(lengths, 15)[:, :, None], inputs, garbage[:, :15])

    batched = encoder(garbage, lengths)

    for row, length in enumerate(lengths.tolist()):
        alone = encoder(inputs[row : row + 1, :length], lengths[row : row + 1])
        torch.testing.assert_close(batched[row, :length], alone[0], atol=1e-6, rtol=1e-5)
        assert batched[row, length:].eq(0.0).all()


def test_reversal_stays_within_each_length() -> None:
    sequences = torch.tensor([[1, 2, 3, 9], [1, 9, 9, 9], [1, 2, 3, 4]])[:, :, None]

    reverse = reverse_padded(sequences, torch.tensor([3, 1, 4]))

    assert reverse[:, :, 0].tolist() == [[3, 2, 1, 9], [1, 9, 9, 9], [4, 3, 2, 1]]


def test_mask_is_true_at_tokens() -> None:
    assert length_mask(torch.tensor([1, 3]), 3).tolist() == [[True, False, False], [True] * 3]


@pytest.mark.parametrize("cell", CELLS)
def test_recurrent_weights_start_orthogonal_gate_by_gate(cell: Cell) -> None:
    layer = build_layer(cell, 5, 4)

    for gate in layer.state_dict()["weight_hh_l0"].split(4):
        torch.testing.assert_close(gate @ gate.T, torch.eye(4), atol=1e-5, rtol=0.0)


def test_forget_gate_starts_open() -> None:
    bias = build_layer("lstm", 5, 2).state_dict()["bias_ih_l0"]

    assert bias.tolist() == [0, 0, 1, 1, 0, 0, 0, 0]


def test_dropout_acts_in_training_only() -> None:
    encoder = make_encoder("gru", dropout=0.5)
    inputs = torch.randn(len(LENGTHS), 12, INPUT)

    assert torch.equal(encoder(inputs, LENGTHS), encoder(inputs, LENGTHS))
    encoder.train()
    assert not torch.equal(encoder(inputs, LENGTHS), encoder(inputs, LENGTHS))


@pytest.mark.parametrize("cell", CELLS)
def test_residual_layers_change_nothing_at_first_but_learn(cell: Cell) -> None:
    encoder = make_encoder(cell, num_layers=2, residual=True)
    shallow = make_encoder(cell, num_layers=1)
    shallow.load_state_dict(encoder.state_dict(), strict=False)
    inputs = torch.randn(len(LENGTHS), 12, INPUT)

    outputs = encoder(inputs, LENGTHS)

    assert torch.equal(outputs, shallow(inputs, LENGTHS))
    outputs.square().sum().backward()
    torch.optim.SGD(encoder.layers[1].parameters(), lr=0.01).step()
    assert not torch.equal(encoder(inputs, LENGTHS), outputs)


@pytest.mark.parametrize("cell", CELLS)
def test_layers_above_the_first_read_normalized_inputs(cell: Cell) -> None:
    encoder = make_encoder(cell, num_layers=2, layer_norm=True)
    inputs = torch.randn(len(LENGTHS), 12, INPUT)

    outputs = encoder(inputs, LENGTHS)

    below = encoder.layers[0](inputs, LENGTHS)
    centred = below - below.mean(dim=-1, keepdim=True)
    normalized = centred / (centred.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(outputs, encoder.layers[1](normalized, LENGTHS))


@pytest.mark.parametrize("cell", CELLS)
def test_residual_layers_add_their_outputs(cell: Cell) -> None:
    encoder = make_encoder(cell, num_layers=3, residual=True)
    torch.nn.init.normal_(encoder.layers[1].forward_layer.weight_ih_l0)
    torch.nn.init.normal_(encoder.layers[2].backward_layer.weight_ih_l0)
    inputs = torch.randn(len(LENGTHS), 12, INPUT)

    outputs = encoder(inputs, LENGTHS)

    expected = encoder.layers[0](inputs, LENGTHS)
    for layer in encoder.layers[1:]:
        expected = expected + layer(expected, LENGTHS)
    torch.testing.assert_close(outputs, expected)
    padding = ~length_mask(LENGTHS, 12)
    assert outputs[padding].eq(0.0).all()
