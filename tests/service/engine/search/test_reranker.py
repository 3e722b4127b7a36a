"""Reranking by a scorer whose scores are known."""

import random
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from service.arrays import Array
from service.engine.batch import (
    SOURCE_WEIGHT,
    UNKNOWN_PRICE,
    Hypothesis,
    SearchOptions,
    TokenSequence,
)
from service.engine.search.reranker import (
    MAX_BATCH_TOKENS,
    Candidate,
    Reranker,
    cut_batches,
)

PAD_ID, EOS_ID, START_ID, SOURCE_START_ID = 0, 2, 3, 4


class FakeScorer:
    """Scores a token of the source by how often the hypothesis has it, n times: -1 / (1 + n)."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, int]] = []

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        ids, lengths, target_ids = feeds["input_ids"], feeds["lengths"], feeds["target_ids"]
        self.shapes.append((len(ids), ids.shape[1] + target_ids.shape[1]))
        assert (target_ids[:, 0] == SOURCE_START_ID).all()
        scores = np.full((len(ids), target_ids.shape[1] - 1), np.nan, np.float32)
        for row, length in enumerate(lengths):
            read = ids[row, :length].tolist()
            assert read[-1] == EOS_ID
            wanted = target_ids[row, 1:].tolist()
            for place, token in enumerate(wanted[: wanted.index(EOS_ID) + 1]):
                scores[row, place] = -1.0 / (1 + read.count(token))
        return {"scores": scores}


def make_sequence(
    source: list[int], source_start_id: int | None = SOURCE_START_ID
) -> TokenSequence:
    search = SearchOptions(4, 20, source_start_id=source_start_id)
    return TokenSequence([*source, EOS_ID], 0.0, 1e9, search, START_ID)


def expect(sequence: TokenSequence, hypothesis: Hypothesis) -> float:
    read = [*hypothesis.token_ids, EOS_ID]
    wanted = [*sequence.input_ids[:-1], EOS_ID]
    back = float(np.mean([-1.0 / (1 + read.count(token)) for token in wanted]))
    return hypothesis.score + SOURCE_WEIGHT * back


@pytest.fixture
def scorer() -> FakeScorer:
    return FakeScorer()


@pytest.fixture
def reranker(scorer: FakeScorer) -> Reranker:
    return Reranker(scorer, PAD_ID, EOS_ID)


def test_a_hypothesis_that_leaves_nothing_out_overtakes(reranker: Reranker) -> None:
    short, whole = Hypothesis([10, 11], -0.30), Hypothesis([10, 11, 12], -0.32)
    sequence = make_sequence([10, 11, 12])

    ((_, result),) = reranker.rerank([(sequence, [short, whole])])

    assert [each.token_ids for each in result] == [whole.token_ids, short.token_ids]
    assert [each.score for each in result] == [-0.32, -0.30]  # their own, as before
    for hypothesis in result:
        assert hypothesis.merit == pytest.approx(expect(sequence, hypothesis))


def test_the_only_complete_hypothesis_is_read_back(reranker: Reranker) -> None:
    """Its merit is compared with that of other sentences where there is a pivot."""
    sequence = make_sequence([10, 11])

    ((_, result),) = reranker.rerank(
        [(sequence, [Hypothesis([9], -0.1, "loop"), Hypothesis([10], -0.3)])]
    )

    assert isinstance(result, list)
    assert [each.read_back for each in result] == [pytest.approx(-2.0 / 3), None]


def test_many_sentences_are_ranked_like_each_alone(reranker: Reranker, scorer: FakeScorer) -> None:
    rng = random.Random(7)
    ended = []
    for _ in range(60):
        sequence = make_sequence([rng.randint(5, 30) for _ in range(rng.randint(1, 40))])
        hypotheses = [
            Hypothesis([rng.randint(5, 30) for _ in range(rng.randint(0, 40))], -rng.random())
            for _ in range(rng.randint(2, 4))
        ]
        ended.append((sequence, hypotheses))

    ranked = reranker.rerank([*ended])

    for (sequence, hypotheses), (same, result) in zip(ended, ranked, strict=True):
        assert same is sequence
        assert isinstance(result, list)
        expected = sorted(hypotheses, key=lambda each: -expect(sequence, each))
        assert [replace(each, read_back=None) for each in result] == expected
    assert len(scorer.shapes) > 1
    assert all(rows * tokens <= 2 * MAX_BATCH_TOKENS for rows, tokens in scorer.shapes)


def test_incomplete_hypotheses_stay_behind(reranker: Reranker) -> None:
    first, second = Hypothesis([10], -0.3), Hypothesis([10, 11], -0.4)
    looping, cut = Hypothesis([11, 11], -0.1, "loop"), Hypothesis([10], -0.1, "length")
    sequence = make_sequence([10, 11])

    ((_, result),) = reranker.rerank([(sequence, [first, second, looping, cut])])

    assert isinstance(result, list)
    assert {tuple(each.token_ids) for each in result[:2]} == {(10,), (10, 11)}
    assert result[2:] == [looping, cut]


@pytest.mark.parametrize(
    ("sequence", "hypotheses"),
    [
        (make_sequence([10, 11], None), [Hypothesis([9], -0.3), Hypothesis([10, 11], -0.4)]),
        (make_sequence([10, 11]), [Hypothesis([9], -0.3)]),
        (
            make_sequence([10, 11]),
            [Hypothesis([9], -0.3, "loop"), Hypothesis([10], -0.1, "length")],
        ),
    ],
    ids=["not asked for", "one", "none complete"],
)
def test_without_a_choice_nothing_is_scored(
    reranker: Reranker,
    scorer: FakeScorer,
    sequence: TokenSequence,
    hypotheses: list[Hypothesis],
) -> None:
    assert reranker.rerank([(sequence, hypotheses)]) == [(sequence, hypotheses)]
    assert scorer.shapes == []


def test_the_level_at_the_end_of_a_source_is_not_asked_back(
    reranker: Reranker, scorer: FakeScorer
) -> None:
    """The source ends in the level of its translation, and is written with eos."""
    sequence = make_sequence([10, 11])
    sequence.input_ids[-1] = START_ID

    reranker.rerank([(sequence, [Hypothesis([10], -0.3), Hypothesis([11], -0.3)])])

    assert scorer.shapes == [(2, 2 + 4)]


def test_a_sentence_longer_than_a_batch_is_one_of_its_own() -> None:
    ids = list(range(MAX_BATCH_TOKENS))
    candidates = [Candidate((0, place), ids, ids) for place in range(3)]

    assert [len(batch) for batch in cut_batches(candidates)] == [1, 1, 1]


def test_words_that_a_hypothesis_makes_up_count_against_it(scorer: FakeScorer) -> None:
    asked: list[TokenSequence] = []

    def count_unknown(sequence: TokenSequence, found: Hypothesis) -> int:
        asked.append(sequence)
        return found.token_ids.count(99)

    made_up, known = Hypothesis([10, 99], -0.30), Hypothesis([10, 98], -0.45)
    sequence = make_sequence([10, 11])
    reranker = Reranker(scorer, PAD_ID, EOS_ID, count_unknown)

    ((_, result),) = reranker.rerank([(sequence, [made_up, known])])

    assert isinstance(result, list)
    assert [each.token_ids for each in result] == [known.token_ids, made_up.token_ids]
    assert [each.num_unknown for each in result] == [0, 1]
    assert result[1].merit == pytest.approx(expect(sequence, made_up) - UNKNOWN_PRICE)
    assert asked == [sequence, sequence]
