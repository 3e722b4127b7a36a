"""Which model a prompt is for, and the prompt as that model reads it."""

from collections.abc import Sequence

from service.answers import GenerateOptions, Prompt
from service.errors import EmptyInput, InputTooLong, InvalidInput, ModelNotFound
from service.repository.manifest import GENERATIVE, Manifest
from service.repository.registry import Registry, ServedModel


def choose_generator(
    registry: Registry, name: str | None, prompts: Sequence[Prompt]
) -> ServedModel:
    """The model of a name, or the one that takes such prompts by default.

    Raises:
        ModelNotFound: there is none.
        InvalidInput: what the prompts lack for the model.
    """
    if name is not None:
        served = registry.find_model(name, *GENERATIVE)
        for prompt in prompts:
            encode_condition(prompt, served.manifest)
        return served
    candidates = registry.defaults_of(*GENERATIVE)
    refusals: list[InvalidInput] = []
    for served in candidates:
        try:
            for prompt in prompts:
                encode_condition(prompt, served.manifest)
        except InvalidInput as refusal:
            refusals.append(refusal)
        else:
            return served
    if not refusals:
        names = [served.manifest.name for served in registry.models_of(*GENERATIVE)]
        raise ModelNotFound(
            "no language model answers requests that name none; there are "
            f"{', '.join(names) or 'none'}"
        )
    raise InvalidInput("; or ".join(dict.fromkeys(map(str, refusals))))


def encode_condition(prompt: Prompt, manifest: Manifest) -> tuple[float, ...] | None:
    """The features of a prompt for its model; None if the model takes no condition.

    Raises:
        InvalidInput: the prompt has not what the model takes.
    """
    name, condition = manifest.name, manifest.condition
    has_condition = prompt.label is not None or prompt.features is not None
    if condition is None:
        if has_condition:
            raise InvalidInput(f"model {name} takes no label and no features; leave them out")
        return None
    if condition.labels:
        if prompt.label not in condition.labels or prompt.features is not None:
            labels = ", ".join(condition.labels)
            raise InvalidInput(f"model {name} needs a `label`; send one of {labels}")
        return condition.encode(prompt.label)
    if prompt.features is None or len(prompt.features) != condition.size or prompt.label:
        found = "none" if prompt.features is None else len(prompt.features)
        raise InvalidInput(
            f"model {name} needs `features`, {condition.size} numbers, and got {found}; send "
            f"{condition.size}"
        )
    return prompt.features


def encode_prompt(served: ServedModel, text: str, options: GenerateOptions) -> list[int]:
    """The token ids of a prompt, as the model reads them.

    Raises:
        InvalidInput: the prompt is asked for before its text, but the model answers it.
        EmptyInput: there is nothing to answer.
        InputTooLong: more tokens than the model reads.
    """
    model, name = served.model, served.manifest.name
    if options.with_prompt and not served.manifest.goes_on:
        raise InvalidInput(
            f"model {name} answers a text instead of going on from it; leave out return_full_text "
            "and echo"
        )
    token_ids = model.tokenizer.encode(text)
    limit = served.manifest.limits.max_input_tokens
    if options.truncate is not None:
        token_ids = token_ids[-min(options.truncate, limit) :]
    if len(token_ids) > limit:
        raise InputTooLong(
            f"the prompt has {len(token_ids)} tokens, above the limit of {limit} of model "
            f"{name}; send less, or ask to `truncate` it to its last {limit}"
        )
    framed = model.frame(token_ids)
    if not framed:
        raise EmptyInput(f"model {name} answers a text, and there is none; send one")
    return framed
