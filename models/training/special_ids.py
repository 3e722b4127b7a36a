"""Which tokens have a role of their own in a model, by its task."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from models.config import RunConfig
from models.training.vocabulary.subwords import EOS, PAD, read_vocabulary, start_token, start_tokens
from models.training.vocabulary.text_subwords import BOS, UNK
from service.repository.manifest import SpecialIds
from service.text.levels.speech_level import DEFAULT_LEVELS, LEVELS, Level
from service.text.tokenizer import Tokenizer


class Roles(NamedTuple):
    """The ids of tokens with a role.

    Attributes:
        special_ids: what the manifest says.
        forbidden_ids: what an answer never contains: start tokens, padding, unreadable
            tokens.
    """

    special_ids: SpecialIds
    forbidden_ids: list[int]


def find_roles(config: RunConfig, tokenizer: Tokenizer) -> Roles:
    return ROLES[config.task](config, tokenizer)


def find_labelled_roles(_config: RunConfig, tokenizer: Tokenizer) -> Roles:
    pad_id = tokenizer.token_id(PAD)
    return Roles(SpecialIds(pad_id=pad_id), [pad_id])


def find_text_roles(config: RunConfig, tokenizer: Tokenizer) -> Roles:
    """A single long text, that of a model without a condition, never ends."""
    pad_id, bos_id, unk_id, eos_id = map(tokenizer.token_id, (PAD, BOS, UNK, EOS))
    never_said = [pad_id, bos_id, unk_id]
    if config.condition is None:
        return Roles(SpecialIds(pad_id=pad_id, bos_id=bos_id), [*never_said, eos_id])
    return Roles(SpecialIds(pad_id=pad_id, eos_id=eos_id, bos_id=bos_id), never_said)


def find_paired_roles(config: RunConfig, tokenizer: Tokenizer) -> Roles:
    has_levels = bool(config.training.levelled)

    def start_id(language: str, level: Level | None) -> int:
        return tokenizer.token_id(start_token(language, level if has_levels else None))

    special_ids = SpecialIds(
        pad_id=tokenizer.token_id(PAD),
        eos_id=tokenizer.token_id(EOS),
        start_ids={
            language: start_id(language, DEFAULT_LEVELS.get(language))
            for language in config.languages
        },
        neutral_ids={language: start_id(language, None) for language in config.languages}
        if config.task == "translation"
        else {},
        level_ids={
            language: {level: start_id(language, level) for level in levels}
            for language, levels in LEVELS.items()
            if language in config.languages and has_levels
        },
    )
    known = read_vocabulary(tokenizer)
    starts = [known[each] for each in start_tokens(config.languages) if each in known]
    return Roles(special_ids, [*starts, known[PAD]])


ROLES: Mapping[str, Callable[[RunConfig, Tokenizer], Roles]] = {
    "classification": find_labelled_roles,
    "tagging": find_labelled_roles,
    "language": find_text_roles,
    "translation": find_paired_roles,
    "text2text": find_paired_roles,
}
