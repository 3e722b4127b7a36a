"""When the bytes of a request arrived: before a busy process gets round to reading them."""

import socket
import struct
import sys

# Of Linux's `struct tcp_info`: `tcpi_last_data_recv`, in milliseconds.
LAST_INPUT = struct.Struct("=52xI")
IS_KNOWN = sys.platform == "linux"
# The kernel counts in ticks of up to 10 ms.
MIN_SECONDS = 0.02


def measure_age(connection: socket.socket) -> float:
    """Seconds since the last bytes arrived in the socket; 0 if it is next to nothing, or unknown.

    It counts what they spent in the queue of connections that wait to be accepted, too.

    Args:
        connection: of any family, plain or below TLS.
    """
    if not IS_KNOWN or connection.family not in (socket.AF_INET, socket.AF_INET6):
        return 0.0
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, LAST_INPUT.size)
    except OSError:  # the client is gone
        return 0.0
    seconds: float = LAST_INPUT.unpack(info)[0] / 1000
    return seconds if seconds >= MIN_SECONDS else 0.0
