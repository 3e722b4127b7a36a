"""The shipped models as tables, from their manifests."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from docs.generate.tables import format_table
from models.card import FIND_COLUMNS, describe_find
from service.repository.manifest import Manifest, Quality, read_manifest
from service.repository.versions import find_versions

REPOSITORY = "models/repository"
SHIPPED = (
    "chatbot-ko",
    "review-ko",
    "sentiment-en",
    "sentiment-ko",
    "shakespeare-en",
    "spacing-ko",
    "spacing-ko-stream",
    "spam-en",
    "translation-en-de",
    "translation-en-ko",
)
METRICS = {
    "accuracy": "accuracy, %",
    "f1": "F1, %",
    "bleu": "BLEU",
    "chrf": "chrF",
    "bleu-lc": "BLEU, lower-cased",
    "token accuracy": "accuracy of tokens, %",
    "word F1": "F1 of words, %",
    "asked label found": "asked label found, %",
    "nats per character": "nats per character",
}
TEST_SETS = {
    "chatbot_ko test": "Chatbot_data test",
    "flores devtest": "FLORES devtest",
    "imdb test": "IMDB test",
    "flores test": "FLORES without spaces",
    "mix disturbed": "held-out mix with wrong spaces",
    "mix test": "held-out mix without spaces",
    "tinyshakespeare test": "tinyshakespeare test",
    "tinyshakespeare valid": "tinyshakespeare validation",
    "kss_koen test": "KSS test",
    "multi30k test_2016_flickr": "Multi30k test_2016_flickr",
    "nsmc test": "NSMC test",
    "nsmc valid": "NSMC validation",
    "sms_spam test": "SMS Spam test",
    "sst2 test": "SST-2 test",
    "stylekqc_koen test": "StyleKQC test",
    "tatoeba_koen test": "Tatoeba test",
}


def read_shipped(root: Path) -> list[Manifest]:
    """The newest version of each model in git; what was exported here besides is left out."""
    folders = find_versions(root / REPOSITORY)
    return [read_manifest(folder) for folder in folders if folder.parent.name in SHIPPED]


def describe_finds(root: Path) -> str:
    """The units of the shipped models that follow a property of the text."""
    rows = [
        (manifest.name, *describe_find(find))
        for manifest in read_shipped(root)
        for find in manifest.finds
    ]
    return format_table(("model", *FIND_COLUMNS), rows)


def describe_models(root: Path) -> str:
    """One row per model, with its first test set."""
    columns = ("model", "task", "quality of the int8 graphs", "size", "commercial use")
    return format_table(columns, map(describe_model, read_shipped(root)))


def describe_model(manifest: Manifest) -> list[str]:
    return [
        f"`{manifest.name}`",
        f"{manifest.purpose or manifest.task}, {describe_languages(manifest)}",
        describe_headline(manifest),
        f"{manifest.num_bytes / 2**20:.1f} MiB",
        "yes" if manifest.commercial_use else "no",
    ]


def describe_languages(manifest: Manifest) -> str:
    """Languages, or pairs with one arrow for both directions."""
    pairs = [
        f"{source} {'↔' if (target, source) in manifest.pairs else '→'} {target}"
        for source, target in manifest.pairs
        if (target, source) not in manifest.pairs or source < target
    ]
    return ", ".join(pairs or manifest.languages)


def describe_headline(manifest: Manifest) -> str:
    """The figures that say most about models of a task."""
    return HEADLINES[manifest.task](list(served_figures(manifest)))


def describe_texts(figures: Sequence[Quality]) -> str:
    """How well held-out text is foreseen, and how many texts are what their label asks for."""
    said = [
        f"{figure.value:.1f} % of 500 texts are what their label asks for"
        for figure in figures
        if figure.metric == "asked label found"
    ]
    said += [
        f"{name_data(figure)}: {figure.value:.3f} nats per character"
        for figure in figures
        if figure.metric == "nats per character"
    ]
    return "; ".join(said)


def describe_tags(figures: Sequence[Quality]) -> str:
    """The figures of the first set."""
    found = [figure for figure in figures if figure.data == figures[0].data]
    said = ", ".join(f"{METRICS[each.metric].rstrip(', %')} {each.value:.1f} %" for each in found)
    return f"{name_data(found[0])}: {said}"


def describe_translations(figures: Sequence[Quality]) -> str:
    """BLEU of each direction on the first set by each search."""
    first = [
        figure for figure in figures if (figure.data, figure.metric) == (figures[0].data, "bleu")
    ]
    pairs = dict.fromkeys(figure.pair for figure in first)
    said = "; ".join(f"{pair} {list_searches(first, pair)}" for pair in pairs)
    return f"{name_data(figures[0])}: BLEU {said}"


def describe_accuracy(figures: Iterable[Quality]) -> str:
    """Accuracy on each set, and F1 if it was measured."""
    said: dict[str, list[str]] = {}
    for figure in figures:
        name = figure.signature.partition(",")[0] if figure.metric == "f1" else figure.metric
        said.setdefault(name_data(figure), []).append(f"{name} {figure.value:.1f} %")
    return "; ".join(f"{name}: {', '.join(parts)}" for name, parts in said.items())


def list_searches(figures: Iterable[Quality], pair: str | None) -> str:
    return ", ".join(
        f"{figure.value:.1f} ({figure.decoding})" for figure in figures if figure.pair == pair
    )


def served_figures(manifest: Manifest) -> Iterable[Quality]:
    """Those of the precision that is served first, on test sets."""
    for figure in manifest.quality:
        if figure.precision == manifest.quality[0].precision and figure.metric in METRICS:
            yield figure


def name_data(figure: Quality) -> str:
    name = figure.data.rpartition("/")[2]
    return TEST_SETS.get(name, name)


def describe_quality(root: Path) -> str:
    """The translators on all test sets, with a column per search."""
    rows: dict[tuple[str, ...], dict[str, float]] = {}
    translators = [each for each in read_shipped(root) if each.task == "translation"]
    for manifest in translators:
        for figure in served_figures(manifest):
            row = (manifest.name, name_data(figure), figure.pair or "", METRICS[figure.metric])
            rows.setdefault(row, {})[figure.decoding or ""] = figure.value
    searches = sorted({search for row in rows.values() for search in row}, key=order_search)
    columns = ("model", "test set", "direction", "metric", *searches)
    cells = (
        [*row, *(show(found.get(search)) for search in searches)] for row, found in rows.items()
    )
    return format_table(columns, cells)


def order_search(search: str) -> int:
    """Greedy first, then beams by their width."""
    return 1 if search == "greedy" else int(search.removeprefix("beam "))


def show(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def describe_licences(root: Path) -> str:
    """The data sets that the weights were trained on."""
    rows = [
        [manifest.name, source.name, source.licence, "yes" if source.commercial_use else "no"]
        for manifest in read_shipped(root)
        for source in manifest.sources
        if source.weight
    ]
    return format_table(("model", "data set", "licence", "commercial use"), rows)


HEADLINES: dict[str, Callable[[Sequence[Quality]], str]] = {
    "classification": describe_accuracy,
    "tagging": describe_tags,
    "language": describe_texts,
    "text2text": describe_texts,
    "translation": describe_translations,
}
