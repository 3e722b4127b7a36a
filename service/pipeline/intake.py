"""What all tasks do with texts on the way in and out: bounds, threads, languages, timings."""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from operator import sub
from typing import TypeVar

from service.answers import (
    Detection,
    Timings,
)
from service.engine.batch import Defect, Generation, Result, TokenSequence
from service.engine.scheduling.forecast import Forecast
from service.errors import (
    DeadlineExceeded,
    EmptyInput,
    InputTooLong,
    LanguageNotSupported,
)
from service.pipeline.submission import TOO_LATE, ModelBatch
from service.repository.registry import Registry
from service.settings import Settings
from service.telemetry.metrics import Metrics
from service.text.languages import detection
from service.text.languages.names import display_name, scripts_of
from service.text.languages.recognition import recognize
from service.text.languages.scripts import dominant_script

T = TypeVar("T")

# Longer texts are worked on outside the event loop: 100,000 characters take 0.1 to 0.5 s to cut
# and encode on one core, and as many as these 5 ms at worst. A thread costs shorter texts more.
MAX_INLINE_CHARS = 1000


def check_texts(texts: Sequence[str], settings: Settings, *, may_be_blank: bool = False) -> None:
    """Refuses what is empty or above the limits of a request.

    Raises:
        EmptyInput, InputTooLong: name the text by its index.
    """
    if not texts:
        raise EmptyInput("there is no text; send at least one")
    if len(texts) > settings.max_texts:
        raise InputTooLong(
            f"{len(texts)} texts are above the limit of {settings.max_texts} per "
            "request; send fewer"
        )
    for index, text in enumerate(texts):
        if not (may_be_blank or text.strip()):
            raise EmptyInput(f"text {index} is empty; send at least one visible character")
        if len(text) > settings.max_text_chars:
            raise InputTooLong(
                f"text {index} has {len(text)} characters, above the limit of "
                f"{settings.max_text_chars}; split it"
            )


def forecast_wait(registry: Registry, tasks: Sequence[str]) -> Forecast | None:
    """The wait for the model of the tasks that is soonest free; None if there is no model."""
    forecasts = (served.batcher.forecast() for served in registry.models_of(*tasks))
    return min(forecasts, key=lambda each: each.wait_seconds, default=None)


async def offload(
    texts: Sequence[str], function: Callable[[], T], seconds_left: float = math.inf
) -> T:
    """Calls a function whose time grows with the texts: here if they are short, else on a thread.

    If the caller is cancelled, the thread runs on; what it computes is dropped.

    Raises:
        DeadlineExceeded: `seconds_left` have passed.
    """
    if sum(map(len, texts)) <= MAX_INLINE_CHARS:
        return function()
    try:
        async with asyncio.timeout(seconds_left):
            return await asyncio.to_thread(function)
    except TimeoutError as exc:
        raise DeadlineExceeded(TOO_LATE) from exc


def choose_languages(texts: Sequence[str], codes: Sequence[str], remedy: str) -> list[str]:
    """The likeliest of the languages for each text, at less cost than `detect_languages`.

    Raises:
        LanguageNotSupported: as there.
    """
    recognized = [recognize(text, codes) for text in texts]
    if all(recognized):
        return recognized
    return [found.language for found in detect_languages(texts, codes, remedy)]


def detect_languages(texts: Sequence[str], codes: Sequence[str], remedy: str) -> list[Detection]:
    """The likeliest of the languages for each text; the first of them if it has no letters.

    Args:
        texts: short ones are judged with the others.
        codes: the languages that are read, at least one.
        remedy: what the client can do about a language that is not read.

    Raises:
        LanguageNotSupported: a text is certainly in another language, or in a script that none of
            them uses.
    """
    detections = []
    for index, (text, found) in enumerate(
        zip(texts, detection.detect_all(texts, codes), strict=True)
    ):
        if unread := name_unread(text, found, codes):
            raise LanguageNotSupported(
                f"text {index} is in {unread}, which no loaded model supports; the models read "
                f"{', '.join(codes)}; {remedy}"
            )
        detections.append(next(Detection(*each) for each in found if each[0] in codes))
    return detections


def name_unread(text: str, found: Sequence[tuple[str, float]], codes: Sequence[str]) -> str:
    """What a text is in that none of the languages is: a script or a language; "" if it may be."""
    script = dominant_script(text)
    if script and not any(script in scripts_of(code) for code in codes):
        return f"{script} script"
    foreign = detection.find_foreign(text, found, codes)
    return f"{display_name(foreign)} ({foreign})" if foreign else ""


def observe_stages(
    work: Sequence[ModelBatch],
    results: Mapping[TokenSequence, Result],
    arrived_at: float,
    encoded_at: float,
    metrics: Metrics,
    now: float,
) -> Timings:
    """Records the stages of one request, once; all times are monotonic seconds."""
    sequences = [sequence for part in work for sequence in part.sequences]
    dispatched_at = [sequence.dispatched_at for sequence in sequences]
    finished_at = [sequence.finished_at for sequence in sequences]
    timings = Timings(
        tokenize_seconds=encoded_at - arrived_at,
        queue_seconds=max(dispatched_at, default=encoded_at) - encoded_at,
        inference_seconds=max(map(sub, finished_at, dispatched_at), default=0.0),
        total_seconds=now - arrived_at,
        arrived_at=arrived_at,
        dispatched_at=min(dispatched_at, default=math.inf),
        finished_at=max(finished_at, default=math.inf),
    )
    for part in work:
        model_metrics = metrics.of_model(part.served.manifest.name)
        model_metrics.note_stages(
            timings.tokenize_seconds, timings.queue_seconds, timings.inference_seconds
        )
        for sequence in part.sequences:
            if defect := find_defect(results[sequence]):
                model_metrics.incomplete_translations_total[defect].inc()
    return timings


def observe_tokens(
    work: Sequence[ModelBatch], results: Mapping[TokenSequence, Result], metrics: Metrics
) -> None:
    """Counts what the models of one request have read and written."""
    for part in work:
        tokens_total = metrics.of_model(part.served.manifest.name).tokens_total
        tokens_total["input"].inc(sum(sequence.num_tokens for sequence in part.sequences))
        if num_written := sum(count_tokens(results[sequence]) for sequence in part.sequences):
            tokens_total["output"].inc(num_written)


def find_defect(result: Result) -> Defect | None:
    """Why the best translation is not complete; scores of labels always are."""
    return result[0].defect if isinstance(result, list) else None


def count_tokens(result: Result) -> int:
    """Tokens of a generated text, or of the best translation; a classifier writes none."""
    if isinstance(result, Generation):
        return len(result.token_ids)
    return len(result[0].token_ids) if isinstance(result, list) else 0
