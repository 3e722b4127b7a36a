"""The words of the shipped translators, as their rerankers count them."""

import math
from pathlib import Path

import pytest

from service.engine.batch import SearchOptions, TokenSequence
from service.engine.runner import run_sequences
from service.engine.runtime.device import Device
from service.repository.loader import load_model
from service.repository.versions import newest_version
from service.text.lexicon import Lexicon

REPOSITORY = Path(__file__).parents[2] / "models" / "repository"
NONSENSE = "Frumious bandersnatches galumphed uffishly through the tulgey wood. O frabjous day!"


@pytest.mark.parametrize(
    ("name", "target", "word"),
    [("translation-en-de", "de", "straße"), ("translation-en-ko", "ko", "학교에")],
)
def test_shipped_translator_counts_the_words_that_it_makes_up(
    name: str, target: str, word: str
) -> None:
    folder = newest_version(REPOSITORY, name)
    model = load_model(folder, Device("cpu"))
    lexicon = Lexicon((folder / model.manifest.lexicons[target]).read_bytes())
    ids = model.manifest.ids
    (input_ids,) = model.encode([NONSENSE], ids.start_ids[target])
    search = SearchOptions(4, 40, source_start_id=ids.neutral_ids["en"])

    (result,) = run_sequences(
        model.runner, [TokenSequence(input_ids, 0.0, math.inf, search, ids.start_ids[target])]
    )

    assert word in lexicon
    assert sum(f"{word}qx{number}" in lexicon for number in range(50)) < 10  # one in fifty passes
    assert isinstance(result, list)
    read = [found for found in result if found.read_back is not None]
    assert read
    assert [found.num_unknown for found in read] == [
        lexicon.count_unknown(model.tokenizer.decode(found.token_ids), NONSENSE) for found in read
    ]
