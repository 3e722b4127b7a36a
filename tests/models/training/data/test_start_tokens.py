import random
from collections import Counter
from collections.abc import Callable

import pytest

from models.config import RunConfig
from models.training.data.sources import Pair
from models.training.data.start_tokens import SpeechLevels
from models.training.vocabulary.subwords import train_tokenizer
from service.text.levels.speech_level import level_of
from service.text.tokenizer import Tokenizer

POLITE = Pair("I go to school.", "밥을 먹어요.", 1)
FORMAL = Pair("I am a student.", "저는 학생입니다.", 1)
WORD = Pair("sea", "바다", 1)
BACK = Pair("밥을 먹어요.", "I eat.", 0)
MakeConfig = Callable[..., RunConfig]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(["a b c"] * 4, 400, ["en", "ko"], lowercase=False)


def choose(
    tiny_config: MakeConfig, tokenizer: Tokenizer, pair: Pair, **training: float
) -> Counter[tuple[str, str]]:
    """The targets and start tokens that a pair gets, with how often."""
    levels = SpeechLevels(tiny_config("translation", training=training), tokenizer)
    pairs, start_ids = levels.choose([pair] * 300, random.Random(1))
    assert {(each.source, each.side) for each in pairs} == {(pair.source, pair.side)}
    return Counter(zip((each.target for each in pairs), tokenizer.tokens(start_ids), strict=True))


@pytest.mark.parametrize("pair", [POLITE, FORMAL, WORD, BACK])
def test_start_token_names_the_language_alone_by_default(
    tiny_config: MakeConfig, tokenizer: Tokenizer, pair: Pair
) -> None:
    start = "<2en>" if pair is BACK else "<2ko>"

    assert choose(tiny_config, tokenizer, pair) == {(pair.target, start): 300}


def test_share_of_the_start_tokens_names_the_level_of_the_translation(
    tiny_config: MakeConfig, tokenizer: Tokenizer
) -> None:
    found = choose(tiny_config, tokenizer, FORMAL, levelled=0.5)

    assert {start for _, start in found} == {"<2ko>", "<2ko:formal>"}
    assert 120 < found[FORMAL.target, "<2ko:formal>"] < 180


def test_languages_without_levels_have_one_start_token(
    tiny_config: MakeConfig, tokenizer: Tokenizer
) -> None:
    found = choose(tiny_config, tokenizer, BACK, levelled=0.9, relevelled=0.9)

    assert found == {(BACK.target, "<2en>"): 300}


def test_words_are_learnt_at_all_levels(tiny_config: MakeConfig, tokenizer: Tokenizer) -> None:
    found = choose(tiny_config, tokenizer, WORD, levelled=0.99)

    assert {start for _, start in found} >= {
        *("<2ko:formal>", "<2ko:polite>", "<2ko:casual>", "<2ko:plain>")
    }


def test_polite_translations_are_rewritten_with_the_token_of_their_new_level(
    tiny_config: MakeConfig, tokenizer: Tokenizer
) -> None:
    found = choose(tiny_config, tokenizer, POLITE, levelled=0.99, relevelled=0.5)

    rewritten = {(target, start) for target, start in found if start != "<2ko>"}
    assert rewritten == {
        ("밥을 먹어요.", "<2ko:polite>"),
        ("밥을 먹어.", "<2ko:casual>"),
        ("밥을 먹습니다.", "<2ko:formal>"),
    }
    assert all(start == f"<2ko:{level_of(target, 'ko')}>" for target, start in rewritten)


def test_translation_that_no_rule_is_sure_of_stays(
    tiny_config: MakeConfig, tokenizer: Tokenizer
) -> None:
    pair = Pair("It rains and I go.", "좋아요, 가요.", 1)

    found = choose(tiny_config, tokenizer, pair, levelled=0.99, relevelled=0.9)

    assert {target for target, _ in found} == {pair.target}


def test_same_seed_chooses_the_same(tiny_config: MakeConfig, tokenizer: Tokenizer) -> None:
    config = tiny_config("translation", training={"levelled": 0.5, "relevelled": 0.5})
    levels = SpeechLevels(config, tokenizer)
    pairs = [POLITE, FORMAL, WORD, BACK] * 20

    assert levels.choose(pairs, random.Random(5)) == levels.choose(pairs, random.Random(5))
