import pytest
import torch

from models.config import Cell, ModelConfig
from models.networks.language_model import LanguageModel

CELLS: list[Cell] = ["lstm", "gru", "rnn"]


def make_model(
    cell: Cell, num_features: int = 0, *, tied: bool = False, feeds_condition: bool = False
) -> LanguageModel:
    torch.manual_seed(1)
    config = ModelConfig(
        cell=cell,
        vocab_size=11,
        embedding_size=6,
        hidden_size=8,
        num_layers=2,
        tied=tied,
        feeds_condition=feeds_condition,
    )
    return LanguageModel(config, num_features).eval()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("tied", [False, True])
def test_two_stretches_equal_the_whole(cell: Cell, tied: bool) -> None:
    model = make_model(cell, tied=tied)
    input_ids = torch.randint(0, 11, (3, 9))
    whole, _ = model(input_ids, model.first_state(3))
    first, state = model(input_ids[:, :4], model.first_state(3))
    second, _ = model(input_ids[:, 4:], state)
    assert whole.shape == (3, 9, 11)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)


def test_no_token_sees_a_later_one() -> None:
    model = make_model("gru")
    input_ids = torch.randint(0, 11, (1, 6))
    changed = input_ids.clone()
    changed[0, 4] = (changed[0, 4] + 1) % 11
    before, after = (model(ids, model.first_state(1))[0] for ids in (input_ids, changed))
    torch.testing.assert_close(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:])


@pytest.mark.parametrize("cell", CELLS)
def test_condition_sets_every_part_of_the_first_state(cell: Cell) -> None:
    model = make_model(cell, num_features=3)
    state = model.first_state(2, torch.eye(3)[:2])
    parts = [part for layer in state for part in layer]
    assert len(parts) == (4 if cell == "lstm" else 2)
    assert len({tuple(part.flatten().tolist()) for part in parts}) == len(parts)
    for part in parts:
        assert part.shape == (1, 2, 8)
        assert not torch.equal(part[:, 0], part[:, 1])


def test_a_condition_that_is_fed_is_read_with_each_token() -> None:
    model = make_model("gru", num_features=2, feeds_condition=True)
    torch.nn.init.normal_(model.feed.weight)
    *layers, (condition,) = model.first_state(2, torch.eye(2))
    same = [tuple(part[:, :1].expand(-1, 2, -1) for part in layer) for layer in layers]
    input_ids = torch.randint(0, 11, (1, 5)).expand(2, -1)

    logits, after = model(input_ids, [*same, (condition,)])

    assert not torch.allclose(logits[0, 0], logits[1, 0])  # by the condition alone
    torch.testing.assert_close(after[-1][0], condition)  # it stays
    first, between = model(input_ids[:, :2], [*same, (condition,)])
    second, _ = model(input_ids[:, 2:], between)
    torch.testing.assert_close(torch.cat([first, second], dim=1), logits)


def test_model_without_a_condition_starts_from_zero() -> None:
    state = make_model("lstm").first_state(4)
    assert all(part.shape == (1, 4, 8) and not part.any() for layer in state for part in layer)


def test_tied_model_has_one_matrix_for_tokens() -> None:
    names = dict(make_model("lstm", tied=True).named_parameters())
    assert [name for name, weight in names.items() if 11 in weight.shape] == [
        "output_bias",
        "embedding.weight",
    ]


def test_greedy_continuation_never_has_forbidden_tokens() -> None:
    model = make_model("rnn")
    chosen = model.continue_greedily([2], 20, forbidden_ids=[0, 1, 2, 3])
    assert len(chosen) == 20
    assert not {0, 1, 2, 3} & set(chosen)
