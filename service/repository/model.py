"""One version of a model: text to token ids and back, its limits, and its graphs."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.arrays import FloatArray
from service.engine.batch import SamplingOptions, SearchOptions, TokenSequence
from service.engine.hidden_states.states import StatesSession
from service.engine.runner import Runner
from service.engine.runtime.device import Device
from service.errors import InputTooLong
from service.repository.manifest import GENERATIVE, Manifest, Precision
from service.text import casing
from service.text.tokenizer import Tokenizer

# Of the greedy continuation of a golden prompt.
NUM_GOLDEN_TOKENS = 24


@dataclass(frozen=True)
class Model:
    """One version without its graphs, as a front end of an engine process has it.

    Attributes:
        device, precision: of its graphs.
    """

    manifest: Manifest
    tokenizer: Tokenizer
    device: Device
    precision: Precision

    @property
    def title(self) -> str:
        """What is loaded, for messages."""
        manifest = self.manifest
        return f"{manifest.name}/{manifest.version} in {self.precision} on {self.device}"

    def normalize_case(self, sentences: Sequence[str], language: str) -> list[str]:
        """The sentences of a text as the model reads them, each as long as it was."""
        if self.manifest.task != "translation" or not self.manifest.lower_capitals:
            return list(sentences)
        spelled = casing.normalize_caps(sentences)
        if language in casing.NOUN_CAPITALS:
            return [casing.restore_capitals(sentence, self.knows_noun) for sentence in spelled]
        spelled = [casing.normalize_title(sentence, self.reads_lower) for sentence in spelled]
        spelled = [casing.normalize_lone_words(sentence, self.knows_lower) for sentence in spelled]
        return [casing.restore_capitals(sentence, self.knows_name) for sentence in spelled]

    def reads_lower(self, word: str) -> bool:
        """Whether the vocabulary knows a word in small letters, too: "Dogs", but not "Anna".

        A name is as many tokens or fewer with its capital, unless a single token spells both.
        """
        as_it_is, in_lower = self._count_tokens(word)
        return in_lower < as_it_is or in_lower == 1

    def knows_lower(self, word: str) -> bool:
        """Whether a capitalised word is more tokens than in small letters: "Umbrella"."""
        as_it_is, in_lower = self._count_tokens(word)
        return in_lower < as_it_is

    def knows_noun(self, word: str) -> bool:
        """Whether a word in small letters is fewer tokens with a capital: "gurke"."""
        capitalised, as_it_is = self._count_tokens(word.capitalize())
        return capitalised < as_it_is

    def knows_name(self, word: str) -> bool:
        """Whether a word in small letters is a single token with a capital alone: "berlin"."""
        return self.tokenizer.has_word(word.capitalize()) and not self.tokenizer.has_word(word)

    def _count_tokens(self, word: str) -> tuple[int, int]:
        """Of a word as it is, and in small letters."""
        as_it_is, in_lower = self.tokenizer.encode_batch([word, word.lower()])
        return len(as_it_is), len(in_lower)

    def encode(self, texts: Sequence[str], start_id: int | None = None) -> list[list[int]]:
        """Input ids of each text, with its end if the model makes one of it; empty without tokens.

        Those of a language model begin with its bos and are never empty.

        Args:
            texts: any.
            start_id: of the translations, see `SpecialIds.end_id`.
        """
        return [self.frame(tokens, start_id) for tokens in self.tokenizer.encode_batch(texts)]

    def frame(self, token_ids: list[int], start_id: int | None = None) -> list[int]:
        """The tokens of a text with those that the model wants before or after them."""
        ids = self.manifest.ids
        if ids.bos_id is not None:
            return [ids.bos_id, *token_ids]
        end_id = ids.end_id(start_id)
        return token_ids if end_id is None or not token_ids else [*token_ids, end_id]

    def decode(self, token_ids: Sequence[int], *, in_capitals: bool) -> str:
        """The translation that token ids are, in capitals if its source is."""
        text = self.tokenizer.decode(token_ids)
        return text.upper() if in_capitals else text

    def ends(self, token_ids: Sequence[int], *, in_capitals: bool) -> list[int]:
        """Where each token ends in the translation that `decode` gives."""
        ends = self.tokenizer.ends(token_ids)
        if not in_capitals:
            return ends
        text = self.tokenizer.decode(token_ids)
        return [len(text[:end].upper()) for end in ends]  # a sharp s becomes two letters

    def probabilities(self, scores: FloatArray) -> FloatArray:
        """The classifier graph's output (..., C) as probabilities that sum to one."""
        return scores if self.manifest.output_kind == "probabilities" else softmax(scores)


@dataclass(frozen=True)
class LoadedModel(Model):
    """One version with its graphs, ready to answer.

    Attributes:
        runners: share the sessions and so the weights; each is for one thread.
        states: opened when it is first asked; only if the manifest lists states.
    """

    runners: Sequence[Runner]
    states: StatesSession

    @property
    def runner(self) -> Runner:
        """The first one, for running the model without a server."""
        return self.runners[0]


def softmax(logits: FloatArray) -> FloatArray:
    """(..., C) -> (..., C)."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    result: FloatArray = powers / powers.sum(axis=-1, keepdims=True)
    return result


def make_sequences(
    model: LoadedModel, texts: Sequence[str], target: str | None = None, beam_size: int = 1
) -> list[TokenSequence]:
    """Requests without a deadline, of texts as they are; for goldens and measurements.

    A model that writes texts does so greedily, up to `NUM_GOLDEN_TOKENS`.

    Raises:
        ValueError: a text has no tokens.
    """
    now = time.monotonic()
    start_id = None if target is None else model.manifest.ids.start_ids[target]
    sequences = []
    for text, input_ids in zip(texts, model.encode(texts, start_id), strict=True):
        if not input_ids:
            raise ValueError(f"no tokens in {text!r}")
        sequence = TokenSequence(input_ids, now, float("inf"))
        if start_id is not None:
            sequence.search = SearchOptions(beam_size, new_token_limit(input_ids, model.manifest))
            sequence.start_id = start_id
        if model.manifest.task in GENERATIVE:
            max_new_tokens = min(NUM_GOLDEN_TOKENS, model.manifest.limits.max_new_tokens)
            sequence.sampling = SamplingOptions(max_new_tokens)
        sequences.append(sequence)
    return sequences


def check_length(input_ids: Sequence[int], model: Model) -> None:
    """Refuses what the model was not made for.

    Raises:
        InputTooLong: more tokens than the manifest allows.
    """
    limit = model.manifest.limits.max_input_tokens
    if len(input_ids) > limit:
        is_whole = model.manifest.task == "classification"
        unit, remedy = ("text", "truncate or split") if is_whole else ("sentence", "split")
        raise InputTooLong(
            f"a {unit} has {len(input_ids)} tokens, above the limit of {limit} of model "
            f"{model.manifest.name}; {remedy} it"
        )


def new_token_limit(input_ids: Sequence[int], manifest: Manifest) -> int:
    """The number of tokens after which a translation ends at the latest.

    A loop would go on to the longest translation that the model has.
    """
    limits = manifest.limits
    by_source = limits.new_tokens_base + math.ceil(limits.new_tokens_per_token * len(input_ids))
    return min(limits.max_new_tokens, by_source)
