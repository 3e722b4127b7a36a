import pytest
import torch

from models.networks.attention import Attention
from models.networks.encoder import length_mask


@pytest.fixture
def attention() -> Attention:
    torch.manual_seed(1)
    return Attention(query_size=6, memory_size=8, attention_size=5)


def test_weights_sum_to_one_over_tokens_and_are_zero_at_padding(attention: Attention) -> None:
    values, mask = torch.randn(3, 7, 8), length_mask(torch.tensor([7, 1, 4]), 7)

    context, weights = attention(torch.randn(3, 2, 6), attention.project_keys(values), values, mask)

    assert context.shape == (3, 2, 8)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(3, 2))
    assert weights.masked_select(~mask[:, None].expand_as(weights)).eq(0.0).all()


def test_one_token_gets_all_the_weight(attention: Attention) -> None:
    values = torch.randn(1, 4, 8)
    mask = length_mask(torch.tensor([1]), 4)

    context, _ = attention(torch.randn(1, 1, 6), attention.project_keys(values), values, mask)

    torch.testing.assert_close(context[:, 0], values[:, 0])


def test_scores_are_the_sharpened_cosine_of_query_and_key(attention: Attention) -> None:
    queries, values = torch.randn(1, 1, 6), torch.randn(1, 3, 8)

    _, weights = attention(
        queries, attention.project_keys(values), values, torch.ones(1, 3, dtype=torch.bool)
    )

    query, keys = queries[0] @ attention.query.weight.T, values[0] @ attention.key.weight.T
    cosines = torch.nn.functional.cosine_similarity(query, keys)[None]
    torch.testing.assert_close(weights[0], (5.0 * cosines).softmax(dim=-1))


def test_weights_are_float32_even_in_half_precision(attention: Attention) -> None:
    attention = attention.bfloat16()
    values = torch.randn(2, 3, 8, dtype=torch.bfloat16)
    queries = torch.randn(2, 1, 6, dtype=torch.bfloat16)

    context, weights = attention(
        queries, attention.project_keys(values), values, torch.ones(2, 3, dtype=torch.bool)
    )

    assert (context.dtype, weights.dtype) == (torch.bfloat16, torch.float32)
