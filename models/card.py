"""Writes the model card, README.md beside the manifest, from the manifest."""

from collections.abc import Sequence
from pathlib import Path

from models.training.metrics import PER_CHARACTER
from service.repository.manifest import (
    Find,
    Manifest,
    Parity,
    Quality,
    ScoreFit,
    Source,
    read_manifest,
)

CARD, CURVES, FINDS = "README.md", "curves.png", "finds.svg"
LIMITS = {
    "classification": "A small recurrent model: good on text like that of the sets above; other "
    "subjects, irony and mixed feelings are read less well. It always gives one of its labels, "
    "also for text that fits none.",
    "tagging": "A small recurrent model: good on text like that of the sets above, less so on "
    "other text, names and rare words.",
    "translation": "A small recurrent model trained on the sets above: good on text like theirs, "
    "unreliable elsewhere. Names can be wrong, and rare words may be left out or replaced. Not for "
    "text where an error does harm.",
    "language": "A small recurrent model that continues text like that of the sets above. It knows "
    "how such text sounds, and nothing about the world: what it writes is made up.",
    "text2text": "A small recurrent model that answers one short text with another, like the pairs "
    "above. It knows nothing but the text at hand, neither what was said before nor the world. "
    "Answers miss the point or repeat themselves as often as the figures say, and are not advice.",
}
FIND_COLUMNS = ("property", "layer", "unit", "value", "correlation", "measured on")
UNITS = {
    "classification": "text",
    "translation": "sentence",
    "language": "prompt",
    "tagging": "window",
    "text2text": "text",
}
BROUGHT = "Trained elsewhere and wrapped unchanged: ask its owner about intended use."


def write_card(folder: Path) -> None:
    """Writes the model card, with the pictures that are in the folder."""
    manifest = read_manifest(folder)
    card = render_card(manifest)
    if manifest.finds:
        card += f"\n## What its units follow\n\n{render_finds(manifest.finds)}\n"
    if (folder / FINDS).exists():
        card += f"\n![A text in the colours of these units]({FINDS})\n"
    if (folder / CURVES).exists():
        card += f"\n## Training\n\n![Loss and validation figures]({CURVES})\n"
    (folder / CARD).write_text(card, encoding="utf-8")


def render_card(manifest: Manifest) -> str:
    """Renders the manifest as Markdown; empty sections are omitted."""
    is_ours = bool(manifest.parity)  # a wrapped model has no torch model to compare with
    unit = UNITS[manifest.task]
    limits = LIMITS[manifest.task] if is_ours else BROUGHT
    may_use = "yes" if manifest.commercial_use else "no"
    parts = [
        f"# {manifest.name}, version {manifest.version}",
        describe_model(manifest),
        f"**Commercial use of the weights: {may_use}**, by the licences below.",
        "## Quality",
        render_quality(manifest.quality),
        "## Data" if is_ours else "## Licence",
        render_sources(manifest.sources),
    ]
    if manifest.score_fits:
        parts += ["## Scores", render_score_fits(manifest.score_fits)]
    if is_ours:
        parts += ["## Parity with the torch model", render_parity(manifest.parity)]
    limit = manifest.limits.max_input_tokens
    parts += ["## Limits", f"{limits} At most {limit} tokens per {unit}."]
    if manifest.tools:
        tools = ", ".join(f"{tool} {version}" for tool, version in manifest.tools.items())
        parts += ["## Made with", tools]
    return "\n\n".join(parts) + "\n"


def describe_model(manifest: Manifest) -> str:
    """Describes task, architecture and size."""
    pairs = ", ".join(f"{source} to {target}" for source, target in manifest.pairs)
    facts = [f"cell {manifest.cell}"]
    if manifest.num_parameters:
        facts.append(f"{manifest.num_parameters / 1e6:.1f} M parameters")
    size, precisions = manifest.num_bytes / 2**20, ", ".join(manifest.precisions)
    facts.append(f"{size:.1f} MiB in {precisions}")
    subject = (manifest.purpose or manifest.task).capitalize()
    languages = pairs or ", ".join(manifest.languages)
    sentences = [f"{subject} ({languages}); {', '.join(facts)}."]
    if manifest.labels:
        sentences.append(f"Labels: {', '.join(manifest.labels)}.")
    sentences += describe_use(manifest)
    if not manifest.answers_by_default:
        sentences.append(f'Answers only requests with `"model": "{manifest.name}"`.')
    if manifest.description:
        sentences.append(manifest.description)
    if manifest.trained_minutes:
        sentences.append(f"Trained in {manifest.trained_minutes:.0f} minutes.")
    return " ".join(sentences)


def describe_use(manifest: Manifest) -> list[str]:
    """What is particular about how a model is used."""
    if manifest.lookahead is not None:
        return [f"Labels text as it comes in, each token once {manifest.lookahead} more were read."]
    if manifest.condition and manifest.condition.labels:
        return [f"Writes what a label asks for: {', '.join(manifest.condition.labels)}."]
    if manifest.condition:
        return [f"Writes what {manifest.condition.size} features ask for."]
    return []


def render_quality(quality: Sequence[Quality]) -> str:
    if not quality:
        return "Not measured."
    columns = ("test set", "direction", "decoding", "metric", "value", "precision", "signature")
    rows = [
        (
            figure.data,
            figure.pair or "",
            figure.decoding or "",
            figure.metric,
            f"{figure.value:g}" if figure.metric.endswith(PER_CHARACTER) else f"{figure.value:.2f}",
            figure.precision,
            f"`{figure.signature}`",
        )
        for figure in quality
    ]
    return render_table(columns, rows)


def render_sources(sources: Sequence[Source]) -> str:
    rows = [
        (
            source.name,
            source.licence,
            "yes" if source.commercial_use else "no",
            f"{source.weight:g}" if source.weight else "evaluation only",
        )
        for source in sources
    ]
    return render_table(("set", "licence", "commercial use", "weight"), rows)


def render_score_fits(fits: Sequence[ScoreFit]) -> str:
    """How scores are made of log-probabilities, and how well they tell good from bad."""
    rows = [
        (
            fit.pair,
            f"1 / (1 + exp(-({fit.slope:g} x + {fit.intercept:g})))",
            f"{fit.threshold:g}",
            str(fit.num_sentences),
            f"{fit.auc:.2f}",
        )
        for fit in fits
    ]
    columns = ("direction", "score", "acceptable from chrF", "sentences", "AUC")
    return (
        "The probability that a translation is acceptable, x being the mean log-probability per "
        f"token of its worst sentence; fitted to {fits[0].data}.\n\n{render_table(columns, rows)}"
    )


def describe_find(find: Find) -> tuple[str, ...]:
    """A row below `FIND_COLUMNS`."""
    return (
        find.property,
        find.layer,
        str(find.unit),
        find.value,
        f"{find.correlation:+.2f}",
        f"{find.data}, {find.num_tokens:,} tokens",
    )


def render_finds(finds: Sequence[Find]) -> str:
    """Which unit follows which property of a text, and how closely."""
    return (
        "Found by `python -m models.inspect`: of all units the one closest to each property, "
        "chosen on other text than its correlation (Pearson's) is measured on.\n\n"
        f"{render_table(FIND_COLUMNS, [describe_find(find) for find in finds])}"
    )


def render_parity(parity: Sequence[Parity]) -> str:
    columns = ("precision", "provider", "batch sizes", "largest difference", "same choice")
    rows = [
        (
            row.precision,
            row.provider,
            ", ".join(map(str, row.batch_sizes)),
            f"{row.max_difference:.1e}",
            f"{row.agreement:.1%}",
        )
        for row in parity
    ]
    return render_table(columns, rows)


def render_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Renders a Markdown table; bars in cells are escaped, which works inside backticks too."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |" for cells in lines
    )
