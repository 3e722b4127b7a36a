import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from loadtests.measuring.connections import count_connections
from loadtests.measuring.processes import list_tree

# A worker accepts as many as its argument says, tells it, and waits.
ACCEPT = """
import socket, sys
listener = socket.socket(fileno=int(sys.argv[1]))
held = [listener.accept() for _ in range(int(sys.argv[2]))]
print("up", flush=True)
input()
"""
# Without a worker it is one process that listens.
SUPERVISE = """
import socket, subprocess, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
for count in sys.argv[2:]:
    command = [sys.executable, "-c", sys.argv[1], str(listener.fileno()), count]
    worker = subprocess.Popen(command, pass_fds=[listener.fileno()], stdout=subprocess.PIPE)
    worker.stdout.readline()
print("up", flush=True)
input()
"""


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def start(stack: ExitStack, counts: list[int]) -> tuple[int, list[int]]:
    """A server whose workers have accepted as many connections as `counts` says: port and pids."""
    command = [sys.executable, "-c", SUPERVISE, ACCEPT, *map(str, counts)]
    supervisor = stack.enter_context(
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    )
    assert supervisor.stdout is not None
    assert supervisor.stdin is not None
    stack.callback(supervisor.stdin.close)
    port = int(supervisor.stdout.readline())
    for _ in range(sum(counts)):
        stack.enter_context(socket.create_connection(("127.0.0.1", port)))
    assert supervisor.stdout.readline() == "up\n"
    return port, list_tree(supervisor.pid)


@pytest.mark.parametrize("counts", [[1, 3], [2, 0]])
def test_connections_are_counted_by_worker(stack: ExitStack, counts: list[int]) -> None:
    port, pids = start(stack, counts)
    assert count_connections(pids, port) == sorted(counts, reverse=True)


def test_a_server_of_one_process_is_its_own_worker(stack: ExitStack) -> None:
    port, pids = start(stack, [])
    assert count_connections(pids, port) == [0]


def test_sockets_of_other_ports_and_other_processes_do_not_count(stack: ExitStack) -> None:
    port, pids = start(stack, [1])
    assert count_connections([os.getpid()], port) == []
    assert count_connections(pids, port + 1) == []
