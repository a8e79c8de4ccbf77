"""Trying a formulation of the user's own on a few rows, before anything is trained by it."""

from __future__ import annotations

import numpy as np

from xent._errors import InputError
from xent.study._data._columns import one_line
from xent.study._formulations import BUILT_IN, Formulation

ROWS = 3


def try_out(formulation: Formulation, classes: int) -> None:
    """Check that outputs, loss, link and contrasts fit each other and the number of classes.

    Built-in formulations pass unseen. The loss is called on outputs of 0 and ± 1.

    Raises:
        InputError: what one of them gave, and what it should have given.
    """
    if formulation.base in BUILT_IN and BUILT_IN[formulation.base].loss is formulation.loss:
        return
    outputs = _outputs(formulation, classes)
    _try_loss(formulation, outputs, classes)
    _try_link(formulation, outputs, classes)


def _outputs(formulation: Formulation, classes: int) -> int:
    try:
        found: object = formulation.outputs(classes)
    except Exception as error:
        raise _refusal(
            formulation, "outputs", "a function of the number of classes", error
        ) from error
    if not isinstance(found, int) or found < 1:
        required = "a whole number of at least 1 for every number of classes"
        raise _refusal(formulation, "outputs", required, f"{found!r} for {classes}")
    return found


def _try_loss(formulation: Formulation, n_outputs: int, classes: int) -> None:
    import torch

    values = torch.linspace(-1.0, 1.0, ROWS)[:, None].expand(ROWS, n_outputs)
    target = torch.arange(ROWS) % classes
    required = f"a tensor of one finite loss a row, shape ({ROWS},) for {ROWS} rows"
    try:
        found = formulation.loss(values.clone().requires_grad_(), target)
    except Exception as error:
        raise _refusal(formulation, "loss", required, error) from error
    if not isinstance(found, torch.Tensor):
        raise _refusal(formulation, "loss", required, type(found).__name__)
    if found.shape != (ROWS,):
        raise _refusal(formulation, "loss", required, f"shape {tuple(found.shape)}")
    if not found.requires_grad:
        raise _refusal(formulation, "loss", "differentiable", "a tensor without a gradient")
    if not bool(torch.isfinite(found).all()):
        raise _refusal(formulation, "loss", required, str(found.tolist()))


def _try_link(formulation: Formulation, n_outputs: int, classes: int) -> None:
    link = formulation.resolved_link
    required = f"a map of {n_outputs} outputs to finite log-probabilities of {classes} classes"
    try:
        found = np.asarray(link.log_probabilities(np.zeros((ROWS, n_outputs))))
        contrasts = formulation.contrasts(classes)
    except Exception as error:
        raise _refusal(formulation, f"link {link.name!r}", required, error) from error
    if found.shape != (ROWS, classes) or not np.isfinite(found).all():
        shown = f"shape {found.shape}" if found.shape != (ROWS, classes) else str(found[0].tolist())
        raise _refusal(formulation, f"link {link.name!r}", required, shown)
    if contrasts is None:
        return
    log_odds = classes if link.log_odds_of == "rest" else classes - 1
    if np.shape(contrasts) != (log_odds, n_outputs):
        raise _refusal(
            formulation,
            f"contrasts of link {link.name!r}",
            f"a matrix (log-odds, outputs) of shape ({log_odds}, {n_outputs})",
            f"shape {np.shape(contrasts)}",
        )


def _refusal(
    formulation: Formulation, part: str, required: str, found: str | Exception
) -> InputError:
    if isinstance(found, Exception):
        found = f"{type(found).__name__}: {found}"
    return InputError(
        f"formulation {formulation.name!r}: {part}",
        required,
        one_line(found),
        "See the arguments of xent.Formulation and xent.Link.",
    )
