"""Writes the model card, README.md beside the manifest, from the manifest alone."""

from collections.abc import Sequence
from pathlib import Path

from service.manifest import Manifest, Quality, read_manifest

LIMITS = {
    "sentiment": "Made for film reviews; other subjects, irony and mixed feelings are read "
    "less well. Gives one of the "
    "labels always, also for text without any sentiment.",
    "translation": "A small recurrent model trained on the sets below: good on text like "
    "theirs, unreliable elsewhere. "
    "Names and numbers can be wrong, and rare words may be left out or replaced. Not for "
    "text where an error does harm.",
}


def write_card(folder: Path) -> None:
    (folder / "README.md").write_text(render_card(read_manifest(folder)), encoding="utf-8")


def render_card(manifest: Manifest) -> str:
    """The card as Markdown."""
    directions = ", ".join(f"{source} to {target}" for source, target in manifest.pairs)
    parameters = (
        f"{manifest.num_parameters / 1e6:.1f} M parameters, " if manifest.num_parameters else ""
    )
    trained = (
        f"Trained in {manifest.trained_minutes:.0f} minutes. " if manifest.trained_minutes else ""
    )
    parts = [
        f"# {manifest.name}, version {manifest.version}",
        f"{manifest.task.capitalize()} ({directions or ', '.join(manifest.languages)}); cell "
        f"{manifest.cell}, {parameters}"
        f"{manifest.num_bytes / 2**20:.1f} MiB in precisions "
        f"{', '.join(manifest.precisions)}. {trained}",
        f"**Commercial use of the weights: {'yes' if manifest.commercial_use else 'no'}**, "
        f"by the licences of the data "
        "below.",
        "## Quality",
        render_quality(manifest.quality),
        "## Data",
        render_table(
            ("set", "licence", "commercial use", "weight"),
            [
                (
                    source.name,
                    source.licence,
                    "yes" if source.commercial_use else "no",
                    f"{source.weight:g}" if source.weight else "evaluation only",
                )
                for source in manifest.sources
            ],
        ),
        "## Parity with the torch model",
        render_table(
            ("precision", "provider", "batch sizes", "largest difference", "same choice"),
            [
                (
                    row.precision,
                    row.provider,
                    ", ".join(map(str, row.batch_sizes)),
                    f"{row.max_difference:.1e}",
                    f"{row.agreement:.1%}",
                )
                for row in manifest.parity
            ],
        ),
        "## Limits",
        f"{LIMITS[manifest.task]} At most {manifest.limits.max_input_tokens} tokens a "
        f"{'text' if manifest.task == 'sentiment' else 'sentence'}.",
        "## Made with",
        ", ".join(f"{tool} {version}" for tool, version in manifest.tools.items()) or "unknown",
    ]
    return "\n\n".join(parts) + "\n"


def render_quality(quality: tuple[Quality, ...]) -> str:
    if not quality:
        return "Not measured."
    columns = ("test set", "direction", "decoding", "metric", "value", "precision", "signature")
    rows = [
        (
            figure.data,
            figure.pair or "",
            figure.decoding or "",
            figure.metric,
            f"{figure.value:.2f}",
            figure.precision,
            f"`{figure.signature.replace('|', ' ')}`",
        )
        for figure in quality
    ]
    return render_table(columns, rows)


def render_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
