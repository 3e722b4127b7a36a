"""Compares the scores with the detector's own, which are the plain definition."""

import math
import random
from functools import lru_cache

import pytest
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from loadtests.clients.new_words import make_word
from loadtests.load.texts import REVIEWS
from service.text.languages import recognition
from service.text.languages.detection import DETECTOR_LABELS, estimate_likelihoods, list_known
from service.text.languages.recognition import (
    MAX_WORD_EVIDENCE,
    MIN_WORD_EVIDENCE,
    recognize,
    weigh_word,
)

LETTERS = "aaeeiioounnrsttlmdhqz'-.1äöüßéèñçłžđćåø ABCÉÑвдиљшюяБ日本語中文한국어हिन्दी😀\ud800"
SCRIPTS = ("latin", "cyrillic", "han", "devanagari", "arabic")
LANGUAGES = [
    ("en", "latin"),
    ("nb", "latin"),
    ("sr", "latin"),
    ("sr", "cyrillic"),
    ("hi", "devanagari"),
]


@lru_cache
def ask_detector(script: str, *, is_ranking: bool) -> LanguageIdentifier:
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=is_ranking)
    identifier.set_languages(list_known(script))
    return identifier


def weigh_plainly(word: str, code: str, script: str) -> float:
    likelihoods = dict(ask_detector(script, is_ranking=False).rank(f" {word} "))
    own = likelihoods.pop(DETECTOR_LABELS.get(code, code))
    peak = max(likelihoods.values())
    others = sum(math.exp(each - peak) for each in likelihoods.values()) / len(likelihoods)
    weight: float = own - peak - math.log(others)
    return max(MIN_WORD_EVIDENCE, min(MAX_WORD_EVIDENCE, weight))


def draw_texts() -> list[str]:
    rng = random.Random(1)
    written = [text for group in REVIEWS.values() for texts in group for text in texts]
    mixed = [
        " ".join(make_word(rng) if rng.random() < 0.3 else word for word in text.split())
        for text in written
    ]
    drawn = ["".join(rng.choices(LETTERS, k=rng.randint(1, 60))) for _ in range(300)]
    return [*written, *mixed, *drawn, "", "30 s.", "aaaa aaaa aaaa"]


@pytest.mark.parametrize(("code", "script"), LANGUAGES)
def test_a_word_weighs_as_much_as_by_the_detectors_ranking(code: str, script: str) -> None:
    words = sorted({word for text in draw_texts() for word in text.lower().split()})
    for word in words:
        plain = weigh_plainly(word, code, script)
        assert weigh_word(word, code, script) == pytest.approx(plain, abs=1e-4), word


@pytest.mark.parametrize("script", SCRIPTS)
def test_languages_are_as_likely_as_by_the_detectors_ranking(script: str) -> None:
    for text in filter(None, draw_texts()):
        plain = dict(ask_detector(script, is_ranking=True).rank(text))
        assert estimate_likelihoods(text, script) == pytest.approx(plain, abs=1e-4), text


@pytest.mark.parametrize("served", [("en",), ("en", "de", "ko"), ("nb", "sr", "zh")])
def test_the_same_texts_are_recognized(
    served: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = draw_texts()
    found = [recognize(text, served) for text in texts]
    recognition.open_evidence.cache_clear()
    monkeypatch.setattr(recognition, "weigh_word", weigh_if_known)
    assert [recognize(text, served) for text in texts] == found
    recognition.open_evidence.cache_clear()


def weigh_if_known(word: str, code: str, script: str) -> float:
    known = list_known(script)
    return weigh_plainly(word, code, script) if code in known and len(known) > 1 else 0.0
