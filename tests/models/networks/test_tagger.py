import pytest
import torch

from models.config import ModelConfig
from models.networks.tagger import PAD_ID, StreamTagger, Tagger, build_tagger

SIZES = {"vocab_size": 30, "embedding_size": 6, "encoder_size": 5, "vocabulary": "characters"}


def make_tagger(lookahead: int | None, cell: str = "gru") -> Tagger | StreamTagger:
    torch.manual_seed(3)
    config = ModelConfig(**SIZES, cell=cell, lookahead=lookahead)  # type: ignore[arg-type]
    return build_tagger(config, 3).eval()


@pytest.mark.parametrize("lookahead", [None, 0, 2])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_padding_does_not_reach_a_label(lookahead: int | None, cell: str) -> None:
    model = make_tagger(lookahead, cell)
    ids = torch.tensor([[5, 6, 7, 8], [9, 10, 11, 12]])
    lengths = torch.tensor([4, 2])

    together = model(ids, lengths)
    alone = model(ids[1:, :2], lengths[1:])

    assert together.shape == (2, 4, 3)
    torch.testing.assert_close(together[1, :2], alone[0])


@pytest.mark.parametrize("lookahead", [0, 1, 4])
def test_stream_tagger_sees_its_lookahead_and_no_further(lookahead: int) -> None:
    model = make_tagger(lookahead)
    ids = torch.arange(5, 15)[None]
    lengths = torch.tensor([10])
    before = model(ids, lengths)[0]

    changed = ids.clone()
    changed[0, 6] = 20
    after = model(changed, lengths)[0]

    first = 6 - lookahead  # the earliest token that may know of it
    torch.testing.assert_close(before[:first], after[:first])
    assert not torch.allclose(before[first], after[first])


def test_tagger_sees_the_whole_text() -> None:
    model = make_tagger(None)
    ids = torch.arange(5, 15)[None]
    changed = ids.clone()
    changed[0, -1] = 20
    lengths = torch.tensor([10])
    assert not torch.allclose(model(ids, lengths)[0, 0], model(changed, lengths)[0, 0])


def test_padding_after_the_end_is_what_the_whole_text_has_there() -> None:
    model = make_tagger(2)
    ids = torch.tensor([[5, 6, 7]])
    padded = torch.tensor([[5, 6, 7, PAD_ID, PAD_ID]])
    torch.testing.assert_close(
        model(ids, torch.tensor([3]))[0], model(padded, torch.tensor([5]))[0, :3]
    )
