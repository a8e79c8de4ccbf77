"""Arrays against the contract of a loss: first their shapes, then their values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent._contracts import Contract, Domain
from xent._errors import InputError
from xent._symptoms import row_sum_tolerance
from xent.walkthrough._numbers import BITS, Array, Numbers
from xent.walkthrough._refusals import axis_of_one, place, refuse

Shape = tuple[int, ...]


def takes_rows(contract: Contract) -> bool:
    """Whether a loss is one of rows: one class out of several for each."""
    return "classes" in contract.argument("input").forms[0].shape


def takes_class_probabilities(contract: Contract) -> bool:
    """Whether the target of a loss may be a distribution over the classes."""
    return any(domain.name == "class probability" for domain in contract.argument("target").domains)


def check_options(contract: Contract, options: Mapping[str, Any]) -> None:
    """Options that the loss has, in their domains."""
    known = {argument.name: argument for argument in contract.arguments}
    for name, value in options.items():
        if name in ("input", "target"):
            raise InputError(
                f"{contract.name}: {name}", "left out", repr(value),
                "Give the numbers as logits, probabilities or log-probabilities, and targets.",
            )  # fmt: skip
        if name not in known:
            listed = ", ".join(option for option in known if option not in ("input", "target"))
            raise InputError(
                f"{contract.name}: {name}", "left out", repr(value), f"Its options are {listed}."
            )
        domain = known[name].domains[0]
        if domain.choices and value not in domain.choices:
            listed = " or ".join(repr(choice) for choice in domain.choices)
            _unknown_choice(contract, name, value, listed, domain.choices)
        if known[name].forms[0].shape not in ("", "()") or domain.choices:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            refuse(contract, "option-type", name, repr(value), kind="a number", example="1.0")
        switched_off = name == "alpha" and value == -1
        if not (domain.contains(value) or switched_off):
            _option_out_of_range(contract, name, value, domain)
    if options.get("normalizer") is not None and options.get("reduction", "mean") != "mean":
        refuse(contract, "normalizer-without-mean", "reduction", repr(options["reduction"]))


def _unknown_choice(
    contract: Contract, name: str, value: Any, listed: str, choices: tuple[str, ...]
) -> None:
    from difflib import get_close_matches

    near = get_close_matches(str(value).lower(), choices, n=1, cutoff=0.0)[0]
    refuse(contract, "unknown-choice", name, repr(value), choices=listed, nearest=near)


def _option_out_of_range(contract: Contract, name: str, value: Any, domain: Domain) -> None:
    if name == "label_smoothing":
        refuse(contract, "smoothing-out-of-range", name, repr(value))
    if domain.whole:
        refuse(contract, "option-type", name, repr(value), kind="an int", example="-1")
    example = contract.argument(name).default
    example = "1.0" if example == "None" else example
    interval = f"in {domain.interval}"
    refuse(contract, "option-out-of-range", name, repr(value), interval=interval, example=example)


def check_input_dtype(contract: Contract, values: Numbers, target: Numbers) -> None:
    """Floats, unless the numbers were typed: then nobody has chosen a dtype."""
    if values.typed or not values.whole:
        return
    if not (target.typed or target.whole):
        refuse(contract, "swapped-arguments", "input", f"shape {values.values.shape}")
    refuse(contract, "input-not-floating", "input", values.source)


def class_axis(contract: Contract, shape: Shape, class_dim: int | None) -> int:
    """The axis of the classes, by PyTorch's rule where nothing else is said."""
    axes = len(shape)
    if axes == 0:
        refuse(contract, "no-class-axis", "input", "one number")
    if class_dim is None:
        return min(1, axes - 1)
    if not -axes <= class_dim < axes:
        found = f"{class_dim} for input of shape {shape}"
        refuse(contract, "class-dim-out-of-range", "class_dim", found, axes=axes)
    return class_dim % axes


def check_index_shape(contract: Contract, shape: Shape, target: Numbers, axis: int) -> None:
    """Class indices, one for each row; whatever was typed may be written with a point."""
    wanted, found = (*shape[:axis], *shape[axis + 1 :]), target.values.shape
    indices_or = f"class indices of shape {wanted}"
    if takes_class_probabilities(contract):
        indices_or += f" or probabilities of shape {shape}"
    if found != wanted and not (len(shape) == 1 and found == (1,)):
        form = f"shape {found}"
        single = axis_of_one(found, wanted)
        if found == shape:
            only = "" if takes_class_probabilities(contract) else "indices only"
            refuse(contract, "integers-for-probabilities", "target", form, only, forms=indices_or,
                   indices=f"target.argmax({axis})")  # fmt: skip
        if single is not None:
            refuse(contract, "axis-of-one", "target", form, shape=wanted, axis=single)
        refuse(contract, "index-shape", "target", form, forms=indices_or)
    if not target.whole:
        _check_written_whole(contract, shape, target)


def _check_written_whole(contract: Contract, shape: Shape, target: Numbers) -> None:
    """Indices that came as floats: none of an array, and of typed ones only whole numbers."""
    indices = target.values.ravel()
    fraction = ~np.isfinite(indices) | (indices != np.rint(indices))
    if target.typed and not fraction.any():
        return
    found = f"dtype {target.dtype}"
    if target.typed:
        position = int(np.argmax(fraction))
        found = f"{indices[position]:g}{place(position, target.values.shape)}"
    situation = "probabilities allowed" if takes_class_probabilities(contract) else ""
    refuse(contract, "target-not-integer", "target", found, situation, input_shape=shape)


def check_indices(
    contract: Contract, target: Array, classes: int, ignore_index: int, shape: Shape
) -> None:
    """Class indices, still as floats, that are classes or mark a row to leave out."""
    wrong = ((target < 0) | (target >= classes)) & (target != ignore_index)
    if not wrong.any():
        return
    position = int(np.argmax(wrong.ravel()))
    value = int(target.ravel()[position])
    situation = "negative" if value < 0 else "one too many" if value == classes else ""
    refuse(
        contract, "index-out-of-range", "target", f"{value}{place(position, shape)}", situation,
        classes=classes, or_ignored=f" or {ignore_index} (ignore_index)", value=value,
    )  # fmt: skip


def check_element_shapes(contract: Contract, shape: Shape, target: Shape) -> None:
    """A target for each element."""
    if target == shape:
        return
    single = axis_of_one(target, shape)
    if single is not None:
        found = f"shape {target}"
        refuse(contract, "axis-of-one", "target", found, shape=shape, axis=single)
    single = axis_of_one(shape, target)
    if single is not None:
        found = f"shape {shape} and target of shape {target}"
        refuse(contract, "axis-of-one", "input", found, shape=target, axis=single)
    situation = "class indices" if len(shape) > 1 and target == shape[:1] else ""
    refuse(contract, "unequal-shapes", "target", f"shape {target}", situation, shape=shape)


def check_targets_of_elements(
    contract: Contract, target: Array, counted: NDArray[np.bool_], ignore_index: int | None
) -> None:
    """Probabilities of 1; with logits PyTorch takes any number, which nobody here has meant."""
    wrong = ~((target >= 0) & (target <= 1)) & counted
    if not wrong.any():
        return
    position = int(np.argmax(wrong.ravel()))
    value = float(target.ravel()[position])
    found = f"{value:.9g}{place(position, target.shape)}"
    fault = next((each for each in contract.errors if each.name == "target-out-of-range"), None)
    if fault is None:
        raise InputError(
            f"{contract.name}: target", "labels 0 and 1, or probabilities of 1", found,
            "For class indices give one column of logits for each class.",
        )  # fmt: skip
    situation = "nan" if math.isnan(value) else "minus one" if value == -1 else ""
    or_ignored = "" if ignore_index is None else f" or {ignore_index} (ignore_index)"
    refuse(contract, fault.name, "target", found, situation, or_ignored=or_ignored)


def check_values(
    contract: Contract,
    domain: Domain,
    values: Array,
    counted: NDArray[np.bool_],
    what: str = "input",
) -> None:
    """Numbers of the domain wherever they count; what is ignored is never read."""
    low, high = (float(bound) for bound in (domain.low, domain.high))
    wrong = ~((values >= low) & (values <= high)) & counted
    if not wrong.any():
        return
    position = int(np.argmax(wrong.ravel()))
    value = float(values.ravel()[position])
    found = f"{value:.9g}{place(position, values.shape)}"
    if domain.name == "probability" and any(
        fault.name == "probability-out-of-range" for fault in contract.errors
    ):
        situation = "nan" if math.isnan(value) else ""
        refuse(contract, "probability-out-of-range", "input", found, situation)
    repair = "Look for the NaN in what made them."
    if not math.isnan(value) and what == "target":
        repair = "A target is a share of its class: divide each row by its sum."
        if value < 0:
            repair = "A target is a share of its class: give rows to leave out sample_weight 0."
    elif not math.isnan(value):
        repair = "Give logits as logits: --logits, or logits=."
    required = f"{domain.plural} in {domain.interval}"
    raise InputError(f"{contract.name}: {what}", required, found, repair)


_REPAIRS_OF_SUMS = {
    "probabilities": "Give logits as logits, or divide each row by its sum.",
    "log-probabilities": "Give logits as logits: --logits, or logits=; log-softmax of these is "
    "what they stand for if they are unnormalised.",
    "targets": "Where several classes of a row are right give the task multilabel; else divide "
    "each row by its sum.",
}


def check_sums(contract: Contract, what: str, probabilities: Array, dtypes: Sequence[str]) -> None:
    """Rows that sum to one, up to the rounding of the coarsest dtype that they were stored in.

    Args:
        contract: of the loss.
        what: ``"probabilities"``, ``"log-probabilities"`` or ``"targets"``.
        probabilities: ``(N, C)``; of log-probabilities their exponentials.
        dtypes: in which they were stored, one after the other.
    """
    sums = probabilities.sum(axis=1)
    # The tolerance is that of float16, and bfloat16 has three bits less.
    coarser = 2.0 ** (BITS["float16"] - min(BITS[dtype] for dtype in ("float16", *dtypes)))
    wrong = ~(np.abs(sums - 1.0) <= coarser * row_sum_tolerance(probabilities.shape[1]))
    if wrong.any():
        row = int(np.argmax(wrong))
        logarithms = what == "log-probabilities"
        raise InputError(
            f"{contract.name}: {'target' if what == 'targets' else 'input'}",
            f"{'log-' if logarithms else ''}probabilities "
            f"{'whose exponentials' if logarithms else 'that'} sum to 1 in every row",
            f"a sum of {sums[row]:.6g} in row {row}",
            _REPAIRS_OF_SUMS[what],
        )


def check_class_vector(contract: Contract, name: str, vector: Array, classes: int) -> None:
    """One number for each class."""
    if vector.shape != (classes,):
        situation = "other axes" if vector.size == classes else ""
        found = f"shape {vector.shape}"
        refuse(contract, "class-vector-shape", name, found, situation, classes=classes)


def broadcast_weight(contract: Contract, name: str, weight: Array, shape: Shape) -> Array:
    """A weight of elements in the shape of the input, which it must not enlarge."""
    try:
        fits = np.broadcast_shapes(weight.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        refuse(contract, "not-broadcastable", name, f"shape {weight.shape}", shape=shape)
    return np.broadcast_to(weight, shape)


def row_weight(contract: Contract, weight: Array, shape: Shape, leading: bool) -> Array:
    """A weight of each row: of the leading axes of the input where it is one of elements."""
    fits = weight.shape == (shape[: weight.ndim] if leading else shape)
    if not fits and not (not leading and shape == () and weight.shape == (1,)):
        wanted = shape[:1] if leading else shape
        refuse(contract, "sample-weight-shape", "sample_weight", f"shape {weight.shape}",
               shape=wanted)  # fmt: skip
    if not leading:
        return weight
    return np.broadcast_to(weight.reshape(weight.shape + (1,) * (len(shape) - weight.ndim)), shape)
