"""Where a server listens: an address with a port, or a Unix socket."""

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from service.settings import Settings

# Every local account may connect; the permissions of the socket's folder say which can reach it.
SOCKET_MODE = 0o666


@contextmanager
def listen(settings: Settings) -> Iterator[socket.socket]:
    """A bound socket as the settings ask for it; a Unix socket is removed in the end.

    Raises:
        OSError: in one sentence.
    """
    if not settings.unix_socket:
        with open_listener(settings.host, settings.port) as listener:
            yield listener
        return
    with open_unix_listener(settings.unix_socket) as listener:
        try:
            yield listener
        finally:
            with suppress(FileNotFoundError):
                os.unlink(settings.unix_socket)


def open_listener(host: str, port: int) -> socket.socket:
    """Takes the address before models are loaded; no client can connect until uvicorn listens.

    Args:
        host: a name or an address; `::` is all addresses of IPv6 and of IPv4.
        port: 0 lets the system choose one.

    Raises:
        OSError: in one sentence, for instance that the port is in use.
    """
    is_ipv6 = ":" in host
    try:
        # asyncio turns Nagle's algorithm off only if the protocol is named; with it on, an answer
        # on a connection that is kept open took 44 ms instead of 1.
        family = socket.AF_INET6 if is_ipv6 else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as exc:
        raise describe_failure(exc, f"{host} port {port}", "--host") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_ipv6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind((host, port))
    except OSError as exc:
        listener.close()
        raise describe_failure(exc, f"{host} port {port}", "--port") from None
    return listener


def open_unix_listener(path: str) -> socket.socket:
    """The same with a Unix socket; replaces one that a server has left behind.

    Raises:
        OSError: in one sentence, for instance that another server listens there.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if is_left_behind(path):
            os.unlink(path)
        listener.bind(path)
        os.chmod(path, SOCKET_MODE)
    except OSError as exc:
        listener.close()
        raise describe_failure(exc, path, "--unix-socket") from None
    return listener


def is_left_behind(path: str) -> bool:
    """Whether there is a Unix socket on which no server listens."""
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.stat(path).st_mode):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
                try:
                    client.connect(path)
                except ConnectionRefusedError:
                    return True
    return False


def describe_failure(error: OSError, address: str, flag: str) -> OSError:
    reason = error.strerror or str(error)
    return OSError(f"Cannot listen on {address}: {reason}; choose another with {flag}.")


def format_url(listener: socket.socket, scheme: str = "http") -> str:
    """The address as a URL; nginx's notation for a Unix socket."""
    if listener.family == socket.AF_UNIX:
        return f"{scheme}://unix:{listener.getsockname()}"
    host, port = listener.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
