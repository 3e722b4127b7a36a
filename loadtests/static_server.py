"""The service with static batches of the same engine: what continuous decoding is compared with.

A batch is admitted only when the one before has ended, and answered only when its longest sentence
has: request-level batching, as Triton, TorchServe and a plain `generate` do. All else is the same
app. Sentences that ended take no rows of the steps that follow, which favours static batches.
"""

import argparse
from pathlib import Path

from prometheus_client import CollectorRegistry
from runners import wrap_runners

from service.app import create_app
from service.batch import Request, Result
from service.cli import open_listener, run_app
from service.loader import LoadedModel, Runner
from service.logs import configure_logging
from service.metrics import Metrics
from service.registry import Registry
from service.settings import load_settings


class StaticRunner:
    """Makes a runner serve one batch after the other.

    Args:
        runner: the continuous one; it does the work.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._ended: list[tuple[Request, Result]] = []

    @property
    def free_rows(self) -> int:
        return 0 if self.num_running else self._runner.free_rows

    @property
    def num_running(self) -> int:
        return self._runner.num_running

    def step(self, arrivals: list[Request]) -> list[tuple[Request, Result]]:
        """One step; the results of the batch come all at once, with its last sentence."""
        self._ended += self._runner.step(arrivals)
        if self._runner.num_running:
            return []
        ended, self._ended = self._ended, []
        return ended

    def reset(self) -> None:
        self._ended = []
        self._runner.reset()


class StaticRegistry(Registry):
    def serve(self, model: LoadedModel) -> None:
        super().serve(wrap_runners(model, StaticRunner))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--models-dir", type=Path, required=True)
    parser.add_argument("--precision", required=True)
    given = parser.parse_args()
    settings = load_settings(
        {
            "port": given.port,
            "models_dir": given.models_dir,
            "precision": given.precision,
            "device": "cpu",
            "log_level": "warning",
        }
    )
    configure_logging(settings.log_level, settings.log_format)
    registry = StaticRegistry(settings, Metrics(CollectorRegistry()))
    app = create_app(settings, registry=registry)
    run_app(app, settings, open_listener(settings.host, settings.port))


if __name__ == "__main__":
    main()
