"""The runner over real graphs: whatever joins, leaves or is cancelled, each text is its own."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from service.engine.batch import Generation, SamplingOptions, TokenSequence
from service.engine.runner import Runner, run_sequences
from service.engine.runtime.device import Device
from service.errors import InferenceFailed
from service.repository.loader import load_model
from service.repository.manifest import Precision
from service.repository.model import LoadedModel

PRECISIONS: list[Precision] = ["fp32", "w8", "int8"]
PROMPTS = ["", "the cat", "A", "hello and then another the and the", "b\nc", " x "]
OPTIONS = [
    SamplingOptions(40),
    SamplingOptions(40, temperature=1.0, seed=1),
    SamplingOptions(25, temperature=0.7, top_k=5, seed=2),
    SamplingOptions(40, temperature=1.2, top_p=0.8, seed=3),
    SamplingOptions(50, temperature=1.0, repetition_penalty=1.4, seed=4),
]

ModelLoader = Callable[..., LoadedModel]


@pytest.fixture
def load(tiny_languages: Path) -> ModelLoader:
    def load(name: str = "lstm", precision: Precision = "fp32", max_rows: int = 64) -> LoadedModel:
        folder = tiny_languages / f"tiny-language-{name}" / "1"
        return load_model(folder, Device("cpu"), precision=precision, max_rows=max_rows)

    return load


def make_sequence(model: LoadedModel, text: str, options: SamplingOptions) -> TokenSequence:
    (input_ids,) = model.encode([text])
    sequence = TokenSequence(input_ids, 0.0, float("inf"), sampling=options)
    if model.manifest.condition:
        sequence.features = model.manifest.condition.encode(
            "positive" if len(text) % 2 else "negative"
        )
    return sequence


def make_sequences(model: LoadedModel, count: int) -> list[TokenSequence]:
    return [
        make_sequence(
            model,
            PROMPTS[number % len(PROMPTS)],
            replace(OPTIONS[number % len(OPTIONS)], index=number),
        )
        for number in range(count)
    ]


def generate_alone(model: LoadedModel, sequence: TokenSequence) -> Generation:
    assert sequence.sampling is not None
    again = replace(sequence, finished_at=float("inf"))
    (result,) = run_sequences(model.runner, [again])
    assert isinstance(result, Generation)
    return result


def run_staggered(runner: Runner, sequences: list[TokenSequence]) -> dict[int, Generation]:
    """One sequence more with each step."""
    waiting, results = list(enumerate(sequences)), {}
    numbers = {id(sequence): number for number, sequence in waiting}
    while waiting or runner.num_running:
        arrivals = [waiting.pop(0)[1]] if waiting and runner.free_rows else []
        for sequence, result in runner.step(arrivals):
            assert isinstance(result, Generation)
            results[numbers[id(sequence)]] = result
    return results


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_a_text_is_the_same_alone_and_in_company(
    load: ModelLoader, name: str, precision: Precision
) -> None:
    model = load(name, precision)
    sequences = make_sequences(model, 12)

    together = run_sequences(model.runner, sequences)
    staggered = run_staggered(load(name, precision, max_rows=5).runner, make_sequences(model, 12))

    for number, (sequence, found) in enumerate(zip(sequences, together, strict=True)):
        alone = generate_alone(model, sequence)
        assert found == alone
        assert staggered[number].token_ids == alone.token_ids
    texts = {tuple(found.token_ids) for found in together if isinstance(found, Generation)}
    assert len(texts) > 9, "the texts must differ for this to mean anything"


def test_prompt_and_text_are_read_as_one(load: ModelLoader) -> None:
    """A text goes on as it does if its beginning is part of the prompt."""
    model = load()
    whole = generate_alone(model, make_sequence(model, "the cat", SamplingOptions(30)))
    first = model.tokenizer.decode(whole.token_ids[:10])

    rest = generate_alone(model, make_sequence(model, "the cat" + first, SamplingOptions(20)))

    assert model.encode(["the cat" + first])[0][-10:] == whole.token_ids[:10]
    assert rest.token_ids == whole.token_ids[10:]
    assert rest.log_probabilities == pytest.approx(whole.log_probabilities[10:], abs=1e-4)


def test_the_same_seed_gives_the_same_text_after_a_restart(load: ModelLoader) -> None:
    options = SamplingOptions(50, temperature=1.0, seed=2**64 - 1)
    first, again = (load(), load())

    texts = [generate_alone(model, make_sequence(model, "", options)) for model in (first, again)]
    other = generate_alone(first, make_sequence(first, "", replace(options, index=1)))

    assert texts[0] == texts[1]
    assert texts[0].token_ids != other.token_ids


def test_a_text_ends_with_eos_or_at_its_limit(load: ModelLoader) -> None:
    model = load()
    assert model.manifest.ids.eos_id is not None
    sequences = make_sequences(model, 20)

    found = [generate_alone(model, sequence) for sequence in sequences]

    assert {each.end for each in found} == {"eos", "length"}
    for sequence, each in zip(sequences, found, strict=True):
        assert sequence.sampling is not None
        assert model.manifest.ids.eos_id not in each.token_ids
        if each.end == "length":
            assert len(each.token_ids) == sequence.sampling.max_new_tokens
        assert len(each.log_probabilities) == len(each.token_ids) + (each.end == "eos")
        assert each.score < 0.0


def test_who_listens_hears_each_token_once_and_may_end_the_text(load: ModelLoader) -> None:
    model = load()
    heard: list[int] = []

    def listen(token_id: int, log_probability: float) -> bool:
        assert log_probability < 0.0
        heard.append(token_id)
        return len(heard) == 7

    sequences = make_sequences(model, 6)
    whole = generate_alone(model, sequences[1])
    sequences[1].on_token = listen
    results = run_sequences(model.runner, sequences)

    stopped = results[1]
    assert isinstance(stopped, Generation)
    assert stopped.end == "stop"
    assert stopped.token_ids == heard == whole.token_ids[:7]


def test_an_abandoned_text_gives_its_row_back(load: ModelLoader) -> None:
    model = load(max_rows=3)
    runner = model.runner
    sequences = make_sequences(model, 3)
    runner.step(sequences)
    assert (runner.free_rows, runner.num_running) == (0, 3)

    sequences[1].is_abandoned = True
    runner.step([])

    assert (runner.free_rows, runner.num_running) == (1, 2)
    late = make_sequence(model, "late", OPTIONS[1])
    results = dict(runner.step([late]))
    while runner.num_running:
        results |= dict(runner.step([]))
    assert results[late] == generate_alone(model, late)
    assert results[sequences[2]] == generate_alone(model, sequences[2])
    assert sequences[1] not in results


def test_an_engine_that_is_reset_begins_afresh(load: ModelLoader) -> None:
    model = load()
    sequences = make_sequences(model, 2)
    model.runner.step(sequences)

    model.runner.reset()

    assert (model.runner.num_running, model.runner.free_rows) == (0, 64)
    assert generate_alone(model, sequences[0]).token_ids


def test_a_prompt_that_the_graph_refuses_is_an_inference_failure(load: ModelLoader) -> None:
    model = load()
    sequence = TokenSequence([2, 10_000, 5], 0.0, float("inf"), sampling=SamplingOptions(5))

    with pytest.raises(InferenceFailed, match="runtime"):
        run_sequences(model.runner, [sequence])
    model.runner.reset()


def test_a_condition_changes_the_text(load: ModelLoader) -> None:
    model = load("gru")
    assert model.manifest.condition is not None
    texts = []
    for label in ("negative", "positive"):
        sequence = make_sequence(model, "", SamplingOptions(30))
        sequence.features = model.manifest.condition.encode(label)
        texts.append(generate_alone(model, sequence).token_ids)

    assert texts[0] != texts[1]
