"""Classification: text -> ids -> submit -> labels, with timings. Knows no HTTP."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from service.answers import Classification, ClassifyAnswer, ClassifyOptions, States
from service.engine.batch import Result, TokenSequence
from service.errors import EmptyInput, InputTooLong, ModelNotFound
from service.pipeline.attribution import Erasure, attribute, erase_each
from service.pipeline.intake import choose_languages
from service.pipeline.label_pipeline import LabelJob, LabelPipeline
from service.pipeline.labels import rank_labels
from service.pipeline.states import Reading, StatesPlan, make_tokens, plan_states
from service.repository.manifest import SENTIMENT
from service.repository.model import check_length
from service.repository.registry import ServedModel
from service.text.ratings import find_ratings, restore_spans, spell_ratings

UNREAD_REMEDY = "name one of them as `parameters.model` to have it classify the text all the same"


@dataclass(frozen=True)
class EncodedText:
    """A text as its model reads it.

    Attributes:
        is_truncated: the text has more tokens than the sequence.
        erasures: the text without each of its tokens, if it is to be explained.
        states: those to be shown, if any.
    """

    text: str
    served: ServedModel
    sequence: TokenSequence
    is_truncated: bool
    erasures: list[Erasure] | None
    states: StatesPlan | None

    @property
    def sequences(self) -> list[TokenSequence]:
        return [self.sequence, *self.erased]

    @property
    def erased(self) -> list[TokenSequence]:
        return [each.rest for each in self.erasures or [] if each.rest]


ClassificationJob: TypeAlias = LabelJob[ClassifyOptions, EncodedText]


class ClassifyPipeline(LabelPipeline[ClassifyOptions, EncodedText, ClassifyAnswer]):
    """Labels texts with the classifiers of a registry."""

    tasks = ("classification",)

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

    def describe_job(
        self,
        job: ClassificationJob,
        results: Mapping[TokenSequence, Result],
        states: Sequence[States | None],
    ) -> ClassifyAnswer:
        classifications = [
            describe_text(each, results, job.options, shown)
            for each, shown in zip(job.encoded, states, strict=True)
        ]
        timings = self._observe(job, results)
        return ClassifyAnswer(job.model_names, job.model_versions, timings, classifications)

    def _encode_texts(
        self, texts: Sequence[str], options: ClassifyOptions, times: tuple[float, float]
    ) -> list[EncodedText]:
        chosen = self._choose_classifiers(texts, options.model)
        encoded = [
            encode_text(text, served, options, times)
            for text, served in zip(texts, chosen, strict=True)
        ]
        self._check_explanation(encoded)
        return encoded

    def _check_explanation(self, encoded: Sequence[EncodedText]) -> None:
        """Refuses what would take too long to explain, or would never fit the queue.

        Raises:
            InputTooLong: together the texts are too long.
        """
        limit = min(self._settings.max_explain_tokens, self._settings.max_queue_tokens)
        num_tokens = sum(sequence.num_tokens for each in encoded for sequence in each.erased)
        if num_tokens > limit:
            raise InputTooLong(
                f"to explain this, {num_tokens} tokens would be read again, above the limit of "
                f"{limit}; send fewer or shorter texts, or truncate them"
            )

    def _choose_classifiers(
        self, texts: Sequence[str], model_name: str | None
    ) -> list[ServedModel]:
        if model_name is not None:
            return [self._registry.find_model(model_name, *self.tasks)] * len(texts)
        codes = self._registry.classified_languages()
        if not codes:
            names = [s.manifest.name for s in self._registry.models_of(*self.tasks)]
            raise ModelNotFound(
                "no classifier answers by default; name one as `parameters.model`; there are "
                f"{', '.join(names) or 'none'}"
            )
        chosen = choose_languages(texts, codes, UNREAD_REMEDY)
        return [self._registry.find_classifier(language) for language in chosen]


def encode_text(
    text: str, served: ServedModel, options: ClassifyOptions, times: tuple[float, float]
) -> EncodedText:
    """A text to classify as its model reads it.

    Args:
        text: as it was sent.
        served: its model.
        options: of the request.
        times: arrival and deadline, in monotonic seconds.

    Raises:
        EmptyInput, InputTooLong, InvalidInput.
    """
    model = served.model
    is_opinion = model.manifest.purpose == SENTIMENT
    ratings = find_ratings(text, model.manifest.languages[0]) if is_opinion else []
    read = spell_ratings(text, ratings)
    (input_ids,) = model.encode([read])
    if not input_ids:
        raise EmptyInput("a text has nothing to classify; send at least one visible character")
    limit = model.manifest.limits.max_input_tokens
    limit = min(limit, options.max_length or limit)
    if options.truncate is None:
        check_length(input_ids, model)
        if len(input_ids) > limit:
            raise InputTooLong(
                f"a text has {len(input_ids)} tokens, above the max_length of {limit}; truncate or "
                "split it"
            )
    kept = slice(-limit, None) if options.truncate == "start" else slice(limit)
    sequence = TokenSequence(input_ids[kept], *times)
    erasures = states = None
    if options.explain or options.states:
        spans = restore_spans(model.tokenizer.spans(read), ratings)[kept]
        erasures = erase_each(sequence, spans) if options.explain else None
        reading = Reading(sequence.input_ids, make_tokens(text, spans))
        states = plan_states(served, options.states, [reading])
    return EncodedText(text, served, sequence, len(input_ids) > limit, erasures, states)


def describe_text(
    encoded: EncodedText,
    results: Mapping[TokenSequence, Result],
    options: ClassifyOptions,
    states: States | None,
) -> Classification:
    """What the results of a text's sequences say of it."""
    model, erasures = encoded.served.model, encoded.erasures
    attributions = None
    if erasures is not None:
        attributions = attribute(model, encoded.text, encoded.sequence, erasures, results)
    return Classification(
        rank_labels(model, results[encoded.sequence], options),
        model.manifest.name,
        encoded.sequence.num_tokens,
        encoded.is_truncated,
        attributions,
        states,
    )
