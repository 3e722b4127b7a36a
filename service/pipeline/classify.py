"""Classification: text -> ids -> submit -> labels, with timings. Knows no HTTP."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
    detect_languages,
    observe_stages,
    offload,
)
from service.pipeline.labels import rank_labels
from service.pipeline.submission import ModelBatch, Submission, group_by_model, name_models
from service.repository.model import LoadedModel, check_length
from service.repository.registry import Registry, ServedModel
from service.settings import Settings
from service.telemetry.metrics import Metrics
from service.text.ratings import spell_ratings

UNREAD_REMEDY = "name one of them as `parameters.model` to have it classify the text all the same"


@dataclass(frozen=True)
class ClassificationJob:
    """Texts on their way through the classifiers.

    Attributes:
        encoded: each text's model and token ids.
        work: the same by model.
        model_names, model_versions: of the models that will answer, comma-separated.
        deadline, arrived_at, encoded_at: monotonic seconds.
    """

    options: ClassifyOptions
    encoded: list[tuple[ServedModel, TokenSequence]]
    work: list[ModelBatch]
    model_names: str
    model_versions: str
    deadline: float
    arrived_at: float
    encoded_at: float


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
        self, texts: Sequence[str], options: ClassifyOptions, deadline: float
    ) -> ClassifyAnswer:
        """Labels of each text, best first.

        Args:
            texts: one or more.
            options: see `ClassifyOptions`.
            deadline: monotonic seconds.

        Raises:
            What `open_job` and `answer_job` raise.
        """
        return await self.answer_job(await self.open_job(texts, options, deadline))

    async def open_job(
        self, texts: Sequence[str], options: ClassifyOptions, deadline: float
    ) -> ClassificationJob:
        """Checks and encodes texts, and chooses their models; nothing is submitted yet.

        Raises:
            EmptyInput, InputTooLong, LanguageNotSupported, ModelNotFound, DeadlineExceeded.
        """
        arrived_at = self._clock()
        check_texts(texts, self._settings)

        def encode_texts() -> list[tuple[ServedModel, TokenSequence]]:
            chosen = self._choose_classifiers(texts, options.model)
            return [
                (served, TokenSequence(encode_text(text, served.model), arrived_at, deadline))
                for text, served in zip(texts, chosen, strict=True)
            ]

        encoded = await offload(texts, encode_texts, deadline - arrived_at)
        work = group_by_model((served, [sequence]) for served, sequence in encoded)
        times = (deadline, arrived_at, self._clock())
        return ClassificationJob(options, encoded, work, *name_models(work), *times)

    async def answer_job(self, job: ClassificationJob) -> ClassifyAnswer:
        """Has the models of a job classify its texts.

        Raises:
            Overloaded, DeadlineExceeded, InferenceFailed, ModelNotReady.
        """
        with Submission(job.work, job.deadline, self._clock) as submission:
            results = await submission.results()
        labels = [
            rank_labels(served.model, results[sequence], job.options)
            for served, sequence in job.encoded
        ]
        timings = observe_stages(
            job.work, results, job.arrived_at, job.encoded_at, self._metrics, self._clock()
        )
        return ClassifyAnswer(job.model_names, job.model_versions, timings, labels)

    def _choose_classifiers(
        self, texts: Sequence[str], model_name: str | None
    ) -> list[ServedModel]:
        if model_name is not None:
            return [self._registry.find_model(model_name, "sentiment")] * len(texts)
        codes = self._registry.sentiment_languages()
        if not codes:
            raise ModelNotFound("no sentiment model is loaded")
        detections = detect_languages(texts, codes, UNREAD_REMEDY)
        return [self._registry.find_classifier(detection.language) for detection in detections]


def encode_text(text: str, model: LoadedModel) -> list[int]:
    """Input ids of a text to classify.

    Raises:
        EmptyInput, InputTooLong.
    """
    (input_ids,) = model.encode([spell_ratings(text, model.manifest.languages[0])])
    if not input_ids:
        raise EmptyInput("a text has nothing to classify; send at least one visible character")
    check_length(input_ids, model)
    return input_ids
