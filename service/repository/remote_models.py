"""Models whose graphs the engine process has: their manifests and tokenizers are read here."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from service.engine.runtime.device import Device
from service.errors import ArtefactError
from service.repository.loader import load_tokenizer
from service.repository.manifest import MANIFEST, TOKENIZER, check_files, read_manifest
from service.repository.model import Model
from service.transport.remote_engine import HostedModel


def describe_model(model: Model, models_dir: Path) -> HostedModel:
    """What front ends are told of a model."""
    manifest, device = model.manifest, model.device
    folder = models_dir / manifest.name / manifest.version
    return HostedModel(
        manifest.name,
        manifest.version,
        model.precision,
        device.kind,
        device.index,
        digest_manifest(folder),
    )


def read_remote_models(models_dir: Path, hosted: Iterable[HostedModel]) -> list[Model]:
    """Reads manifests and tokenizers, but no graphs; the engine process has checked the versions.

    Raises:
        ArtefactError: one of them has changed since.
    """
    return [read_remote_model(models_dir, each) for each in hosted]


def read_remote_model(models_dir: Path, hosted: HostedModel) -> Model:
    folder = models_dir / hosted.name / hosted.version
    manifest = read_manifest(folder)
    if digest_manifest(folder) != hosted.digest:
        raise ArtefactError(
            f"{folder / MANIFEST} has changed since the engine process read it; publish a changed "
            "model as a new version, and restart the server"
        )
    check_files(manifest, folder, only=TOKENIZER)
    (precision,) = (each for each in manifest.precisions if each == hosted.precision)
    device = Device(hosted.device_kind, hosted.device_index)
    return Model(manifest, load_tokenizer(folder, manifest), device, precision)


def digest_manifest(folder: Path) -> str:
    return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
