"""The start token of each training example: the target language, and in a share the speech level.

A request can then ask for a level. Its token also ends the source, in the place of eos, so that the
attention finds it at every step: at the start alone it was forgotten before the verb at the end.
Sennrich et al. 2016, "Controlling politeness in neural machine translation via side constraints".
"""

import random
from collections.abc import Callable, Sequence

from models.config import RunConfig
from models.training.data.relevel import make_casual, make_formal
from models.training.data.sources import Pair
from models.training.vocabulary.subwords import start_token
from service.text.levels.speech_level import LEVELS, Level, level_of
from service.text.tokenizer import Tokenizer

REWRITERS: dict[Level, Callable[[str], str | None]] = {
    "casual": make_casual,
    "formal": make_formal,
}


class SpeechLevels:
    """Chooses start tokens, and rewrites some polite translations in rarer levels."""

    def __init__(self, config: RunConfig, tokenizer: Tokenizer) -> None:
        self.languages, self.training = config.languages, config.training
        self.ids = {
            (language, level): tokenizer.token_id(start_token(language, level))
            for language in config.languages
            for level in (None, *(LEVELS.get(language, ()) if self.training.levelled else ()))
        }
        self.level_ids = {token_id for (_, level), token_id in self.ids.items() if level}

    def end_id(self, start_id: int, eos_id: int) -> int:
        """The token that ends the source of an example that starts with `start_id`."""
        return start_id if start_id in self.level_ids else eos_id

    def choose(self, pairs: Sequence[Pair], rng: random.Random) -> tuple[list[Pair], list[int]]:
        """The pairs, some of them rewritten, and the start token of each."""
        chosen = [self.choose_one(pair, rng) for pair in pairs]
        return [pair for pair, _ in chosen], [start_id for _, start_id in chosen]

    def choose_one(self, pair: Pair, rng: random.Random) -> tuple[Pair, int]:
        language = self.languages[pair.side]
        levels = LEVELS.get(language, ())
        if not levels or rng.random() >= self.training.levelled:
            return pair, self.ids[language, None]
        # a word alone is the same at all levels
        level = level_of(pair.target, language) or rng.choice(levels)
        if level == "polite" and rng.random() < self.training.relevelled:
            wanted = rng.choice(tuple(REWRITERS))
            if rewritten := REWRITERS[wanted](pair.target):
                pair, level = Pair(pair.source, rewritten, pair.side), wanted
        return pair, self.ids[language, level]
