"""A pool of worker processes for tasks: fresh ones, that end when this one does."""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, connection, get_context, parent_process

import torch

from xent._errors import InputError
from xent.study._data._columns import one_line


@contextmanager
def worker_processes(tasks: Sequence[object], jobs: int) -> Iterator[Executor]:
    """A pool of fresh processes that share the threads of this one.

    Args:
        tasks: what they will be sent.
        jobs: how many.

    Raises:
        InputError: a formulation or factory that can't be sent to another process.
    """
    _check_portable(tasks, jobs)
    threads = max(1, torch.get_num_threads() // jobs)
    others = active_children()
    with ProcessPoolExecutor(
        jobs, get_context("spawn"), initializer=_begin, initargs=(threads,)
    ) as pool:
        try:
            yield pool
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in active_children():
                if worker not in others:
                    worker.terminate()
            raise
        except BrokenProcessPool as error:
            raise InputError(
                "compare: jobs",
                "1 in a script whose work is not below ``if __name__ == '__main__':``",
                f"{jobs} and a worker process that ended before its work was done",
                "Guard the script's entry so, or leave jobs at 1.",
            ) from error


def _check_portable(tasks: Sequence[object], jobs: int) -> None:
    try:
        pickle.dumps(tasks)
    except Exception as error:
        raise InputError(
            "compare: jobs",
            "1 for formulations and models that can't be sent to another process",
            one_line(f"{jobs}, {type(error).__name__}: {error}"),
            "Make them of functions of a module rather than lambdas, or leave jobs at 1.",
        ) from error


def _begin(threads: int) -> None:
    torch.set_num_threads(threads)
    # Ctrl-C goes to all processes of a terminal; the one that started the others ends them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    """Wait until the parent is gone, however it went: nobody reads what this process does then."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
