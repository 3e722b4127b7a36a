import os
import subprocess
import sys

from loadtests.measuring.processes import list_tree, read_cpu_seconds, read_rss_bytes, read_stat


def test_tree_holds_a_process_and_its_children() -> None:
    command = [sys.executable, "-c", "print('up', flush=True); input()"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        tree = list_tree(os.getpid())
        assert child.pid in tree
        assert read_cpu_seconds(child.pid) >= 0.0
        assert read_rss_bytes(child.pid) > 2**20
        child.communicate("\n")
    assert read_stat(child.pid) == []
    assert read_cpu_seconds(child.pid) == 0.0
