import asyncio

import pytest

from service.http.requests.time_limit import TimeLimit


async def test_block_in_time_is_left_alone() -> None:
    with TimeLimit(0.01):
        await asyncio.sleep(0)
    await asyncio.sleep(0.03)  # the limit does not reach what comes after


async def test_block_that_takes_too_long_is_cancelled_and_its_task_is_not() -> None:
    with pytest.raises(TimeoutError), TimeLimit(0.01):
        await asyncio.sleep(60)
    await asyncio.sleep(0)


async def test_error_of_the_block_is_passed_on() -> None:
    with pytest.raises(ValueError, match="its own"), TimeLimit(60):
        raise ValueError("its own")


async def test_task_that_somebody_else_cancels_stays_cancelled() -> None:
    async def work() -> None:
        with TimeLimit(0.01):
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    asyncio.get_running_loop().call_later(0.01, task.cancel)
    asyncio.get_running_loop().call_later(0, task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_limit_within_a_longer_limit_is_the_one_that_counts() -> None:
    with TimeLimit(60):
        with pytest.raises(TimeoutError), TimeLimit(0.01):
            await asyncio.sleep(60)
        await asyncio.sleep(0)
