"""Creates versions in the model repository: `python -m export torch|evaluate|wrap ...`."""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from export.curves import draw_curves
from export.evaluate import check_tests, evaluate_version
from export.graphs.states import MIN_OPSET, add_states
from export.more_precisions import add_precisions
from export.parity.check import ParityError
from export.torch_run import export_run
from export.wrap import WrapOptions, wrap_classifier
from models.card import CURVES, write_card
from models.training.runs import positive
from service.errors import ArtefactError, ServingError
from service.repository.manifest import read_manifest, write_manifest


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parse_arguments(argv)
    # SIGTERM raises an exception, so that unfinished files are removed from the repository.
    signal.signal(signal.SIGTERM, stop_export)
    try:
        folder = arguments.command(arguments)
    except (ServingError, ParityError, OSError, ValueError) as exc:
        raise SystemExit(f"export refused: {exc}") from exc
    print(f"wrote {folder}")


def stop_export(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler
    sys.exit(128 + signum)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m export", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    torch = commands.add_parser("torch", help="export a training run of models.train")
    add_torch(torch)
    evaluate = commands.add_parser(
        "evaluate", help="measure an exported version on its test sets again"
    )
    add_evaluate(evaluate)
    states = commands.add_parser(
        "states", help="have a version show the states of its recurrent layers"
    )
    add_states_options(states)
    precisions = commands.add_parser(
        "precisions", help="copy a version that has w8, with fp32 or fp16 graphs besides"
    )
    add_precisions_options(precisions)
    wrap = commands.add_parser("wrap", help="add your own ONNX classifier")
    add_wrap(wrap)
    for command in (torch, wrap):
        command.add_argument(
            "--repository",
            type=Path,
            default=Path("models/repository"),
            help="model repository to write to (default: %(default)s)",
        )
        command.add_argument(
            "--only-when-named",
            action="store_true",
            help="the classifier answers only requests that name it",
        )
        command.add_argument("--version", help="version number (default: one above the highest)")
    torch.add_argument("--name", help="name of the model (default: the run's)")
    wrap.add_argument("--name", required=True, help="name of the model")
    return parser.parse_args(argv)


def add_torch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", type=Path, required=True, help="the run's folder")
    parser.add_argument(
        "--data", type=Path, help="data folder; if given, quality is measured on the test sets"
    )
    parser.add_argument(
        "--precisions",
        nargs="+",
        default=["int8", "w8"],
        choices=["fp32", "fp16", "w8", "int8"],
        help="precisions of the graphs (default: int8 w8)",
    )
    parser.add_argument(
        "--beam",
        type=positive,
        default=4,
        help="beam size to measure besides greedy and the server's default (default: %(default)s)",
    )
    parser.set_defaults(command=run_torch)


def add_evaluate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--version-dir", type=Path, required=True, help="folder of the version")
    parser.add_argument(
        "--run", type=Path, required=True, help="the training run's folder, for its sources"
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="folder that the sources' paths are relative to"
    )
    parser.add_argument(
        "--beam",
        type=positive,
        default=4,
        help="beam size to measure besides greedy and the server's default (default: %(default)s)",
    )
    parser.set_defaults(command=run_evaluate)


def add_states_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--version-dir", type=Path, required=True, help="folder of the version")
    parser.set_defaults(command=run_states)


def add_precisions_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--version-dir", type=Path, required=True, help="folder of the version")
    parser.add_argument(
        "--repository", type=Path, required=True, help="another model repository, for the copy"
    )
    parser.add_argument(
        "--precisions",
        nargs="+",
        default=["fp16"],
        choices=["fp32", "fp16"],
        help="what to add, out of the weights of w8 (default: fp16)",
    )
    parser.set_defaults(command=run_precisions)


def add_wrap(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--graph", type=Path, required=True, help="inputs ids (B, T) int64 and lengths (B) int64"
    )
    parser.add_argument("--tokenizer", type=Path, required=True, help="Hugging Face tokenizer.json")
    parser.add_argument(
        "--labels",
        nargs="+",
        required=True,
        help="class names in the order of the output's columns",
    )
    parser.add_argument(
        "--languages", nargs="+", required=True, help="ISO 639-1 codes of the input languages"
    )
    parser.add_argument(
        "--input-ids", default="", help="name of the ids input (default: the first int64 of rank 2)"
    )
    parser.add_argument(
        "--lengths",
        default="",
        help="name of the lengths input (default: the first int64 of rank 1)",
    )
    parser.add_argument(
        "--output", default="", help="name of the output (default: the first of rank 2)"
    )
    parser.add_argument(
        "--output-kind",
        choices=["logits", "probabilities"],
        help="kind of the output (default: found by running the graph)",
    )
    parser.add_argument(
        "--pad-id", type=int, help="padding id (default: the tokenizer's padding token, else 0)"
    )
    parser.add_argument(
        "--max-tokens",
        type=int,
        default=512,
        help="maximum length of a text in tokens (default: %(default)s)",
    )
    parser.add_argument(
        "--purpose", default="", help='what the labels tell, as "spam" (default: unstated)'
    )
    parser.add_argument("--licence", default="unstated", help="licence of the model")
    parser.add_argument(
        "--commercial-use", action="store_true", help="the licence allows commercial use"
    )
    parser.set_defaults(command=run_wrap)


def run_torch(arguments: argparse.Namespace) -> Path:
    if arguments.data:
        check_tests(arguments.run, arguments.data)
    folder = export_run(
        arguments.run,
        arguments.repository,
        list(dict.fromkeys(arguments.precisions)),
        name=arguments.name,
        version=arguments.version,
        data=arguments.data,
        only_when_named=arguments.only_when_named,
    )
    if arguments.data:
        evaluate_version(folder, arguments.run, arguments.data, arguments.beam)
        write_card(folder)
    return folder


def run_evaluate(arguments: argparse.Namespace) -> Path:
    folder: Path = arguments.version_dir
    evaluate_version(folder, arguments.run, arguments.data, arguments.beam)
    draw_curves(arguments.run, folder / CURVES)
    write_card(folder)
    return folder


def run_states(arguments: argparse.Namespace) -> Path:
    folder: Path = arguments.version_dir
    manifest = add_states(read_manifest(folder), folder)
    if not manifest.states:
        raise ArtefactError(
            f"{folder} has no recurrent layers that can be shown: LSTM, GRU or RNN in a graph of "
            f"opset {MIN_OPSET} or newer"
        )
    write_manifest(manifest, folder)
    write_card(folder)
    return folder


def run_precisions(arguments: argparse.Namespace) -> Path:
    return add_precisions(
        arguments.version_dir, arguments.repository, list(dict.fromkeys(arguments.precisions))
    )


def run_wrap(arguments: argparse.Namespace) -> Path:
    options = WrapOptions(
        graph=arguments.graph,
        tokenizer=arguments.tokenizer,
        labels=tuple(arguments.labels),
        languages=tuple(arguments.languages),
        input_ids=arguments.input_ids,
        lengths=arguments.lengths,
        output=arguments.output,
        output_kind=arguments.output_kind,
        pad_id=arguments.pad_id,
        max_tokens=arguments.max_tokens,
        licence=arguments.licence,
        commercial_use=arguments.commercial_use,
        purpose=arguments.purpose,
        answers_by_default=not arguments.only_when_named,
    )
    return wrap_classifier(options, arguments.repository, arguments.name, arguments.version)


if __name__ == "__main__":
    main()
