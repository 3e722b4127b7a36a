"""Makes versions of the model repository: `python -m export torch|evaluate|wrap ...`."""

import argparse
from pathlib import Path

from export.card import write_card
from export.evaluate import evaluate_version
from export.parity import ParityError
from export.publish import export_run
from export.wrap import WrapOptions, wrap_classifier
from service.errors import ArtefactError


def main() -> None:
    arguments = parse_arguments()
    try:
        folder = arguments.command(arguments)
    except (ArtefactError, ParityError, FileNotFoundError, FileExistsError, ValueError) as exc:
        raise SystemExit(f"export refused: {exc}") from exc
    print(f"wrote {folder}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m export", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    torch = commands.add_parser("torch", help="export a run of models.train")
    torch.add_argument("--run", type=Path, required=True, help="the run's folder")
    torch.add_argument("--data", type=Path, help="data folder; measures quality on the test sets")
    torch.add_argument(
        "--precisions", nargs="+", default=["int8", "w8"], choices=["fp32", "w8", "int8"]
    )
    torch.add_argument(
        "--beam", type=int, default=4, help="second decoding to measure beside greedy"
    )
    torch.set_defaults(command=run_torch)
    measure = commands.add_parser("evaluate", help="measure a version on its test sets again")
    measure.add_argument("--version-dir", type=Path, required=True)
    measure.add_argument(
        "--run", type=Path, required=True, help="the run's folder, for its sources"
    )
    measure.add_argument("--data", type=Path, required=True)
    measure.add_argument("--beam", type=int, default=4)
    measure.set_defaults(command=run_evaluate)
    wrap = commands.add_parser("wrap", help="bring your own ONNX classifier")
    wrap.add_argument(
        "--graph", type=Path, required=True, help="inputs ids (B, T) int64 and lengths (B) int64"
    )
    wrap.add_argument("--tokenizer", type=Path, required=True, help="Hugging Face tokenizer.json")
    wrap.add_argument(
        "--labels",
        nargs="+",
        required=True,
        help="class names in the order of the output's columns",
    )
    wrap.add_argument(
        "--languages", nargs="+", required=True, help="ISO 639-1 codes that the model reads"
    )
    wrap.add_argument(
        "--input-ids", default="", help="name of the ids input (default: the first int64 of rank 2)"
    )
    wrap.add_argument(
        "--lengths",
        default="",
        help="name of the lengths input (default: the first int64 of rank 1)",
    )
    wrap.add_argument(
        "--output", default="", help="name of the output (default: the first of rank 2)"
    )
    wrap.add_argument(
        "--output-kind", choices=["logits", "probabilities"], help="default: found by running it"
    )
    wrap.add_argument("--pad-id", type=int, help="default: the tokenizer's padding token, else 0")
    wrap.add_argument("--max-tokens", type=int, default=512, help="longest text accepted")
    wrap.add_argument("--licence", default="unstated", help="licence of the model")
    wrap.add_argument(
        "--commercial-use", action="store_true", help="the licence allows commercial use"
    )
    wrap.set_defaults(command=run_wrap)
    for command in (torch, wrap):
        command.add_argument("--repository", type=Path, default=Path("models/repository"))
        command.add_argument(
            "--name", help="name of the model (default: the run's)", required=command is wrap
        )
        command.add_argument("--version", help="default: one above the highest there")
    return parser.parse_args()


def run_torch(arguments: argparse.Namespace) -> Path:
    folder = export_run(
        arguments.run,
        arguments.repository,
        arguments.precisions,
        name=arguments.name,
        version=arguments.version,
    )
    if arguments.data:
        evaluate_version(folder, arguments.run, arguments.data, arguments.beam)
    write_card(folder)
    return folder


def run_evaluate(arguments: argparse.Namespace) -> Path:
    evaluate_version(arguments.version_dir, arguments.run, arguments.data, arguments.beam)
    write_card(arguments.version_dir)
    return Path(arguments.version_dir)


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
    )
    folder = wrap_classifier(options, arguments.repository, arguments.name, arguments.version)
    write_card(folder)
    return folder


if __name__ == "__main__":
    main()
