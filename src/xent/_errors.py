"""What xent raises when it is given something it can't use.

XentError
├── InputError (ValueError)             bad data, options or arguments: one line, one repair
└── MissingExtraError (ImportError)     an optional dependency is not installed
"""

from __future__ import annotations


class XentError(Exception):
    """Base of every error that xent raises on purpose. The message is one clear line."""


class InputError(XentError, ValueError):
    """Bad input: says what was asked of which argument, what was found, and one repair.

    Args:
        subject: the command or function and the argument, such as ``compare: --target``.
        required: what it must be, completing "must be ...".
        found: what it was, as a value rather than an adjective, completing "got ...".
        repair: one sentence that says what to do.

    >>> print(InputError("compare: --seeds", "at least 1", "0", "Give --seeds 10."))
    compare: --seeds must be at least 1; got 0. Give --seeds 10.
    """

    def __init__(self, subject: str, required: str, found: str, repair: str) -> None:
        # Kept as they came, so that the error can be pickled on its way out of a worker process.
        super().__init__(subject, required, found, repair)

    def __str__(self) -> str:
        subject, required, found, repair = self.args
        return f"{subject} must be {required}; got {found}. {repair}"


class MissingExtraError(XentError, ImportError):
    """An optional dependency is missing: names the command that installs it.

    >>> print(MissingExtraError("reading Parquet", "pyarrow", "data"))
    reading Parquet needs pyarrow, which is not installed. Run: pip install 'xent[data]'
    """

    def __init__(self, purpose: str, package: str, extra: str) -> None:
        super().__init__(purpose, package, extra)

    def __str__(self) -> str:
        purpose, package, extra = self.args
        return (
            f"{purpose} needs {package}, which is not installed. Run: pip install 'xent[{extra}]'"
        )
