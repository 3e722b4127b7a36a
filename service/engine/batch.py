"""What passes between pipeline and engine: token sequences, padded batches, results."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from service.arrays import Array, FloatArray, IntArray

LENGTHS_ON_HOST = "lengths_on_host"
"""The lengths as recurrent layers of graphs for CUDA read them."""


@dataclass(frozen=True)
class SearchOptions:
    """How one sentence is decoded.

    Attributes:
        beam_size: hypotheses kept; 1 is greedy.
        max_new_tokens: tokens after which a hypothesis ends even without eos.
        with_attention: keep the attention weights of each step.
        source_start_id: the token that starts a translation into the source's language; the
            complete hypotheses are then reranked by how well the source follows from each.
    """

    beam_size: int = 1
    max_new_tokens: int = 256
    with_attention: bool = False
    source_start_id: int | None = None


@dataclass
class StreamState:
    """Where a text that comes in piece by piece stands; its connection keeps it.

    Attributes:
        states: (L, H) float32 by name, after its last token; none before the first one.
    """

    states: dict[str, FloatArray] = field(default_factory=dict)


@dataclass(frozen=True)
class SamplingOptions:
    """How the tokens of one text are chosen.

    Attributes:
        max_new_tokens: after which the text ends even without eos.
        temperature: divides the logits; 0 takes the likeliest token each time (greedy).
        top_k: the number of likeliest tokens to draw from; 0 means all.
        top_p: of the likeliest tokens, those may be drawn that together have this probability.
        repetition_penalty: > 0; above 1 makes tokens of the text so far less likely.
        seed, index: 64 bits each, the key of the draws; the index counts the texts of one seed.
    """

    max_new_tokens: int = 256
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    seed: int = 0
    index: int = 0


@dataclass(eq=False)
class TokenSequence:
    """One text, or one sentence of a text, on its way through a batcher; compared by identity.

    Attributes:
        input_ids: token ids, >= 1 of them.
        arrived_at, deadline, dispatched_at, finished_at: monotonic seconds; infinite until then.
        search: set for translation only.
        start_id: the token that starts the translation and names its language.
        is_abandoned: the client has gone; the engine drops the sequence at its next step.
        on_tokens: called on the engine's thread, or on the event loop if the engine has a process
            of its own, with the next token ids of the stable prefix, the one that every live beam
            and every closed hypothesis shares. Never with eos; all calls together give the best
            hypothesis, before the result does. Must not raise.
        sampling: set for generation only.
        features: (F) that the generated text depends on, if its model has a condition.
        on_token: called on the same thread with each generated token and its log-probability,
            never with eos; true ends the text. Must not raise.
        stream: the text that the sequence is the next piece of; at most one piece of a text is in
            the engine at a time.
    """

    input_ids: list[int]
    arrived_at: float
    deadline: float
    search: SearchOptions | None = None
    start_id: int = 0
    dispatched_at: float = math.inf
    finished_at: float = math.inf
    is_abandoned: bool = False
    on_tokens: Callable[[list[int]], None] | None = None
    sampling: SamplingOptions | None = None
    features: tuple[float, ...] | None = None
    on_token: Callable[[int, float], bool] | None = None
    stream: StreamState | None = None
    num_tokens: int = field(init=False)

    def __post_init__(self) -> None:
        self.num_tokens = len(self.input_ids)  # is asked for twenty times on the way

    @property
    def num_rows(self) -> int:
        """Rows of the engine that the sequence occupies."""
        return self.search.beam_size if self.search else 1


SOURCE_WEIGHT = 0.4
"""Of the source's mean log-probability per token, beside that of its translation."""
UNKNOWN_PRICE = 0.2
"""Of each unknown word of a translation, in the same nats."""

Defect = Literal["length", "loop"]
"""Why a translation is not complete: it was cut at its length limit, or it repeats itself."""


@dataclass(frozen=True)
class Hypothesis:
    """One finished translation.

    Attributes:
        token_ids: without the start token and eos.
        score: mean log-probability per token, eos included.
        defect: None if it ended with eos and does not repeat itself.
        attention: (T, S) float32, one row per step (of eos too, if it ended with that), if it was
            asked for.
        read_back: mean log-probability per token of the source as its translation, eos included;
            None if it was not read back.
        num_unknown: words that the model has neither learnt from nor copied; 0 if that was not
            asked.
    """

    token_ids: list[int]
    score: float
    defect: Defect | None = None
    attention: FloatArray | None = None
    read_back: float | None = None
    num_unknown: int = 0

    @property
    def is_complete(self) -> bool:
        return self.defect is None

    @property
    def merit(self) -> float:
        """Both log-probabilities together (Yee et al. 2019, equation 4), less for unknown words.

        Words take the place of the language model there.
        """
        read_back = SOURCE_WEIGHT * (self.read_back or 0.0)
        return self.score + read_back - UNKNOWN_PRICE * self.num_unknown


End = Literal["eos", "stop", "length"]
"""Why a generated text ends: by its own token, by its `on_token`, or at its length limit."""


@dataclass(frozen=True)
class Generation:
    """One generated text.

    Attributes:
        token_ids: without the prompt and eos.
        log_probabilities: of each token by the model itself, whatever it was drawn by; of eos, too,
            if the text ends with it.
    """

    token_ids: list[int]
    log_probabilities: list[float]
    end: End

    @property
    def score(self) -> float:
        """Mean log-probability per token, eos included."""
        return sum(self.log_probabilities) / len(self.log_probabilities)


Result = FloatArray | list[Hypothesis] | Generation
"""Label scores of a text (C) or of its tokens (T, C), hypotheses of a sentence, or a text."""


@dataclass(frozen=True)
class Batch:
    """Padded rows.

    Attributes:
        input_ids: (B, T) int64, padded with pad_id.
        lengths: (B) int64.
    """

    input_ids: IntArray
    lengths: IntArray

    @property
    def feeds(self) -> dict[str, Array]:
        """By the names of the inputs of graphs that read whole texts.

        Graphs for CUDA have the lengths twice: their recurrent layers read them on the host.
        """
        return {
            "input_ids": self.input_ids,
            "lengths": self.lengths,
            LENGTHS_ON_HOST: self.lengths.astype(np.int32),
        }


def pad_sequences(sequences: Sequence[TokenSequence], pad_id: int) -> Batch:
    """Pads sequences to one batch, in the same order."""
    return pad_rows([sequence.input_ids for sequence in sequences], pad_id)


def pad_rows(rows: Sequence[Sequence[int]], pad_id: int) -> Batch:
    """Pads rows of token ids to one batch, in the same order."""
    lengths = [len(row) for row in rows]
    padding = [pad_id] * max(lengths)
    padded = [[*row, *padding[len(row) :]] for row in rows]
    return Batch(np.array(padded, dtype=np.int64), np.array(lengths, dtype=np.int64))


def padding_ratio(sequences: Sequence[TokenSequence]) -> float:
    """Share of a batch's padded tokens that is padding, 0 to 1."""
    lengths = [sequence.num_tokens for sequence in sequences]
    return 1.0 - sum(lengths) / (len(lengths) * max(lengths))
