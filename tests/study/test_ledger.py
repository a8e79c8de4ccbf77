"""The ledger: whole lines only, whatever a killed process left and whoever else is writing."""

import json
import multiprocessing
import os
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xent.study._runs._ledger import Ledger

FIRST, SECOND, THIRD = ({"key": key, "seed": seed} for seed, key in enumerate(("a", "b", "c")))

keys = st.text(max_size=8)
lines = st.builds(lambda key, note: {"key": key, "note": note}, keys, st.text(max_size=8))


def ledger_of(tmp_path, content=None):
    path = tmp_path / "run" / "trials.jsonl"
    if content is not None:
        path.parent.mkdir()
        path.write_bytes(content)
    return Ledger(path)


def text_of(*entries):
    return b"".join(json.dumps(entry).encode() + b"\n" for entry in entries)


def test_no_file_is_no_lines(tmp_path):
    assert ledger_of(tmp_path).read() == {}
    assert list(tmp_path.iterdir()) == []


def test_lines_are_appended_and_read(tmp_path):
    ledger = ledger_of(tmp_path)
    ledger.append([FIRST])
    ledger.append([SECOND, THIRD])
    assert ledger.read() == {"a": FIRST, "b": SECOND, "c": THIRD}
    assert ledger.path.read_bytes() == text_of(FIRST, SECOND, THIRD)


def test_a_line_torn_at_any_byte_is_not_there_and_harms_nothing(tmp_path):
    whole = text_of(FIRST, SECOND)
    begin = len(text_of(FIRST))
    ledger = ledger_of(tmp_path, b"")
    for size in range(begin, len(whole)):
        ledger.path.write_bytes(whole[:size])
        # All of the line but its end is a line: nothing of it is missing.
        complete = size == len(whole) - 1
        assert set(ledger.read()) == ({"a", "b"} if complete else {"a"})
        ledger.append([THIRD])
        assert set(ledger.read()) == ({"a", "b", "c"} if complete else {"a", "c"})
        ledger.append([SECOND])
        assert ledger.read() == {"a": FIRST, "b": SECOND, "c": THIRD}


def test_a_write_of_several_lines_torn_at_any_byte_keeps_the_whole_ones(tmp_path):
    whole = text_of(FIRST, SECOND, THIRD)
    ledger = ledger_of(tmp_path, b"")
    ends = [whole.index(b"}", begin) + 1 for begin in (0, 28, 54)]
    for size in range(len(whole) + 1):
        ledger.path.write_bytes(whole[:size])
        expected = [key for key, end in zip("abc", ends, strict=True) if size >= end]
        assert list(ledger.read()) == expected


@pytest.mark.parametrize(
    "piece",
    [b"\x00" * 40, b"\xff\xfe\xfa", b"12", b"[]", b'"key"', b"{}", b'{"key": 3}', b"null", b"\r"],
)
def test_what_is_no_line_counts_for_nothing(tmp_path, piece):
    ledger = ledger_of(tmp_path, text_of(FIRST) + piece)
    ledger.append([SECOND])
    assert ledger.read() == {"a": FIRST, "b": SECOND}


def test_the_first_line_of_a_key_counts(tmp_path):
    ledger = ledger_of(tmp_path)
    ledger.append([FIRST, SECOND])
    ledger.append([FIRST | {"seed": 9}])
    assert ledger.read() == {"a": FIRST, "b": SECOND}


@given(st.lists(st.lists(lines, min_size=1, max_size=3), max_size=5), st.binary(max_size=30))
def test_lines_survive_any_rubbish_before_them(tmp_path_factory, writes, rubbish):
    ledger = ledger_of(tmp_path_factory.mktemp("ledger"), rubbish)
    expected = ledger.read()
    for entries in writes:
        ledger.append(entries)
        for entry in entries:
            expected.setdefault(entry["key"], entry)
    assert ledger.read() == expected


def write_many(path, name, count):
    for number in range(count):
        Ledger(path).append([{"key": f"{name}-{number}-{part}", "x": "x" * 300} for part in "ab"])


def test_processes_and_threads_append_to_one_ledger(tmp_path):
    path = tmp_path / "trials.jsonl"
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=write_many, args=(path, name, 60)) for name in "pq"]
    writers += [threading.Thread(target=write_many, args=(path, name, 60)) for name in "tu"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(Ledger(path).read()) == 4 * 60 * 2
    whole = path.read_bytes().splitlines()
    assert len(whole) == 4 * 60 * 2
    # Lines of one write stand together.
    pairs = [json.loads(line)["key"][:-2] for line in whole]
    assert pairs[::2] == pairs[1::2]


@pytest.mark.skipif(sys.platform == "win32", reason="looks at how a lock of POSIX waits")
def test_a_writer_waits_for_the_lock(tmp_path):
    import fcntl

    ledger = ledger_of(tmp_path, b"")
    writer = threading.Thread(target=ledger.append, args=([FIRST],))
    with ledger.path.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        writer.start()
        writer.join(0.2)
        assert writer.is_alive()
        assert ledger.read() == {}
    writer.join()
    assert ledger.read() == {"a": FIRST}


def test_a_line_outlives_a_process_that_is_killed_right_after_it(tmp_path):
    code = (
        "import os, signal; from pathlib import Path; from xent.study._runs._ledger import Ledger; "
        f"Ledger(Path({str(tmp_path / 'x.jsonl')!r})).append([{{'key': 'a'}}]); os._exit(9)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", code], check=False, env=environment)
    assert done.returncode == 9
    assert set(Ledger(tmp_path / "x.jsonl").read()) == {"a"}


def test_a_full_disk(tmp_path, monkeypatch):
    """Half a line is written, then no more: the next run's lines are whole."""
    ledger = ledger_of(tmp_path)
    ledger.append([FIRST])

    def half(file, text):
        file.write(text[: len(text) // 2])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("xent.study._runs._ledger._write_whole", half)
        with pytest.raises(OSError, match="No space left"):
            ledger.append([SECOND])
    assert set(ledger.read()) == {"a"}
    ledger.append([SECOND, THIRD])
    assert set(ledger.read()) == {"a", "b", "c"}
