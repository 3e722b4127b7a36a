"""Recognizes a language that is served by a text's first words, without ranking all languages.

To rank them takes 100 us per text, to add up what is known of a dozen words takes 5 us, and most
texts are plainly in a language that is served. What is not recognized has to be ranked. A word that
has not been met before takes longer than a dozen others, so it is looked at only if they leave it
open.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

from service.text.languages.detection import (
    DETECTOR_LABELS,
    MIN_FOREIGN_LETTERS,
    list_known,
    open_scores,
)
from service.text.languages.names import scripts_of
from service.text.languages.scores import spell_letters
from service.text.languages.scripts import count_letters, find_script, take_sample

MAX_CHARS, MAX_WORDS = 160, 12

# In nats. With these bounds 92 to 99 % of the English and German texts of nine collections (chats,
# news, reviews, captions, interface strings) are recognized, and none of 6,400 texts of which the
# detector is certain that they are in another language. A word speaks more against a language than
# for it: names and loan words are at home in many.
MIN_EVIDENCE = 6.0
MAX_WORD_EVIDENCE, MIN_WORD_EVIDENCE = 3.0, -6.0

REMEMBERED_WORDS = 20_000  # of a language, about 2 MB


def recognize(text: str, served: Sequence[str]) -> str:
    """Names the language that a text is in beyond doubt; "" if it has to be ranked.

    Args:
        text: of any length; its beginning is looked at.
        served: codes of the languages that are served; no other is named.
    """
    sample = take_sample(text)
    script, _ = find_script(sample)
    fitting = [code for code in served if script in scripts_of(code)]
    words = sample[:MAX_CHARS].lower().split(maxsplit=MAX_WORDS)[:MAX_WORDS]
    for code in fitting:
        if open_evidence(code, script).is_enough(words):
            return code
    return fitting[0] if len(fitting) == 1 and must_be(sample, script, fitting) else ""


def must_be(sample: str, script: str, fitting: Sequence[str]) -> bool:
    """Whether a text in none of the fitting languages could not be told, however it is ranked."""
    return set(list_known(script)) <= set(fitting) or count_letters(sample) < MIN_FOREIGN_LETTERS


class Evidence:
    """What words say for a language; remembers those that it was asked about lately.

    Args:
        code: of the language.
        script: that the words are in.
    """

    def __init__(self, code: str, script: str) -> None:
        self._code, self._script = code, script
        # Two generations: what was not asked for while one of them filled is forgotten.
        self._recent: dict[str, float] = {}
        self._older: dict[str, float] = {}

    def is_enough(self, words: Sequence[str]) -> bool:
        """Whether all words together speak plainly for the language."""
        evidence, unknown = 0.0, []
        for word in words:
            weight = self._recent.get(word)
            if weight is not None or (weight := self._recall(word)) is not None:
                evidence += weight
            else:
                unknown.append(word)
        while unknown and evidence + MAX_WORD_EVIDENCE * len(unknown) >= MIN_EVIDENCE:
            if evidence + MIN_WORD_EVIDENCE * len(unknown) >= MIN_EVIDENCE:
                return True
            evidence += self._weigh(unknown.pop())
        return not unknown and evidence >= MIN_EVIDENCE

    def _recall(self, word: str) -> float | None:
        """The weight of a word that is not among the recent ones; it becomes one."""
        weight = self._older.get(word)
        if weight is not None:
            self._remember(word, weight)
        return weight

    def _weigh(self, word: str) -> float:
        weight = weigh_word(word, self._code, self._script)
        self._remember(word, weight)
        return weight

    def _remember(self, word: str, weight: float) -> None:
        if len(self._recent) >= REMEMBERED_WORDS // 2:
            self._older, self._recent = self._recent, {}
        self._recent[word] = weight


@lru_cache(maxsize=64)
def open_evidence(code: str, script: str) -> Evidence:
    return Evidence(code, script)


def weigh_word(word: str, code: str, script: str) -> float:
    """How much likelier a word is in a language than on average in the others of its script.

    Returns:
        Nats, between the bounds; 0 if nothing is known of the language.
    """
    known, label = list_known(script), DETECTOR_LABELS.get(code, code)
    if len(known) < 2 or label not in known:
        return 0.0
    scale = open_scores(known)
    scores = scale.score(spell_letters(f" {word} ")).tolist()
    for first, twin in scale.twins:
        scores[first] = max(scores[first], scores[twin])
        scores[twin] = -math.inf
    at = scale.labels.index(label)
    own, scores[at] = scores[at], -math.inf
    peak = max(scores)
    others = sum([math.exp(score - peak) for score in scores]) / (len(known) - 1)
    weight: float = own - peak - math.log(others)
    return max(MIN_WORD_EVIDENCE, min(MAX_WORD_EVIDENCE, weight))
