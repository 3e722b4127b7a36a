"""Measures how often a translation has the formality that was asked for."""

from collections.abc import Iterator

from export.quality.everyday import read_direction
from export.quality.translate import translate_texts
from models.training.metrics import Figure
from service.answers import Formality, TranslateOptions
from service.pipeline.translation.reader import FORMALITIES
from service.repository.model import LoadedModel
from service.text.levels.speech_level import level_of

ASKED: tuple[Formality, ...] = ("more", "less")


def judge_formality(
    model: LoadedModel, source: str, target: str, beam_size: int
) -> Iterator[tuple[Formality, Figure]]:
    """The share of the everyday sentences translated at the level asked for, for each formality.

    Sentences whose translations do not address a person are left out.
    """
    texts = [text for text, _ in read_direction(source, target)]
    if not texts or target not in model.manifest.ids.level_ids:
        return
    for formality in ASKED:
        level = FORMALITIES[formality]
        options = TranslateOptions(source, target, formality=formality)
        found = translate_texts(model, texts, source, target, beam_size, options)
        levels = [level_of(text, target) for text in found]
        told = [each for each in levels if each]
        if told:
            share = 100.0 * sum(each == level for each in told) / len(told)
            yield formality, Figure("formality", share, f"percent of {len(told)} sentences")
