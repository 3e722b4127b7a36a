"""Which model answers a request that names none: at most one for each kind of request."""

from collections.abc import Callable, Iterable

from service.errors import ArtefactError
from service.repository.manifest import Manifest


def name_languages(manifest: Manifest) -> list[str]:
    return [f"the language {language}" for language in manifest.languages]


def name_inputs(manifest: Manifest) -> list[str]:
    """What a model that writes texts takes: prompts, labels, or a number of features."""
    if manifest.condition is None:
        return ["prompts"]
    labels = [f"the label {label}" for label in manifest.condition.labels]
    return labels or [f"{manifest.condition.size} features"]


# The kinds of requests that the models of a task may answer by default; of the tasks that are not
# here, a request always says enough.
KINDS: dict[str, Callable[[Manifest], list[str]]] = {
    "classification": name_languages,
    "language": name_inputs,
    "text2text": name_inputs,
}


def check_defaults(manifests: Iterable[Manifest]) -> None:
    """Refuses models that would both answer by default, since adding one must not change answers.

    Raises:
        ArtefactError: two models answer by default for one kind of request; names both.
    """
    answering: dict[str, str] = {}
    for manifest in manifests:
        if not manifest.answers_by_default or manifest.task not in KINDS:
            continue
        for kind in KINDS[manifest.task](manifest):
            other = answering.setdefault(kind, manifest.name)
            if other != manifest.name:
                raise ArtefactError(
                    f"{other} and {manifest.name} both answer by default for {kind}; set "
                    "answers_by_default to false in the configuration or the manifest of one, "
                    "which then answers only if parameters.model names it"
                )
