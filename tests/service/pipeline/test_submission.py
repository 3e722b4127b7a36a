import asyncio
import time

import pytest

from service.errors import (
    DeadlineExceeded,
    InferenceFailed,
    Overloaded,
)
from tests.service.pipeline.stand import (
    ALL,
    TO_GERMAN,
    MakeStand,
    Stand,
    count_pending,
    soon,
    translate,
    wait_for_step,
)


async def test_deadline_ends_the_wait_and_frees_the_queue(stand: Stand) -> None:
    stand.translator.gate.clear()

    with pytest.raises(DeadlineExceeded, match="allow more time or send less"):
        await stand.translators.translate(["one. two."], TO_GERMAN, time.monotonic() + 0.05)
    await asyncio.sleep(0)

    assert count_pending(stand) == 0


async def test_deadline_that_has_passed_already_runs_nothing(stand: Stand) -> None:
    with pytest.raises(DeadlineExceeded):
        await stand.classifiers.classify(["good"], ALL, time.monotonic() - 1.0)

    assert stand.english.batches == []


async def test_hung_up_client_frees_the_queue_and_never_runs(stand: Stand) -> None:
    stand.translator.gate.clear()
    first = asyncio.create_task(translate(stand, "first"))
    await wait_for_step(stand.translator)
    second = asyncio.create_task(translate(stand, "second. third."))
    await asyncio.sleep(0.01)
    assert count_pending(stand) == 3

    second.cancel()
    await asyncio.wait([second])
    await asyncio.sleep(0)
    assert count_pending(stand) == 1
    stand.translator.gate.set()

    assert await first == "FIRST"
    assert sum(map(len, stand.translator.batches)) == 1


async def test_model_that_is_full_takes_back_what_other_models_admitted(
    start: MakeStand,
) -> None:
    stand = await start(max_queue_size=2)
    stand.english.gate.clear()
    stand.korean.gate.clear()
    busy = asyncio.create_task(stand.classifiers.classify(["이것은 좋다"], ALL, soon()))
    await wait_for_step(stand.korean)
    waiting = asyncio.create_task(stand.classifiers.classify(["이것도 좋다"] * 2, ALL, soon()))
    await asyncio.sleep(0.01)

    with pytest.raises(Overloaded, match="film-ko"):
        await stand.classifiers.classify(["good", "좋다"], ALL, soon())
    await asyncio.sleep(0)

    assert stand.registry.find_classifier("en").batcher.num_pending == 0
    stand.english.gate.set()
    stand.korean.gate.set()
    await asyncio.gather(busy, waiting)


async def test_failed_step_is_told_and_the_next_sequence_is_served(stand: Stand) -> None:
    stand.translator.failures = [InferenceFailed("out of memory")]

    with pytest.raises(InferenceFailed, match="engine failed"):
        await translate(stand, "one. two. three.")

    assert await translate(stand, "again") == "AGAIN"
    assert count_pending(stand) == 0


async def test_many_clients_get_their_own_answers(stand: Stand) -> None:
    texts = [f"client {number} says. hello {number}!" for number in range(100)]

    answers = await asyncio.gather(*(translate(stand, text) for text in texts))

    assert answers == [text.upper() for text in texts]
