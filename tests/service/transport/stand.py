"""A front end and an engine in one process, with a real connection between them."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from service.engine.batcher import Batcher
from service.engine.hidden_states.states import StatesSession
from service.engine.hidden_states.states_worker import ModelStates, StatesWorker
from service.engine.scheduling.admission import QueueLimits
from service.engine.scheduling.scheduler import Scheduler
from service.transport.engine_server import Engine, EngineServer
from service.transport.mailbox import Mailbox
from service.transport.remote_engine import (
    HostedModel,
    RemoteBatcher,
    RemoteEngine,
    RemoteStates,
)
from tests.fakes import (
    FakeRunner,
    FakeStates,
    make_metrics,
)

NAME = "fake"


MODEL = HostedModel(NAME, "1", "fp32", "cpu", 0, "digest")


LIMITS = QueueLimits(100, 10_000, 5.0)


@dataclass
class EngineSide:
    """What an engine process has."""

    runner: FakeRunner
    limits: QueueLimits
    model: HostedModel = MODEL
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.metrics = make_metrics()
        scheduler = Scheduler(self.runner.free_rows, 4096)
        self.batcher = Batcher(NAME, [self.runner], scheduler, self.limits, self.metrics)
        self.states_worker = StatesWorker(100)
        states = ModelStates(StatesSession(FakeStates, {}), self.states_worker)
        engines = [Engine(self.model, self.batcher, states)]
        self.server = EngineServer(engines, lambda: self.faults)

    def start(self, mailbox: Mailbox) -> None:
        self.batcher.start()
        self.server.open(mailbox)

    async def die(self) -> None:
        """Ends all connections at once; what ran is of no interest any more."""
        self.runner.gate.set()
        self.server.close()
        await self.batcher.stop(0.0)
        self.states_worker.stop()


@dataclass
class Stand:
    mailbox: Mailbox
    engine_side: EngineSide
    engine: RemoteEngine
    batcher: RemoteBatcher
    states: RemoteStates

    @property
    def runner(self) -> FakeRunner:
        return self.engine_side.runner


@asynccontextmanager
async def run_both(
    runner: FakeRunner | None = None, limits: QueueLimits = LIMITS
) -> AsyncIterator[Stand]:
    mailbox = Mailbox()
    engine_side = EngineSide(runner or FakeRunner(), limits)
    engine_side.start(mailbox)
    engine = RemoteEngine(mailbox)
    assert await engine.open() == [MODEL]
    batcher = RemoteBatcher(NAME, 0, engine, limits, make_metrics().of_model(NAME))
    stand = Stand(mailbox, engine_side, engine, batcher, RemoteStates(engine, 0))
    try:
        yield stand
    finally:
        await engine.stop(0.0)
        await stand.engine_side.die()
        mailbox.close()


async def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20.0
    while not condition():
        assert time.monotonic() < deadline, "it has not come about in time"
        await asyncio.sleep(0.005)


async def wait_for_step(runner: FakeRunner) -> None:
    assert await asyncio.to_thread(runner.entered.wait, 10.0)
