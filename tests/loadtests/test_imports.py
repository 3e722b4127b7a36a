"""What happens when the modules are imported, as pytest does while it collects."""

import subprocess
import sys

from loadtests.measuring.places import ROOT

IMPORT_ALL = """
import importlib, pkgutil, sys
import loadtests

CONTESTANTS = "loadtests.bench.contestants"
PROGRAMS = ("loadtests.locustfile", f"{CONTESTANTS}.app_", f"{CONTESTANTS}.transformer")

def watch(event, arguments):
    if event in ("open", "os.listdir", "os.scandir") and "models/repository" in str(arguments[0]):
        print("reads", arguments[0])

sys.addaudithook(watch)
names = [each.name for each in pkgutil.walk_packages(loadtests.__path__, "loadtests.")]
for name in names:
    if not name.startswith(PROGRAMS):
        importlib.import_module(name)
print("imported", "loadtests.bench.workloads.shape_model" in sys.modules)
"""


def test_no_module_reads_models_when_it_is_imported() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == "imported True\n"
