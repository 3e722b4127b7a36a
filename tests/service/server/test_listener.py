import os
import socket
import stat
from pathlib import Path

import pytest

from service.server.listener import format_url, listen, open_listener, open_unix_listener
from service.settings import Settings


def test_port_in_use_is_an_error_in_one_sentence() -> None:
    with open_listener("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"Cannot listen on 127\.0\.0\.1 port {port}: .* in use"):
            open_listener("127.0.0.1", port)


def test_listener_sends_small_answers_at_once() -> None:
    """asyncio turns Nagle's algorithm off if the protocol is named."""
    with open_listener("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


@pytest.mark.parametrize(
    ("host", "start"), [("127.0.0.1", "http://127.0.0.1:"), ("::1", "http://[::1]:")]
)
def test_address_is_a_url(host: str, start: str) -> None:
    try:
        listener = open_listener(host, 0)
    except OSError as exc:
        pytest.skip(str(exc))  # a machine without IPv6
    with listener:
        assert format_url(listener) == f"{start}{listener.getsockname()[1]}"


def test_address_of_ipv6_takes_ipv4_too() -> None:
    try:
        listener = open_listener("::", 0)
    except OSError as exc:
        pytest.skip(str(exc))  # a machine without IPv6
    with listener:
        listener.listen()
        socket.create_connection(("127.0.0.1", listener.getsockname()[1]), 5).close()


def test_unix_socket_is_open_to_all_and_removed_in_the_end(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with listen(Settings(unix_socket=str(path))) as listener:
        assert format_url(listener) == f"http://unix:{path}"
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o666
    assert not path.exists()


def test_unix_socket_that_was_left_behind_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    open_unix_listener(path).close()
    with open_unix_listener(path) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.listen()
        client.connect(path)


def test_unix_socket_of_another_server_is_kept(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with open_unix_listener(path) as taken:
        taken.listen()
        with pytest.raises(OSError, match=r"Cannot listen on .*socket: .*in use; .*--unix-socket"):
            open_unix_listener(path)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)


@pytest.mark.parametrize("name", ["file", "no/such/folder", "long" * 40])
def test_path_that_cannot_be_a_socket_is_named(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "file":
        path.write_text("kept", encoding="utf-8")
    with pytest.raises(OSError, match=f"Cannot listen on .*{name}: "):
        open_unix_listener(str(path))
    assert name != "file" or path.read_text(encoding="utf-8") == "kept"
