"""One loss by every implementation on the same numbers, and whether they agree."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from xent._errors import InputError, XentError
from xent._text import printable
from xent.walkthrough._agreement import Agreement, Equality, Row
from xent.walkthrough._drawn import drawn
from xent.walkthrough._exact import exact_loss, ulps
from xent.walkthrough._feeds import stable_probabilities
from xent.walkthrough._identities import Identity, identities_in_numpy, identities_in_torch
from xent.walkthrough._implementations import Implementation, Skipped
from xent.walkthrough._in_numpy import of_definitions, of_scipy, of_sklearn
from xent.walkthrough._in_torch import of_others, of_torch, of_xent
from xent.walkthrough._inputs import Given, read_given
from xent.walkthrough._judgement import (
    exact_of_loss,
    judge,
    judge_equality,
    judge_refusal,
)
from xent.walkthrough._misuse import misuses
from xent.walkthrough._numbers import BITS

if TYPE_CHECKING:
    import mpmath

# Beyond this an exact sum of float64 rows stands for arithmetic of 240 bits, which takes minutes.
LARGEST_EXACT = 20_000
_SHOWN = 8
_ONE_OF = {
    "logits": "logit",
    "probabilities": "probability",
    "log-probabilities": "log-probability",
}
_SHORTEST_MEASUREMENT = 2e-3
_LIBRARIES: tuple[tuple[str, str, Callable[..., Iterator[Implementation]]], ...] = (
    ("NumPy, by hand", "numpy", of_definitions),
    ("SciPy", "scipy", of_scipy),
    ("scikit-learn", "scikit-learn", of_sklearn),
    ("PyTorch", "torch", of_torch),
    ("other libraries", "torch", of_others),
    ("xent.functional and xent.nn", "torch", of_xent),
)


def verify(
    logits: Any = None,
    targets: Any = None,
    *,
    probabilities: Any = None,
    log_probabilities: Any = None,
    task: str | None = None,
    loss: str | None = None,
    dtype: str | None = None,
    class_dim: int | None = None,
    size: int = 1000,
    classes: int = 3,
    kind: str | None = None,
    seed: int = 0,
    timed: bool = True,
    **options: Any,
) -> Agreement:
    """Compute one loss by every implementation on the same numbers, and say which agree.

    The definition written by hand (loop, vectorised, from logits), SciPy's ``xlogy``,
    scikit-learn's ``log_loss``, PyTorch's functions and modules, and xent's; each with its distance
    from the exact value, which comes from arithmetic of 240 bits. Then the pairs of calls that must
    be the same number, such as ``cross_entropy`` and ``nll_loss`` of ``log_softmax``, and what the
    losses give that are not for these numbers.

    Args:
        logits: outputs of the model before sigmoid or softmax: a tensor, an array, lists, text such
            as ``"1 2; 3 4"``, or the path of a .csv, .tsv, .npy, .npz or .json file. Where neither
            these nor probabilities nor log-probabilities are given, numbers are drawn.
        targets: in the same ways: labels 0 and 1 or probabilities in the shape of the outputs, or
            class indices of shape ``(N,)``.
        probabilities: instead of logits, outputs after sigmoid or softmax.
        log_probabilities: instead of logits, outputs after log-softmax.
        task: ``"binary"``, ``"multiclass"`` or ``"multilabel"``; needed where shapes don't say it.
            Where numbers are drawn, None is the first task of the loss, or ``"binary"``.
        loss: a loss of ``xent.functional`` by name; None follows from the rest.
        dtype: round the numbers to it first; None leaves them (typed ones are float64). Drawn
            numbers are float32.
        class_dim: the axis of the classes; None is PyTorch's rule.
        size: how many rows to draw.
        classes: how many classes or labels to draw.
        kind: what to draw: ``"logits"``, ``"probabilities"`` or ``"log-probabilities"``; None is
            what the loss takes.
        seed: of the draw.
        timed: whether to measure the time of a call.
        options: the other arguments of the loss by name, such as ``label_smoothing``. What doesn't
            know them is left out.

    Returns:
        Values, distances, times and verdicts. ``ok`` says whether all that must agree does.

    Raises:
        InputError: the numbers can't be read, or it isn't said what they are.
        ContractError: they don't fit the contract of the loss.
        XentError: mpmath is not installed.

    >>> agreement = verify(logits="1.1 2.2 0.5 -1.1 -2.2", targets="1 1 0 0 0", timed=False)
    >>> agreement.ok, agreement.exact
    (True, '0.3517828547896720114528125')
    >>> agreement.row("PyTorch", "F.binary_cross_entropy_with_logits").verdict
    'agrees'
    """
    given_any = (logits, probabilities, log_probabilities, targets)
    if all(each is None for each in given_any):
        if class_dim is not None:
            raise InputError(
                "verify: class_dim", "left out where numbers are drawn", repr(class_dim),
                "Classes are then on axis 1.",
            )  # fmt: skip
        given = drawn(task, kind, size, classes, seed, dtype, loss, options)
        return verified(given, timed=timed)
    given = read_given(
        logits, probabilities, log_probabilities, targets, task=task, loss=loss, dtype=dtype,
        class_dim=class_dim, **options,
    )  # fmt: skip
    return verified(given, timed=timed)


def verified(given: Given, *, timed: bool = True) -> Agreement:
    """The agreement on what was read."""
    try:
        import mpmath
    except ImportError as error:
        raise XentError(
            "verify needs mpmath for the exact value, which is not installed. "
            "Run: pip install mpmath"
        ) from error

    if given.reduction == "none":
        raise InputError(
            "verify: reduction", "'mean' or 'sum'", "'none'", "One number is compared, not many."
        )
    skipped: list[Skipped] = []
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exact = _exact(given)
        found = _implementations(given, skipped)
        rows = tuple(_row(one, given, exact, timed=timed) for one in found)
        equalities = tuple(_equality(pair, given) for pair in _identities(given, skipped))
        wrong = tuple(misuses(given))
        probabilities = stable_probabilities(given).ravel()[:_SHOWN].tolist()
    with mpmath.workprec(BITS[given.dtype]):
        rounded = float(+exact)
    return Agreement(
        loss=given.loss,
        given=_sentence(given),
        dtype=given.dtype,
        size=given.values.size,
        numbers=tuple(given.values.ravel()[:_SHOWN].tolist()),
        probabilities=tuple(probabilities),
        target_size=given.target.size,
        targets=tuple(given.target.ravel()[:_SHOWN].tolist()),
        exact=str(mpmath.nstr(exact, 25)),
        rounded=rounded,
        rows=rows,
        equalities=equalities,
        misuses=wrong,
        skipped=tuple(dict.fromkeys(skipped)),
    )


def _exact(given: Given) -> mpmath.mpf:
    import mpmath

    if given.values.size <= LARGEST_EXACT:
        return exact_loss(given)
    return mpmath.mpf(exact_of_loss(given, np.asarray(given.arguments()["input"])))


def _implementations(given: Given, skipped: list[Skipped]) -> list[Implementation]:
    """All that can be asked; what can't be imported or lacks an option is skipped, and said."""
    found: list[Implementation] = []
    for library, package, offer in _LIBRARIES:
        try:
            found.extend(offer(given, skipped))
        except ImportError as error:
            skipped.append(Skipped(library, f"{error}. Run: pip install {package}"))
    return found


def _identities(given: Given, skipped: list[Skipped]) -> Iterator[Identity]:
    if given.options or given.reduction != "mean" or not given.counted.all():
        return
    yield from identities_in_numpy(given)
    try:
        yield from identities_in_torch(given)
    except ImportError as error:
        skipped.append(Skipped("equalities of tensors", f"{error}. Run: pip install torch"))


def _number(result: Any) -> float:
    return float(result.item() if hasattr(result, "item") else result)


def _row(one: Implementation, given: Given, exact: mpmath.mpf, *, timed: bool) -> Row:
    try:
        value, error = _number(one.call()), ""
    except (ValueError, RuntimeError, TypeError) as refusal:
        value, error = math.nan, f"{type(refusal).__name__}: {' '.join(str(refusal).split())}"
    distance = ulps(value, exact, given.dtype)
    judgement = (
        judge_refusal(one, given, error)
        if error
        else judge(one, value, float(exact), distance, given)
    )
    return Row(
        library=one.library,
        name=one.name,
        takes=f"{one.feed.form}: {one.feed.shapes}",
        value=value,
        ulp=math.nan if math.isnan(value) else distance,
        seconds=_seconds(one.call) if timed and not error else None,
        verdict=judgement.verdict,
        why=judgement.why,
    )


def _seconds(call: Callable[[], Any]) -> float:
    """The time of a call: the best of three rounds, each long enough to be measured."""
    started = perf_counter()
    call()
    once = max(perf_counter() - started, 1e-7)
    calls = max(1, math.ceil(_SHORTEST_MEASUREMENT / once))
    best = math.inf
    for _ in range(3):
        started = perf_counter()
        for _ in range(calls):
            call()
        best = min(best, (perf_counter() - started) / calls)
    return best


def _equality(pair: Identity, given: Given) -> Equality:
    left, right = (_number(side.call()) for side in (pair.left, pair.right))
    judgement = judge_equality(left, right, pair, given)
    return Equality(
        library=pair.library,
        left=pair.left.name,
        left_takes=pair.left.takes,
        left_value=left,
        right=pair.right.name,
        right_takes=pair.right.takes,
        right_value=right,
        to_the_bit=pair.to_the_bit,
        ulp=_apart(left, right, given.dtype),
        verdict=judgement.verdict,
        why=judgement.why,
    )


def _apart(left: float, right: float, dtype: str) -> float:
    import mpmath

    return math.nan if math.isnan(left) else ulps(left, mpmath.mpf(right), dtype)


def _sentence(given: Given) -> str:
    shape = " x ".join(f"{length:,}" for length in given.values.shape)
    numbers = _ONE_OF[given.kind] if given.values.size == 1 else given.kind
    options = "".join(
        f", {name} {value if np.ndim(value) == 0 else 'given'}"
        for name, value in given.options.items()
    )
    source = printable(given.source)
    return (
        f"{shape} {numbers} in {given.dtype} from {source}: the {given.reduction} of "
        f"{given.loss}{options}"
    )
