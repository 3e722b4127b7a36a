"""Where front ends leave connections for the engine process: a socket without a name.

The supervisor opens it before it forks anything. So it outlives the processes at either end, no
file has to be written, and no process that is not the server's can reach it. A connection that is
left while no engine is there waits for the next one.
"""

import socket


class Mailbox:
    """A pair of sockets through which sockets are passed."""

    def __init__(self) -> None:
        self._inlet, self._outlet = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._inlet.setblocking(False)
        self._outlet.setblocking(False)

    def fileno(self) -> int:
        """Is readable when there is a connection to take."""
        return self._outlet.fileno()

    def leave(self) -> socket.socket:
        """Leaves one end of a new connection; gives the other.

        Raises:
            BlockingIOError: too many are there already.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(self._inlet, [b"\0"], [theirs.fileno()])
            except BlockingIOError:
                ours.close()
                raise
        ours.setblocking(False)
        return ours

    def take(self) -> socket.socket | None:
        """The next connection, if there is one."""
        try:
            _, (descriptor,), _, _ = socket.recv_fds(self._outlet, 1, 1)
        except BlockingIOError:
            return None
        connection = socket.socket(fileno=descriptor)
        connection.setblocking(False)
        return connection

    def close(self) -> None:
        self._inlet.close()
        self._outlet.close()
