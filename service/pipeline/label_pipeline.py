"""What classification and tagging have in common: texts -> ids -> submit -> labels of each text."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, TypeVar

from service.answers import States
from service.engine.batch import Result, TokenSequence
from service.pipeline.intake import check_texts, offload
from service.pipeline.states import StatesPlan
from service.pipeline.submission import ModelBatch, Submission, group_by_model, name_models
from service.pipeline.task_pipeline import TaskPipeline
from service.repository.registry import ServedModel


class EncodedText(Protocol):
    """A text as its model reads it: in one sequence or several."""

    @property
    def served(self) -> ServedModel: ...

    @property
    def sequences(self) -> Sequence[TokenSequence]: ...

    @property
    def states(self) -> StatesPlan | None:
        """Those to be shown, if any."""


OptionsT = TypeVar("OptionsT")
TextT = TypeVar("TextT", bound=EncodedText)
AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True)
class LabelJob(Generic[OptionsT, TextT]):
    """Texts on their way through the models that label them.

    Attributes:
        encoded: the texts, in their order.
        work: their sequences by model.
        model_names, model_versions: of the models that will answer, comma-separated.
        deadline, arrived_at, encoded_at: monotonic seconds.
    """

    options: OptionsT
    encoded: list[TextT]
    work: list[ModelBatch]
    model_names: str
    model_versions: str
    deadline: float
    arrived_at: float
    encoded_at: float


class LabelPipeline(TaskPipeline, ABC, Generic[OptionsT, TextT, AnswerT]):
    """Labels texts, or their tokens, with models that read all of their sequences at once."""

    async def open_job(
        self, texts: Sequence[str], options: OptionsT, deadline: float
    ) -> LabelJob[OptionsT, TextT]:
        """Checks and encodes texts, and chooses their models; nothing is submitted yet.

        Raises:
            EmptyInput, InputTooLong, InvalidInput, LanguageNotSupported, ModelNotFound,
            DeadlineExceeded.
        """
        times = (self._clock(), deadline)
        encode = partial(self.encode_job, texts, options, times)
        return await offload(texts, encode, deadline - times[0])

    def encode_job(
        self, texts: Sequence[str], options: OptionsT, times: tuple[float, float]
    ) -> LabelJob[OptionsT, TextT]:
        """What `open_job` does, on the calling thread.

        Args:
            texts: as there.
            options: as there.
            times: arrival and deadline, in monotonic seconds.

        Raises:
            As `open_job`, but for DeadlineExceeded.
        """
        check_texts(texts, self._settings)
        encoded = self._encode_texts(texts, options, times)
        self._states.check(sum(each.states.num_values for each in encoded if each.states))
        work = group_by_model((each.served, each.sequences) for each in encoded)
        arrived_at, deadline = times
        names = name_models(work)
        return LabelJob(options, encoded, work, *names, deadline, arrived_at, self._clock())

    async def answer_job(self, job: LabelJob[OptionsT, TextT]) -> AnswerT:
        """Has the models of a job label its texts.

        Raises:
            Overloaded, InputTooLong, DeadlineExceeded, InferenceFailed, ModelNotReady.
        """
        with self.submit_job(job) as submission:
            results = await submission.results()
        states = [await self._states.read(each.states, job.deadline) for each in job.encoded]
        return self.describe_job(job, results, states)

    def submit_job(self, job: LabelJob[OptionsT, TextT]) -> Submission:
        """What puts a job into the queues of its models, for `describe_job` to tell the end of."""
        return Submission(job.work, job.deadline, self._clock)

    @abstractmethod
    def describe_job(
        self,
        job: LabelJob[OptionsT, TextT],
        results: Mapping[TokenSequence, Result],
        states: Sequence[States | None],
    ) -> AnswerT:
        """The answer of a job that is done; its stages are observed.

        Args:
            job: without its results.
            results: of all its sequences.
            states: of each text; None where none are asked for.
        """

    @abstractmethod
    def _encode_texts(
        self, texts: Sequence[str], options: OptionsT, times: tuple[float, float]
    ) -> list[TextT]:
        """The texts as the models that are chosen for them read them; see `encode_job`."""
