"""Answers a version's golden inputs again, which also warms it up."""

from service.engine.batch import Generation
from service.engine.runner import run_sequences
from service.errors import ArtefactError, InferenceFailed, InvalidInput
from service.repository.manifest import (
    Golden,
)
from service.repository.model import LoadedModel, make_sequences

# int8 arithmetic differs between processors with and without VNNI, and a near tie can fall the
# other way.
SCORE_TOLERANCE = 0.1


def answer_golden(model: LoadedModel, golden: Golden) -> tuple[str, float]:
    """What the model gives for a golden: label and probability, or text and score.

    In a near tie the label is the golden's: arithmetic of another processor may turn it.
    """
    (sequence,) = make_sequences(model, [golden.text], golden.target)
    sequence.features = golden.features
    (result,) = run_sequences(model.runner, [sequence])
    if isinstance(result, Generation):
        return model.tokenizer.decode(result.token_ids), result.score
    if isinstance(result, list):
        return model.tokenizer.decode(result[0].token_ids), result[0].score
    probabilities = model.probabilities(result)
    labels = model.manifest.labels
    best = int(probabilities.argmax())
    if golden.output in labels:
        expected = labels.index(golden.output)
        if probabilities[best] - probabilities[expected] <= SCORE_TOLERANCE:
            best = expected
    return labels[best], float(probabilities[best])


def agrees(model: LoadedModel, golden: Golden, output: str, score: float) -> bool:
    """Whether an answer is the golden's.

    A text may differ if its score is as good; a label may not, see `answer_golden`.
    """
    is_same = output == golden.output or output not in model.manifest.labels
    return is_same and abs(score - golden.score) <= SCORE_TOLERANCE


def check_goldens(model: LoadedModel) -> None:
    """Runs every golden; this also warms the model up.

    Raises:
        ArtefactError: an output differs by more than a near tie explains, named in the message.
    """
    for golden in model.manifest.goldens:
        try:
            output, score = answer_golden(model, golden)
        except (ValueError, InvalidInput, InferenceFailed) as exc:
            raise ArtefactError(
                f"{model.title} fails its golden check for {golden.text!r}: {exc}"
            ) from exc
        if not agrees(model, golden, output, score):
            raise ArtefactError(
                f"{model.title} fails its golden check for {golden.text!r}: it gives {output!r} "
                f"({score:.3f}), expected {golden.output!r} ({golden.score:.3f})"
            )
