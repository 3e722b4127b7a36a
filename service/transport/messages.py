"""What front ends and the engine process say to each other, as bytes and back.

A message is a tuple: its name, then its fields. Marshal writes it: it takes a third of the time of
pickle and of msgspec's checked structs for a short text, and both ends are forks of one process, so
that they have the same version of it. Like pickle it is unsafe for untrusted data; no other process
can reach the connection (see `mailbox`).
"""

import marshal
from collections.abc import Iterator
from typing import Any

import numpy as np

from service import errors
from service.arrays import FloatArray
from service.engine.batch import (
    Generation,
    Hypothesis,
    Result,
    SamplingOptions,
    SearchOptions,
    StreamState,
    TokenSequence,
)

Message = tuple[Any, ...]
"""A name and fields of built-in types."""

Packed = tuple[Any, ...]
"""One value as built-in types."""


def encode(messages: list[Message]) -> bytes:
    return marshal.dumps(messages)


def decode(data: bytes | memoryview) -> list[Message]:
    messages: list[Message] = marshal.loads(data)
    return messages


def pack_array(array: FloatArray) -> Packed:
    return array.shape, array.astype(np.float32, copy=False).tobytes()


def unpack_array(packed: Packed) -> FloatArray:
    """The array, read-only: it lies in the message."""
    shape, data = packed
    return np.frombuffer(data, np.float32).reshape(shape)


def pack_arrays(arrays: dict[str, FloatArray]) -> dict[str, Packed]:
    return {name: pack_array(array) for name, array in arrays.items()}


def unpack_arrays(packed: dict[str, Packed]) -> dict[str, FloatArray]:
    return {name: unpack_array(each) for name, each in packed.items()}


def pack_sequence(sequence: TokenSequence) -> Packed:
    """A sequence that is to be submitted; times are those of the clock that all processes have."""
    search, sampling, stream = sequence.search, sequence.sampling, sequence.stream
    return (
        sequence.input_ids,
        sequence.arrived_at,
        sequence.deadline,
        sequence.start_id,
        search and tuple(vars(search).values()),
        sampling and tuple(vars(sampling).values()),
        sequence.features,
        stream and pack_arrays(stream.states),
        sequence.on_tokens is not None,
        sequence.on_token is not None,
    )


def unpack_sequence(packed: Packed) -> tuple[TokenSequence, bool, bool]:
    """The sequence, and whether its `on_tokens` and its `on_token` are wanted."""
    input_ids, arrived_at, deadline, start_id, search, sampling, features, states, *wanted = packed
    sequence = TokenSequence(
        input_ids,
        arrived_at,
        deadline,
        start_id=start_id,
        search=search and SearchOptions(*search),
        sampling=sampling and SamplingOptions(*sampling),
        features=features,
        stream=None if states is None else StreamState(unpack_arrays(states)),
    )
    return sequence, *wanted


def pack_result(result: Result) -> Packed:
    if isinstance(result, list):
        return ("hypotheses", [pack_hypothesis(each) for each in result])
    if isinstance(result, Generation):
        return ("generation", result.token_ids, result.log_probabilities, result.end)
    return ("scores", *pack_array(result))


def unpack_result(packed: Packed) -> Result:
    kind, *fields = packed
    if kind == "hypotheses":
        return [unpack_hypothesis(each) for each in fields[0]]
    if kind == "generation":
        return Generation(*fields)
    return unpack_array(tuple(fields))


def pack_hypothesis(hypothesis: Hypothesis) -> Packed:
    attention = hypothesis.attention
    return (
        hypothesis.token_ids,
        hypothesis.score,
        hypothesis.defect,
        None if attention is None else pack_array(attention),
        hypothesis.read_back,
        hypothesis.num_unknown,
    )


def unpack_hypothesis(packed: Packed) -> Hypothesis:
    token_ids, score, defect, attention, *others = packed
    return Hypothesis(token_ids, score, defect, attention and unpack_array(attention), *others)


def pack_error(error: errors.ServingError) -> Packed:
    if isinstance(error, errors.Overloaded):
        return type(error).__name__, str(error), error.retry_after_seconds, error.reason
    if isinstance(error, errors.ModelNotReady):
        return type(error).__name__, str(error), error.retry_after_seconds
    return type(error).__name__, str(error)


def unpack_error(packed: Packed) -> errors.ServingError:
    name, *arguments = packed
    return ERRORS[name](*arguments)


def walk_errors(error: type[errors.ServingError]) -> Iterator[type[errors.ServingError]]:
    yield error
    for narrower in error.__subclasses__():
        yield from walk_errors(narrower)


ERRORS = {error.__name__: error for error in walk_errors(errors.ServingError)}
