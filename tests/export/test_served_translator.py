"""That the service's search over real graphs is torch's, whichever sentences share a batch."""

import random
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
import torch

from export.graphs.scorer import LOWEST
from models.config import Cell
from service.arrays import FloatArray
from service.engine.batch import SOURCE_WEIGHT, Hypothesis, TokenSequence
from tests.export.conftest import TinyTranslator
from tests.service.engine.search.test_translator import (
    SCORE_TOLERANCE,
    Ids,
    LanguageModel,
    assert_same,
    copy_sequence,
    make_sentence,
    reference_beam,
    run_staggered,
    translate,
)

CELLS: list[Cell] = ["lstm", "gru", "rnn"]
MakeTranslator = Callable[[Cell], TinyTranslator]


def random_sequences(
    translator: TinyTranslator, lengths: Iterable[int], limit: int = 24, beam_size: int = 1
) -> list[TokenSequence]:
    rng = random.Random(11)
    low, high = translator.first_free_id, translator.model.config.vocab_size
    return [
        make_sentence((rng.randrange(low, high) for _ in range(length)), beam_size, limit)
        for length in lengths
    ]


def translate_by_torch(
    translator: TinyTranslator, sequences: list[TokenSequence], limit: int
) -> list[list[int]]:
    width = max(sequence.num_tokens for sequence in sequences)
    input_ids = torch.tensor(
        [[*sequence.input_ids, *[0] * (width - sequence.num_tokens)] for sequence in sequences]
    )
    lengths = torch.tensor([sequence.num_tokens for sequence in sequences])
    return translator.model.translate(
        input_ids, lengths, translator.start_id, translator.eos_id, limit
    )


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("batch_size", [1, 2, 7, 32])
def test_greedy_search_equals_torch_token_by_token(
    tiny_translator: MakeTranslator, cell: Cell, batch_size: int
) -> None:
    translator = tiny_translator(cell)
    rng = random.Random(batch_size)
    sequences = random_sequences(
        translator, [rng.randint(1, 40) for _ in range(batch_size)], limit=24
    )

    results = translate(sequences, translator.make_runner())

    expected = translate_by_torch(translator, sequences, limit=24)
    assert [result[0].token_ids for result in results] == expected


def test_target_languages_share_a_batch(tiny_translator: MakeTranslator) -> None:
    translator = tiny_translator("gru")
    sequences = random_sequences(translator, [5, 9, 5, 9], limit=24)
    for sequence, start_id in zip(sequences, [3, 4, 4, 3], strict=True):
        sequence.start_id = start_id

    results = translate(sequences, translator.make_runner())

    for sequence, result in zip(sequences, results, strict=True):
        (expected,) = translate_by_torch(
            replace(translator, start_id=sequence.start_id), [sequence], limit=24
        )
        assert result[0].token_ids == expected


@pytest.mark.parametrize("cell", CELLS)
def test_tiny_model_ends_its_sentences_at_different_steps(
    tiny_translator: MakeTranslator, cell: Cell
) -> None:
    translator = tiny_translator(cell)

    results = translate(random_sequences(translator, range(1, 33)), translator.make_runner())

    assert len({len(result[0].token_ids) for result in results}) > 3
    assert any(result[0].is_complete for result in results)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("beam_size", [1, 4])
def test_sentences_joining_one_by_one_get_the_tokens_they_get_alone(
    tiny_translator: MakeTranslator, cell: Cell, beam_size: int
) -> None:
    translator = tiny_translator(cell)
    sequences = random_sequences(translator, [3, 17, 1, 30, 8, 8, 25, 2], beam_size=beam_size)
    runner = translator.make_runner()
    alone = [translate([copy_sequence(sequence)], runner)[0] for sequence in sequences]

    together = run_staggered(runner, {3 * n: [sequence] for n, sequence in enumerate(sequences)})

    for sequence, expected in zip(sequences, alone, strict=True):
        found = together[sequence]
        assert [one.token_ids for one in found] == [one.token_ids for one in expected]
        assert [one.score for one in found] == pytest.approx(
            [one.score for one in expected], abs=SCORE_TOLERANCE
        )


def torch_log_probabilities(translator: TinyTranslator) -> LanguageModel:
    """The torch model under teacher forcing, a whole prefix at a time."""

    @torch.inference_mode()
    def score(source: Ids, prefix: Ids) -> FloatArray:
        input_ids, target_ids = (
            torch.tensor([ids]) for ids in (source, (translator.start_id, *prefix))
        )
        logits = translator.model(input_ids, torch.tensor([len(source)]), target_ids)
        result: FloatArray = logits[0, -1].log_softmax(dim=-1).numpy()
        return result

    return score


@pytest.mark.parametrize("cell", CELLS)
def test_beam_search_over_real_graphs_equals_the_textbook_over_torch(
    tiny_translator: MakeTranslator, cell: Cell
) -> None:
    translator = tiny_translator(cell)
    sequences = random_sequences(translator, [1, 4, 9, 20], limit=6, beam_size=3)

    results = translate(sequences, translator.make_runner())

    score = torch_log_probabilities(translator)
    for sequence, result in zip(sequences, results, strict=True):
        expected = reference_beam(tuple(sequence.input_ids), 3, 6, score, eos_id=translator.eos_id)
        assert_same(result, expected)


def test_real_attention_rows_sum_to_one(tiny_translator: MakeTranslator) -> None:
    translator = tiny_translator("gru")
    sequence = make_sentence([9, 10, 11, 12], with_attention=True)
    mate = make_sentence(range(9, 40))

    attention = translate([sequence, mate], translator.make_runner())[0][0].attention

    assert attention is not None
    assert attention.shape[1] == 4
    assert attention.sum(axis=1) == pytest.approx(1.0, abs=1e-5)


def ask_back(sequence: TokenSequence, source_start_id: int | None) -> TokenSequence:
    """The sentence, ended with eos as served, to be reranked or not."""
    copy = copy_sequence(sequence)
    assert copy.search is not None
    copy.search = replace(copy.search, source_start_id=source_start_id)
    return copy


def score_by_torch(
    translator: TinyTranslator, sequence: TokenSequence, hypothesis: Hypothesis, start_id: int
) -> float:
    """Both scores, by the definition."""
    read = torch.tensor([[*hypothesis.token_ids, translator.eos_id]])
    wanted = torch.tensor([[start_id, *sequence.input_ids[:-1], translator.eos_id]])
    with torch.inference_mode():
        logits = translator.model(read, torch.tensor([read.shape[1]]), wanted[:, :-1])
    scores = logits.log_softmax(dim=-1)[0].gather(1, wanted[0, 1:, None]).clamp(min=LOWEST)
    return hypothesis.score + SOURCE_WEIGHT * float(scores.mean())


@pytest.mark.parametrize("cell", CELLS)
def test_reranked_hypotheses_are_in_the_order_of_both_scores(
    tiny_translator: MakeTranslator, cell: Cell
) -> None:
    translator = tiny_translator(cell)
    start_id = translator.start_id
    plain = [
        ask_back(sequence, None)
        for sequence in random_sequences(translator, range(2, 22), beam_size=4)
    ]
    for sequence in plain:
        sequence.input_ids[-1] = translator.eos_id
    asked = [ask_back(sequence, start_id) for sequence in plain]
    arrivals = {3 * step: [sequence] for step, sequence in enumerate(asked)}

    found = run_staggered(translator.make_runner(), arrivals)

    unranked = translate(plain, translator.make_runner())
    num_moved = 0
    for sequence, before in zip(asked, unranked, strict=True):
        result = found[sequence]
        assert {tuple(each.token_ids) for each in result} == {
            tuple(each.token_ids) for each in before
        }
        complete = [each for each in result if each.is_complete]
        scores = [score_by_torch(translator, sequence, each, start_id) for each in complete]
        assert scores == pytest.approx(sorted(scores, reverse=True), abs=1e-4)
        num_moved += result[0].token_ids != before[0].token_ids
    assert num_moved > 0, "nothing was reranked"


def test_streamed_tokens_are_those_of_the_reranked_translation(
    tiny_translator: MakeTranslator,
) -> None:
    translator = tiny_translator("lstm")
    given: dict[TokenSequence, list[int]] = {}
    asked = [
        ask_back(sequence, translator.start_id)
        for sequence in random_sequences(translator, range(2, 22), beam_size=4)
    ]
    for sequence in asked:
        sequence.on_tokens = given.setdefault(sequence, []).extend

    results = translate(asked, translator.make_runner())

    for sequence, result in zip(asked, results, strict=True):
        assert given[sequence] == result[0].token_ids
