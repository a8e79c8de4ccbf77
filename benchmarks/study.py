"""The BCE-versus-CE study the way it was written, against xent, side by side in one run.

The way it was written: a Lightning trainer, a DataLoader over a TensorDataset, one batch of 50,000
rows, 50 epochs of Adam with validation, three models one after the other. Ours: the same data,
epochs, optimiser and validation. Every repetition of ours is a process of its own, so that nothing
is warm that a user would not have warm.

    make bench                                  # everything: about four minutes
    python benchmarks/study.py --skip-lightning # ours alone: half a minute
"""

from __future__ import annotations

import argparse
import json
import logging
import platform
import resource
import statistics
import subprocess
import sys
import time
import warnings
from datetime import date
from pathlib import Path

EPOCHS = 50
RESULTS = Path(__file__).parent / "results"


def fit_with_lightning() -> dict[str, float]:
    """Seconds of fitting each of the three models as the study did, on the CPU."""
    import pytorch_lightning as lightning
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    from xent.study import DataSpec, load_dataset

    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    data = load_dataset(DataSpec("bce-versus-ce"))
    loaders = [
        DataLoader(
            TensorDataset(torch.Tensor(part.features), torch.Tensor(part.target)),
            batch_size=len(part.target),
        )
        for part in (data.train, data.test)
    ]

    def to_pair(z: torch.Tensor) -> torch.Tensor:
        return torch.concat([torch.special.logit(1 - torch.special.expit(z)), z], dim=1)

    class Model(lightning.LightningModule):
        def __init__(self, outputs: int, criterion: torch.nn.Module, pair: bool) -> None:
            super().__init__()
            self.classifier = torch.nn.Linear(4, outputs)
            self.criterion = criterion
            self.binary = isinstance(criterion, torch.nn.BCEWithLogitsLoss)
            self.pair = pair

        def loss(self, batch: list[torch.Tensor]) -> torch.Tensor:
            x, y = batch
            z = self.classifier(x)
            if self.binary:
                return self.criterion(z.flatten(), y)
            return self.criterion(to_pair(z) if self.pair else z, y.long())

        def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
            loss = self.loss(batch)
            self.log("train_loss", loss, prog_bar=True, on_step=True)
            return loss

        def validation_step(self, batch: list[torch.Tensor], _: int) -> None:
            self.log("val_loss", self.loss(batch), prog_bar=True, on_step=True)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), lr=0.1)

    seconds = {}
    for name, outputs, criterion, pair in (
        ("bce", 1, torch.nn.BCEWithLogitsLoss(), False),
        ("ce1", 1, torch.nn.CrossEntropyLoss(), True),
        ("ce2", 2, torch.nn.CrossEntropyLoss(), False),
    ):
        model = Model(outputs, criterion, pair)
        start = time.perf_counter()
        trainer = lightning.Trainer(
            max_epochs=EPOCHS,
            accelerator="cpu",
            enable_progress_bar=False,
            enable_model_summary=False,
            logger=False,
            enable_checkpointing=False,
        )
        trainer.fit(model, *loaders)
        seconds[name] = time.perf_counter() - start
        print(f"  lightning {name}: {seconds[name]:.1f} s", flush=True)
    return seconds


def run_ours(seeds: int) -> dict[str, float]:
    """One ``xent demo`` in a process of its own: fit seconds, wall seconds, peak megabytes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    start = time.perf_counter()
    code = (
        "import resource, sys; from xent.cli import main\n"
        "try: main(['demo', '--json', '--quiet', '--seeds', sys.argv[1]])\n"
        "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(seeds)], capture_output=True, text=True, check=True
    )
    wall = time.perf_counter() - start
    results = json.loads(done.stdout)
    return {
        "fit": sum(f["fit_seconds"] for f in results["formulations"].values()),
        "wall": wall,
        "user": resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before,
        "megabytes": float(done.stderr.split()[-1]),
    }


def time_command(*arguments: str) -> float:
    """Wall seconds of a command."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "xent", *arguments], capture_output=True, check=True)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--skip-lightning", action="store_true")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/study.json")
    options = parser.parse_args()

    run_ours(1)  # compiles bytecode and fills the page cache
    ours: dict[int, list[dict[str, float]]] = {1: [], 20: []}
    for _ in range(options.repeats):
        for seeds, runs in ours.items():
            runs.append(run_ours(seeds))
    helps = [time_command("--help") for _ in range(options.repeats)]
    demo = [time_command("demo", "--seeds", "1", "--quiet") for _ in range(options.repeats)]
    lightning = {} if options.skip_lightning else fit_with_lightning()

    def median(seeds: int, what: str) -> float:
        return statistics.median(run[what] for run in ours[seeds])

    report = {
        "fit, 3 models, 1 seed (s)": median(1, "fit"),
        "fit, 3 models, 20 seeds (s)": median(20, "fit"),
        "fit, 20 seeds / 1 seed": median(20, "fit") / median(1, "fit"),
        "process, 1 seed (s)": median(1, "wall"),
        "process, 20 seeds (s)": median(20, "wall"),
        "process, 20 seeds / 1 seed": median(20, "wall") / median(1, "wall"),
        "xent demo --seeds 1, whole process (s)": statistics.median(demo),
        "xent --help (s)": statistics.median(helps),
        "peak memory, 1 seed (MB)": median(1, "megabytes"),
        "peak memory, 20 seeds (MB)": median(20, "megabytes"),
    }
    if lightning:
        total = sum(lightning.values())
        report["as written, 3 models (s)"] = total
        report["as written / ours, fit"] = total / median(1, "fit")
    for name, value in report.items():
        print(f"{name:42} {value:10.4g}")
    if options.save:
        RESULTS.mkdir(exist_ok=True)
        document = {"date": date.today().isoformat(), "machine": machine(), "results": report}
        (RESULTS / "study.json").write_text(json.dumps(document, indent=1) + "\n")


def machine() -> dict[str, object]:
    """What the figures were measured on."""
    import numpy
    import torch

    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
         if line.startswith("model name")),
        platform.processor(),
    )  # fmt: skip
    return {
        "processor": model,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
    }


if __name__ == "__main__":
    main()
