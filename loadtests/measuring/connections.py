"""How a server's connections are spread over its processes, as Linux tells it from outside."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from loadtests.measuring.processes import read_stat

TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
ESTABLISHED, LISTENING = "01", "0A"


def count_connections(pids: Sequence[int], port: int) -> list[int]:
    """Counts the connections to a port by worker, most first; a worker may have none.

    Workers are the processes that hold a connection or the listening socket, without those that
    started others of them: a supervisor only passes the listening socket on. A process that has the
    listening socket by chance counts as one without connections.

    Args:
        pids: the processes of the server.
        port: of this machine, TCP.
    """
    states = read_states(port)
    held = {pid: [states[each] for each in list_sockets(pid) if each in states] for pid in pids}
    holders = {pid for pid, sockets in held.items() if sockets}
    workers = holders - {read_parent(pid) for pid in holders}
    return sorted((held[pid].count(ESTABLISHED) for pid in workers), reverse=True)


def read_states(port: int) -> dict[str, str]:
    """The sockets at this end of a port that listen or are connected, by their inode."""
    states = {}
    for table in TABLES:
        if os.path.exists(table):  # a machine may have no IPv6
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                _, local, _, state, *others = line.split()
                if int(local.rpartition(":")[2], 16) == port and state in (ESTABLISHED, LISTENING):
                    states[others[5]] = state
    return states


def list_sockets(pid: int) -> list[str]:
    """The inodes of the sockets that a process holds; none if it is gone."""
    inodes = []
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):  # closed meanwhile
                link = os.readlink(f"/proc/{pid}/fd/{name}")
                inodes += [link[len("socket:[") : -1]] * link.startswith("socket:[")
    return inodes


def read_parent(pid: int) -> int:
    fields = read_stat(pid)
    return int(fields[1]) if fields else 0
