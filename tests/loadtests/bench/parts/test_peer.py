"""The client of CTranslate2's process, against processes that answer or end."""

import stat
import sys
from pathlib import Path

import pytest

from loadtests.bench.parts.peer import CTranslate2, PeerError

ANSWERS = """#!{python}
import json, sys
print(json.dumps({{"num_parameters": int(sys.argv[3]), "version": "1"}}), flush=True)
for line in sys.stdin:
    order = json.loads(line)
    tokens = sum(target for _, target in order["lengths"])
    rate = tokens * order["rows"] * order["layout"][0]
    print(json.dumps({{"tokens_per_second": rate}}), flush=True)
"""


def write_program(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_orders_are_answered_in_turn_by_one_process(tmp_path: Path) -> None:
    python = write_program(tmp_path / "python", ANSWERS.format(python=sys.executable))

    with CTranslate2(python, vocab_size=300) as peer:
        rates = [peer.time_lengths((2, 1), rows, [(5, 3), (4, 4)]) for rows in (1, 16)]

    assert peer.about == {"num_parameters": 300, "version": "1"}
    assert rates == [14.0, 224.0]


def test_a_process_without_ctranslate2_fails_with_its_status(tmp_path: Path) -> None:
    python = write_program(tmp_path / "python", "#!/bin/sh\nexit 3\n")

    with pytest.raises(PeerError, match="ended with status 3"):
        CTranslate2(python, vocab_size=300)
