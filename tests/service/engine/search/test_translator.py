import random
import zlib
from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pytest

from service.arrays import Array, FloatArray
from service.engine.batch import Hypothesis, Result, SearchOptions, TokenSequence
from service.engine.runner import run_sequences
from service.engine.search.decoder_session import DecoderSession
from service.engine.search.translator import TranslatorRunner
from service.errors import InferenceFailed
from tests.fakes import EOS_ID, NEVER, PAD_ID, START_ID, FakeSession

VOCAB_SIZE = 12
SCORE_TOLERANCE = 1e-4

Ids = tuple[int, ...]
LanguageModel = Callable[[Ids, Ids], FloatArray]


def log_probabilities(source: Ids, prefix: Ids) -> FloatArray:
    """The whole language model behind the fake graphs: (V), eos the likelier the longer."""
    rng = np.random.default_rng(zlib.crc32(repr((source, prefix)).encode()))
    logits = rng.normal(scale=1.5, size=VOCAB_SIZE)
    logits[[PAD_ID, START_ID]] = -1e9
    logits[EOS_ID] += 0.4 * len(prefix) - 1.0
    result: FloatArray = (logits - np.logaddexp.reduce(logits)).astype(np.float32)
    return result


class FakeGraphs:
    """Encoder and decoder over a language model.

    The memory holds the source ids themselves and, as keys, their places, since pages come in any
    order; a state is the number of its prefix. A mixed-up row, page or parent changes the answer.
    """

    def __init__(self, model: LanguageModel = log_probabilities) -> None:
        self.model = model
        self.prefixes: list[Ids] = [()]
        self.encoder = FakeSession(self.encode)
        self.decoder = FakeSession(self.decode)

    def encode(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        input_ids, lengths = feeds["input_ids"], feeds["lengths"]
        assert (lengths >= 1).all()
        places = np.arange(1, input_ids.shape[1] + 1)
        is_token = places <= lengths[:, None]
        hidden = np.zeros((2, len(input_ids), 1), dtype=np.float32)
        return {
            "keys": np.where(is_token, places, -7.0)[:, None, :].astype(np.float32),
            "values": np.where(is_token, input_ids, -7.0)[:, :, None].astype(np.float32),
            "hidden": hidden,
        }

    def decode(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        rows = [self.read_row(feeds, row) for row in range(len(feeds["token_ids"]))]
        table = np.stack([self.model(*row) for row in rows])
        count = int(feeds["num_candidates"][0])
        candidates = np.argsort(-table, axis=1, kind="stable")[:, :count]
        first = len(self.prefixes)
        self.prefixes += [prefix for _, prefix in rows]
        numbers = np.arange(first, len(self.prefixes), dtype=np.float32)
        totals = np.array([*(sum(range(len(source) + 1)) for source, _ in rows), 1])
        places = feeds["keys"]  # (G, 1, W)
        attention = places / totals[feeds["rows"]][:, :, None]  # (G, B, W)
        return {
            "scores": np.take_along_axis(table, candidates, axis=1),
            "candidates": candidates,
            "next_hidden": np.stack([numbers, numbers])[:, :, None],
            "attention": attention.astype(np.float32),
        }

    def read_row(self, feeds: Mapping[str, Array], row: int) -> tuple[Ids, Ids]:
        """Source and prefix of one hypothesis, checked against each other's copies."""
        assert feeds["rows"].max() <= len(feeds["token_ids"])
        pages, _ = np.nonzero(feeds["rows"] == row)
        places = feeds["keys"][pages, 0].ravel()
        source_ids, is_token = feeds["values"][pages].reshape(-1, 2).T
        order = np.argsort(places)[(places == 0).sum() :]
        assert is_token.sum() == len(order)
        assert np.array_equal(places[order], np.arange(1, len(order) + 1))
        first, second = feeds["hidden"][:, feeds["parents"][row], 0]
        assert first == second
        token_id = int(feeds["token_ids"][row])
        before = self.prefixes[int(first)]
        prefix = () if token_id == START_ID else (*before, token_id)
        return tuple(int(token) for token in source_ids[order]), prefix


def make_runner(graphs: FakeGraphs | None = None, max_rows: int = 64) -> TranslatorRunner:
    graphs = graphs or FakeGraphs()
    session = DecoderSession(graphs.encoder, graphs.decoder, PAD_ID)
    return TranslatorRunner(session, EOS_ID, max_rows)


def make_sentence(
    source: Iterable[int],
    beam_size: int = 1,
    max_new_tokens: int = 12,
    *,
    with_attention: bool = False,
) -> TokenSequence:
    return TokenSequence(
        list(source),
        0.0,
        NEVER,
        SearchOptions(beam_size, max_new_tokens, with_attention),
        START_ID,
    )


def copy_sequence(sequence: TokenSequence) -> TokenSequence:
    return TokenSequence(list(sequence.input_ids), 0.0, NEVER, sequence.search, sequence.start_id)


def translate(
    sequences: list[TokenSequence], runner: TranslatorRunner | None = None
) -> list[list[Hypothesis]]:
    results = run_sequences(runner or make_runner(), sequences)
    return [result for result in results if isinstance(result, list)]


def reference_greedy(source: Ids, limit: int) -> tuple[Ids, float, bool]:
    """Tokens, mean score and completeness, by the definition."""
    prefix: Ids = ()
    total = 0.0
    for step in range(1, limit + 1):
        table = log_probabilities(source, prefix)
        best = int(table.argmax())
        total += float(table[best])
        if best == EOS_ID:
            return prefix, total / step, True
        prefix = (*prefix, best)
    return prefix, total / limit, False


def reference_beam(
    source: Ids,
    beam_size: int,
    limit: int,
    model: LanguageModel = log_probabilities,
    eos_id: int = EOS_ID,
) -> list[tuple[Ids, float, bool]]:
    """Textbook beam search over whole prefixes and the whole vocabulary."""
    live: list[tuple[float, Ids]] = [(0.0, ())]
    complete: list[tuple[Ids, float, bool]] = []
    for step in range(1, limit + 1):
        longer = [
            (score + float(log_probability), (*prefix, token_id))
            for score, prefix in live
            for token_id, log_probability in enumerate(model(source, prefix))
        ]
        longer.sort(key=lambda pair: pair[0], reverse=True)
        complete += [
            (prefix[:-1], score / step, True)
            for score, prefix in longer[:beam_size]
            if prefix[-1] == eos_id
        ]
        live = [(score, prefix) for score, prefix in longer if prefix[-1] != eos_id][:beam_size]
        if len(complete) >= beam_size:
            live = []
            break
    ended = complete + [(prefix, score / limit, False) for score, prefix in live]
    return sorted(ended, key=lambda entry: (not entry[2], -entry[1]))[:beam_size]


def random_sources(seed: int, count: int) -> list[Ids]:
    rng = random.Random(seed)
    return [
        tuple(rng.randrange(3, VOCAB_SIZE) for _ in range(rng.choice([1, 4, 9, 16, 17, 40])))
        for _ in range(count)
    ]


def assert_same(found: list[Hypothesis], expected: list[tuple[Ids, float, bool]]) -> None:
    assert [(tuple(one.token_ids), one.is_complete) for one in found] == [
        (token_ids, is_complete) for token_ids, _, is_complete in expected
    ]
    assert [one.score for one in found] == pytest.approx(
        [score for _, score, _ in expected], abs=SCORE_TOLERANCE
    )


# --- over fake graphs ---


@pytest.mark.parametrize("limit", [1, 2, 12])
def test_greedy_search_follows_the_best_token(limit: int) -> None:
    sources = random_sources(seed=limit, count=12)

    results = translate([make_sentence(source, 1, limit) for source in sources])

    for source, result in zip(sources, results, strict=True):
        assert_same(result, [reference_greedy(source, limit)])


@pytest.mark.parametrize("beam_size", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("limit", [1, 4, 12])
def test_beam_search_equals_the_textbook(beam_size: int, limit: int) -> None:
    sources = random_sources(seed=beam_size, count=8)

    results = translate([make_sentence(source, beam_size, limit) for source in sources])

    for source, result in zip(sources, results, strict=True):
        assert_same(result, reference_beam(source, beam_size, limit))


def test_beams_of_all_widths_share_a_batch() -> None:
    sources = random_sources(seed=3, count=20)
    widths = [1 + index % 6 for index in range(20)]
    sequences = [
        make_sentence(source, width) for source, width in zip(sources, widths, strict=True)
    ]

    results = translate(sequences, make_runner(max_rows=16))

    for source, width, result in zip(sources, widths, results, strict=True):
        assert_same(result, reference_beam(source, width, 12))


def run_staggered(
    runner: TranslatorRunner, arrivals: dict[int, list[TokenSequence]]
) -> dict[TokenSequence, list[Hypothesis]]:
    """Lets requests join at the steps given; results once all have ended."""
    results: dict[TokenSequence, list[Hypothesis]] = {}
    step = 0
    while step <= max(arrivals) or runner.num_running:
        for sequence, result in runner.step(arrivals.get(step, [])):
            assert isinstance(result, list)
            results[sequence] = result
        step += 1
    return results


@pytest.mark.parametrize("seed", range(10))
def test_joining_and_leaving_at_any_step_changes_no_token(seed: int) -> None:
    rng = random.Random(seed)
    arrivals: dict[int, list[TokenSequence]] = {}
    for source in random_sources(seed, count=25):
        sequence = make_sentence(source, rng.choice([1, 1, 3]), rng.randint(1, 12))
        arrivals.setdefault(rng.randrange(30), []).append(sequence)

    results = run_staggered(make_runner(max_rows=1000), arrivals)

    for sequence in [sequence for group in arrivals.values() for sequence in group]:
        options = sequence.search
        assert options is not None
        expected = reference_beam(
            tuple(sequence.input_ids), options.beam_size, options.max_new_tokens
        )
        assert_same(results[sequence], expected)


@pytest.mark.parametrize("seed", range(20))
def test_each_answer_is_the_textbook_one_whatever_joins_and_leaves(seed: int) -> None:
    """Random beams, limits, arrivals and abandonments; nobody's answer depends on the others."""
    rng = random.Random(seed)
    arrivals: dict[int, list[TokenSequence]] = {}
    given: dict[TokenSequence, list[int]] = {}
    for source in random_sources(seed, 30):
        sequence = make_sentence(source, rng.choice([1, 1, 2, 3, 4, 7]), rng.randint(1, 12))
        if rng.random() < 0.5:
            sequence.on_tokens = given.setdefault(sequence, []).extend
        arrivals.setdefault(rng.randrange(40), []).append(sequence)
    sequences = [sequence for group in arrivals.values() for sequence in group]
    leaving = {sequence: rng.randrange(40) for sequence in rng.sample(sequences, 8)}

    runner, results, step = make_runner(max_rows=1000), dict[TokenSequence, Result](), 0
    while step < 40 or runner.num_running:
        for sequence, left_at in leaving.items():
            sequence.is_abandoned = sequence.is_abandoned or left_at == step
        results.update(runner.step(arrivals.get(step, [])))
        step += 1

    assert set(sequences) - set(results) <= set(leaving)
    for sequence, result in results.items():
        options = sequence.search
        assert options is not None
        assert isinstance(result, list)
        expected = reference_beam(
            tuple(sequence.input_ids), options.beam_size, options.max_new_tokens
        )
        assert_same(result, expected)
        assert given.get(sequence, result[0].token_ids) == result[0].token_ids


def test_abandoned_sentence_leaves_and_its_neighbours_stay_right() -> None:
    leaving, staying = make_sentence([3, 4, 5], 3, 12), make_sentence([6, 7], 3, 12)
    runner = make_runner(max_rows=8)
    results = dict(runner.step([leaving, staying]))
    leaving.is_abandoned = True
    while runner.num_running:
        results.update(runner.step([]))

    assert leaving not in results
    result = results[staying]
    assert isinstance(result, list)
    assert_same(result, reference_beam((6, 7), 3, 12))


def test_rows_of_abandoned_sentences_are_free_after_the_next_step() -> None:
    runner = make_runner(max_rows=8)
    sentences = [make_sentence([3, 4, 5], 4, 1000), make_sentence([3, 9], 4, 1000)]
    runner.step(sentences)
    assert runner.free_rows == 0
    for sentence in sentences:
        sentence.is_abandoned = True

    assert runner.step([]) == []
    assert (runner.free_rows, runner.num_running) == (8, 0)


def test_sequence_abandoned_before_it_joined_gets_no_answer() -> None:
    sequence = make_sentence([3])
    sequence.is_abandoned = True
    runner = make_runner()

    assert runner.step([sequence]) == []
    assert runner.num_running == 0


@pytest.mark.parametrize("beam_size", [1, 4])
def test_length_limit_ends_a_sentence_and_marks_it_incomplete(beam_size: int) -> None:
    (hypotheses,) = translate([make_sentence([3, 4, 5, 6], beam_size, max_new_tokens=1)])

    incomplete = [one for one in hypotheses if not one.is_complete]
    assert incomplete
    assert {len(one.token_ids) for one in incomplete} == {1}
    assert {one.defect for one in incomplete} == {"length"}


def test_no_sentence_outlives_its_limit() -> None:
    runner = make_runner()
    runner.step(
        [make_sentence(source, 1 + n % 4, 5) for n, source in enumerate(random_sources(1, 20))]
    )
    for _ in range(4):
        runner.step([])

    assert runner.num_running == 0


@pytest.mark.parametrize("beam_size", [2, 5])
def test_hypotheses_come_complete_first_then_best_first(beam_size: int) -> None:
    for hypotheses in translate([make_sentence(s, beam_size, 6) for s in random_sources(4, 20)]):
        keys = [(not one.is_complete, -one.score) for one in hypotheses]
        assert keys == sorted(keys)
        assert 1 <= len(hypotheses) <= beam_size


def test_hypotheses_of_a_sentence_are_different() -> None:
    for hypotheses in translate([make_sentence(s, 5) for s in random_sources(5, 20)]):
        assert len({tuple(one.token_ids) for one in hypotheses}) == len(hypotheses)


@pytest.mark.parametrize("beam_size", [1, 3])
def test_attention_has_a_row_per_step_over_the_sources_own_tokens(beam_size: int) -> None:
    sources = random_sources(8, 12)
    limits = [1 + n % 7 for n in range(12)]
    sequences = [
        make_sentence(source, beam_size, limit, with_attention=True)
        for source, limit in zip(sources, limits, strict=True)
    ]

    results = run_staggered(make_runner(), {n: [sequence] for n, sequence in enumerate(sequences)})

    for sequence, source in zip(sequences, sources, strict=True):
        places = np.arange(1, len(source) + 1)
        for hypothesis in results[sequence]:
            assert hypothesis.attention is not None
            num_steps = len(hypothesis.token_ids) + hypothesis.is_complete
            expected = np.tile(places / places.sum(), (num_steps, 1))
            assert hypothesis.attention == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_attention_is_that_of_the_hypothesis_itself(seed: int) -> None:
    """Over several beam sizes, with sentences that come and leave and pages that move."""
    graphs = FakeGraphs()
    plain = graphs.decode

    def mark_rows(feeds: Mapping[str, Array]) -> dict[str, Array]:
        outputs = plain(feeds)
        marks = np.append(outputs["next_hidden"][0, :, 0], -1)  # numbers of the rows' prefixes
        outputs["attention"] = marks[feeds["rows"]][:, :, None] + 0 * feeds["keys"]
        return outputs

    graphs.decoder = FakeSession(mark_rows)
    rng = random.Random(seed)
    arrivals = {
        step: [
            make_sentence(source, rng.choice([1, 2, 4]), rng.randint(1, 9), with_attention=True)
            for source in random_sources(100 * seed + step, 4)
        ]
        for step in range(8)
    }

    results = run_staggered(make_runner(graphs, max_rows=1000), arrivals)
    assert len(results) == 32

    for sequence, hypotheses in results.items():
        for hypothesis in hypotheses:
            assert hypothesis.attention is not None
            assert hypothesis.attention.shape[1] == sequence.num_tokens
            assert (hypothesis.attention == hypothesis.attention[:, :1]).all()
            seen = [graphs.prefixes[int(number)] for number in hypothesis.attention[:, 0]]
            assert seen == [tuple(hypothesis.token_ids[:place]) for place in range(len(seen))]


def test_attention_is_only_kept_for_those_who_asked() -> None:
    asking, other = make_sentence([3, 4], 2, with_attention=True), make_sentence([5], 2)
    first, second = translate([asking, other])
    assert first[0].attention is not None
    assert second[0].attention is None


def test_translation_holds_neither_start_token_nor_eos() -> None:
    for hypotheses in translate([make_sentence(s, 3) for s in random_sources(6, 10)]):
        for hypothesis in hypotheses:
            assert not {START_ID, EOS_ID} & set(hypothesis.token_ids)


def test_failed_step_is_passed_on_and_reset_makes_room() -> None:
    graphs = FakeGraphs()
    runner = make_runner(graphs, max_rows=4)
    runner.step([make_sentence([3, 4, 5, 6], 4, 1000)])
    broken = FakeGraphs()

    def fail(feeds: Mapping[str, Array]) -> dict[str, Array]:
        raise InferenceFailed("broken")

    broken.encoder = FakeSession(fail)
    runner = make_runner(broken, max_rows=4)
    with pytest.raises(InferenceFailed):
        runner.step([make_sentence([3])])
    runner.reset()

    assert (runner.free_rows, runner.num_running) == (4, 0)


def test_one_encoder_run_serves_all_that_join_together() -> None:
    graphs = FakeGraphs()

    make_runner(graphs).step([make_sentence(s) for s in random_sources(7, 9)])

    assert [len(feeds["lengths"]) for feeds in graphs.encoder.feeds] == [9]


def test_greedy_sentences_ask_the_graph_for_one_candidate() -> None:
    graphs = FakeGraphs()

    make_runner(graphs).step([make_sentence([3, 4]), make_sentence([5])])

    assert [int(feeds["num_candidates"][0]) for feeds in graphs.decoder.feeds] == [1]


def test_memory_of_sentences_that_left_is_freed() -> None:
    graphs = FakeGraphs()
    runner = make_runner(graphs)
    long = make_sentence([3, 4], max_new_tokens=12)
    runner.step([long, *(make_sentence(range(3, 43), max_new_tokens=1) for _ in range(9))])
    while runner.num_running:
        runner.step([])

    assert [len(feeds["keys"]) for feeds in graphs.decoder.feeds[:2]] == [1 + 9 * 3, 1]


# --- tokens as they come ---


class Listener:
    """Notes what each step gave."""

    def __init__(self, sequence: TokenSequence) -> None:
        self.groups: list[list[int]] = []
        sequence.on_tokens = self.groups.append

    @property
    def token_ids(self) -> list[int]:
        return [token_id for group in self.groups for token_id in group]


def test_greedy_search_gives_a_token_a_step() -> None:
    sequence = make_sentence([3, 9, 4], max_new_tokens=12)
    listener, runner = Listener(sequence), make_runner()
    results = dict(runner.step([sequence]))
    counts = [len(listener.token_ids)]
    while runner.num_running:
        results.update(runner.step([]))
        counts.append(len(listener.token_ids))

    expected, _, is_complete = reference_greedy((3, 9, 4), 12)
    assert tuple(listener.token_ids) == expected
    assert counts == [*range(1, len(expected) + 1), *[len(expected)] * is_complete]


@pytest.mark.parametrize("beam_size", [1, 2, 4])
def test_what_was_given_is_the_best_hypothesis(beam_size: int) -> None:
    sequences = [make_sentence(s, beam_size) for s in random_sources(20 + beam_size, 30)]
    listeners = [Listener(sequence) for sequence in sequences]

    results = translate(sequences)

    for listener, hypotheses in zip(listeners, results, strict=True):
        assert listener.token_ids == hypotheses[0].token_ids
        assert all(listener.groups)
        assert EOS_ID not in listener.token_ids


@pytest.mark.parametrize("beam_size", [2, 4])
def test_beam_search_gives_only_what_all_live_hypotheses_share(beam_size: int) -> None:
    graphs = FakeGraphs()
    runner = make_runner(graphs)
    early = 0
    for source in random_sources(40 + beam_size, 20):
        sequence = make_sentence(source, beam_size)
        listener = Listener(sequence)
        results = dict(runner.step([sequence]))
        while runner.num_running:
            count = len(listener.token_ids)
            results.update(runner.step([]))
            if not runner.num_running:
                break
            for prefix in graphs.prefixes[-beam_size:]:  # as they were before this step
                assert prefix[:count] == tuple(listener.token_ids[:count])
            early += count
        hypotheses = results[sequence]
        assert isinstance(hypotheses, list)
        assert listener.token_ids == hypotheses[0].token_ids
    assert early > 0


def test_settled_tokens_are_given_as_soon_as_they_are() -> None:
    """Two hypotheses that part at the third token and stay: two tokens are settled."""

    def model(source: Ids, prefix: Ids) -> FloatArray:
        table = np.full(VOCAB_SIZE, -20.0, dtype=np.float32)
        best = [5, 6][: 2 if len(prefix) == 2 else 1]
        table[best] = [-0.5, -0.6][: len(best)]
        return table

    sequence = make_sentence([3], 2, 8)
    listener, runner = Listener(sequence), make_runner(FakeGraphs(model))
    runner.step([sequence])
    while runner.num_running:
        before = len(listener.token_ids)
        runner.step([])

    assert before == 2
    assert len(listener.token_ids) == 8


# --- repetition ---


def make_looper(period: int, prelude: int = 0) -> LanguageModel:
    """A model that says tokens of a period for ever, after some that do not repeat."""
    tokens = [3 + place for place in range(period)]

    def model(source: Ids, prefix: Ids) -> FloatArray:
        table = np.linspace(-9.0, -8.0, VOCAB_SIZE, dtype=np.float32)
        table[[PAD_ID, START_ID]] = -1e9
        place = len(prefix)
        after = (7 * place + place // 5) % 9 + 3
        table[after if place < prelude else tokens[(place - prelude) % period]] = -0.1
        return table

    return model


@pytest.mark.parametrize("period", [1, 2, 5, 8])
@pytest.mark.parametrize("beam_size", [1, 3])
def test_a_hypothesis_that_repeats_itself_ends_its_sentence(period: int, beam_size: int) -> None:
    runner = make_runner(FakeGraphs(make_looper(period)))

    (hypotheses,) = translate([make_sentence([3, 4], beam_size, 1000)], runner)

    best = hypotheses[0]
    assert len(best.token_ids) == 24
    assert best.token_ids[period:] == best.token_ids[:-period]
    assert {one.defect for one in hypotheses} == {"loop"}


def test_a_loop_is_found_behind_what_does_not_repeat() -> None:
    runner = make_runner(FakeGraphs(make_looper(4, prelude=19)))

    (hypotheses,) = translate([make_sentence([3, 4], 1, 1000)], runner)

    assert len(hypotheses[0].token_ids) == 48  # 19 + 24 at least, seen at every eighth step


def test_longer_periods_are_no_loop() -> None:
    runner = make_runner(FakeGraphs(make_looper(9)))

    (hypotheses,) = translate([make_sentence([3, 4], 1, 100)], runner)

    assert len(hypotheses[0].token_ids) == 100
    assert hypotheses[0].defect == "length"


def make_rambler(length: int, period: int) -> LanguageModel:
    """A model that repeats itself, then says something else, and ends as it should."""

    def model(source: Ids, prefix: Ids) -> FloatArray:
        table = np.linspace(-9.0, -8.0, VOCAB_SIZE, dtype=np.float32)
        table[[PAD_ID, START_ID]] = -1e9
        place = len(prefix)
        last = EOS_ID if place > length else 11
        table[3 + place % period if place < length else last] = -0.1
        return table

    return model


@pytest.mark.parametrize("period", [1, 3, 7])
@pytest.mark.parametrize("beam_size", [1, 3])
def test_a_loop_that_ends_with_eos_is_a_loop_all_the_same(period: int, beam_size: int) -> None:
    runner = make_runner(FakeGraphs(make_rambler(17, period)))
    sentence = make_sentence([3, 4], beam_size, 1000, with_attention=True)

    (hypotheses,) = translate([sentence], runner)

    best = hypotheses[0]
    assert (len(best.token_ids), best.token_ids[-1], best.defect) == (18, 11, "loop")
    assert best.attention is not None
    assert len(best.attention) == 19  # eos has its row


def test_a_source_that_repeats_itself_may_have_such_a_translation() -> None:
    runner = make_runner(FakeGraphs(make_rambler(17, 1)))

    laughter, other = translate(
        [make_sentence([5] * 12, 1, 30), make_sentence([5, 6, 7], 1, 30)], runner
    )

    assert [hypotheses[0].defect for hypotheses in (laughter, other)] == [None, "loop"]


def test_a_loop_ends_at_the_same_step_whatever_else_runs() -> None:
    arrivals = {n: [make_sentence([3 + n], 1 + n % 2, 1000)] for n in range(9)}

    results = run_staggered(make_runner(FakeGraphs(make_looper(2, prelude=3))), arrivals)

    assert {len(hypotheses[0].token_ids) for hypotheses in results.values()} == {32}
