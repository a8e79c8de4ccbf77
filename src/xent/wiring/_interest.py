"""Which functions of a file can matter at all: most need not be read.

A function matters if it names an operation, a layer or a loss, or anything of its file that
matters; else it can only hand on what it is given, and is read when that matters. One that nothing
calls is read by itself only if something in it can be the end of a wire: a loss, a decision.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from xent.wiring import _losses, _producers
from xent.wiring._producers import Effect

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

_TELLING = (
    Effect.SOFTMAX, Effect.LOG_SOFTMAX, Effect.SIGMOID, Effect.LOG_SIGMOID, Effect.LOGSUMEXP,
)  # fmt: skip
WORDS = frozenset(
    {name for name, effect in _producers.OPERATIONS.items() if effect in _TELLING}
    | set(_producers.LAYERS)
    | {name.rpartition(".")[2] for name in (*_losses.FUNCTIONS, *_losses.LAYERS)}
    | {"Sequential", "NeuralNetClassifier", "NeuralNetBinaryClassifier", "NeuralNet", "Learner",
       "log_loss", "roc_auc_score", "brier_score_loss", "calibration_curve", "predict_proba"}
)  # fmt: skip
# Where a wire can end.
_ENDS = frozenset(
    {name.rpartition(".")[2] for name in (*_losses.FUNCTIONS, *_losses.LAYERS)}
    | {name for name, effect in _producers.OPERATIONS.items() if effect in _TELLING}
    | {"Softmax", "LogSoftmax", "Softmin", "Sigmoid", "argmax", "round", "logsumexp", "log_loss",
       "roc_auc_score", "brier_score_loss", "calibration_curve", "average_precision_score",
       "predict_proba", "NeuralNetClassifier", "NeuralNetBinaryClassifier", "NeuralNet",
       "Learner", "(end)", "main"}
)  # fmt: skip
_END = re.compile(
    r"\.max\(|[<>]=?\s*0?\.\d|\d\.?\d*\s*[<>]=?\s*\w|loss|criterion|Loss|Criterion|\.g[et]\("
)
# Names that say nothing, in whatever statement they stand.
_EVERYWHERE = {"self", "x", "_", "super", "__init__"}
# Calling an object of the class itself calls its forward.
_CALLS_ITSELF = "self()"


_WORD = re.compile(r"[A-Za-z_]\w*")
_CALLED_SELF = re.compile(r"\bself\(")
_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")


@dataclass
class _Piece:
    """A definition, or a statement outside of one.

    Args:
        node: the definition; None for another statement.
        mentioned: the words in it.
        given: the names that it gives a value.
    """

    node: Definition | None
    mentioned: set[str]
    given: set[str]


def interesting(
    body: Sequence[ast.stmt], lines: Sequence[str], is_of_project: Callable[[ast.stmt], bool]
) -> tuple[set[ast.AST], set[ast.AST]]:
    """The definitions of a file that can matter, and those of them in which a wire can end.

    Words are taken from the text, comments and all: too many rather than too few.

    Args:
        body: the statements of the file.
        lines: its lines.
        is_of_project: whether an import statement gets names from another file of the project.
    """
    pieces: list[_Piece] = []
    known = set(WORDS)
    for statement, is_local in _statements(body):
        if isinstance(statement, ast.Import | ast.ImportFrom):
            if is_of_project(statement):
                known |= {alias.asname or alias.name.partition(".")[0] for alias in statement.names}
        else:
            pieces.append(_piece(statement, lines, is_local=is_local))
    ends = set(_ENDS)
    _spread(pieces, known)
    _spread(pieces, ends)
    return _definitions(pieces, known), _definitions(pieces, ends)


def _definitions(pieces: list[_Piece], words: set[str]) -> set[ast.AST]:
    return {
        piece.node
        for piece in pieces
        if piece.node is not None and not words.isdisjoint(piece.mentioned)
    }


def _statements(body: Sequence[ast.stmt]) -> Iterator[tuple[ast.stmt, bool]]:
    """Definitions, imports, assignments and bare expressions, and whether a function holds them."""
    waiting: list[tuple[ast.AST, bool]] = [(each, False) for each in body]
    wanted = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom,
              ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr)  # fmt: skip
    while waiting:
        each, is_local = waiting.pop()
        if isinstance(each, wanted):
            yield each, is_local
        within = is_local or isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
        for name in _BLOCKS:
            waiting.extend((inner, within) for inner in getattr(each, name, ()))


def _piece(statement: ast.stmt, lines: Sequence[str], *, is_local: bool) -> _Piece:
    last = statement.end_lineno or statement.lineno
    if isinstance(statement, ast.ClassDef):  # its methods speak for themselves
        last = statement.body[0].lineno - 1
    text = "\n".join(lines[statement.lineno - 1 : max(last, statement.lineno)])
    mentioned = set(_WORD.findall(text))
    if _CALLED_SELF.search(text):
        mentioned.add(_CALLS_ITSELF)
    if _END.search(text):
        mentioned.add("(end)")
    if "exp" in mentioned and "sum" in mentioned:
        mentioned.add("logsumexp")
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        given = {statement.name}
        if statement.name == "forward":
            given.add(_CALLS_ITSELF)
        own = given - WORDS - _ENDS
        return _Piece(statement, mentioned - own, given - _EVERYWHERE)
    return _Piece(None, mentioned, _given(statement, is_local=is_local) - _EVERYWHERE)


def _given(statement: ast.stmt, *, is_local: bool) -> set[str]:
    """The names that others may read: attributes, and outside functions every name."""
    if isinstance(statement, ast.Expr):  # model.add_module("softmax", nn.Softmax())
        call = statement.value
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
            return set()
        return _names(call.func.value, is_local=is_local)
    if isinstance(statement, ast.Assign):
        return set().union(*(_names(target, is_local=is_local) for target in statement.targets))
    assert isinstance(statement, ast.AnnAssign | ast.AugAssign)
    return _names(statement.target, is_local=is_local)


def _names(target: ast.expr, *, is_local: bool) -> set[str]:
    if isinstance(target, ast.Name):
        return set() if is_local else {target.id}
    if isinstance(target, ast.Attribute):
        return {target.attr}
    if isinstance(target, ast.Subscript | ast.Starred):
        return _names(target.value, is_local=is_local)
    if isinstance(target, ast.Tuple | ast.List):
        return set().union(*(_names(item, is_local=is_local) for item in target.elts))
    return set()


def _spread(pieces: list[_Piece], known: set[str]) -> None:
    """What mentions a word that matters gives one, until there are no more."""
    for _ in range(10):
        before = len(known)
        for piece in pieces:
            if not known.isdisjoint(piece.mentioned):
                known |= piece.given
        if len(known) == before:
            return
