"""Settings of the service, given as `SEQSERVE_*` variables or as flags.

No other module reads the environment. Properties of a model (ids, limits, input names) are in its
manifest, never here.
"""

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

ENV_PREFIX = "SEQSERVE_"
# Variables defined by other standards; ours take precedence.
STANDARD_VARIABLES = {"otlp_endpoint": "OTEL_EXPORTER_OTLP_ENDPOINT"}
ROOT_PATH_PATTERN = r"^(/[A-Za-z0-9._~-]+)*$"
ENDPOINT_PATTERN = r"^(https?://[^/].*)?$"
# What a value should be, where a pattern says it.
PATTERN_REASONS = {
    "device": "auto, cpu, cuda or cuda:N",
    "root_path": "a path like /translator, without a slash at its end",
}


class SettingsError(ValueError):
    """Raised for unknown or invalid settings; the message has one sentence per fault."""


class Settings(BaseSettings):
    """Every setting of the server, frozen once it is built."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, frozen=True, extra="forbid", env_ignore_empty=True
    )

    host: Annotated[
        str,
        Field(
            min_length=1,
            description="Address to listen on; 0.0.0.0 is all of IPv4, :: of IPv6, too.",
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int, Field(ge=0, le=65535, description="Port to listen on; 0 lets the system choose one.")
    ] = 8000
    unix_socket: Annotated[
        str, Field(description="Path of a Unix socket to listen on instead of host and port.")
    ] = ""
    certfile: Annotated[
        str, Field(description="Certificate chain in PEM; with it the server speaks TLS alone.")
    ] = ""
    keyfile: Annotated[
        str, Field(description="Key of the certificate in PEM, unless that file has it.")
    ] = ""
    root_path: Annotated[
        str,
        Field(
            pattern=ROOT_PATH_PATTERN,
            description="Prefix of paths that a proxy passes on as they come, like /translator; "
            "not needed for one that takes it off.",
        ),
    ] = ""
    keep_alive_seconds: Annotated[
        int,
        Field(
            ge=1,
            le=3600,
            description="How long an idle connection stays open; keep it above the time that a "
            "proxy or load balancer in front keeps one (mostly 60 s).",
        ),
    ] = 75
    models_dir: Annotated[
        Path, Field(description="Model repository, <name>/<version>/ below it.")
    ] = Path("models/repository")
    device: Annotated[
        str,
        Field(
            pattern=r"^(auto|cpu|cuda(:\d{1,3})?)$",
            description="auto, cpu, cuda or cuda:N; cuda asked for and absent stops the start.",
        ),
    ] = "auto"
    precision: Annotated[
        Literal["auto", "fp32", "fp16", "int8", "w8"],
        Field(
            description="Precision of the graphs to load: int8, w8, fp16 or fp32; auto takes what "
            "suits the device."
        ),
    ] = "auto"
    gpu_memory_limit_mib: Annotated[
        int,
        Field(
            ge=0,
            le=1_048_576,
            description="MiB of a GPU's memory that each graph may take (a translator has up to "
            "five); 0 sets no limit.",
        ),
    ] = 0
    decoder_slots: Annotated[
        Literal["auto", "always", "never"],
        Field(
            description="Whether translators that have the graphs for it decode greedily in slots "
            "of fixed size; auto does so on CUDA, where their steps are captured as CUDA graphs."
        ),
    ] = "auto"
    topology: Annotated[
        Literal["auto", "replicas", "engine"],
        Field(
            description="replicas: each server process has models and queues of its own; engine: "
            "they are front ends of one process that has them; auto takes engine with a GPU."
        ),
    ] = "auto"
    workers: Annotated[
        int,
        Field(
            ge=0,
            le=256,
            description="Server processes; 0 takes one per CPU, at most 4 (with a GPU, one), or as "
            "front ends of an engine process the CPUs but one, at most 8.",
        ),
    ] = 0
    threads_per_engine: Annotated[
        int,
        Field(
            ge=1,
            le=256,
            description="Threads of each engine; more answers a lone request sooner, at a loss.",
        ),
    ] = 1
    engines_per_model: Annotated[
        int,
        Field(
            ge=0,
            le=256,
            description="Engines per model and worker; 0 takes its CPUs but one, at most 4.",
        ),
    ] = 0
    max_batch_size: Annotated[
        int,
        Field(
            ge=1, le=4096, description="Rows in one batch; more gives throughput and costs latency."
        ),
    ] = 64
    max_batch_tokens: Annotated[
        int,
        Field(
            ge=16,
            le=1_048_576,
            description="Padded tokens in one batch; more gives throughput, takes memory.",
        ),
    ] = 4096
    max_queue_size: Annotated[
        int,
        Field(
            ge=1,
            le=1_000_000,
            description="Requests waiting per model; more waits longer before it sheds.",
        ),
    ] = 4096
    max_queue_tokens: Annotated[
        int,
        Field(
            ge=1,
            le=1_000_000_000,
            description="Tokens waiting per model; more waits longer before it sheds.",
        ),
    ] = 262_144
    max_queue_wait_ms: Annotated[
        int,
        Field(
            ge=1,
            le=3_600_000,
            description="Predicted wait, with the time since its bytes arrived, above which a "
            "request is refused; more waits longer.",
        ),
    ] = 500
    max_standing_wait_ms: Annotated[
        int,
        Field(
            ge=1,
            le=3_600_000,
            description="The same limit for a queue that has not been empty for a second, which is "
            "more than a burst; a higher one lets requests wait longer, and lets no more through.",
        ),
    ] = 300
    default_timeout_ms: Annotated[
        int, Field(ge=1, le=3_600_000, description="Deadline of a request that names none.")
    ] = 30_000
    max_timeout_ms: Annotated[
        int, Field(ge=1, le=3_600_000, description="Longest deadline a request may ask for.")
    ] = 120_000
    max_body_bytes: Annotated[
        int,
        Field(
            ge=1024,
            le=1_073_741_824,
            description="Longest request body; more takes memory per request.",
        ),
    ] = 1_048_576
    max_texts: Annotated[
        int,
        Field(
            ge=1,
            le=100_000,
            description="Texts in one request; more lets one client fill the queue.",
        ),
    ] = 256
    max_text_chars: Annotated[
        int,
        Field(
            ge=1,
            le=100_000_000,
            description="Characters in one text; more lets one client fill the queue.",
        ),
    ] = 100_000
    max_beam_size: Annotated[
        int,
        Field(ge=1, le=64, description="Widest beam a request may ask for; cost grows with it."),
    ] = 8
    default_beam_size: Annotated[
        int,
        Field(
            ge=1, le=64, description="Beam of a request that names none; 1 is greedy and fastest."
        ),
    ] = 4
    rerank: Annotated[
        bool,
        Field(
            description="Choose among the hypotheses of a beam by how well the source follows "
            "from each, unless a request says otherwise; slower and more faithful."
        ),
    ] = True
    pivot_candidates: Annotated[
        int,
        Field(
            ge=1,
            le=64,
            description="Translations of a sentence into the pivot language that go on from there; "
            "of all that come of them the best is given. 1 is fastest.",
        ),
    ] = 3
    max_alternatives: Annotated[
        int,
        Field(
            ge=0,
            le=64,
            description="Most alternatives a request may ask for; each widens the beam.",
        ),
    ] = 5
    max_terms: Annotated[
        int,
        Field(
            ge=0,
            le=100_000,
            description="Terms that a request may keep or give translations for, together.",
        ),
    ] = 1000
    max_glossary_terms: Annotated[
        int,
        Field(
            ge=1,
            le=1_000_000,
            description="Terms that a named glossary may have for a direction; more takes memory "
            "and a longer start.",
        ),
    ] = 10_000
    max_new_tokens: Annotated[
        int,
        Field(
            ge=1,
            le=4096,
            description="Tokens a translated sentence may have; more takes longer at worst.",
        ),
    ] = 256
    max_generated_tokens: Annotated[
        int,
        Field(
            ge=1,
            le=65_536,
            description="Tokens a generated text may have; more takes longer at worst.",
        ),
    ] = 1024
    default_generated_tokens: Annotated[
        int,
        Field(ge=1, le=65_536, description="Tokens of a generated text that asks for no number."),
    ] = 100
    max_return_sequences: Annotated[
        int,
        Field(
            ge=1,
            le=4096,
            description="Texts a request may have generated for one prompt; more lets one client "
            "fill the engine.",
        ),
    ] = 16
    max_stop_strings: Annotated[
        int,
        Field(ge=0, le=1000, description="Stop strings of one request; each takes time per token."),
    ] = 8
    max_explain_tokens: Annotated[
        int,
        Field(
            ge=1,
            le=100_000_000,
            description="Tokens that are read again to explain one classification; grows with the "
            "square of a text. More lets one client fill the queue.",
        ),
    ] = 65_536
    max_state_values: Annotated[
        int,
        Field(
            ge=1,
            le=100_000_000,
            description="Values of a model's states that one request may ask for: tokens times "
            "units. More makes longer answers.",
        ),
    ] = 100_000
    max_tag_streams: Annotated[
        int,
        Field(
            ge=1,
            le=1_000_000,
            description="Texts per worker that are labelled as they come in, a connection each; "
            "an idle one takes some kilobytes.",
        ),
    ] = 4096
    max_frame_chars: Annotated[
        int,
        Field(
            ge=1,
            le=1_000_000,
            description="Characters of a text as it comes in that one WebSocket frame may have.",
        ),
    ] = 2000
    max_stream_chars_per_second: Annotated[
        int,
        Field(
            ge=1,
            le=1_000_000,
            description="Characters per second that are read from one such text; a client that "
            "sends faster waits. More lets one client take more of the engine.",
        ),
    ] = 400
    default_task: Annotated[
        Literal["auto", "classify", "translate", "tag", "generate"],
        Field(
            description="What POST / does: classify, translate, tag or generate; auto takes the "
            "task of the models, if all have the same."
        ),
    ] = "auto"
    pivot_language: Annotated[
        str,
        Field(
            min_length=1,
            description="Language through which two models translate where no single one does; "
            "off has only the directions that a model has.",
        ),
    ] = "en"
    api_keys: Annotated[
        tuple[SecretStr, ...],
        NoDecode,
        Field(description="Comma list of accepted API keys; none means anonymous access."),
    ] = ()
    cors_origins: Annotated[
        str,
        Field(
            description="Comma list of origins whose pages may ask from a browser, or * for all; "
            "none sends no CORS headers.",
        ),
    ] = ""
    shutdown_delay_ms: Annotated[
        int,
        Field(
            ge=0,
            le=600_000,
            description="How long a server told to stop still takes requests, unready already.",
        ),
    ] = 500
    drain_seconds: Annotated[
        float,
        Field(
            ge=0.0,
            le=3600.0,
            description="How long a stopping server lets running requests finish.",
        ),
    ] = 20.0
    max_failed_boots: Annotated[
        int,
        Field(
            ge=1,
            le=1000,
            description="Workers in a row that may end before they are ready; then the server "
            "stops. More keeps it trying longer.",
        ),
    ] = 8
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Field(description="Least severity that is logged: debug, info, warning or error."),
    ] = "info"
    log_format: Annotated[
        Literal["text", "json"],
        Field(description="Log lines for people (text) or for a collector (json)."),
    ] = "text"
    access_log_ratio: Annotated[
        float,
        Field(
            ge=0.0,
            le=1.0,
            description="Share of the requests answered without an error that get a line in the "
            "log; those with an error always get one.",
        ),
    ] = 1.0
    max_log_lines: Annotated[
        int,
        Field(
            ge=1,
            le=1_000_000,
            description="Log lines that wait to be written, per worker; further ones are dropped "
            "and counted. More memory and fewer gaps if the log is read slowly.",
        ),
    ] = 10_000
    otlp_endpoint: Annotated[
        str,
        Field(
            description="Base URL of an OpenTelemetry collector (OTLP over HTTP) that gets traces; "
            "OTEL_EXPORTER_OTLP_ENDPOINT says the same.",
            json_schema_extra={"pattern": ENDPOINT_PATTERN},
        ),
    ] = ""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        standard: dict[str, Any] = {
            name: os.environ[variable]
            for name, variable in STANDARD_VARIABLES.items()
            if os.environ.get(variable)
        }
        return init_settings, env_settings, InitSettingsSource(settings_cls, standard)

    @field_validator("api_keys", mode="before")
    @classmethod
    def split_keys(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(key.strip() for key in value.split(",") if key.strip())
        return value

    @field_validator("api_keys")
    @classmethod
    def require_ascii(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        # A header carries ASCII only, so any other key could never match.
        if not all(key.get_secret_value().isascii() for key in value):
            raise ValueError("a comma list of ASCII keys")
        return value

    @field_validator("otlp_endpoint")
    @classmethod
    def require_url(cls, value: str) -> str:
        if not re.match(ENDPOINT_PATTERN, value):
            raise ValueError("a URL like http://collector:4318")
        return value

    @field_validator(
        "log_level",
        "log_format",
        "device",
        "precision",
        "topology",
        "default_task",
        "pivot_language",
        mode="before",
    )
    @classmethod
    def lower_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @property
    def scheme(self) -> str:
        return "https" if self.certfile else "http"

    @model_validator(mode="after")
    def check_defaults(self) -> Self:
        if self.keyfile and not self.certfile:
            raise ValueError("keyfile needs certfile")
        if self.default_timeout_ms > self.max_timeout_ms:
            raise ValueError("default_timeout_ms must not be above max_timeout_ms")
        is_given = "default_beam_size" in self.model_fields_set
        if is_given and self.default_beam_size > self.max_beam_size:
            raise ValueError("default_beam_size must not be above max_beam_size")
        if self.default_generated_tokens > self.max_generated_tokens:
            raise ValueError("default_generated_tokens must not be above max_generated_tokens")
        return self


def load_settings(overrides: Mapping[str, object] | None = None) -> Settings:
    """Loads settings from the defaults, the environment and `overrides` (field name to value).

    Later sources take precedence.

    Raises:
        SettingsError: a variable or a name is unknown, or a value is out of bounds.
    """
    values: dict[str, Any] = dict(overrides or {})
    # pydantic-settings ignores misspelt variables even with extra="forbid", hence this check.
    faults = unknown_variables(os.environ)
    try:
        settings = Settings(**values)
    except ValidationError as exc:
        faults += [describe_fault(error) for error in exc.errors(include_url=False)]
    if faults:
        raise SettingsError("\n".join(faults))
    return settings


def unknown_variables(environ: Iterable[str]) -> list[str]:
    """Describes each unknown `SEQSERVE_*` name in one sentence, with the closest known name."""
    known = [ENV_PREFIX + name.upper() for name in Settings.model_fields]
    unknown = sorted(
        name
        for name in environ
        if name.upper().startswith(ENV_PREFIX) and name.upper() not in known
    )
    return [f"{name} is not a setting{suggest_name(name.upper(), known)}." for name in unknown]


def suggest_name(name: str, known: Iterable[str]) -> str:
    """Suggests the known name closest to `name`, or the Kubernetes cause; empty if neither fits."""
    if "_SERVICE_" in name or "_TCP" in name:
        # Kubernetes injects <SERVICE>_SERVICE_HOST and the like for a Service called seqserve.
        return " (a Kubernetes service link? set enableServiceLinks: false in the pod)"
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (closest: {close[0]})" if close else ""


def describe_fault(error: ErrorDetails) -> str:
    """Describes one pydantic error in a sentence with both spellings of the setting; hides keys."""
    reason = error["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if not error["loc"]:
        return f"Settings contradict each other: {reason}."
    name = str(error["loc"][0])
    if error["type"] == "extra_forbidden":
        return f"{name} is not a setting{suggest_name(name, Settings.model_fields)}."
    if error["type"] == "string_pattern_mismatch":
        reason = PATTERN_REASONS[name]
    given = "" if name == "api_keys" else f", got {str(error['input'])[:100]!r}"
    flag = "--" + name.replace("_", "-")
    return f"{ENV_PREFIX}{name.upper()} ({flag}) must be {reason}{given}."
