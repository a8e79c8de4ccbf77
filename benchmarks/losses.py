"""Speed and memory of the losses: torch, torch with huge pages, torch.compile, ours and a copy.

Each variant runs in a process of its own, and all of them take turns: a round times each variant
once, a ratio is that of one round, and what is shown is the median over the rounds. Rounds in
which a process waited for a processor are left out where enough others remain.

    make bench-losses                                  # everything: under ten minutes
    python benchmarks/losses.py --quick                # small sizes, to see whether it works
    python benchmarks/losses.py --only "1000" --rounds 3
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any

from loss_cases import (
    CASES,
    COMPILED,
    COPY,
    EAGER,
    HUGE,
    MEMORY_CASES,
    MEMORY_SLACK,
    OURS,
    PASSES,
    PLAIN,
    SMALL_BOUND,
    SMALL_CASES,
    TRAINING_CASES,
    Case,
    Goal,
    Memory,
    Training,
)

from study import RESULTS, machine

HERE = Path(__file__).parent
HUGE_PAGES = "THP_MEM_ALLOC_ENABLE"  # torch's own switch, read when a process starts
MOST_WAITING = 0.03  # of the time of a round, for it to count as undisturbed
FEWEST_ROUNDS = 3
MOST_SECONDS = 15  # for the rounds of one case, once there are enough of them
QUICK = 64  # how many times smaller
PAUSE = 0.03  # seconds, in which the waiting threads of the last process stop spinning


class Worker:
    """A process that times one variant."""

    def __init__(self, variant: str, threads: int) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        environment.pop(HUGE_PAGES, None)
        if variant == HUGE:
            environment[HUGE_PAGES] = "1"
        self.variant = variant
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "loss_worker.py"), variant],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """The worker's answer; {"error": ...} where it failed."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        answer: dict[str, Any] = json.loads(line) if line else {"error": "the process has ended"}
        return answer

    def close(self) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()


@contextmanager
def workers(variants: Iterable[str], threads: int) -> Iterator[dict[str, Worker]]:
    """One process for each variant."""
    with ExitStack() as stack:
        started = {}
        for variant in variants:
            started[variant] = Worker(variant, threads)
            stack.callback(started[variant].close)
        yield started


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def fields_of(case: Case) -> list[Any]:
    return [case.name, case.loss, case.shape, case.dtype, case.options]


def measure_speed(
    cases: list[Case], team: dict[str, Worker], options: argparse.Namespace
) -> list[dict[str, Any]]:
    """Every case, forward + backward and forward."""
    rows = []
    for case in cases:
        say(f"  {case.loss} {case.name}")
        ready = prepare(team, case.variants, "prepare", case=fields_of(case))
        for name in PASSES:
            # What a forward pass moves is no copy: there is nothing that it writes.
            variants = [one for one in ready if one != COPY or name == PASSES[0]]
            measured = take_turns({one: team[one] for one in variants}, name, options)
            goals = [] if options.quick else case.goals.get(name, ())
            rows.append({
                "case": case.name, "loss": case.loss, "dtype": case.dtype, "pass": name,
                **measured, "goals": judge(goals, measured["ratios"]),
            })  # fmt: skip
    return rows


def prepare(
    team: dict[str, Worker], variants: Iterable[str], do: str, **arguments: Any
) -> list[str]:
    """Make inputs; the variants that could."""
    ready = []
    for variant in variants:
        answer = team[variant].ask(do, **arguments)
        if "error" in answer:
            say(f"    {variant}: {answer['error']}")
        else:
            ready.append(variant)
    return ready


def take_turns(team: dict[str, Worker], name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of each variant and ratios to ours, medians over rounds."""
    failed: dict[str, str] = {}
    rounds: list[dict[str, Any]] = []
    start = time.perf_counter()
    while len(rounds) < options.rounds:
        if len(rounds) >= FEWEST_ROUNDS and time.perf_counter() - start > MOST_SECONDS:
            break
        answers = {}
        for variant, worker in team.items():
            if variant in failed:
                continue
            time.sleep(PAUSE)
            answer = worker.ask("time", **{"pass": name, "budget": options.budget})
            if "error" in answer:
                failed[variant] = answer["error"]
                say(f"    {variant}: {answer['error']}")
            else:
                answers[variant] = answer
        rounds.append(answers)
    quiet = [
        answers for answers in rounds
        if all(answer["waited"] < MOST_WAITING for answer in answers.values())
    ]  # fmt: skip
    used = quiet if len(quiet) >= FEWEST_ROUNDS else rounds
    names = [variant for variant in team if variant not in failed]
    seconds = {one: statistics.median(turn[one]["seconds"] for turn in used) for one in names}
    ratios = {
        f"{over}/{under}": statistics.median(
            turn[over]["seconds"] / turn[under]["seconds"] for turn in used
        )
        for over, under in ratios_of(names)
    }
    return {
        "seconds": seconds, "ratios": ratios, "failed": failed,
        "rounds": len(used), "quiet_rounds": len(quiet),
    }  # fmt: skip


def ratios_of(names: list[str]) -> list[tuple[str, str]]:
    """Which ratios there are: theirs over ours, and ours over a bound."""
    pairs = [(EAGER, OURS), (HUGE, OURS), (COMPILED, OURS), (OURS, COPY), (OURS, PLAIN)]
    return [pair for pair in pairs if pair[0] in names and pair[1] in names]


def judge(goals: Iterable[Goal], ratios: dict[str, float]) -> list[dict[str, Any]]:
    """Each goal beside what was measured."""
    judged = []
    for goal in goals:
        name = f"{goal.over}/{goal.under}"
        ratio = ratios.get(name)
        judged.append({
            "ratio": name, "bound": goal.bound, "at_least": goal.at_least, "measured": ratio,
            "met": ratio is not None and goal.is_met(ratio),
        })  # fmt: skip
    return judged


def measure_small(
    cases: list[Case], worker: Worker, options: argparse.Namespace
) -> list[dict[str, Any]]:
    """Our time over torch's for small inputs, forward + backward."""
    rows = []
    rounds, calls = (5, 20) if options.quick else (60, 200)
    for case in cases:
        answer = worker.ask("small", case=fields_of(case), rounds=rounds, calls=calls)
        if "error" in answer:
            say(f"    {case.name}: {answer['error']}")
        else:
            met = answer["ratio"] <= SMALL_BOUND
            rows.append({"case": case.name, "loss": case.loss, **answer, "bound": SMALL_BOUND,
                         "met": met})  # fmt: skip
    return rows


def measure_training(
    trainings: list[Training], team: dict[str, Worker], options: argparse.Namespace
) -> list[dict[str, Any]]:
    """One step of a whole model."""
    rows = []
    for training in trainings:
        say(f"  {training.name}")
        ready = prepare(team, training.variants, "prepare_training", training=list(training))
        measured = take_turns({one: team[one] for one in ready}, "step", options)
        rows.append({"case": training.name, "rows": training.rows, "widths": training.widths,
                     **measured})  # fmt: skip
    return rows


def measure_memory(memories: list[Memory], options: argparse.Namespace) -> list[dict[str, Any]]:
    """Peak memory of forward + backward, each in a fresh process, as a multiple of the gradient."""
    rows = []
    for case, exception in memories:
        say(f"  {case.loss} {case.name}")
        answers = {}
        for variant in (EAGER, OURS):
            with workers([variant], options.threads) as team:
                answers[variant] = team[variant].ask("memory", case=fields_of(case))
        failed = {one: answer["error"] for one, answer in answers.items() if "error" in answer}
        if failed:
            say(f"    {failed}")
            continue
        multiples = {one: answer["extra"] / answer["gradient"] for one, answer in answers.items()}
        bound = MEMORY_SLACK + side_bytes(case, options.threads) / answers[OURS]["gradient"]
        rows.append({
            "case": case.name, "loss": case.loss, "multiples": multiples, "bound": bound,
            "met": multiples[OURS] <= bound, "exception": exception,
            "peak_could_be_reset": answers[OURS]["reset"],
        })  # fmt: skip
    return rows


def side_bytes(case: Case, threads: int) -> int:
    """What a loss may keep beside the gradient: a few numbers a row, and rows for each thread."""
    if len(case.shape) == 1:
        return 0
    classes = case.shape[1]
    return 4 * (4 * case.elements // classes + 4 * threads * classes)


def show_speed(rows: list[dict[str, Any]]) -> None:
    print(f"\n{'':44}{'ours, ms':>10}{'eager':>9}{'huge':>9}{'compile':>9}{'copies':>9}  goals")
    for row in rows:
        ratios = row["ratios"]
        cells = "".join(
            f"{ratios[name]:9.2f}" if name in ratios else f"{'':9}"
            for name in ("eager/ours", "huge_pages/ours", "compile/ours", "ours/copy")
        )
        short = "BCE " if row["loss"].startswith("binary") else "CE "
        name = short + row["case"] + (", f+b" if row["pass"] == PASSES[0] else ", f")
        ours = row["seconds"].get(OURS, float("nan")) * 1e3
        print(f"{name:44}{ours:10.3f}{cells}  {goals_text(row['goals'])}")


def goals_text(goals: list[dict[str, Any]]) -> str:
    parts = []
    for goal in goals:
        sign = ">=" if goal["at_least"] else "<="
        measured = "nothing" if goal["measured"] is None else f"{goal['measured']:.2f}"
        verdict = "" if goal["met"] else " MISSED"
        parts.append(f"{goal['ratio']} {sign} {goal['bound']:g}: {measured}{verdict}")
    return "; ".join(parts)


def show_others(document: dict[str, Any]) -> None:
    print(f"\n{'small inputs, f+b':44}{'torch, us':>10}{'ours/torch':>11}  <= {SMALL_BOUND}")
    for row in document["small"]:
        verdict = "" if row["met"] else "  MISSED"
        name = f"{row['loss']} {row['case']}"
        print(f"{name:44}{row['seconds'] * 1e6:10.1f}{row['ratio']:11.3f}{verdict}")
    print(f"\n{'one training step':44}{'ours, ms':>10}{'eager':>9}{'huge':>9}")
    for row in document["training"]:
        ratios = [
            row["ratios"].get(name, float("nan")) for name in ("eager/ours", "huge_pages/ours")
        ]
        ours = row["seconds"].get(OURS, float("nan")) * 1e3
        print(f"{row['case']:44}{ours:10.2f}" + "".join(f"{ratio:9.2f}" for ratio in ratios))
    print(f"\n{'peak memory, of the gradient':60}{'torch':>8}{'ours':>8}  goal")
    for row in document["memory"]:
        name = f"{row['loss']} {row['case']}"
        multiples = "".join(f"{row['multiples'][one]:8.2f}" for one in (EAGER, OURS))
        verdict = row["exception"] or f"<= {row['bound']:.2f}" + ("" if row["met"] else " MISSED")
        print(f"{name:60}{multiples}  {verdict}")


def commit() -> str:
    """The commit that was measured, with a mark if the sources differ from it."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=HERE, capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "..") else "")


def chosen(options: argparse.Namespace) -> Callable[[list[Any], str], list[Any]]:
    """Keeps what --only names, smaller where --quick asks for it."""

    def shrink(one: Any) -> Any:
        if not options.quick:
            return one
        if isinstance(one, Memory):
            return one._replace(case=one.case.smaller(QUICK))
        return one.smaller(QUICK)

    def choose(items: list[Any], section: str) -> list[Any]:
        named = [
            (item, item.case if isinstance(item, Memory) else item) for item in items
        ]  # fmt: skip
        wanted = options.only.lower()
        return [
            item if section == "small" else shrink(item)
            for item, case in named
            if wanted in f"{section} {getattr(case, 'loss', '')} {case.name}".lower()
        ]

    return choose


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes; no goal applies")
    parser.add_argument("--only", default="", metavar="NAME", help="sections or cases with it")
    parser.add_argument("--rounds", type=int, help="turns that each variant takes")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/losses.json")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 7)
    options.budget = 0.01 if options.quick else 0.15
    return options


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Everything that was asked for."""
    choose = chosen(options)
    with workers((EAGER, HUGE, COMPILED, OURS, COPY, PLAIN), options.threads) as team:
        copy = team[COPY].ask("describe")["copy"]
        say("Speed")
        speed = measure_speed(choose(CASES, "speed"), team, options)
        say("Training")
        training = measure_training(choose(TRAINING_CASES, "training"), team, options)
    say("Small inputs")
    with workers([OURS], options.threads) as team:
        small = measure_small(choose(SMALL_CASES, "small"), team[OURS], options)
    say("Memory")
    memory = measure_memory(choose(MEMORY_CASES, "memory"), options)
    return {
        "date": date.today().isoformat(), "commit": commit(), "quick": options.quick,
        "machine": {**machine(), "threads": options.threads}, "copy": copy,
        "speed": speed, "small": small, "training": training, "memory": memory,
    }  # fmt: skip


def main() -> None:
    options = parse()
    start = time.perf_counter()
    document = measure(options)
    show_speed(document["speed"])
    show_others(document)
    if document["copy"] == "copy_":
        print("\nThe copy is torch's copy_: the extension has no copy past the caches here.")
    say(f"{time.perf_counter() - start:.0f} s")
    if options.save:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "losses.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
