"""Word by word a text has the ids that the tokenizer gives for the whole of it."""

import random
from pathlib import Path

import pytest
import tokenizers
from tokenizers import Tokenizer as Backend
from tokenizers import models, normalizers, pre_tokenizers

from service.errors import InvalidInput
from service.text.tokenizer import Tokenizer
from service.text.word_encoder import MAX_WORD_CHARS, MAX_WORDS, WordEncoder, reads_words_apart
from tests.service.text.test_tokenizer import random_text

REPOSITORY = Path(__file__).parents[3] / "models" / "repository"
CLASSIFIERS = ("sentiment-en", "sentiment-ko", "spam-en")
TEXTS = [
    *(
        "",
        " ",
        "one",
        "  Two\twords \n",
        "it's 12,5 % of\u00a0all...",
        "a\u2003b\u3000c\x85d\u2028e",
    ),
    *("soft\u00adhyphen \u00ad alone", "x \u2581y", "a\x1cb \x1f c", "e \u0301 e\u0301 e\u0301x"),
    *(
        "<eos> a<pad>b <unk>",
        "\u1112\u1161\u11ab \u1100 \u1161",
        "\U0001f600 \U0001f600\u200d!",
        "ΟΔΟΣ ΣΑΣ",
    ),
    "Łódź éa İI Å 가나다 각 ǰ Ünïcödé żółć ᾳ ﬀ ª ² Ⅷ don't x_y",
    *("\ufeffa \u200b b", "\x00 a\x00", "Straße İSTANBUL ǅ", "1\u20442 ½ ﬁ", "w" * 100),
]


def load(name: str) -> tuple[Tokenizer, Backend]:
    """A tokenizer that squeezes spaces as for a classifier, and its backend."""
    path = max(REPOSITORY.glob(f"{name}/*/tokenizer.json"))
    tokenizer = Tokenizer.load(path)
    tokenizer.ignore_layout(squeeze_spaces=True)
    return tokenizer, tokenizer._backend


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_words_have_the_ids_of_the_whole(name: str) -> None:
    tokenizer, backend = load(name)
    texts = [*TEXTS, *map(random_text, range(300))]
    rng = random.Random(3)
    texts += [" ".join(rng.choices(texts, k=4)) for _ in range(100)]
    for text in texts * 2:  # the second time the words are known
        assert tokenizer.encode(text) == backend.encode(text).ids, repr(text)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_shipped_classifiers_read_words_apart(name: str) -> None:
    path = max(REPOSITORY.glob(f"{name}/*/tokenizer.json"))
    assert reads_words_apart(Backend.from_file(str(path)))


def test_half_a_surrogate_pair_is_refused() -> None:
    tokenizer, _ = load("sentiment-en")
    with pytest.raises(InvalidInput, match="surrogate"):
        tokenizer.encode("good \ud800 film")


def test_answers_do_not_share_what_is_remembered() -> None:
    tokenizer, _ = load("sentiment-en")
    first = tokenizer.encode("good")
    first.append(0)
    assert tokenizer.encode("good") == first[:-1]


def make_backend() -> Backend:
    backend = Backend(models.BPE(vocab={"\u2581": 0, "a": 1, "b": 2}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    return backend


def test_tokenizers_that_look_across_words_do_not() -> None:
    assert reads_words_apart(make_backend())
    backend = make_backend()
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    assert not reads_words_apart(backend)
    backend = make_backend()
    backend.pre_tokenizer = None
    assert not reads_words_apart(backend)
    backend = make_backend()
    backend.normalizer = normalizers.Replace("a b", "b")
    assert not reads_words_apart(backend)
    backend = make_backend()
    backend.add_tokens([tokenizers.AddedToken("a b")])
    assert not reads_words_apart(backend)
    backend = make_backend()
    backend.post_processor = tokenizers.processors.TemplateProcessing(
        "$A a", special_tokens=[("a", 1)]
    )
    assert not reads_words_apart(backend)


def test_no_more_words_are_remembered_than_may_be() -> None:
    encoder = WordEncoder(make_backend())
    for number in range(MAX_WORDS + 10):
        encoder.encode(f"a{number}")
    assert encoder.num_remembered == MAX_WORDS


def test_very_long_words_are_not_remembered() -> None:
    encoder = WordEncoder(make_backend())
    assert encoder.encode("a" * (MAX_WORD_CHARS + 1)) == [0] + [1] * (MAX_WORD_CHARS + 1)
    assert encoder.num_remembered == 0
