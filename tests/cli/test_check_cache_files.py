"""The folder of the cache: broken, of another version, not writable, written by two at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import xent

from xent.wiring import Report, check_paths
from xent.wiring._files import _cache as cache_module
from xent.wiring._files._cache import cache_folder
from xent.wiring._files._plain import plain, rebuilt
from xent.wiring._finding import Edit, Finding, Fix, Related
from xent.wiring._places import Place

FAULT = "import torch.nn.functional as F\nloss = F.cross_entropy(z.softmax(1), y)\n"
CLEAN = "import torch.nn as nn\nloss = nn.CrossEntropyLoss()(nn.Linear(2, 2)(x), y)\n"
LIKE_PYTEST = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XENT_CACHE_DIR", raising=False)
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    (tmp_path / "bad.py").write_text(FAULT)
    (tmp_path / "good.py").write_text(CLEAN)
    return tmp_path


def kept(folder: Path) -> Path:
    (file,) = (folder / ".xent_cache").glob("check-*.json")
    return file


def codes(report: Report) -> list[str]:
    return [finding.code for finding in report.findings]


def test_the_folder_stands_beside_the_settings_and_keeps_out_of_the_way(project: Path) -> None:
    (project / "parts").mkdir()
    (project / "parts" / "more.py").write_text(CLEAN)
    assert xent("check", "parts").code == 0
    folder = project / ".xent_cache"
    assert (folder / ".gitignore").read_text() == "*\n"
    tag = (folder / "CACHEDIR.TAG").read_text()
    assert tag.startswith("Signature: 8a477f597d28d172789f06886806bc55\n")
    assert sorted(path.name for path in folder.iterdir())[2:] == [kept(project).name]
    assert not (project / "parts" / ".xent_cache").exists()


def test_where_the_folder_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a" / "pyproject.toml").touch()
    assert cache_folder([inner]) == tmp_path / "a" / ".xent_cache"
    (inner / ".git").mkdir()
    assert cache_folder([inner / "x.py"]) == inner / ".xent_cache"


OPTIONS = {
    (): ".xent_cache",
    ("--cache-dir", "other"): "other",
    ("--no-cache",): None,
    ("--no-cache", "--cache-dir", "other"): None,
}


@pytest.mark.parametrize("options", OPTIONS)
def test_options_say_whether_and_where(options: tuple[str, ...], project: Path) -> None:
    before = set(project.iterdir())
    for _ in range(2):
        assert xent("check", ".", *options).code == 1
    new = {path.name for path in set(project.iterdir()) - before}
    assert new == ({OPTIONS[options]} if OPTIONS[options] else set())


def test_the_environment_says_where(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XENT_CACHE_DIR", str(project / "there"))
    xent("check", ".")
    assert list((project / "there").glob("check-*.json"))
    assert not (project / ".xent_cache").exists()


def test_a_folder_that_was_there_gets_no_marks(project: Path) -> None:
    xent("check", ".", "--cache-dir", ".")
    assert not (project / ".gitignore").exists()
    assert list(project.glob("check-*.json"))


def damaged(whole: bytes) -> dict[str, bytes]:
    head, _, body = whole.partition(b"\n")
    words = head.split()
    return {
        "empty": b"",
        "cut": whole[: len(whole) // 2],
        "one byte": whole.replace(b"XE101", b"XE102"),
        "no JSON": b"\0\xff" * 50,
        "another version": b" ".join([*words[:2], b"0" * 32, *words[3:]]) + b"\n" + body,
        "no list": signed(words, b"{}"),
        "deep": signed(words, b"[" * 100_000),
        "wrong numbers": signed(words, json.dumps(with_numbers(body)).encode()),
        "wrong fields": signed(words, json.dumps(with_fields(body)).encode()),
    }


def signed(words: list[bytes], body: bytes) -> bytes:
    from xent.wiring._files._contents import digest

    return b" ".join([*words[:3], digest(body).encode()]) + b"\n" + body


def with_numbers(body: bytes) -> list[object]:
    needs, lookups, stamps, readings = json.loads(body)
    return [needs, lookups, stamps, [[names, [999], words, it] for names, _, words, it in readings]]


def with_fields(body: bytes) -> list[object]:
    needs, lookups, stamps, readings = json.loads(body)
    return [needs, lookups, stamps, [[*rest, [1, 2]] for *rest, _ in readings]]


DAMAGES = ["empty", "cut", "one byte", "no JSON", "another version", "no list", "deep",
           "wrong numbers", "wrong fields"]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_broken_file_is_ignored_and_written_again(damage: str, project: Path) -> None:
    cache = project / ".xent_cache"
    first = check_paths(["."], cache=cache)
    whole = kept(project).read_bytes()
    broken = damaged(whole)
    assert list(broken) == DAMAGES
    kept(project).write_bytes(broken[damage])
    second = check_paths(["."], cache=cache)
    assert second == first
    assert codes(second) == ["XE101"]
    assert kept(project).read_bytes() == whole


def test_another_checker_gives_no_old_results(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_paths(["."], cache="kept")
    monkeypatch.setattr(cache_module, "fingerprint", lambda: "0" * 32)
    read: list[object] = []
    monkeypatch.setattr(cache_module.Cache, "add", lambda self, result: read.append(result))
    check_paths(["."], cache="kept")
    assert len(read) == 2


def test_the_fingerprint_is_of_version_code_and_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = cache_module.fingerprint.__wrapped__
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "_a.py").write_text("1")
    monkeypatch.setattr(cache_module, "__file__", str(tmp_path / "_files" / "_cache.py"))
    seen = {real()}
    (tmp_path / "rules" / "_a.py").write_text("2")
    seen.add(real())
    (tmp_path / "rules" / "_a.py").rename(tmp_path / "_a.py")
    seen.add(real())
    monkeypatch.setattr(sys, "version", "4.0")
    seen.add(real())
    monkeypatch.setattr("xent.__version__", "999")
    seen.add(real())
    assert len(seen) == 5


def test_where_nothing_can_be_written_it_goes_on(project: Path) -> None:
    (project / "taken").write_text("a file")
    for options in ((), ("--verbose",)):
        ended = xent("check", ".", "--cache-dir", "taken", *options)
        assert ended.code == 1
        assert ("Results are not kept: " in ended.err) == bool(options)


def test_what_is_deleted_is_forgotten(project: Path) -> None:
    check_paths(["."], cache=project / ".xent_cache")
    assert b"bad.py" in kept(project).read_bytes()
    (project / "bad.py").unlink()
    (project / "good.py").write_text(CLEAN + "\n")
    check_paths(["."], cache=project / ".xent_cache")
    assert b"bad.py" not in kept(project).read_bytes()


def test_old_files_of_the_cache_are_deleted_and_others_never(project: Path) -> None:
    cache = project / ".xent_cache"
    cache.mkdir()
    for name in ("check-old.json", "writing-old", "notes.txt"):
        (cache / name).touch()
        os.utime(cache / name, (0, 0))
    (cache / "check-new.json").touch()
    check_paths(["."], cache=cache)
    names = {path.name for path in cache.iterdir()}
    assert names >= {"check-new.json", "notes.txt"}
    assert names.isdisjoint({"check-old.json", "writing-old"})


def test_two_at_once_leave_a_whole_file_with_the_findings_of_both(project: Path) -> None:
    for number in range(12):
        (project / f"more_{number}.py").write_text(FAULT)
    files = [path.name for path in project.glob("*.py")]
    halves = [files[:7], files[7:]]
    # Files of one folder share a file of the cache, whichever of them are given.
    runs = [
        subprocess.Popen(
            [sys.executable, "-m", "xent", "check", *half, "-f", "concise"], env=LIKE_PYTEST,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for half in halves * 3
    ]  # fmt: skip
    outputs = [run.communicate(timeout=60)[0] for run in runs]
    assert len(set(outputs)) == 2
    assert sum(text.count("XE101") for text in set(outputs)) == 13
    for half, output in zip(halves, outputs, strict=False):
        ended = xent("check", *half, "-f", "concise")
        assert ended.out == output
    assert len(list((project / ".xent_cache").iterdir())) == 3


def test_what_was_found_before_an_interrupt_is_kept(project: Path) -> None:
    seen: list[int] = []

    def interrupt(done: int, files: int) -> None:
        seen.append(done)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check_paths(["."], cache=".xent_cache", progress=interrupt)
    assert seen == [1]
    assert b"bad.py" in kept(project).read_bytes()


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_ends_at_once_with_130_and_keeps_what_was_found(project: Path) -> None:
    body = "".join(f"    z = F.relu(z + {number})\n" for number in range(100))
    for number in range(600):
        text = f"import torch\nimport torch.nn.functional as F\n\ndef f{number}(z, y):\n{body}"
        (project / f"m{number}.py").write_text(text + "    return F.cross_entropy(z, y)\n")
    code = (
        "from xent.cli import _progress, main\n"
        "_progress.ProgressLine.__call__ = lambda self, done, of: print(done, of, flush=True)\n"
        "main(['check', '.', '--jobs', '2'])\n"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", code], env=LIKE_PYTEST, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert run.stdout is not None
    assert run.stdout.readline() == "1 602\n"
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does, to all processes
    output, errors = run.communicate(timeout=60)
    assert (run.returncode, errors.strip()) == (130, "Interrupted.")
    assert "602 602" not in output
    assert b".py" in kept(project).read_bytes()


def test_findings_with_all_that_they_have_come_back() -> None:
    place = Place("ü\udc80.py", 3, 1, 2, 3, 4)
    fix = Fix("Remove softmax", (Edit(place, "z"),), True)
    finding = Finding(place, "XE1", "a", "error", "b", "c", (Related(place, "d"),), fix)
    back = rebuilt(Finding, json.loads(json.dumps(plain(finding))))
    assert (back, back.fix) == (finding, fix)
    for data in ([], None, [1] * 8, plain(finding)[:-1], [*plain(finding)[:-1], 5]):
        with pytest.raises(ValueError, match=r"^(no|not) "):
            rebuilt(Finding, data)
