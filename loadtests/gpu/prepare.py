"""Makes what the stages run on: the shipped models in fp32, w8 and fp16, and pairs of sentences.

Run it as `python -m loadtests.gpu.prepare --out FOLDER`. It needs what an export needs; the stages
do not, so that the folder can be carried to a machine that only serves.
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path
from random import Random

from export.more_precisions import add_precisions
from loadtests.gpu.trial import PAIRS
from loadtests.measuring.places import MODELS_DIR
from models.synthesis.pairs import LANGUAGES, PATTERNS, read_grammar, write_pairs
from service.repository.manifest import Manifest, Precision, read_manifest
from service.repository.versions import find_versions

PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16")
NUM_PAIRS = 1000
SEED = 5


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parse_arguments(argv)
    prepare(arguments.models_dir, arguments.out)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtests.gpu.prepare", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder to write; its models stay")
    parser.add_argument(
        "--models-dir", type=Path, default=MODELS_DIR, help="the models (default: %(default)s)"
    )
    return parser.parse_args(argv)


def prepare(models_dir: Path, out: Path) -> None:
    """Writes models and pairs; what is there already stays, unless it is of an older version."""
    for source in find_versions(models_dir):
        target = out / "models" / source.parent.name / source.name
        if not target.exists():
            shutil.rmtree(target.parent, ignore_errors=True)
            print(f"making {target}", flush=True)
            add_precisions(source, out / "models", PRECISIONS)
        write_references(read_manifest(target), out / PAIRS)


def write_references(manifest: Manifest, folder: Path) -> None:
    """Writes sentences and their translations, for the pairs of languages that have patterns."""
    folder.mkdir(parents=True, exist_ok=True)
    for source, target in manifest.pairs:
        if {source, target} <= set(LANGUAGES):
            grammar, rng = read_grammar(PATTERNS), Random(SEED)
            pairs = write_pairs(grammar, (source, target), NUM_PAIRS, rng)
            text = "".join(f"{first}\t{second}\n" for first, second in pairs)
            (folder / f"{source}-{target}.tsv").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
