"""Speed of ``xent check`` over torch's own Python source, beside ast.parse and TorchFix.

Every figure is of whole processes with one job each, so that files a second are files a second and
core. TorchFix would take an hour for the whole tree, so it reads every sixteenth file, and so does
xent in the same turn: their ratio is that of one round. Files are read once before anything is
timed. The code of xent must rest meanwhile, since a warm cache is of the very same code.

    make bench-check                             # some five minutes
    python benchmarks/check.py --full            # TorchFix over the whole tree too
    python benchmarks/check.py --skip-torchfix --rounds 1
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from datetime import date
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from study import RESULTS, machine

EVERY = 16  # of how many files one is read by TorchFix and beside it
STARTS = 9
CHECK = [
    sys.executable, "-m", "xent", "check", "--jobs", "1", "--exit-zero", "--extend-select", "ALL",
]  # fmt: skip
TORCHFIX = [sys.executable, "-m", "torchfix", "--jobs", "1", "--select", "ALL"]
PARSE = """
import ast, sys, warnings
from pathlib import Path

warnings.simplefilter("ignore")
for name in sys.stdin.read().splitlines():
    try:
        ast.parse(Path(name).read_bytes())
    except SyntaxError:  # of a newer Python
        pass
"""


def torch_files() -> list[Path]:
    """Python files of the installed torch, which is not imported for that."""
    spec = find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("torch is not installed")
    root = Path(spec.submodule_search_locations[0])
    return sorted(path for path in root.rglob("*.py") if "__pycache__" not in path.parts)


def seconds(command: list[str], text: str = "", ends_with: tuple[int, ...] = (0,)) -> float:
    """Wall seconds of a process."""
    start = time.perf_counter()
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    taken = time.perf_counter() - start
    if done.returncode not in ends_with:
        raise SystemExit(f"{command[:5]} ended with {done.returncode}: {done.stderr[-500:]}")
    return taken


def xent_rounds(root: Path, files: list[Path], rounds: int) -> dict[str, float]:
    """Cold and warm runs over the whole tree, and ast.parse alone."""
    cold, warm, parse = [], [], []
    names = "\n".join(map(str, files))
    with TemporaryDirectory() as cache:
        keep = ["--cache-dir", cache]
        seconds([*CHECK, *keep, str(root)])
        for _ in range(rounds):
            cold.append(seconds([*CHECK, "--no-cache", str(root)]))
            warm.append(seconds([*CHECK, *keep, str(root)]))
            parse.append(seconds([sys.executable, "-c", PARSE], names))
            say(f"  cold {cold[-1]:.2f} s, warm {warm[-1]:.2f} s, ast.parse {parse[-1]:.2f} s")
    many = len(files)
    return {
        "files": many,
        "size (MB)": sum(path.stat().st_size for path in files) / 1e6,
        "cold (files/s)": many / statistics.median(cold),
        "warm (files/s)": many / statistics.median(warm),
        "ast.parse alone (files/s)": many / statistics.median(parse),
        "cold / ast.parse": statistics.median(
            one / other for one, other in zip(parse, cold, strict=True)
        ),
    }


def beside_torchfix(files: list[Path], rounds: int) -> dict[str, float]:
    """The same files by both, in turns."""
    names = [str(path) for path in files]
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(seconds([*CHECK, "--no-cache", *names]))
        theirs.append(seconds([*TORCHFIX, *names], ends_with=(0, 1)))
        say(f"  {len(names)} files: xent {ours[-1]:.2f} s, TorchFix {theirs[-1]:.1f} s")
    return {
        "beside TorchFix: files": len(names),
        "beside TorchFix: xent, cold (files/s)": len(names) / statistics.median(ours),
        "TorchFix (files/s)": len(names) / statistics.median(theirs),
        "xent, cold / TorchFix": statistics.median(
            other / one for one, other in zip(ours, theirs, strict=True)
        ),
    }


def starts() -> dict[str, float]:
    """Seconds to start, with one small file and with none."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "train.py")
        file.write_text("import torch.nn.functional as F\nloss = F.cross_entropy(z, y)\n")
        commands = {
            "xent check, one file, cold (s)": [*CHECK, "--no-cache", str(file)],
            "xent check, one file, warm (s)": [*CHECK, "--cache-dir", folder, str(file)],
            "xent --help (s)": [sys.executable, "-m", "xent", "--help"],
            "python -c pass (s)": [sys.executable, "-c", "pass"],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for turn in range(STARTS + 1):
            for name, command in commands.items():
                taken = seconds(command)
                if turn:  # the first compiles, and fills the cache
                    times[name].append(taken)
    return {name: statistics.median(taken) for name, taken in times.items()}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--full", action="store_true", help="TorchFix over the whole tree too")
    parser.add_argument("--skip-torchfix", action="store_true")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/check.json")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"

    files = torch_files()
    for path in files:  # into the page cache, for all alike
        path.read_bytes()
    report = starts()
    report |= xent_rounds(Path(os.path.commonpath(files)), files, options.rounds)
    packages = ["torch"]
    if not options.skip_torchfix:
        sample = files if options.full else files[::EVERY]
        report |= beside_torchfix(sample, 1 if options.full else options.rounds)
        packages += ["torchfix", "libcst"]
    for name, value in report.items():
        print(f"{name:42} {value:10.4g}")
    if options.save:
        RESULTS.mkdir(exist_ok=True)
        document = {
            "date": date.today().isoformat(),
            "machine": machine() | {name: version(name) for name in packages},
            "results": report,
        }
        (RESULTS / "check.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
