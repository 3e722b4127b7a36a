import socket
import time

import pytest

from service.server.arrival import IS_KNOWN, MIN_SECONDS, measure_age

needs_linux = pytest.mark.skipif(not IS_KNOWN, reason="the kernel does not tell")


@needs_linux
@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
def test_age_counts_from_the_last_bytes(family: socket.AddressFamily, host: str) -> None:
    with socket.socket(family) as listener:
        listener.bind((host, 0))
        listener.listen()
        with socket.socket(family) as client:
            client.connect(listener.getsockname()[:2])
            client.send(b"x")
            time.sleep(0.15)  # it is not even accepted
            server, _ = listener.accept()
            with server:
                assert measure_age(server) == pytest.approx(0.15, abs=0.1)
                client.send(b"x")
                assert measure_age(server) < 0.1


def test_age_in_a_unix_socket_is_not_known() -> None:
    one, other = socket.socketpair()
    with one, other:
        one.send(b"x")
        time.sleep(2 * MIN_SECONDS)
        assert measure_age(other) == 0.0


@needs_linux
def test_age_of_a_connection_that_is_gone_is_not_known() -> None:
    closed = socket.socket()
    closed.close()
    assert measure_age(closed) == 0.0
