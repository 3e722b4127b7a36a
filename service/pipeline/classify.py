"""Classification: text -> ids -> submit -> labels, with timings. Knows no HTTP."""

import time
from collections.abc import Callable, Sequence

from service.answers import (
    ClassifyAnswer,
    ClassifyOptions,
)
from service.engine.batch import TokenSequence
from service.errors import (
    EmptyInput,
    ModelNotFound,
)
from service.pipeline.intake import (
    check_texts,
    check_wait,
    detect_language,
    ignore,
    observe_stages,
    offload,
)
from service.pipeline.labels import rank_labels
from service.pipeline.submission import Submission, group_by_model, name_models
from service.repository.model import LoadedModel, check_length
from service.repository.registry import Registry, ServedModel
from service.settings import Settings
from service.telemetry.metrics import Metrics


class ClassifyPipeline:
    """Labels texts with the classifiers of a registry."""

    def __init__(
        self,
        registry: Registry,
        settings: Settings,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry, self._settings = registry, settings
        self._metrics, self._clock = metrics, clock

    def check_wait(self) -> None:
        """Refuses at once, before a body is read, when no model would take a request.

        Raises:
            Overloaded: the queues of all classifiers are too slow.
        """
        check_wait(self._registry, "sentiment")

    async def classify(
        self,
        texts: Sequence[str],
        options: ClassifyOptions,
        deadline: float,
        on_models: Callable[[str], None] = ignore,
    ) -> ClassifyAnswer:
        """Labels of each text, best first.

        Args:
            texts: one or more.
            options: see `ClassifyOptions`.
            deadline: monotonic seconds.
            on_models: told the names of the models, comma-separated, before they are asked.

        Raises:
            EmptyInput, InputTooLong, ModelNotFound, Overloaded, DeadlineExceeded, InferenceFailed.
        """
        arrived_at = self._clock()
        check_texts(texts, self._settings)

        def encode_texts() -> list[tuple[ServedModel, TokenSequence]]:
            chosen = [self._choose_classifier(text, options.model) for text in texts]
            return [
                (served, TokenSequence(encode_text(text, served.model), arrived_at, deadline))
                for text, served in zip(texts, chosen, strict=True)
            ]

        encoded = await offload(texts, encode_texts, deadline - arrived_at)
        work = group_by_model((served, [sequence]) for served, sequence in encoded)
        made_by = name_models(work)
        on_models(made_by[0])
        encoded_at = self._clock()
        with Submission(work, deadline, self._clock) as submission:
            results = await submission.results()
        labels = [
            rank_labels(served.model, results[sequence], options) for served, sequence in encoded
        ]
        timings = observe_stages(
            work, results, arrived_at, encoded_at, self._metrics, self._clock()
        )
        return ClassifyAnswer(*made_by, timings, labels)

    def _choose_classifier(self, text: str, model_name: str | None) -> ServedModel:
        if model_name is not None:
            return self._registry.find_model(model_name, "sentiment")
        codes = self._registry.sentiment_languages()
        if not codes:
            raise ModelNotFound("no sentiment model is loaded")
        return self._registry.find_classifier(detect_language(text, codes).language)


def encode_text(text: str, model: LoadedModel) -> list[int]:
    """Input ids of a text to classify.

    Raises:
        EmptyInput, InputTooLong.
    """
    (input_ids,) = model.encode([text])
    if not input_ids:
        raise EmptyInput("a text has nothing to classify; send at least one visible character")
    check_length(input_ids, model)
    return input_ids
