import socket

import pytest

from service.transport.mailbox import Mailbox


def read(connection: socket.socket) -> bytes:
    connection.settimeout(5.0)
    return connection.recv(10)


def test_what_is_taken_is_connected_with_what_was_left() -> None:
    mailbox = Mailbox()
    with mailbox.leave() as left:
        taken = mailbox.take()
        assert taken is not None
        with taken:
            left.send(b"hello")
            assert read(taken) == b"hello"
            taken.send(b"hello too")
            assert read(left) == b"hello too"
    mailbox.close()


def test_connections_wait_in_their_order_for_an_engine_that_comes_later() -> None:
    mailbox = Mailbox()
    left = [mailbox.leave() for _ in range(3)]
    for number, connection in enumerate(left):
        connection.send(bytes([number]))
    for number in range(3):
        taken = mailbox.take()
        assert taken is not None
        with taken:
            assert read(taken) == bytes([number])
    assert mailbox.take() is None
    for connection in left:
        connection.close()
    mailbox.close()


def test_a_connection_whose_front_end_has_gone_is_at_its_end() -> None:
    mailbox = Mailbox()
    mailbox.leave().close()
    taken = mailbox.take()
    assert taken is not None
    with taken:
        assert read(taken) == b""
    mailbox.close()


def test_a_full_mailbox_refuses_at_once() -> None:
    mailbox = Mailbox()
    left: list[socket.socket] = []

    def flood() -> None:
        for _ in range(10_000):
            left.append(mailbox.leave())  # noqa: PERF401 - to be closed

    with pytest.raises(BlockingIOError):
        flood()
    for connection in left:
        connection.close()
    mailbox.close()
