"""Answers a version's golden inputs again, which also warms it up."""

from service.arrays import FloatArray
from service.engine.runner import run_sequences
from service.errors import ArtefactError, InferenceFailed, InvalidInput
from service.repository.manifest import Golden
from service.repository.model import LoadedModel, make_sequences
from service.text.tags import find_runs

# int8 arithmetic differs between processors with and without VNNI, and a near tie can fall the
# other way.
SCORE_TOLERANCE = 0.1


def answer_golden(model: LoadedModel, golden: Golden) -> tuple[str, float]:
    """What the model gives for a golden: label or spans and probability, translation and score."""
    (result,) = run_sequences(model.runner, make_sequences(model, [golden.text], golden.target))
    if isinstance(result, list):
        return model.tokenizer.decode(result[0].token_ids), result[0].score
    probabilities = model.probabilities(result)
    if probabilities.ndim == 2:
        return describe_labels(model, probabilities)
    best = int(probabilities.argmax())
    return model.manifest.labels[best], float(probabilities[best])


def describe_labels(model: LoadedModel, probabilities: FloatArray) -> tuple[str, float]:
    """The labels of the tokens as spans, and their mean probability."""
    labels = [model.manifest.labels[place] for place in probabilities.argmax(axis=-1)]
    spans = " ".join(f"{run.start}:{run.end}:{run.name}" for run in find_runs(labels))
    return spans, float(probabilities.max(axis=-1).mean())


def agrees(golden: Golden, output: str, score: float) -> bool:
    """Whether an answer is the golden's.

    A translation may differ if its score is as good; a label may not.
    """
    is_same = output == golden.output or golden.target is not None
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
        if not agrees(golden, output, score):
            raise ArtefactError(
                f"{model.title} fails its golden check for {golden.text!r}: it gives {output!r} "
                f"({score:.3f}), expected {golden.output!r} ({golden.score:.3f})"
            )
