from multiprocessing.context import ForkProcess
from typing import cast

import pytest

from service.server.restart import RollingRestart
from service.server.worker import WorkerProcess


class FakeProcess:
    pid = None
    exitcode = None


class Workers:
    """The workers of a server that has room for one more than it wants."""

    def __init__(self, count: int = 2) -> None:
        self.room = count + 1
        self.running = [self.make(place, is_ready=True) for place in range(count)]
        self.first = list(self.running)
        self.restart = RollingRestart()

    def make(self, place: int, is_ready: bool = False) -> WorkerProcess:
        process = cast(ForkProcess, FakeProcess())
        return WorkerProcess(process, place, 0.0, heartbeats=0, is_ready=is_ready)

    def start(self) -> WorkerProcess | None:
        if len(self.running) == self.room:
            return None
        self.running.append(self.make(len(self.running)))
        return self.running[-1]

    def advance(self) -> None:
        self.restart.advance(self.running, self.start)

    def end_retired(self) -> None:
        self.running = [worker for worker in self.running if not worker.is_retiring]

    def retired(self) -> list[bool]:
        return [worker.is_retiring for worker in self.first]


@pytest.fixture
def workers() -> Workers:
    return Workers()


def test_nothing_happens_until_it_is_asked_for(workers: Workers) -> None:
    workers.advance()
    assert len(workers.running) == 2


def test_worker_is_retired_only_once_its_replacement_is_ready(workers: Workers) -> None:
    workers.restart.request()
    for _ in range(5):
        workers.advance()
    assert len(workers.running) == 3
    assert workers.retired() == [False, False]

    workers.running[-1].is_ready = True
    workers.advance()
    assert workers.retired() == [True, False]


def test_next_one_follows_after_the_one_before_has_made_room(workers: Workers) -> None:
    workers.restart.request()
    workers.advance()
    workers.running[-1].is_ready = True
    for _ in range(3):
        workers.advance()
    assert len(workers.running) == 3
    assert workers.retired() == [True, False]

    workers.end_retired()
    workers.advance()
    workers.running[-1].is_ready = True
    workers.advance()
    assert workers.retired() == [True, True]
    workers.end_retired()
    workers.advance()
    assert len(workers.running) == 2
    assert not set(workers.running) & set(workers.first)


def test_replacement_that_cannot_start_leaves_the_others_alone(workers: Workers) -> None:
    workers.restart.request()
    workers.advance()
    replacement = workers.running.pop()
    assert workers.restart.abort(replacement, 1)
    for _ in range(3):
        workers.advance()
    assert workers.running == workers.first
    assert workers.retired() == [False, False]


def test_other_workers_that_end_do_not_stop_the_restart(workers: Workers) -> None:
    workers.restart.request()
    workers.advance()
    assert not workers.restart.abort(workers.first[1], 1)
    workers.running.remove(workers.first[1])
    workers.running[-1].is_ready = True
    workers.advance()
    assert workers.retired() == [True, False]


def test_replacement_stays_where_its_predecessor_has_ended_by_itself() -> None:
    workers = Workers(1)
    workers.restart.request()
    workers.advance()
    workers.running.remove(workers.first[0])
    workers.running[-1].is_ready = True
    workers.advance()
    assert not any(worker.is_retiring for worker in workers.running)
    assert len(workers.running) == 1


def test_request_during_a_restart_starts_another_one_after_it() -> None:
    workers = Workers(1)
    workers.restart.request()
    workers.advance()
    workers.restart.request()
    (replacement,) = set(workers.running) - set(workers.first)
    replacement.is_ready = True
    workers.advance()
    workers.end_retired()
    workers.advance()
    workers.running[-1].is_ready = True
    workers.advance()
    assert replacement.is_retiring


def test_request_waits_for_a_server_that_is_ready() -> None:
    workers = Workers(1)
    workers.first[0].is_ready = False
    workers.restart.request()
    workers.advance()
    assert len(workers.running) == 1
    workers.first[0].is_ready = True
    workers.advance()
    assert len(workers.running) == 2
