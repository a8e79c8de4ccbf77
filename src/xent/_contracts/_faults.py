"""The faults that a loss finds in its arguments: one code, one wording and one repair each.

The texts are templates: ``{classes}`` and the like are filled in with the caller's own sizes.
``raises`` names what PyTorch 2.13 raises in the same place, beside ValueError, which every
ContractError is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, repr=False)
class Fault:
    """One way of being wrong.

    Args:
        code: as messages show it; never given to another fault.
        name: what is wrong, in words that read after "there is a ...".
        raises: the types of exception that PyTorch raises for it.
        required: completes "the argument must be ...".
        repairs: the situation (empty: any other) to the one thing to do in it.
    """

    code: str
    name: str
    raises: tuple[type[Exception], ...]
    required: str
    repairs: Mapping[str, str] = field(hash=False)

    def __repr__(self) -> str:
        return f"<Fault {self.code} {self.name}>"


NOT_A_TENSOR = Fault(
    "XE401",
    "not-a-tensor",
    (TypeError, AttributeError),
    "a torch.Tensor",
    {"": "Use torch.as_tensor({argument}).", "none": "Only weights may be left out."},
)
INPUT_NOT_FLOATING = Fault(
    "XE402",
    "input-not-floating",
    (NotImplementedError,),
    "{meaning} in float16, bfloat16, float32 or float64",
    {"": "Use input.float().", "complex": "Use input.real if its imaginary part means nothing."},
)
SWAPPED_ARGUMENTS = Fault(
    "XE403",
    "swapped-arguments",
    (NotImplementedError,),
    "{meaning} of shape {form}",
    {"": "Did you swap input and target?"},
)
TARGET_NOT_INTEGER = Fault(
    "XE404",
    "target-not-integer",
    (RuntimeError,),
    "class indices of an integer dtype",
    {
        "": "Use target.long().",
        "probabilities allowed": "Use target.long() for class indices; "
        "for probabilities give shape {input_shape}.",
        "axis of one": "Use target.squeeze({axis}).long().",
        "probabilities": "Use target.argmax({axis}) for class indices; "
        "for probabilities use cross_entropy on the logits.",
    },
)
INDEX_OUT_OF_RANGE = Fault(
    "XE405",
    "index-out-of-range",
    (IndexError,),
    "class indices in [0, {classes}){or_ignored}",
    {
        "": "Give input one logit for each class, or leave such rows out: ignore_index={value}.",
        "one too many": "Class indices start at 0: use target - 1 if yours start at 1.",
        "negative": "Give ignore_index={value} to leave such rows out.",
    },
)
INDEX_SHAPE = Fault(
    "XE406",
    "index-shape",
    (RuntimeError,),
    "{forms}",
    {
        "": "Give each row of input its own class index.",
        "not flattened": "Use target.reshape(-1).",
    },
)
AXIS_OF_ONE = Fault(
    "XE407",
    "axis-of-one",
    (RuntimeError,),
    "of shape {shape}",
    {"": "Use {argument}.squeeze({axis})."},
)
CLASS_AXIS_ELSEWHERE = Fault(
    "XE408",
    "class-axis-elsewhere",
    (RuntimeError,),
    "{meaning} with the classes on axis {axis}",
    {"": "Give class_dim={found_axis} or input.movedim({found_axis}, {axis})."},
)
INTEGERS_FOR_PROBABILITIES = Fault(
    "XE409",
    "integers-for-probabilities",
    (RuntimeError,),
    "{forms}",
    {
        "": "Use {indices} for class indices, or target.float() for probabilities.",
        "indices only": "Use {indices} for class indices.",
    },
)
NO_CLASS_AXIS = Fault(
    "XE410",
    "no-class-axis",
    (IndexError, RuntimeError),
    "{meaning} of shape {form}",
    {"": "For one logit use binary_cross_entropy_with_logits."},
)
CLASS_DIM_OUT_OF_RANGE = Fault(
    "XE411",
    "class-dim-out-of-range",
    (IndexError,),
    "an axis of input, in [-{axes}, {axes})",
    {"": "Give class_dim=-1 where the classes are on the last axis."},
)
CLASS_VECTOR_SHAPE = Fault(
    "XE412",
    "class-vector-shape",
    (RuntimeError,),
    "of shape ({classes},)",
    {
        "": "Give one number for each of the {classes} classes.",
        "one per row": "Give one number per row as sample_weight.",
        "other axes": "Use {argument}.reshape(-1).",
    },
)
NOT_REAL = Fault(
    "XE413",
    "not-real",
    (RuntimeError,),
    "real numbers",
    {"": "Use {argument}.real."},
)
NOT_BROADCASTABLE = Fault(
    "XE414",
    "not-broadcastable",
    (RuntimeError,),
    "of a shape that broadcasts to {shape}",
    {
        "": "Give one number for each element of the last axis, or one for all.",
        "one per row": "Use {argument}.reshape({column}) for one number per row.",
        "enlarges": "Use {argument}.squeeze(0), so that the loss keeps the shape of input.",
    },
)
SAMPLE_WEIGHT_SHAPE = Fault(
    "XE415",
    "sample-weight-shape",
    (),
    "of shape {shape}",
    {"": "Give one weight per row.", "axis of one": "Use sample_weight.squeeze({axis})."},
)
UNKNOWN_CHOICE = Fault(
    "XE416",
    "unknown-choice",
    (),
    "{choices}",
    {"": "Did you mean {nearest!r}?"},
)
SMOOTHING_OUT_OF_RANGE = Fault(
    "XE417",
    "smoothing-out-of-range",
    (RuntimeError,),
    "in [0, 1]",
    {"": "Give label_smoothing=0.1, or 0 for none."},
)
PROBABILITY_OUT_OF_RANGE = Fault(
    "XE418",
    "probability-out-of-range",
    (RuntimeError,),
    "probabilities in [0, 1]",
    {
        "": "For logits use binary_cross_entropy_with_logits.",
        "nan": "Look for the NaN in what made input: torch.autograd.detect_anomaly() finds it.",
    },
)
TARGET_OUT_OF_RANGE = Fault(
    "XE419",
    "target-out-of-range",
    (RuntimeError,),
    "probabilities in [0, 1]{or_ignored}",
    {
        "": "Scale the labels to [0, 1], as in target / target.max().",
        "nan": "Mark missing labels with a whole number and give it as ignore_index.",
        "minus one": "Use (target + 1) / 2 for labels -1 and 1; "
        "give ignore_index=-1 to leave such elements out.",
    },
)
MIXED_DEVICES = Fault(
    "XE420",
    "mixed-devices",
    (RuntimeError,),
    "on the device of input, {device}",
    {"": "Use {argument}.to(input.device)."},
)
OPTION_TYPE = Fault(
    "XE421",
    "option-type",
    (TypeError,),
    "{kind}",
    {"": "Give {argument}={example}."},
)
MARK_WITH_PROBABILITIES = Fault(
    "XE422",
    "mark-with-probabilities",
    (RuntimeError,),
    "negative where target holds probabilities, which no index marks",
    {"": "Leave ignore_index out; give sample_weight 0 to rows that are to be left out."},
)
OPTION_OUT_OF_RANGE = Fault(
    "XE423",
    "option-out-of-range",
    (),
    "{interval}",
    {"": "Give {argument}={example}."},
)
NOT_ONE_NUMBER = Fault(
    "XE424",
    "not-one-number",
    (),
    "a number or a tensor of shape ()",
    {"": "Use {argument}.reshape(()) if it holds one number; one per row is a sample_weight."},
)
NORMALIZER_WITHOUT_MEAN = Fault(
    "XE425",
    "normalizer-without-mean",
    (),
    "'mean' where normalizer is given",
    {"": "Give reduction='mean', which then divides by normalizer instead."},
)
UNEQUAL_SHAPES = Fault(
    "XE426",
    "unequal-shapes",
    (RuntimeError,),
    "of the shape of input, {shape}",
    {
        "": "Give each element of input its own target.",
        "class indices": "For class indices use cross_entropy.",
    },
)
SPARSE_TENSOR = Fault(
    "XE427",
    "sparse-tensor",
    (NotImplementedError,),
    "a dense tensor",
    {"": "Use {argument}.to_dense()."},
)
UNDER_AUTOCAST = Fault(
    "XE428",
    "under-autocast",
    (RuntimeError,),
    "probabilities outside of autocast, which rounds them away near 0 and 1",
    {"": "Use binary_cross_entropy_with_logits on the logits, which is safe to autocast."},
)
