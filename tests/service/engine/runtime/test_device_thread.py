"""Which thread a device is used on."""

import threading

import pytest

from service.engine.runtime.device import Device
from service.engine.runtime.device_thread import CallersThread, OwnThread, find_thread, thread_of


def test_a_cpu_is_used_on_the_callers_thread() -> None:
    assert isinstance(thread_of(Device("cpu")), CallersThread)
    assert thread_of(Device("cpu")).call(threading.get_ident) == threading.get_ident()


def test_calls_of_all_threads_run_on_the_one_of_the_gpu() -> None:
    thread = OwnThread("cuda-0")
    idents = {thread.call(threading.get_ident)}
    other = threading.Thread(target=lambda: idents.add(thread.call(threading.get_ident)))
    other.start()
    other.join()

    assert len(idents) == 1
    assert threading.get_ident() not in idents


def test_a_call_from_the_thread_itself_goes_on_there() -> None:
    thread = OwnThread("cuda-0")

    def nest() -> tuple[int, int]:
        return threading.get_ident(), thread.call(threading.get_ident)

    outer, inner = thread.call(nest)
    assert outer == inner


def test_an_error_reaches_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        OwnThread("cuda-0").call(divmod, 1, 0)


def test_sessions_of_a_gpu_share_its_thread_whatever_memory_they_may_take() -> None:
    find_thread.cache_clear()
    first, other = thread_of(Device("cuda", 0)), thread_of(Device("cuda", 1))

    assert thread_of(Device("cuda", 0, memory_limit=1)) is first
    assert other is not first
