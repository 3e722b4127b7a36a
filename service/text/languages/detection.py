"""Detects the language of a text.

The script decides first (Hangul can only be Korean), then a statistical detector ranks all the
languages that share it. Independent of models: the caller passes the languages that are served,
which are likelier than others to be what a client sends.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from service.text.languages.names import NAMES, scripts_of
from service.text.languages.scores import LanguageScores, load_detector, spell_letters
from service.text.languages.scripts import count_letters, find_script, take_sample

# Enough to rank languages by, which takes longer than to find the script.
RANKED_CHARS = 300

# How much likelier a text is in a language that is served than in one that is not, before it is
# looked at: a few letters ("ok") tell nothing else.
SERVED_WEIGHT = 10

# When a text is certainly in a language that is not served. By these rules none of 33,000 English
# and German texts (reviews, captions, chats, text messages, interface strings) is in another
# language, and 32 of 33 short sentences in 17 other languages are.
MIN_FOREIGN_LETTERS = 20
MIN_FOREIGN_CONFIDENCE = 90.0  # of all languages that are not served together
MIN_BEST_CONFIDENCE = 50.0  # of one of them

# Likelihood below which a language that is not served is left out.
NEGLIGIBLE = 0.001

# Texts with fewer letters are judged with their neighbours; LibreTranslate does so below as many
# characters. The share tells how readily a short text may differ from its neighbours.
SHORT_LETTERS = 40
DISSENT = 0.05

# Codes that the detector spells otherwise.
DETECTOR_LABELS = {"nb": "no"}

# A language with its confidence, 0..100.
Detected = tuple[str, float]

# Languages with their shares, 0..1.
Ranking = dict[str, float]


def detect(text: str, served: Sequence[str]) -> list[Detected]:
    """Ranks the languages by likelihood, the most likely first.

    Args:
        text: of any length; only a sample of it is examined.
        served: codes of the languages that are served; ties keep their order.

    Returns:
        Each language with its confidence, 0..100: all that are served, and the others that it may
        be. All are 0 if the text has no letters.
    """
    (found,) = detect_all([text], served)
    return found


def detect_all(texts: Sequence[str], served: Sequence[str]) -> list[list[Detected]]:
    """Ranks the languages of each text as `detect` does; short ones are judged with the others."""
    samples = [take_sample(text) for text in texts]
    rankings = [rank_languages(sample, served) for sample in samples]
    if len(texts) > 1:
        rankings = judge_together(rankings, [count_letters(sample) for sample in samples])
    return [sort_ranking(ranking, served) for ranking in rankings]


def sort_ranking(ranking: Ranking, served: Sequence[str]) -> list[Detected]:
    codes = {**dict.fromkeys(served, 0.0), **ranking}
    ordered = sorted(codes.items(), key=lambda pair: -pair[1])  # stable
    return [(code, round(100 * share, 1)) for code, share in ordered]


def find_foreign(text: str, found: Sequence[Detected], served: Sequence[str]) -> str:
    """Names the language of a text that is certainly in none that is served; "" otherwise.

    Args:
        text: as it was detected.
        found: what `detect` found.
        served: codes.
    """
    best, confidence = found[0]
    if best in served or confidence < MIN_BEST_CONFIDENCE:
        return ""
    is_sure = sum(share for code, share in found if code not in served) >= MIN_FOREIGN_CONFIDENCE
    has_letters = count_letters(take_sample(text)) >= MIN_FOREIGN_LETTERS
    return best if is_sure and has_letters else ""


def judge_together(rankings: Sequence[Ranking], num_letters: Sequence[int]) -> list[Ranking]:
    """Weighs the languages of short texts by how much of the other texts is in them."""
    totals: defaultdict[str, float] = defaultdict(float)
    for ranking, count in zip(rankings, num_letters, strict=True):
        for code, share in ranking.items():
            totals[code] += share * count
    num_all = sum(num_letters)

    def weigh(ranking: Ranking, count: int) -> Ranking:
        if count >= SHORT_LETTERS or count == num_all:
            return ranking
        weighted = {
            code: share * (DISSENT + (totals[code] - share * count) / (num_all - count))
            for code, share in ranking.items()
        }
        return scale_ranking(weighted, sum(ranking.values()))

    return [weigh(ranking, count) for ranking, count in zip(rankings, num_letters, strict=True)]


def scale_ranking(ranking: Ranking, total: float) -> Ranking:
    """Scales shares so that they add up to the total; all stay 0 if they are."""
    scale = total / (sum(ranking.values()) or 1.0)
    return {code: share * scale for code, share in ranking.items()}


def rank_languages(sample: str, served: Sequence[str]) -> Ranking:
    """Estimates how likely each language is, 0..1; together they make up the script's share."""
    script, script_share = find_script(sample)
    fitting = [code for code in served if script in scripts_of(code)]
    likelihoods = estimate_likelihoods(sample[:RANKED_CHARS], script)
    # a language that the detector does not know may be what any text is in
    unknown = max(likelihoods.values(), default=1.0)
    labels = {code: DETECTOR_LABELS.get(code, code) for code in fitting}
    ranking = {
        label: likelihood for label, likelihood in likelihoods.items() if likelihood > NEGLIGIBLE
    }
    for code, label in labels.items():
        ranking.pop(label, None)
        ranking[code] = SERVED_WEIGHT * likelihoods.get(label, unknown)
    return scale_ranking(ranking, script_share)


def estimate_likelihoods(text: str, script: str) -> Ranking:
    """Estimates the likelihood (0..1) of each language that is known and written in the script."""
    known = list_known(script)
    if len(known) < 2:
        return dict.fromkeys(known, 1.0)
    scale, letters = open_scores(known), spell_letters(text)
    scores = scale.score(letters)
    scores *= 1.0 / math.sqrt(len(letters))  # else long texts would always be certain
    likelihoods = np.exp(scores - scores.max())
    likelihoods /= likelihoods.sum()
    for first, twin in scale.twins:
        likelihoods[first] += likelihoods[twin]
        likelihoods[twin] = likelihoods[first]
    return dict(zip(scale.labels, likelihoods.tolist(), strict=True))


@lru_cache(maxsize=64)
def list_known(script: str) -> tuple[str, ...]:
    """Lists the languages of a script that the detector knows and that have a name here.

    The detector's others are dialects and small languages: they take likelihood from their
    relatives, so that hardly a sentence would certainly be Spanish.
    """
    codes = [code for code in NAMES if script in scripts_of(code)]
    if len(codes) < 2:
        return tuple(codes)  # needs no detector
    return tuple(code for code in codes if code in load_detector().labels)


@lru_cache(maxsize=64)
def open_scores(languages: tuple[str, ...]) -> LanguageScores:
    return LanguageScores(languages)


def warm_up(served: Sequence[str]) -> None:
    """Loads the detector now if these languages need it, so that no request has to wait for it."""
    for script in dict.fromkeys(script for code in served for script in scripts_of(code)):
        estimate_likelihoods("warm up", script)
