"""Writes the words that a translator learnt from beside its graphs, by language."""

from collections import Counter
from pathlib import Path

from models.config import RunConfig
from models.training.data.held_out import read_training
from service.text.lexicon import Lexicon, find_words

# A word of a single pair is often a mistake in writing.
MIN_PAIRS = 2


def write_lexicons(config: RunConfig, data: Path, folder: Path) -> dict[str, str]:
    """Writes a file for each language of a run, with the words of its training pairs.

    Returns:
        The names of the files by language.

    Raises:
        FileNotFoundError: the training data is not in the data folder.
    """
    counts: dict[str, Counter[str]] = {language: Counter() for language in config.languages}
    for _, rows in read_training(config, data):
        for row in rows:
            for language, text in zip(config.languages, row, strict=True):
                counts[language].update(set(find_words(text)))
    names = {}
    for language, found in counts.items():
        lexicon = Lexicon.of(word for word, number in found.items() if number >= MIN_PAIRS)
        names[language] = f"words.{language}.bin"
        (folder / names[language]).write_bytes(lexicon.to_bytes())
    return names
