"""Finds units of a model that follow a property of the text.

Run it as `python -m models.inspect --model FOLDER --data FILE...`. It reads held-out text, looks
for the unit closest to each property (inside quotation marks, position in the line, a classifier's
label so far, ...) in one half of it, and measures the correlation in the other half. What holds
goes into the manifest and, with a picture, onto the model card.
"""

import argparse
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from models.card import FINDS, write_card
from models.inspect.picture import Panel, draw_panels
from models.inspect.samples import Sample, has_states, list_units, make_samples, read_texts
from models.inspect.search import choose_units, measure_choices
from models.training.runs import positive
from service.engine.runtime.device import Device
from service.errors import ServingError
from service.repository.loader import load_model
from service.repository.manifest import Find, read_manifest, write_manifest
from service.repository.model import LoadedModel

NUM_PANELS, MAX_PANEL_CHARS = 3, 420


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parse_arguments(argv)
    try:
        finds = inspect_version(arguments)
    except (ServingError, OSError, ValueError) as exc:
        raise SystemExit(f"models.inspect: {exc}") from exc
    for find in finds:
        print(
            f"{find.correlation:+.3f}  {find.property}: unit {find.unit} of layer {find.layer} "
            f"({find.value})"
        )
    print(f"{len(finds)} units follow a property; wrote {arguments.model}")


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m models.inspect", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder of a version")
    parser.add_argument(
        "--data",
        type=Path,
        nargs="+",
        required=True,
        help="texts that the model was not trained on: .txt, or .tsv with the text in its second "
        "column; both may be .gz",
    )
    parser.add_argument(
        "--name", help="what the data is called on the card (default: the files' names)"
    )
    parser.add_argument(
        "--show", help="the text of the picture (default: one of the data, which it then holds)"
    )
    parser.add_argument(
        "--max-tokens",
        type=positive,
        default=40_000,
        help="tokens that are read at most (default: %(default)s)",
    )
    parser.add_argument(
        "--min-correlation",
        type=float,
        default=0.5,
        help="what a find has at least, 0 to 1, without its sign (default: %(default)s)",
    )
    return parser.parse_args(argv)


def inspect_version(arguments: argparse.Namespace) -> list[Find]:
    """Writes the finds of a version into its manifest and onto its card.

    Raises:
        ValueError: the model cannot be inspected, or there is too little text.
    """
    folder: Path = arguments.model
    model = load_model(folder, Device("cpu"))
    if not has_states(model):
        raise ValueError(
            f"{folder} shows no states, or takes a condition; see `python -m export states`"
        )
    texts = list(itertools.chain.from_iterable(map(read_texts, arguments.data)))
    samples = list(make_samples(model, texts, arguments.max_tokens))
    half = find_half(samples)
    if not 0 < half < len(samples):
        raise ValueError("the texts are too few or too short; send more of them")
    data = arguments.name or ", ".join(path.name for path in arguments.data)
    choices = choose_units(model, samples[:half])
    finds = measure_choices(model, choices, samples[half:], data, arguments.min_correlation)
    found = {"finds": tuple(finds)}
    write_manifest(read_manifest(folder).model_copy(update=found), folder)
    shown = choose_shown(model, arguments.show, samples[half:])
    draw_finds(model, finds, shown, folder / FINDS)
    write_card(folder)
    return finds


def find_half(samples: Sequence[Sample]) -> int:
    """How many samples have half of the tokens."""
    counts = list(itertools.accumulate(len(sample.spans) for sample in samples))
    return sum(count <= counts[-1] / 2 for count in counts) if counts else 0


def choose_shown(model: LoadedModel, text: str | None, samples: Sequence[Sample]) -> Sample:
    """What the picture shows: a text, or the first sample that fills it.

    Raises:
        ValueError: the text has no tokens.
    """
    if text is None:
        return max(samples, key=lambda sample: min(len(sample.text), MAX_PANEL_CHARS))
    found = next(make_samples(model, [text], 1), None)
    if found is None:
        raise ValueError("the text to show has no tokens, or too many; send another one")
    return found


def draw_finds(model: LoadedModel, finds: Sequence[Find], shown: Sample, path: Path) -> None:
    """Draws a text in the colours of the closest finds; removes the picture if there are none."""
    path.unlink(missing_ok=True)
    if finds:
        panels = list(itertools.islice(make_panels(model, finds, cut_sample(shown)), NUM_PANELS))
        path.write_text(draw_panels(panels), encoding="utf-8")


def make_panels(model: LoadedModel, finds: Sequence[Find], shown: Sample) -> Iterator[Panel]:
    columns = list_units(model)
    for find in finds:
        column = columns.index((find.layer, find.value, find.unit))
        title = (
            f"{find.property}: unit {find.unit} of layer {find.layer}, {find.value}, "
            f"correlation {find.correlation:+.2f}"
        )
        yield Panel(title, shown, shown.states[:, column])


def cut_sample(sample: Sample) -> Sample:
    """The beginning of a sample, as much as a picture takes."""
    spans = [span for span in sample.spans if span[1] <= MAX_PANEL_CHARS]
    num_tokens = len(spans)
    end = spans[-1][1] if spans else 0
    return Sample(
        sample.text[:end], spans, sample.states[:num_tokens], sample.properties[:num_tokens]
    )


if __name__ == "__main__":
    main()
