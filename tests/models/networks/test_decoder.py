import pytest
import torch

from models.config import Cell, ModelConfig
from models.networks.decoder import NUM_LAYERS, Decoder
from models.networks.encoder import length_mask

CELLS: list[Cell] = ["lstm", "gru", "rnn"]
EMBEDDING, ENCODER, HIDDEN = 8, 12, 10
MEMORY = ENCODER + EMBEDDING


def make_decoder(cell: Cell) -> Decoder:
    torch.manual_seed(1)
    config = ModelConfig(
        cell=cell,
        embedding_size=EMBEDDING,
        encoder_size=ENCODER // 2,
        decoder_size=HIDDEN,
        attention_size=6,
    )
    return Decoder(config).eval()


@pytest.mark.parametrize("cell", CELLS)
def test_initial_state_has_the_shapes_of_the_layers(cell: Cell) -> None:
    state = make_decoder(cell).initial_state(torch.randn(3, ENCODER))

    assert len(state) == NUM_LAYERS
    for parts in state:
        assert [part.shape for part in parts] == [(1, 3, HIDDEN)] * (2 if cell == "lstm" else 1)


@pytest.mark.parametrize("cell", CELLS)
def test_no_part_of_the_initial_state_is_used_twice(cell: Cell) -> None:
    state = make_decoder(cell).initial_state(torch.randn(1, ENCODER))

    parts = [part for layer in state for part in layer]
    assert len({tuple(part.flatten().tolist()) for part in parts}) == len(parts)


@pytest.mark.parametrize("cell", CELLS)
def test_whole_sequence_equals_step_by_step(cell: Cell) -> None:
    decoder = make_decoder(cell)
    embedded, values = torch.randn(3, 6, EMBEDDING), torch.randn(3, 5, MEMORY)
    keys, mask = decoder.attention.project_keys(values), length_mask(torch.tensor([5, 1, 3]), 5)
    first = decoder.initial_state(torch.randn(3, ENCODER))

    whole, whole_state, whole_weights = decoder(embedded, first, keys, values, mask)
    state, steps = first, []
    for step in range(6):
        readout, state, weights = decoder(embedded[:, step : step + 1], state, keys, values, mask)
        steps.append((readout, weights))

    torch.testing.assert_close(torch.cat([readout for readout, _ in steps], dim=1), whole)
    torch.testing.assert_close(torch.cat([weights for _, weights in steps], dim=1), whole_weights)
    for ours, theirs in zip(state, whole_state, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_later_tokens_do_not_change_earlier_readouts() -> None:
    decoder = make_decoder("lstm")
    embedded, values = torch.randn(1, 6, EMBEDDING), torch.randn(1, 4, MEMORY)
    source = (decoder.attention.project_keys(values), values, torch.ones(1, 4, dtype=torch.bool))
    state = decoder.initial_state(torch.randn(1, ENCODER))
    changed = torch.cat([embedded[:, :3], torch.randn(1, 3, EMBEDDING)], dim=1)

    before, after = (decoder(inputs, state, *source)[0] for inputs in (embedded, changed))

    torch.testing.assert_close(before[:, :3], after[:, :3])
    assert not torch.allclose(before[:, 3:], after[:, 3:])
