"""Scores the languages of a script by the tables of the detector, py3langid.

Its own `rank` is slower: it sorts the languages, and follows lists of numbers that lie all over
the memory, where few are in a cache.
"""

import unicodedata
from array import array
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from py3langid.langid import MODEL_FILE, LanguageIdentifier, visit_counts

from service.arrays import FloatArray


class LanguageScores:
    """How likely texts are in each of some languages.

    Args:
        languages: that the detector knows, by its labels.

    Attributes:
        labels: of the scores; a language in two spellings has two.
        twins: places of both of its spellings.
    """

    def __init__(self, languages: Sequence[str]) -> None:
        detector = load_detector()
        places = [at for at, label in enumerate(detector.nb_classes) if label in languages]
        self.labels = [detector.nb_classes[at] for at in places]
        firsts = [self.labels.index(label) for label in self.labels]
        self.twins = [(first, at) for at, first in enumerate(firsts) if first != at]
        # as the columns lie in the full table, a text costs three times as much
        self._table = np.ascontiguousarray(detector.nb_ptc[:, places], dtype=np.float32)
        self._prior = detector.nb_pc[places]

    def score(self, letters: bytes) -> FloatArray:
        """Logarithms of likelihoods (languages); all 0 if nothing tells the languages apart.

        Args:
            letters: of `spell_letters`.
        """
        counts = visit_counts(*load_automaton(), letters)
        if not counts:
            return np.zeros(len(self.labels), np.float32)
        features = list(counts)
        weights = count_once(len(features))
        if counts.total() > len(features):
            weights = np.log1p(np.fromiter(counts.values(), np.float32, len(features)))
        scores: FloatArray = weights.dot(self._table.take(features, 0)) + self._prior
        return scores


def spell_letters(text: str) -> bytes:
    """A text as the detector reads it."""
    if text.isupper():
        text = text.lower()
    return unicodedata.normalize("NFC", text).encode(errors="surrogatepass")


@lru_cache(maxsize=64)
def count_once(num_features: int) -> FloatArray:
    """Weights of features that a text has once each."""
    return np.log1p(np.ones(num_features, np.float32))


@lru_cache(maxsize=1)
def load_detector() -> LanguageIdentifier:
    """Loads the detector on first use, about a second and 80 MB; `warm_up` does it at the start."""
    return LanguageIdentifier.from_model_file(MODEL_FILE)


@lru_cache(maxsize=1)
def load_automaton() -> tuple["array[int]", "array[int]", "array[int]"]:
    """Next states, where the row of each state begins, and the feature of each state or -1."""
    detector = load_detector()
    rows = array("i", [row << 8 for row in detector.tk_row])
    return detector.tk_nextmove, rows, array("i", detector.tk_output)
