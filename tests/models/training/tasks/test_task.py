import math
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from models.config import RunConfig, parse_config
from models.networks.classifier import Classifier
from models.networks.seq2seq import Seq2Seq
from models.training.data.held_out import read_training
from models.training.data.sources import Example
from models.training.tasks.classification import ClassificationTask, crop
from models.training.tasks.task import build_model, build_task, training_texts
from models.training.tasks.translation import TranslationTask
from service.text.tokenizer import Tokenizer

MakeConfig = Callable[..., RunConfig]
MakeRun = Callable[[str, str], Path]
CPU = torch.device("cpu")


def write_rows(folder: Path, name: str, *rows: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")


def make_config(task: str, *sources: dict[str, object], **training: object) -> RunConfig:
    open_source = {"licence": "CC0-1.0", "commercial_use": True}
    return parse_config(
        {
            "name": "tiny",
            "task": task,
            "languages": ["ko"] if task == "text2text" else ["en", "ko"],
            "labels": ["negative", "positive"] if task == "classification" else [],
            "sources": [open_source | source for source in sources],
            "model": {"vocab_size": 700, "embedding_size": 8, "encoder_size": 4, "max_tokens": 20},
            "training": training,
        }
    )


@pytest.fixture
def tokenizer(tiny_run: MakeRun) -> Tokenizer:
    return Tokenizer.load(tiny_run("translation", "gru") / "tokenizer.json")


def test_task_determines_the_model(tiny_config: MakeConfig, tokenizer: Tokenizer) -> None:
    assert isinstance(build_model(tiny_config("classification")), Classifier)
    assert isinstance(build_model(tiny_config("translation")), Seq2Seq)


def test_task_builds_its_own_model(
    tiny_config: MakeConfig, tokenizer: Tokenizer, samples: Path
) -> None:
    sentiment = build_task(tiny_config("classification"), tokenizer, samples)
    translation = build_task(tiny_config("translation"), tokenizer, samples)

    assert isinstance(sentiment, ClassificationTask)
    assert isinstance(sentiment.build_model(), Classifier)
    assert isinstance(translation, TranslationTask)
    assert isinstance(translation.build_model(), Seq2Seq)


def test_vocabulary_is_learnt_from_sources_by_weight(tmp_path: Path) -> None:
    write_rows(tmp_path / "a", "train.tsv", "one\t하나", "two\t둘")
    config = make_config("translation", {"path": "a", "weight": 2.0}, {"path": "b", "weight": 0})

    assert Counter(training_texts(config, tmp_path)) == {"one": 2, "하나": 2, "two": 2, "둘": 2}


def test_vocabulary_is_not_learnt_from_labels(tmp_path: Path) -> None:
    write_rows(tmp_path / "a", "train.tsv", "1\tgood")

    assert list(training_texts(make_config("classification", {"path": "a"}), tmp_path)) == ["good"]


def test_both_directions_are_examples_with_start_token_and_eos(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    for split in ("train", "valid"):
        write_rows(tmp_path / "a", f"{split}.tsv", "I like it.\t나는 좋아해.")
    task = build_task(make_config("translation", {"path": "a"}), tokenizer, tmp_path)
    english, korean = tokenizer.encode("I like it."), tokenizer.encode("나는 좋아해.")
    to_english, to_korean, eos = (tokenizer.token_id(name) for name in ("<2en>", "<2ko>", "<eos>"))

    assert task.sample_epoch(random.Random(1)) == [
        Example([*english, eos], [to_korean, *korean]),
        Example([*korean, eos], [to_english, *english]),
    ]


def test_an_answer_is_an_example_of_its_text_alone(tmp_path: Path, tokenizer: Tokenizer) -> None:
    for split in ("train", "valid"):
        write_rows(tmp_path / "a", f"{split}.tsv", "배고파\t나는 좋아해.")
    config = make_config("text2text", {"path": "a"})
    task = build_task(config, tokenizer, tmp_path)
    text, answer = tokenizer.encode("배고파"), tokenizer.encode("나는 좋아해.")
    start, eos = (tokenizer.token_id(name) for name in ("<2ko>", "<eos>"))

    assert task.sample_epoch(random.Random(1)) == [Example([*text, eos], [start, *answer])]
    assert set(training_texts(config, tmp_path)) == {"배고파", "나는 좋아해."}


def test_answers_that_recur_are_trained_on_and_held_out_texts_are_not(tmp_path: Path) -> None:
    write_rows(tmp_path / "a", "train.tsv", "배고파\t좋아요.", "졸려\t좋아요.")
    write_rows(tmp_path / "a", "test.tsv", "졸려!\t좋아요.")
    ((_, rows),) = read_training(make_config("text2text", {"path": "a"}), tmp_path)

    assert rows == [("배고파", "좋아요.")]


def test_answers_are_validated_by_their_likelihood(tmp_path: Path, tokenizer: Tokenizer) -> None:
    for split in ("train", "valid"):
        write_rows(tmp_path / "a", f"{split}.tsv", "배고파\t나는 좋아해.")
    task = build_task(make_config("text2text", {"path": "a"}), tokenizer, tmp_path)
    model = task.build_model()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    # all tokens are equally likely; the answer has eight characters with its end
    num_tokens = len(tokenizer.encode("나는 좋아해.")) + 1
    expected = num_tokens * math.log(model.config.vocab_size) / 8

    figures = task.validate(model.eval(), torch.device("cpu"))

    assert figures["a nats per character"] == pytest.approx(expected, rel=1e-4)
    assert figures["score"] == -figures["a nats per character"]


def test_typing_noise_changes_sources_and_not_targets(tmp_path: Path, tokenizer: Tokenizer) -> None:
    for split in ("train", "valid"):
        write_rows(tmp_path / "a", f"{split}.tsv", *["I like it.\t나는 좋아해."] * 40)
    config = make_config("translation", {"path": "a"}, typing_noise=0.5)
    examples = build_task(config, tokenizer, tmp_path).sample_epoch(random.Random(1))

    sources = {tokenizer.decode(example.input_ids[:-1]) for example in examples}
    targets = {tokenizer.decode(example.target_ids[1:]) for example in examples}
    assert sources > {"I like it.", "i like it", "나는 좋아해.", "나는 좋아해"}
    assert targets == {"I like it.", "나는 좋아해."}


def test_bpe_dropout_segments_both_sides_differently_except_in_validation(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    text = "The man likes it."
    for split in ("train", "valid"):
        write_rows(tmp_path / "a", f"{split}.tsv", *[f"{text}\t{text}"] * 20)
    config = make_config("translation", {"path": "a"}, bpe_dropout=0.5)
    task = build_task(config, tokenizer, tmp_path)

    examples = task.sample_epoch(random.Random(1))
    sources = {tuple(example.input_ids[:-1]) for example in examples}
    targets = {tuple(example.target_ids[1:]) for example in examples}
    assert min(len(sources), len(targets)) > 5
    assert {tokenizer.decode(ids) for ids in sources | targets} == {text}
    assert isinstance(task, TranslationTask)
    assert task.tokenizer.encode(text) == tokenizer.encode(text)


def test_empty_and_too_long_sides_are_not_trained_on(tmp_path: Path, tokenizer: Tokenizer) -> None:
    rows = ["I like it.\t나는 좋아해.", "\t나는", "I\t", "I\t" + "가" * 50, "no " * 50 + "\t나"]
    write_rows(tmp_path / "a", "train.tsv", *rows)
    write_rows(tmp_path / "a", "valid.tsv", rows[0])
    task = build_task(make_config("translation", {"path": "a"}), tokenizer, tmp_path)

    assert len(task.sample_epoch(random.Random(1))) == 2
    assert all(len(example) <= 20 for example in task.sample_epoch(random.Random(1)))


def test_epoch_follows_weights_and_seed(tmp_path: Path, tokenizer: Tokenizer) -> None:
    for name, text in [("a", "good"), ("b", "bad")]:
        for split in ("train", "valid"):
            write_rows(tmp_path / name, f"{split}.tsv", *[f"1\t{text} {n}" for n in range(10)])
    config = make_config(
        "classification", {"path": "a", "weight": 2.0}, {"path": "b", "weight": 0.3}
    )
    task = build_task(config, tokenizer, tmp_path)
    epochs = [task.sample_epoch(random.Random(seed)) for seed in (1, 1, 2)]

    assert len(epochs[0]) == 23
    assert epochs[0] == epochs[1]
    assert epochs[0] != epochs[2]


def test_long_reviews_are_cropped_for_training_only(tmp_path: Path, tokenizer: Tokenizer) -> None:
    for split in ("train", "valid"):
        write_rows(tmp_path / "a", f"{split}.tsv", "1\t" + "good " * 100, "0\tbad")
    config = make_config("classification", {"path": "a"}, crop_tokens=7)
    task = build_task(config, tokenizer, tmp_path)

    lengths = sorted(len(example.input_ids) for example in task.sample_epoch(random.Random(1)))
    assert lengths[-1] == 7
    assert lengths[0] < 7


def test_crop_is_a_window_of_the_text() -> None:
    example = Example(list(range(20)), [1])
    windows = [crop(example, 5, 5, random.Random(seed)).input_ids for seed in range(30)]

    assert all(window == list(range(window[0], window[0] + 5)) for window in windows)
    assert len({window[0] for window in windows}) > 5
    assert {len(crop(example, 3, 5, random.Random(seed))) for seed in range(30)} == {3, 4, 5}
    assert crop(example, 20, 20, random.Random(1)) is example


def test_short_crops_are_as_frequent_as_long_ones() -> None:
    example, rng = Example(list(range(300)), [1]), random.Random(1)
    sizes = [len(crop(example, 4, 256, rng)) for _ in range(2000)]

    assert 0.45 < sum(size <= 32 for size in sizes) / len(sizes) < 0.55
    assert min(sizes) == 4
    assert 250 < max(sizes) <= 256


def test_adversarial_training_adds_a_harder_half_to_the_loss(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    for split in ("train", "valid"):
        write_rows(tmp_path / "a", f"{split}.tsv", "1\tgood", "0\tbad")
    examples = [Example([5, 6, 7], [1]), Example([8, 9], [0])]
    losses = {}
    for size in (0.0, 0.01, 0.2):
        config = make_config("classification", {"path": "a"}, adversarial=size)
        task = build_task(config, tokenizer, tmp_path)
        torch.manual_seed(1)
        losses[size] = task.loss(task.build_model().eval(), examples, CPU).item()

    assert losses[0.0] < losses[0.01] < losses[0.2]


def test_empty_texts_are_omitted(tmp_path: Path, tokenizer: Tokenizer) -> None:
    for split in ("train", "valid"):
        write_rows(tmp_path / "a", f"{split}.tsv", "1\tgood", "0\t")
    task = build_task(make_config("classification", {"path": "a"}), tokenizer, tmp_path)

    assert len(task.sample_epoch(random.Random(1))) == 1


@pytest.mark.parametrize("label", ["2", "-1", "fair", ""])
def test_label_outside_the_configuration_is_rejected(
    tmp_path: Path, tokenizer: Tokenizer, label: str
) -> None:
    write_rows(tmp_path / "a", "train.tsv", "1\tgood", f"{label}\tbad")

    with pytest.raises(
        ValueError, match=rf"a, train: .* one of negative, positive, 0, 1, not '{label}'"
    ):
        build_task(make_config("classification", {"path": "a"}), tokenizer, tmp_path)


@pytest.mark.parametrize("task", ["classification", "translation"])
def test_missing_training_rows_are_reported_at_once(
    tmp_path: Path, tokenizer: Tokenizer, task: str
) -> None:
    write_rows(tmp_path / "a", "train.tsv", "1\t")
    write_rows(tmp_path / "a", "valid.tsv", "1\tgood")

    with pytest.raises(ValueError, match="training row"):
        build_task(make_config(task, {"path": "a"}), tokenizer, tmp_path)


@pytest.mark.parametrize("task", ["classification", "translation"])
def test_missing_validation_rows_are_reported_at_once(
    tmp_path: Path, tokenizer: Tokenizer, task: str
) -> None:
    write_rows(tmp_path / "a", "train.tsv", "1\tgood")
    write_rows(tmp_path / "a", "valid.tsv")

    with pytest.raises(ValueError, match="the validation split of a has no usable rows"):
        build_task(make_config(task, {"path": "a"}), tokenizer, tmp_path)
    with pytest.raises(ValueError, match="no source has a validation split"):
        build_task(make_config(task, {"path": "a", "valid": ""}), tokenizer, tmp_path)


@pytest.mark.parametrize("task", ["classification", "translation"])
def test_source_of_weight_zero_is_validated_but_not_trained_on(
    tmp_path: Path, tokenizer: Tokenizer, task: str
) -> None:
    write_rows(tmp_path / "a", "train.tsv", "1\tgood")
    write_rows(tmp_path / "b", "valid.tsv", "1\tgood")
    config = make_config(task, {"path": "a", "valid": ""}, {"path": "b", "weight": 0})
    built = build_task(config, tokenizer, tmp_path)

    figures = built.validate(built.build_model().eval(), CPU)
    assert all(name == "score" or name.startswith("b ") for name in figures)
    assert len(built.sample_epoch(random.Random(1))) == (1 if task == "classification" else 2)


@pytest.mark.parametrize("task", ["classification", "translation"])
def test_loss_does_not_depend_on_the_rest_of_the_batch(
    tiny_config: MakeConfig, tokenizer: Tokenizer, samples: Path, task: str
) -> None:
    built = build_task(tiny_config(task), tokenizer, samples)
    torch.manual_seed(1)
    model = built.build_model().eval()
    examples = built.sample_epoch(random.Random(1))[:6]

    together = built.loss(model, examples, CPU).item()
    alone = [built.loss(model, [example], CPU).item() for example in examples]

    # a sentence weighs by its tokens, start token aside but eos included; a review weighs one
    weights = [len(e.target_ids) if task == "translation" else 1 for e in examples]
    mean = sum(map(float.__mul__, alone, map(float, weights))) / sum(weights)
    assert together == pytest.approx(mean, rel=1e-5)


def test_validation_of_sentiment_is_accuracy(tmp_path: Path, tokenizer: Tokenizer) -> None:
    for split in ("train", "valid"):
        write_rows(tmp_path / "a", f"{split}.tsv", "1\tgood", "1\tvery good", "1\tfine", "0\tbad")
    built = build_task(make_config("classification", {"path": "a"}), tokenizer, tmp_path)
    model = built.build_model().eval()
    for parameter in model.get_submodule("output").parameters():
        torch.nn.init.zeros_(parameter)
    model.get_parameter("output.bias").data[1] = 1.0

    assert built.validate(model, CPU) == {"score": 75.0, "a accuracy": 75.0}


def test_validation_of_translation_names_source_pair_and_metric(
    tiny_config: MakeConfig, tokenizer: Tokenizer, samples: Path
) -> None:
    built = build_task(tiny_config("translation", training={"valid_limit": 2}), tokenizer, samples)

    figures = built.validate(built.build_model().eval(), CPU)

    chrfs = [figures["tatoeba en-ko chrf"], figures["tatoeba ko-en chrf"]]
    assert figures["score"] == pytest.approx(sum(chrfs) / 2)
    assert {"tatoeba en-ko bleu", "tatoeba ko-en bleu"} < set(figures)
