"""A server under test as a tree of processes: start, pause, processor time, memory, stop."""

import contextlib
import os
import resource
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path

START_SECONDS, STOP_SECONDS = 120.0, 20.0
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# A proxy of the environment is not for servers on this machine.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextlib.contextmanager
def on_processors(numbers: Set[int]) -> Iterator[None]:
    """Keeps this thread, and what it starts meanwhile, to some processors."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, numbers)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Server:
    """A server that this program started, in a session of its own.

    Args:
        name: what the tables call it.
        command: starts it; "{port}" in an argument stands for the port.
        environment: in addition to ours.
        ready_path: answers 200 when it can be asked.
        folder: where it is started.
        log: takes what it writes.
        task_path: takes the requests that are measured.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        ready_path: str,
        folder: Path,
        log: Path,
        task_path: str = "",
    ) -> None:
        self.name, self.task_path = name, task_path
        self.port = find_port()
        self.command = [part.replace("{port}", str(self.port)) for part in command]
        self._ready_path, self._log = ready_path, log
        with log.open("w", encoding="utf-8") as stream:
            self._process = subprocess.Popen(
                self.command,
                cwd=folder,
                env=clean_environment() | dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )

    def url(self, path: str = "") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def wait_ready(self) -> None:
        """Waits for the first answer.

        Raises:
            RuntimeError: it ended, or takes too long; with the end of its log.
        """
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not start:\n{self.read_log()}")
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            with OPENER.open(self.url(self._ready_path), timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def read_log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")[-2000:]

    def pause(self) -> None:
        """Takes it off the processors while others are measured; some poll even when idle."""
        os.killpg(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.killpg(self._process.pid, signal.SIGCONT)

    def list_pids(self) -> list[int]:
        """The process that was started, and all below it."""
        return list_tree(self._process.pid)

    def cpu_seconds(self) -> float:
        """Processor time of all its processes so far."""
        return sum(read_cpu_seconds(pid) for pid in self.list_pids())

    def rss_bytes(self) -> int:
        """Resident memory of all its processes; what they share counts for each."""
        return sum(read_rss_bytes(pid) for pid in self.list_pids())

    def pss_bytes(self) -> int:
        """Memory of all its processes; each has its part of what they share."""
        return sum(read_pss_bytes(pid) for pid in self.list_pids())

    def stop(self) -> None:
        """Lets it end by itself, then kills the rest of its session."""
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            self.resume()
            self._process.terminate()
            self._process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):  # all gone, as it should be
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def enlist(server: Server, stack: contextlib.ExitStack) -> Server:
    """The same server, which the stack stops from now on."""
    stack.callback(server.stop)
    return server


def clean_environment() -> dict[str, str]:
    """Ours, without settings that would make this run unlike another."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SEQSERVE_")}


def raise_file_limit() -> int:
    """Lets this process and those it starts open as many connections as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def find_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def list_tree(root: int) -> list[int]:
    """A process and all below it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (fields := read_stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:  # grows while it is walked
        found += children.get(pid, [])
    return found


def read_cpu_seconds(pid: int) -> float:
    fields = read_stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND if fields else 0.0


def read_rss_bytes(pid: int) -> int:
    fields = read_stat(pid)
    return int(fields[21]) * PAGE_BYTES if fields else 0


def read_pss_bytes(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0
    return 1024 * sum(int(line.split()[1]) for line in text.splitlines() if line[:4] == "Pss:")


def read_stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third (state) on; empty if the process is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()  # the name before may hold spaces and brackets


class CpuAccount:
    """Processor time between two moments: of a server, and of everything that is not the benchmark.

    Args:
        server: the one under load; the client is a child of this process, and has ended by `close`.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._started = time.monotonic()
        self._before = self._read()

    def close(self) -> tuple[float, float]:
        """Seconds that the server took, and processors that other programs kept busy meanwhile."""
        ours, client, machine = (
            after - before for after, before in zip(self._read(), self._before, strict=True)
        )
        elapsed = time.monotonic() - self._started
        return ours, max(0.0, machine - ours - client) / elapsed

    def _read(self) -> tuple[float, float, float]:
        client = sum(
            usage.ru_utime + usage.ru_stime
            for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        )
        return self._server.cpu_seconds(), client, read_busy_seconds()


def read_busy_seconds() -> float:
    """Reads the busy time of all processors since the machine started."""
    with open("/proc/stat", encoding="ascii") as stream:
        user, nice, system, _idle, _wait, *others = map(int, stream.readline().split()[1:9])
    return (user + nice + system + sum(others)) / TICKS_PER_SECOND  # others: interrupts, steal
