import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from models.config import RunConfig
from models.training.special_ids import find_roles
from models.training.tasks.task import NETWORKS
from models.training.vocabulary.subwords import EOS, PAD, start_token
from models.training.vocabulary.text_subwords import BOS, UNK
from service.text.tokenizer import Tokenizer

MakeConfig = Callable[..., RunConfig]
MakeRun = Callable[[str, str], Path]


def load_tokenizer(folder: Path) -> Tokenizer:
    return Tokenizer.load(folder / "tokenizer.json")


@pytest.mark.parametrize("task", sorted(NETWORKS))
def test_every_task_pads_and_never_says_so(
    task: str, tiny_config: MakeConfig, tiny_run: MakeRun
) -> None:
    tokenizer = load_tokenizer(tiny_run(task, "gru"))

    roles = find_roles(tiny_config(task), tokenizer)

    assert roles.special_ids.pad_id == tokenizer.token_id(PAD)
    assert roles.special_ids.pad_id in roles.forbidden_ids


def test_a_translation_never_contains_a_start_token_and_may_end(
    tiny_config: MakeConfig, tiny_run: MakeRun
) -> None:
    tokenizer = load_tokenizer(tiny_run("translation", "gru"))

    special_ids, forbidden_ids = find_roles(tiny_config("translation"), tokenizer)

    starts = {language: tokenizer.token_id(start_token(language)) for language in ("en", "ko")}
    assert special_ids.start_ids == starts
    assert set(starts.values()) <= set(forbidden_ids)
    assert special_ids.eos_id == tokenizer.token_id(EOS)
    assert special_ids.eos_id not in forbidden_ids


def test_a_text_with_a_condition_ends_and_a_single_long_text_does_not(
    tiny_config: MakeConfig, tiny_run: MakeRun
) -> None:
    tokenizer = load_tokenizer(tiny_run("language", "gru"))
    config = tiny_config("language")
    eos_id, bos_id, unk_id = map(tokenizer.token_id, (EOS, BOS, UNK))

    review = find_roles(config, tokenizer)
    play = find_roles(dataclasses.replace(config, condition=None), tokenizer)

    assert (review.special_ids.eos_id, play.special_ids.eos_id) == (eos_id, None)
    assert eos_id not in review.forbidden_ids
    assert {bos_id, unk_id, eos_id} <= set(play.forbidden_ids)
