import pytest
import torch
from torch.nn.functional import cross_entropy

from models.config import Cell, ModelConfig
from models.networks.seq2seq import Seq2Seq, translate_greedily

CELLS: list[Cell] = ["lstm", "gru", "rnn"]
VOCABULARY, PAD, START, EOS = 40, 0, 1, 2
MAX_LENGTH = 12


def make_model(cell: Cell) -> Seq2Seq:
    torch.manual_seed(3)
    model = Seq2Seq(
        ModelConfig(
            cell=cell,
            vocab_size=VOCABULARY,
            embedding_size=16,
            encoder_size=8,
            encoder_layers=2,
            decoder_size=12,
            attention_size=6,
        )
    ).eval()
    with torch.no_grad():  # larger weights: translations that end, and differ from each other
        for parameter in model.parameters():
            parameter.mul_(2.0)
        model.output_bias[EOS] = 1.0
    return model


def random_batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Texts of each length up to the maximum, padded far beyond it with garbage."""
    torch.manual_seed(5)
    return torch.randint(3, VOCABULARY, (MAX_LENGTH, 30)), torch.arange(1, MAX_LENGTH + 1)


@pytest.mark.parametrize("cell", CELLS)
def test_padding_and_other_rows_never_change_the_logits(cell: Cell) -> None:
    model = make_model(cell)
    input_ids, lengths = random_batch()
    target_ids = torch.randint(3, VOCABULARY, (MAX_LENGTH, 9))

    batched = model(input_ids, lengths, target_ids)

    for row, length in enumerate(lengths.tolist()):
        one = slice(row, row + 1)
        alone = model(input_ids[one, :length], lengths[one], target_ids[one, :5])
        torch.testing.assert_close(batched[row, :5], alone[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_batched_translations_equal_single_ones(cell: Cell) -> None:
    model = make_model(cell)
    input_ids, lengths = random_batch()

    batched = model.translate(input_ids, lengths, START, EOS, max_new_tokens=15)

    assert batched == [
        model.translate(input_ids[row : row + 1, :length], lengths[row : row + 1], START, EOS, 15)[
            0
        ]
        for row, length in enumerate(lengths.tolist())
    ]
    assert len({tuple(row) for row in batched}) > 1
    assert any(len(row) < 15 for row in batched)


@pytest.mark.parametrize("cell", CELLS)
def test_translation_picks_the_likeliest_token_at_each_step(cell: Cell) -> None:
    model = make_model(cell)
    input_ids, lengths = random_batch()

    for row, length in zip(input_ids[:, None], lengths[:, None], strict=True):
        (token_ids,) = model.translate(row, length, START, EOS, max_new_tokens=15)
        logits = model(row, length, torch.tensor([[START, *token_ids]]))[0]
        expected = [*token_ids, EOS] if len(token_ids) < 15 else token_ids
        assert logits.argmax(dim=-1)[: len(expected)].tolist() == expected


def test_translation_stops_at_the_limit() -> None:
    model = make_model("gru")
    with torch.no_grad():
        model.output_bias[EOS] = -100.0

    (token_ids,) = model.translate(torch.tensor([[5, 6]]), torch.tensor([2]), START, EOS, 4)

    assert len(token_ids) == 4


def test_translation_that_ends_at_once_is_empty() -> None:
    model = make_model("gru")
    with torch.no_grad():
        model.output_bias[EOS] = 100.0

    assert model.translate(torch.tensor([[5, 6]]), torch.tensor([2]), START, EOS, 4) == [[]]


@pytest.mark.parametrize("cell", CELLS)
def test_padding_never_changes_a_gradient(cell: Cell) -> None:
    torch.manual_seed(1)
    input_ids, target_ids = torch.tensor([[5, 6, 7]]), torch.tensor([[8, 9]])
    gradients = []
    for padding in (0, 4):
        model = make_model(cell)
        inputs = torch.nn.functional.pad(input_ids, (0, padding), value=PAD)
        targets = torch.nn.functional.pad(target_ids, (0, padding), value=PAD)
        before = torch.cat([torch.tensor([[START]]), targets[:, :-1]], dim=1)
        logits = model(inputs, torch.tensor([3]), before)
        loss = cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=PAD)
        gradients.append(torch.autograd.grad(loss, list(model.parameters())))

    for alone, padded in zip(*gradients, strict=True):
        torch.testing.assert_close(alone, padded, atol=1e-6, rtol=1e-4)


def test_output_layer_is_the_embedding() -> None:
    model = make_model("lstm")
    readout = torch.randn(2, 3, 16)

    torch.testing.assert_close(
        model.logits(readout), readout @ model.embedding.weight.T + model.output_bias
    )


def test_ensemble_picks_each_token_by_its_mean_log_probability() -> None:
    models = [make_model("lstm"), make_model("rnn")]
    input_ids, lengths = random_batch()

    together = translate_greedily(models, input_ids, lengths, START, EOS, max_new_tokens=8)

    alone = [model.translate(input_ids, lengths, START, EOS, 8) for model in models]
    # otherwise one model decided every token, and the test would show nothing
    assert any(row not in others for row, *others in zip(together, *alone, strict=True))
    for row, token_ids in enumerate(together):
        one = slice(row, row + 1)
        for place in range(min(len(token_ids) + 1, 8)):
            so_far = torch.tensor([[START, *token_ids[:place]]])
            scores = [
                model(input_ids[one], lengths[one], so_far)[0, -1].log_softmax(-1)
                for model in models
            ]
            choice = int(torch.stack(scores).mean(dim=0).argmax())
            assert choice == (token_ids[place] if place < len(token_ids) else EOS)
