"""Which classifier answers a request that names no model: at most one per language."""

from collections.abc import Iterable

from service.errors import ArtefactError
from service.repository.manifest import Language, Manifest


def answers_by_default(manifest: Manifest) -> bool:
    """Whether a model is a classifier that answers requests without a model's name."""
    return manifest.task == "classification" and manifest.answers_by_default


def check_defaults(manifests: Iterable[Manifest]) -> None:
    """Refuses models that would both answer by default, since adding one must not change answers.

    Raises:
        ArtefactError: two classifiers answer by default for one language; names both.
    """
    answering: dict[Language, str] = {}
    for manifest in filter(answers_by_default, manifests):
        for language in manifest.languages:
            other = answering.setdefault(language, manifest.name)
            if other != manifest.name:
                raise ArtefactError(
                    f"{other} and {manifest.name} both answer by default for the language "
                    f"{language}; set answers_by_default to false in the configuration or the "
                    "manifest of one, which then answers only if parameters.model names it"
                )
