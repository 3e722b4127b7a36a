"""The command line: `seqserve serve`, `classify`, `translate`, `generate`, `tag`, `models ...`.

Handles arguments, exit codes and output lines; the app and the pipelines do the work.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from prometheus_client import CollectorRegistry

from service.answers import (
    Aggregation,
    ClassifyOptions,
    GeneratedText,
    GenerateOptions,
    Prompt,
    TagOptions,
    TokenDelta,
    TranslateOptions,
)
from service.errors import ServingError
from service.http.app import create_app, read_version
from service.pipeline.classify import ClassifyPipeline
from service.pipeline.generation.generate import GeneratePipeline
from service.pipeline.tagging.tag import TagPipeline
from service.pipeline.translation.translate import TranslatePipeline
from service.repository.manifest import Manifest, read_manifest
from service.repository.registry import Registry, verify
from service.repository.versions import find_versions
from service.server.listener import listen
from service.server.supervisor import choose_processes, run_workers
from service.server.tls import open_tls
from service.server.uvicorn_server import announce, reset_signals, run_app
from service.settings import Settings, SettingsError, load_settings
from service.telemetry.logs import configure_logging
from service.telemetry.metrics import Metrics

# Settings of the commands that load models in this process; `serve` accepts all settings.
LOCAL_SETTINGS = ("models_dir", "device", "precision", "threads_per_engine")
FAILED, MISUSED, INTERRUPTED, CUT_OFF = 1, 2, 130, 141

# The work of a command, given the models loaded in this process.
Work = Callable[[Registry, Metrics], Awaitable[None]]


if TYPE_CHECKING:
    # Generic only for the type checker, and private because argparse has no public name for it.
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; writes one sentence per fault to stderr."""
    given = build_parser().parse_args(arguments)
    overrides = {
        name: value for name, value in vars(given).items() if name in Settings.model_fields
    }
    try:
        code: int = given.run(given, load_settings(overrides))
    except SettingsError as exc:
        return complain(exc, MISUSED)
    except BrokenPipeError:
        # the reader, say `head`, has enough; what is left must not be written at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CUT_OFF
    except UnicodeDecodeError as exc:
        return complain(f"the input is not UTF-8 text: {exc.reason}, byte {exc.start}", FAILED)
    except (ServingError, OSError) as exc:
        return complain(exc, FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def complain(error: Exception | str, code: int) -> int:
    print(f"seqserve: {error}", file=sys.stderr)
    return code


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="seqserve",
        description="Serves recurrent models that classify, translate, tag and generate text.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"seqserve {read_version()}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = add_command(commands, "serve", "answer over HTTP", Settings.model_fields)
    serve.epilog = "Each option is also a variable: SEQSERVE_PORT for --port, and so on."
    serve.set_defaults(run=run_serve)
    add_classify(commands)
    add_translate(commands)
    add_generate(commands)
    add_tag(commands)
    add_models(commands)
    return parser


def add_command(
    commands: "Commands",
    name: str,
    purpose: str,
    settings: Iterable[str],
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name, help=purpose, description=purpose[0].upper() + purpose[1:] + ".", allow_abbrev=False
    )
    for setting in settings:
        add_setting(parser, setting)
    return parser


def add_setting(parser: argparse.ArgumentParser, name: str) -> None:
    """Adds a flag for a setting, absent unless given, so that environment and defaults apply."""
    field = Settings.model_fields[name]
    default = "none" if field.default in ((), "") else field.default
    parser.add_argument(
        "--" + name.replace("_", "-"),
        dest=name,
        metavar="VALUE",
        default=argparse.SUPPRESS,
        help=f"{field.description} Default: {default}.".replace("%", "%%"),
    )


def add_classify(commands: "Commands") -> None:
    parser = add_command(commands, "classify", "classify texts", LOCAL_SETTINGS)
    add_texts(parser)
    parser.add_argument("--model", help="name of the model; by default chosen by language")
    parser.add_argument("--top-k", type=positive, default=1, help="labels per text; default 1")
    parser.add_argument("--function-to-apply", choices=["softmax", "sigmoid", "none"])
    parser.set_defaults(run=run_classify)


def add_translate(commands: "Commands") -> None:
    parser = add_command(commands, "translate", "translate texts", LOCAL_SETTINGS)
    add_texts(parser)
    parser.add_argument("--source", default="auto", help="language code; default auto")
    parser.add_argument("--target", required=True, help="language code")
    parser.add_argument("--format", choices=["text", "html"], default="text")
    parser.add_argument("--beam-size", type=positive, help="hypotheses kept; 1 is greedy")
    parser.add_argument(
        "--rerank",
        action=argparse.BooleanOptionalAction,
        default=argparse.SUPPRESS,
        help="whether to choose among them by how well the source follows from each, too",
    )
    parser.add_argument("--max-new-tokens", type=positive, dest="new_tokens")
    parser.add_argument("--alternatives", type=positive, default=0, help="default none")
    parser.set_defaults(run=run_translate)


def add_generate(commands: "Commands") -> None:
    parser = add_command(commands, "generate", "go on from prompts", LOCAL_SETTINGS)
    add_texts(parser)
    add_file(parser)
    parser.add_argument("--model", help="name of the model; by default the first that fits")
    parser.add_argument("--label", help="what the text shall be, for models that take a label")
    parser.add_argument(
        "--features", type=read_features, help="comma list, for models that take numbers"
    )
    parser.add_argument("--max-new-tokens", type=positive, dest="new_tokens")
    parser.add_argument(
        "--temperature", type=float, default=0.8, help="default 0.8; 0 takes the likeliest token"
    )
    parser.add_argument(
        "--top-k", type=positive, default=0, help="tokens to draw from; default all"
    )
    parser.add_argument("--top-p", type=float, default=1.0, help="their probability; default 1")
    parser.add_argument("--repetition-penalty", type=float, default=1.0, help="default 1: none")
    parser.add_argument("--seed", type=int, help="the same one gives the same text again")
    parser.add_argument(
        "--stop", action="append", default=[], help="text to end before; repeatable"
    )
    parser.add_argument("--number", type=positive, default=1, help="texts per prompt; default 1")
    parser.set_defaults(run=run_generate)


def add_tag(commands: "Commands") -> None:
    parser = add_command(commands, "tag", "label the tokens of texts", LOCAL_SETTINGS)
    add_texts(parser)
    add_file(parser)
    parser.add_argument("--model", help="name of the model; by default chosen by language")
    parser.add_argument(
        "--aggregation", choices=get_args(Aggregation), default="simple", help="default simple"
    )
    parser.add_argument(
        "--render", action="store_true", help="print the text with white space where it belongs"
    )
    parser.set_defaults(run=run_tag)


def add_texts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="by default the lines of stdin")
    parser.add_argument("--json", action="store_true", help="one JSON object per text")


def add_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--file", help="a file that is one text, with all its lines; - is stdin")


def add_models(commands: "Commands") -> None:
    models = commands.add_parser("models", help="look at the model repository", allow_abbrev=False)
    actions = models.add_subparsers(required=True, metavar="ACTION")
    listing = add_command(actions, "list", "list the models that would be served", LOCAL_SETTINGS)
    listing.set_defaults(run=run_list)
    checking = add_command(actions, "verify", "check hashes and golden answers", LOCAL_SETTINGS)
    checking.set_defaults(run=run_verify)


def positive(value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {value!r}")
    return int(value)


def read_features(value: str) -> tuple[float, ...]:
    try:
        return tuple(float(number) for number in value.split(","))
    except ValueError as exc:
        raise argparse.ArgumentTypeError(
            f"must be numbers with commas between them; {exc}"
        ) from None


def run_serve(_: argparse.Namespace, settings: Settings) -> int:
    configure_logging(settings.log_level, settings.log_format)
    reset_signals()
    if settings.certfile:
        open_tls(settings.certfile, settings.keyfile)  # before models are loaded
    settings = settings.model_copy(update=choose_processes(settings))
    with listen(settings) as listener:
        if settings.workers > 1 or settings.topology == "engine":
            return run_workers(settings, listener)
        heartbeat = announce(listener, settings.scheme)
        run_app(create_app(settings), settings, listener, heartbeat)
    return 0


async def use_models(work: Work, settings: Settings) -> int:
    """Loads the models in this process and runs the command on them."""
    metrics = Metrics(CollectorRegistry())
    registry = Registry(settings, metrics)
    await registry.start()
    try:
        await work(registry, metrics)
    finally:
        await registry.stop()
    return 0


def find_deadline(settings: Settings) -> float:
    return time.monotonic() + settings.max_timeout_ms / 1000


def run_classify(given: argparse.Namespace, settings: Settings) -> int:
    async def work(registry: Registry, metrics: Metrics) -> None:
        await classify_texts(ClassifyPipeline(registry, settings, metrics), given, settings)

    return asyncio.run(use_models(work, settings))


async def classify_texts(
    pipeline: ClassifyPipeline, given: argparse.Namespace, settings: Settings
) -> None:
    options = ClassifyOptions(given.model, given.top_k, given.function_to_apply)
    for text in read_texts(given.texts):
        answer = await pipeline.classify([text], options, find_deadline(settings))
        (found,) = answer.labels
        line = "\t".join(f"{each.label} {each.score:.4f}" for each in found)
        labels = [asdict(each) for each in found]
        print_line({"model": answer.model_name, "labels": labels}, line, given.json)


def run_translate(given: argparse.Namespace, settings: Settings) -> int:
    async def work(registry: Registry, metrics: Metrics) -> None:
        await translate_texts(TranslatePipeline(registry, settings, metrics), given, settings)

    return asyncio.run(use_models(work, settings))


async def translate_texts(
    pipeline: TranslatePipeline, given: argparse.Namespace, settings: Settings
) -> None:
    options = TranslateOptions(
        source=given.source,
        target=given.target,
        text_format=given.format,
        alternatives=given.alternatives,
        beam_size=given.beam_size,
        max_new_tokens=given.new_tokens,
    )
    for text in read_texts(given.texts):
        answer = await pipeline.translate([text], options, find_deadline(settings))
        (found,) = answer.translations
        members: dict[str, object] = {
            "translatedText": found.text,
            "alternatives": found.alternatives,
        }
        if not found.is_complete:
            members["complete"] = False
        lines = "\n".join([found.text, *found.alternatives])
        print_line({"model": answer.model_name, **members}, lines, given.json)


def run_generate(given: argparse.Namespace, settings: Settings) -> int:
    async def work(registry: Registry, metrics: Metrics) -> None:
        await generate_texts(GeneratePipeline(registry, settings, metrics), given, settings)

    check_draw(given)
    return asyncio.run(use_models(work, settings))


def check_draw(given: argparse.Namespace) -> None:
    """Refuses numbers that no text can be drawn by.

    Raises:
        SettingsError: names the flag and its bounds.
    """
    for flag, value, is_right, bounds in (
        ("temperature", given.temperature, given.temperature >= 0, "0 or more"),
        ("top-p", given.top_p, 0 < given.top_p <= 1, "above 0, at most 1"),
        ("repetition-penalty", given.repetition_penalty, given.repetition_penalty > 0, "above 0"),
        ("seed", given.seed, given.seed is None or 0 <= given.seed < 2**64, "0 to 2^64 - 1"),
    ):
        if not is_right:
            raise SettingsError(f"--{flag} must be {bounds}, got {value}.")


async def generate_texts(
    pipeline: GeneratePipeline, given: argparse.Namespace, settings: Settings
) -> None:
    """Prints the texts of each prompt; a single one as it comes."""
    options = GenerateOptions(
        model=given.model,
        max_new_tokens=given.new_tokens,
        temperature=given.temperature,
        top_k=given.top_k,
        top_p=given.top_p,
        repetition_penalty=given.repetition_penalty,
        seed=given.seed,
        stop=tuple(given.stop),
        num_texts=given.number,
    )
    for text in read_prompts(given):
        prompt = Prompt(text, given.label, given.features)
        if not given.json and given.number == 1:
            await print_stream(pipeline, prompt, options, settings)
            continue
        answer = await pipeline.generate([prompt], options, find_deadline(settings))
        for found in answer.texts:
            print_line(describe_text(answer.model_name, found), found.text, given.json)


async def print_stream(
    pipeline: GeneratePipeline, prompt: Prompt, options: GenerateOptions, settings: Settings
) -> None:
    job = await pipeline.open_job([prompt], options, find_deadline(settings))
    async for event in pipeline.stream_job(job):
        if isinstance(event, TokenDelta):
            print(event.token.text, end="", flush=True)
    print(flush=True)


def describe_text(model_name: str, found: GeneratedText) -> dict[str, object]:
    return {
        "model": model_name,
        "generated_text": found.text,
        "finish_reason": found.finish,
        "seed": found.seed,
    }


def read_prompts(given: argparse.Namespace) -> Iterable[str]:
    """As `read_texts`; one that is empty if a condition is enough."""
    has_condition = given.label is not None or given.features is not None
    if has_condition and not (given.texts or given.file):
        return [""]
    return read_texts(given.texts, given.file)


def run_tag(given: argparse.Namespace, settings: Settings) -> int:
    async def work(registry: Registry, metrics: Metrics) -> None:
        await tag_texts(TagPipeline(registry, settings, metrics), given, settings)

    return asyncio.run(use_models(work, settings))


async def tag_texts(pipeline: TagPipeline, given: argparse.Namespace, settings: Settings) -> None:
    options = TagOptions(given.model, given.aggregation, render=given.render)
    for text in read_texts(given.texts, given.file):
        job = await pipeline.open_job([text], options, find_deadline(settings))
        answer = await pipeline.answer_job(job)
        (found,) = answer.taggings
        line = "\t".join(f"{each.label} {each.word} {each.score:.4f}" for each in found.entities)
        members: dict[str, object] = {"entities": [asdict(each) for each in found.entities]}
        if found.rendered is not None:
            members["text"] = found.rendered
            line = found.rendered.removesuffix("\n")
        print_line({"model": answer.model_name, **members}, line, given.json)


def read_texts(texts: Sequence[str], file: str | None = None) -> Iterable[str]:
    """Returns the text of the file, or the arguments, or the non-empty lines of stdin."""
    if file == "-":
        return [sys.stdin.read()]
    if file:
        return [Path(file).read_text(encoding="utf-8")]
    return texts or (line.rstrip("\r\n") for line in sys.stdin if line.strip())


def print_line(members: dict[str, object], line: str, is_json: bool) -> None:
    print(json.dumps(members, ensure_ascii=False) if is_json else line, flush=True)


def run_list(_: argparse.Namespace, settings: Settings) -> int:
    manifests = [read_manifest(folder) for folder in find_versions(settings.models_dir)]
    for line in format_table([HEADINGS, *map(describe_manifest, manifests)]):
        print(line)
    return 0


HEADINGS = (
    "NAME",
    "VERSION",
    "TASK",
    "LANGUAGES",
    "PRECISIONS",
    "SIZE",
    "COMMERCIAL",
    "QUALITY",
    "LICENCES",
)


def describe_manifest(manifest: Manifest) -> tuple[str, ...]:
    pairs = ",".join(f"{source}-{target}" for source, target in manifest.pairs)
    trained_on = [source for source in manifest.sources if source.weight]
    figures = [
        " ".join(filter(None, (figure.pair, figure.metric, f"{figure.value:.1f}", figure.decoding)))
        for figure in manifest.headlines
    ]
    return (
        manifest.name,
        manifest.version,
        f"{manifest.purpose or manifest.task} ({manifest.cell})",
        pairs or ",".join(manifest.languages),
        ",".join(manifest.precisions),
        f"{manifest.num_bytes / 2**20:.1f} MiB",
        "yes" if manifest.commercial_use else "no",
        "; ".join(figures) or "-",
        ", ".join(dict.fromkeys(source.licence for source in trained_on)) or "-",
    )


def format_table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def run_verify(_: argparse.Namespace, settings: Settings) -> int:
    faults = verify(settings.models_dir, settings)
    for fault in faults:
        print(f"seqserve: {fault}", file=sys.stderr)
    if not faults:
        print(f"all models in {settings.models_dir} passed: hashes and golden answers match")
    return FAILED if faults else 0
