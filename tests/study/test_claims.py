"""Claims: one task, one process; they end with the block or with the process."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from xent.study._runs._claims import claim


def test_a_claim_keeps_others_out_until_it_ends(tmp_path):
    with claim(tmp_path, "a") as first:
        with claim(tmp_path, "a") as second, claim(tmp_path, "b") as other:
            assert (first, second, other) == (True, False, True)
        with claim(tmp_path / "elsewhere", "a") as elsewhere:
            assert elsewhere
    with claim(tmp_path, "a") as again:
        assert again
    assert not list(tmp_path.iterdir())


def test_a_claim_ends_with_an_error(tmp_path):
    with pytest.raises(KeyboardInterrupt), claim(tmp_path, "a"):
        raise KeyboardInterrupt
    with claim(tmp_path, "a") as again:
        assert again


def test_waiting_for_a_claim(tmp_path):
    order = []

    def wait():
        with claim(tmp_path, "a", wait=True) as claimed:
            order.append(claimed)

    waiting = threading.Thread(target=wait)
    with claim(tmp_path, "a"):
        waiting.start()
        waiting.join(0.2)
        order.append("ends")
    waiting.join()
    assert order == ["ends", True]


def test_a_claim_ends_with_its_process(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from xent.study._runs._claims import claim\n"
        "held = claim(Path(sys.argv[1]), 'a'); print(held.__enter__(), flush=True); os._exit(9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False,
        env={"PYTHONPATH": ":".join(filter(None, sys.path))},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (9, "True\n")
    with claim(tmp_path, "a") as claimed:
        assert claimed


def test_without_a_place_for_locks_everything_can_be_claimed(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "none"))
    with claim(Path("run"), "a") as first, claim(Path("run"), "a") as second:
        assert first
        assert second
