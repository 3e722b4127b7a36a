"""The service with static batches of the same engine: what continuous decoding is compared with.

A batch is admitted only when the one before has ended, and answered only when its longest sentence
has: request-level batching, as Triton, TorchServe and a plain `generate` do. There the rows of
sentences that ended are computed to the end of the batch, and so they are here, but for their
attention; with `--drop-ended` they are not, which favours static batches over those of other
servers. All else is the same app.
"""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from prometheus_client import CollectorRegistry

from loadtests.bench.contestants.runners import wrap_runners
from service.arrays import Array
from service.engine.batch import Result, TokenSequence
from service.engine.runner import Runner
from service.engine.runtime.session import Session
from service.engine.search.translator import TranslatorRunner
from service.http.app import create_app
from service.repository.model import LoadedModel
from service.repository.registry import Registry
from service.server.listener import open_listener
from service.server.uvicorn_server import announce, run_app
from service.settings import load_settings
from service.telemetry.logs import configure_logging
from service.telemetry.metrics import Metrics


class StaticRunner:
    """Makes a runner serve one batch after the other.

    Args:
        runner: the continuous one; it does the work.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._ended: list[tuple[TokenSequence, Result]] = []

    @property
    def free_rows(self) -> int:
        return 0 if self.num_running else self._runner.free_rows

    @property
    def num_running(self) -> int:
        return self._runner.num_running

    @property
    def batch_seconds(self) -> float:
        return self._runner.batch_seconds

    def step(self, arrivals: list[TokenSequence]) -> list[tuple[TokenSequence, Result]]:
        """One step; the results of the batch come all at once, with its last sentence."""
        self._ended += self._runner.step(arrivals)
        if self._runner.num_running:
            return []
        ended, self._ended = self._ended, []
        return ended

    def reset(self) -> None:
        self._ended = []
        self._runner.reset()


class FullBatchSession:
    """A decoder whose batch never shrinks: rows that are gone are computed all the same.

    Args:
        decoder: the graph of `export.graphs.networks.build_decoder`.
    """

    def __init__(self, decoder: Session) -> None:
        self._decoder = decoder
        self.num_rows = 0  # of the batch when it began

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        num_rows = len(feeds["token_ids"])
        self.num_rows = max(self.num_rows, num_rows)
        gone = np.zeros(self.num_rows - num_rows, np.int64)
        unused = feeds["rows"] == num_rows
        outputs = self._decoder.run(
            {
                **feeds,
                "token_ids": np.concatenate([feeds["token_ids"], gone]),
                "parents": np.concatenate([feeds["parents"], gone]),
                "rows": np.where(unused, self.num_rows, feeds["rows"]),
            }
        )
        return {name: cut_rows(name, array, num_rows) for name, array in outputs.items()}


def cut_rows(name: str, array: Array, num_rows: int) -> Array:
    """Cuts an output of the decoder down to the rows that are read."""
    if name == "attention":  # by pages
        return array
    return array[:, :num_rows] if name.startswith("next_") else array[:num_rows]


class FullBatchRunner(StaticRunner):
    """A static runner that computes the rows of ended sentences until the batch is done."""

    def __init__(self, runner: Runner) -> None:
        assert isinstance(runner, TranslatorRunner)
        self._session = runner.session.decoder = FullBatchSession(runner.session.decoder)
        super().__init__(runner)

    def step(self, arrivals: list[TokenSequence]) -> list[tuple[TokenSequence, Result]]:
        if not self.num_running:
            self._session.num_rows = 0
        return super().step(arrivals)


class StaticRegistry(Registry):
    """Puts static runners before a model's own.

    Attributes:
        wrap: `FullBatchRunner`, or `StaticRunner` to drop the rows of ended sentences.
    """

    wrap: Callable[[Runner], Runner] = FullBatchRunner

    def serve(self, model: LoadedModel) -> None:
        super().serve(wrap_runners(model, self.wrap))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--models-dir", type=Path, required=True)
    parser.add_argument("--precision", required=True)
    parser.add_argument("--drop-ended", action="store_true")
    given = parser.parse_args()
    settings = load_settings(
        {
            "port": given.port,
            "models_dir": given.models_dir,
            "precision": given.precision,
            "device": "cpu",
            "log_level": "warning",
            # it is compared with, and refuses nothing
            "max_queue_wait_ms": 60_000,
            "max_standing_wait_ms": 60_000,
        }
    )
    configure_logging(settings.log_level, settings.log_format)
    registry = StaticRegistry(settings, Metrics(CollectorRegistry()))
    if given.drop_ended:
        registry.wrap = StaticRunner
    app = create_app(settings, registry=registry)
    listener = open_listener(settings.host, settings.port)
    run_app(app, settings, listener, announce(listener))


if __name__ == "__main__":
    main()
