"""The type and the axes of a tensor, as far as the code next to a call writes them."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from xent.wiring._flow._names import canonical
from xent.wiring.rules._surroundings import Surroundings

# Names and calls that are followed from one argument.
DEEPEST = 12

FLOAT, LONG, INT, BOOL, BYTE = "float", "long", "int", "bool", "byte"
_TYPES = {
    name: dtype
    for dtype, names in (
        (FLOAT, ("float", "float32", "float64", "double", "half", "float16", "bfloat16")),
        (FLOAT, ("FloatTensor", "DoubleTensor", "HalfTensor", "BFloat16Tensor")),
        (LONG, ("long", "int64", "LongTensor")),
        (INT, ("int", "int32", "int16", "int8", "short", "IntTensor", "ShortTensor")),
        (BOOL, ("bool", "BoolTensor")),
        (BYTE, ("byte", "uint8", "ByteTensor")),
    )
    for name in names
}
_CASTS = {"float", "double", "half", "bfloat16", "long", "int", "short", "bool", "byte"}
_LEAVE_ALONE = {
    "cpu", "cuda", "detach", "clone", "contiguous", "requires_grad_", "pin_memory", "clamp",
}  # fmt: skip
_BY_SIZES = {"zeros": FLOAT, "ones": FLOAT, "rand": FLOAT, "randn": FLOAT, "empty": FLOAT}
_LIKE = {"zeros_like", "ones_like", "rand_like", "randn_like", "empty_like", "full_like"}
_OF_NUMBERS = {
    "torch.tensor": "", "torch.as_tensor": "", "torch.FloatTensor": FLOAT, "torch.Tensor": FLOAT,
    "torch.LongTensor": LONG, "torch.DoubleTensor": FLOAT, "torch.IntTensor": INT,
}  # fmt: skip
_DEVICE = re.compile(r"device|cuda|cpu|gpu|rank", re.IGNORECASE)


@dataclass(frozen=True)
class Form:
    """What is known of a tensor.

    Args:
        dtype: ``float``, ``long``, ``int``, ``bool`` or ``byte``; empty where it isn't known.
        axes: the sizes of its last axes, None for a size that isn't known.
        exact: whether there are no axes before these.
        no_ones: whether no axis has the size 1.
        column: whether the second of its axes has the size 1.
        turned: whether the axis of the channels was moved from the second place to the last.
        one_hot: whether it comes straight from ``one_hot``.
    """

    dtype: str = ""
    axes: tuple[int | None, ...] = ()
    exact: bool = False
    no_ones: bool = False
    column: bool = False
    turned: bool = False
    one_hot: bool = False

    @property
    def number_of_axes(self) -> int | None:
        """The number of its axes, where it is known."""
        return len(self.axes) if self.exact else None


UNKNOWN_FORM = Form()


def form_of(node: ast.expr | None, around: Surroundings, depth: int = 0) -> Form:
    """The form of what an expression gives.

    Args:
        node: the expression.
        around: the code around it.
        depth: how many names and calls were followed to come here.
    """
    if node is None or depth > DEEPEST:
        return UNKNOWN_FORM
    if isinstance(node, ast.Name):
        found = around.definition(node.id)
        return UNKNOWN_FORM if found is None else form_of(*found, depth + 1)
    if isinstance(node, ast.Attribute) and node.attr == "data":
        return form_of(node.value, around, depth + 1)
    if isinstance(node, ast.Subscript):
        return _indexed(node, form_of(node.value, around, depth + 1))
    if not isinstance(node, ast.Call) or any(isinstance(each, ast.Starred) for each in node.args):
        return UNKNOWN_FORM
    if any(keyword.arg is None for keyword in node.keywords):
        return UNKNOWN_FORM
    name = full_name(node.func, around)
    if name.startswith("torch."):
        return _of_function(node, name, around, depth)
    if name or not isinstance(node.func, ast.Attribute):
        return UNKNOWN_FORM
    return _of_method(node, node.func.attr, form_of(node.func.value, around, depth + 1), around)


def full_name(node: ast.expr, around: Surroundings) -> str:
    """The full name of what a library offers; empty for everything else."""
    if isinstance(node, ast.Attribute):
        inner = full_name(node.value, around)
        return canonical(f"{inner}.{node.attr}") if inner else ""
    return around.meaning(node.id) if isinstance(node, ast.Name) else ""


# Functions of torch.


def _of_function(node: ast.Call, name: str, around: Surroundings, depth: int) -> Form:
    last = name.rpartition(".")[2]
    first = node.args[0] if node.args else _keyword(node, "input")
    if name == "torch.nn.functional.one_hot":
        classes = _whole(node.args[1] if len(node.args) > 1 else _keyword(node, "num_classes"))
        known = classes if classes is not None and classes > 0 else None
        inner = form_of(first, around, depth + 1)
        return Form(LONG, (*inner.axes, known), inner.exact, one_hot=True)
    if name in _OF_NUMBERS and len(node.args) == 1:
        made = _of_numbers(node.args[0])
        return _typed(node, around, replace(made, dtype=_OF_NUMBERS[name] or made.dtype))
    if not name.startswith("torch.") or name.count(".") > 1:
        return UNKNOWN_FORM
    if last in _BY_SIZES:
        return _typed(node, around, Form(_BY_SIZES[last], *_sizes(node.args)))
    if last == "full" and len(node.args) > 1:
        return _typed(node, around, Form(_type_of_number(node.args[1]), *_sizes(node.args[:1])))
    if last in _LIKE:
        like = form_of(first, around, depth + 1)
        return _typed(node, around, replace(like, one_hot=False, turned=False))
    if last == "randint":
        sizes = next((each for each in node.args if isinstance(each, ast.Tuple)), None)
        shape = _sizes([sizes]) if sizes is not None else ((), False)
        return _typed(node, around, Form(LONG, *shape))
    if last in ("argmax", "argmin"):
        return Form(LONG)
    methods = ("flatten", "squeeze", "unsqueeze", "reshape", "permute", "movedim", "ravel")
    if last in methods and first is not None:
        given = form_of(first, around, depth + 1)
        rest = ast.Call(node.func, node.args[1:] if node.args else [], node.keywords)
        return _of_method(rest, last, given, around)
    return UNKNOWN_FORM


def _typed(node: ast.Call, around: Surroundings, made: Form) -> Form:
    """With the type that is asked for by name."""
    asked = _keyword(node, "dtype")
    return made if asked is None else replace(made, dtype=_type_named(asked, around))


def _type_named(node: ast.expr, around: Surroundings) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        module, _, last = node.value.rpartition(".")
        return _TYPES.get(last, "") if module in ("torch", "torch.cuda") else ""
    name = full_name(node, around)
    return _TYPES.get(name.rpartition(".")[2], "") if name.startswith("torch.") else ""


def _of_numbers(node: ast.expr) -> Form:
    """The form of a list that is written out."""
    axes: list[int | None] = []
    inner: ast.expr = node
    while isinstance(inner, ast.List | ast.Tuple):
        if not inner.elts or any(isinstance(each, ast.Starred) for each in inner.elts):
            return UNKNOWN_FORM
        axes.append(len(inner.elts))
        if not all(isinstance(each, ast.List | ast.Tuple) for each in inner.elts):
            types = {_type_of_number(each) for each in inner.elts}
            known = types <= {FLOAT, LONG}
            whole = known and all(not isinstance(each, ast.List | ast.Tuple) for each in inner.elts)
            # An element that isn't a number as written may be a tensor or a list itself.
            return Form(FLOAT if FLOAT in types else LONG, tuple(axes), True) if whole else Form()
        inner = inner.elts[0]
    return UNKNOWN_FORM


def numbers_given(node: ast.expr | None, around: Surroundings, depth: int = 0) -> int | None:
    """How many numbers a tensor is made of that the code writes out as one list."""
    if isinstance(node, ast.Name) and depth < DEEPEST:
        found = around.definition(node.id)
        return None if found is None else numbers_given(*found, depth + 1)
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if full_name(node.func, around) in _OF_NUMBERS:
            break
        if node.func.attr not in (*_LEAVE_ALONE, *_CASTS, "to"):
            return None
        node = node.func.value
    made = isinstance(node, ast.Call) and full_name(node.func, around) in _OF_NUMBERS
    if not isinstance(node, ast.Call) or not made or len(node.args) != 1:
        return None
    given = node.args[0]
    if not isinstance(given, ast.List | ast.Tuple):
        return None
    inside = [each for each in given.elts if isinstance(each, ast.List | ast.Tuple | ast.Starred)]
    return None if inside else len(given.elts)


def _type_of_number(node: ast.expr) -> str:
    value = node.operand if isinstance(node, ast.UnaryOp) else node
    if not isinstance(value, ast.Constant):
        return ""
    return {float: FLOAT, int: LONG, bool: BOOL}.get(type(value.value), "")


# Methods of tensors.


def _of_method(node: ast.Call, name: str, given: Form, around: Surroundings) -> Form:
    if name in _CASTS and not node.args:
        return replace(given, dtype=_TYPES[name], one_hot=False)
    if name in ("to", "type"):
        return _converted(node, given, around)
    if name in _LEAVE_ALONE:
        return given
    if name in ("argmax", "argmin"):
        return Form(LONG)
    reshape = _RESHAPES.get(name)
    if reshape is None:
        return UNKNOWN_FORM
    shaped = reshape(given, node.args)
    return replace(shaped, dtype=given.dtype)


def _converted(node: ast.Call, given: Form, around: Surroundings) -> Form:
    """``.to(...)`` and ``.type(...)``: a type, a device, or what can't be told."""
    asked = [*node.args, *(each.value for each in node.keywords if each.arg == "dtype")]
    dtype = given.dtype
    for each in asked:
        named = _type_named(each, around)
        if named:
            dtype = named
        elif not (isinstance(each, ast.Constant) or _DEVICE.search(ast.unparse(each))):
            dtype = ""
    return replace(given, dtype=dtype, one_hot=given.one_hot and dtype == given.dtype)


def _sizes(arguments: Sequence[ast.expr | None]) -> tuple[tuple[int | None, ...], bool]:
    """The axes that sizes say, one by one or in one tuple, and whether they are known."""
    given = list(arguments)
    if len(given) == 1 and isinstance(given[0], ast.Tuple | ast.List):
        given = list(given[0].elts)
    elif len(given) == 1 and _whole(given[0]) is None and not _is_size(given[0]):
        return (), False  # a number, or a whole shape
    if not given or any(isinstance(each, ast.Starred) for each in given):
        return (), False
    sizes = [_whole(each) for each in given]
    return tuple(None if size is not None and size < 0 else size for size in sizes), True


def _is_size(node: ast.expr | None) -> bool:
    """Whether an expression is the size of one axis: ``x.size(0)``, ``x.shape[0]``, ``len(x)``."""
    if isinstance(node, ast.Call):
        called = node.func
        if isinstance(called, ast.Attribute):
            return called.attr == "size" and len(node.args) == 1
        return isinstance(called, ast.Name) and called.id == "len"
    shape = node.value if isinstance(node, ast.Subscript) else None
    at = node.slice if isinstance(node, ast.Subscript) else None
    return isinstance(shape, ast.Attribute) and shape.attr == "shape" and _whole(at) is not None


def _viewed(given: Form, arguments: Sequence[ast.expr]) -> Form:
    axes, exact = _sizes(arguments)
    return Form(axes=axes, exact=exact, column=exact and axes[1:2] == (1,))


def _flattened(given: Form, arguments: Sequence[ast.expr]) -> Form:
    return UNKNOWN_FORM if arguments else Form(axes=(None,), exact=True)


def _squeezed(given: Form, arguments: Sequence[ast.expr]) -> Form:
    if not arguments:
        if given.exact and None not in given.axes:
            return Form(axes=tuple(size for size in given.axes if size != 1), exact=True)
        return Form(no_ones=True)
    at = _whole(arguments[0])
    axes = given.axes
    if at == -1 and axes[-1:] == (1,):
        return replace(given, axes=axes[:-1], column=False)
    if at is not None and given.exact and 0 <= at < len(axes) and axes[at] == 1:
        return Form(axes=(*axes[:at], *axes[at + 1 :]), exact=True)
    return UNKNOWN_FORM


def _unsqueezed(given: Form, arguments: Sequence[ast.expr]) -> Form:
    at = _whole(arguments[0]) if arguments else None
    if at is None:
        return UNKNOWN_FORM
    axes = given.axes
    if at == -1:
        made = Form(axes=(*axes, 1), exact=given.exact)
        return replace(made, column=given.exact and len(axes) == 1)
    if given.exact and 0 <= at <= len(axes):
        grown = (*axes[:at], 1, *axes[at:])
        return Form(axes=grown, exact=True, column=grown[1:2] == (1,))
    return Form(column=at == 1)


def _permuted(given: Form, arguments: Sequence[ast.expr]) -> Form:
    order = [_whole(each) for each in _spread(arguments)]
    if given.exact and sorted(map(str, order)) == sorted(map(str, range(len(given.axes)))):
        return Form(axes=tuple(given.axes[at] for at in order if at is not None), exact=True)
    return Form(turned=order in ([0, 2, 3, 1], [0, 2, 3, 4, 1]))


def _moved(given: Form, arguments: Sequence[ast.expr]) -> Form:
    return Form(turned=[_whole(each) for each in arguments] == [1, -1])


_RESHAPES: dict[str, Callable[[Form, Sequence[ast.expr]], Form]] = {
    "view": _viewed, "reshape": _viewed, "flatten": _flattened, "ravel": _flattened,
    "squeeze": _squeezed, "unsqueeze": _unsqueezed, "permute": _permuted, "movedim": _moved,
}  # fmt: skip


def _indexed(node: ast.Subscript, given: Form) -> Form:
    """``y[:, None]``; every other index may give anything."""
    index = node.slice
    if not isinstance(index, ast.Tuple) or len(index.elts) != 2:
        return UNKNOWN_FORM
    first, second = index.elts
    whole = isinstance(first, ast.Slice) and first.lower is first.upper is first.step is None
    adds = isinstance(second, ast.Constant) and second.value is None
    if not (whole and adds):
        return UNKNOWN_FORM
    if given.exact and given.axes:
        axes = (given.axes[0], 1, *given.axes[1:])
        return Form(given.dtype, axes, True, column=True)
    return Form(given.dtype, column=True)


# Numbers in the code.


def _spread(arguments: Sequence[ast.expr]) -> Sequence[ast.expr]:
    only = arguments[0] if len(arguments) == 1 else None
    return only.elts if isinstance(only, ast.Tuple | ast.List) else arguments


def _whole(node: ast.expr | None) -> int | None:
    """The whole number that is written, with its sign."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _whole(node.operand)
        return None if inner is None else -inner
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _keyword(node: ast.Call, name: str) -> ast.expr | None:
    return next((each.value for each in node.keywords if each.arg == name), None)
