"""What xent raises when it is given something it can't use.

XentError
├── InputError (ValueError)             bad data, options or arguments: one line, one repair
│   └── ContractError                   an argument of a loss; also of the type torch raises there
├── MissingExtraError (ImportError)     an optional dependency is not installed
└── WiringError                         a batch shows that a loss is given the wrong thing

LossWarning (UserWarning) says the same of a batch without stopping the program.
"""

from __future__ import annotations

from functools import cache


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


class ContractError(InputError):
    """An argument that a loss can't use: says which, what it must be, what it was, and one repair.

    What is raised is a ContractError and also of the type that PyTorch raises for the same mistake
    (IndexError, RuntimeError, TypeError, ...), so that code written for PyTorch catches it.

    Args:
        loss: the function, such as ``cross_entropy``.
        argument: its argument, such as ``target``.
        required: what it must be, completing "must be ...".
        found: what it was, as a value rather than an adjective, completing "got ...".
        repair: one sentence that says what to do.
        code: the code of the fault, such as ``XE416``; the reference of the losses lists them.

    >>> print(ContractError("cross_entropy", "weight", "a tensor of shape (5,)", "shape (4,)",
    ...                     "Give one weight for each of the 5 classes.", "XE412"))
    cross_entropy: weight must be a tensor of shape (5,); got shape (4,). Give one weight for each
    of the 5 classes. [XE412]
    """

    def __init__(
        self, loss: str, argument: str, required: str, found: str, repair: str, code: str
    ) -> None:
        super().__init__(f"{loss}: {argument}", required, found, repair)
        self.args = (loss, argument, required, found, repair, code)

    def __str__(self) -> str:
        loss, argument, required, found, repair, code = self.args
        return f"{loss}: {argument} must be {required}; got {found}. {repair} [{code}]"

    def __reduce__(self) -> tuple[object, ...]:
        # The class may be one that contract_error_class made, which pickle can't find by its name.
        also = tuple(
            base for base in type(self).__bases__ if base not in (ContractError, InputError)
        )
        return _unpickled, (also, self.args)

    @property
    def code(self) -> str:
        """The code of the fault, such as ``XE416``."""
        return str(self.args[-1])


@cache
def contract_error_class(also: tuple[type[Exception], ...] = ()) -> type[ContractError]:
    """The ContractError that is also of the given types.

    >>> issubclass(contract_error_class((IndexError,)), (ContractError))
    True
    >>> contract_error_class((IndexError,)).__name__
    'ContractIndexError'
    """
    new = tuple(kind for kind in also if not issubclass(ContractError, kind))
    if not new:
        return ContractError
    name = "Contract" + "Or".join(kind.__name__.removesuffix("Error") for kind in new) + "Error"
    return type(
        name, (ContractError, *new), {"__module__": __name__, "__doc__": ContractError.__doc__}
    )


def _unpickled(also: tuple[type[Exception], ...], args: tuple[str, ...]) -> ContractError:
    return contract_error_class(also)(*args)


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


class WiringError(XentError):
    """A loss is given the wrong thing: says of each fault what was seen and what to do.

    Args:
        text: the faults, one after the other.
        report: the report of the check that found them.

    >>> str(WiringError("XE110: input has one class."))
    'XE110: input has one class.'
    """

    def __init__(self, text: str, report: object = None) -> None:
        super().__init__(text, report)

    def __str__(self) -> str:
        return str(self.args[0])

    @property
    def report(self) -> object:
        """The report with all that was checked."""
        return self.args[1]


class LossWarning(UserWarning):
    """A loss seems to be given the wrong thing; training goes on."""
