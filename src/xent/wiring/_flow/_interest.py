"""Which functions of a file can matter at all: most need not be read.

A function matters if it names an operation, a layer or a loss, anything of its file that matters,
or another file; else it can only hand on what it is given, and is read when that matters. One
that nothing calls is read by itself only if a wire can end in it: at a loss, a decision.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from xent.wiring._flow import _losses, _producers
from xent.wiring._flow._producers import Effect

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
EVERYWHERE = {"self", "x", "_", "super", "__init__"}
# Calling an object of the class itself calls its forward.
CALLS_ITSELF = "self()"


_WORD = re.compile(r"[A-Za-z_]\w*")
# Rounds in which what matters spreads over a file.
MOST_ROUNDS = 12
_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")


@dataclass
class _Piece:
    """A definition, or a statement outside of one.

    Args:
        node: the definition; None for another statement.
        mentioned: the words in it.
        given: the names that it gives a value.
        owner: the class that it is in.
    """

    node: Definition | None
    mentioned: set[str]
    given: set[str]
    owner: str


@dataclass(frozen=True)
class Interest:
    """What of a file can matter.

    Args:
        words: the words of each definition.
        mattering: the definitions that can matter.
        ends: those in which a wire can end.
    """

    words: Mapping[ast.AST, set[str]]
    mattering: Set[ast.AST]
    ends: Set[ast.AST]


def interesting(
    body: Sequence[ast.stmt], lines: Sequence[str], is_of_project: Callable[[ast.stmt], bool]
) -> Interest:
    """The definitions of a file that can matter, and those of them in which a wire can end.

    Words are taken from the text, comments and all: too many rather than too few.

    Args:
        body: the statements of the file.
        lines: its lines.
        is_of_project: whether an import statement gets names from another file of the project.
    """
    pieces: list[_Piece] = []
    known = set(WORDS)
    for statement, owner, is_local in _statements(body):
        if isinstance(statement, ast.Import | ast.ImportFrom):
            if is_of_project(statement):
                known |= {alias.asname or alias.name.partition(".")[0] for alias in statement.names}
        elif (piece := _piece(statement, lines, owner, is_local=is_local)) is not None:
            pieces.append(piece)
    ends = set(_ENDS)
    mattering = _spread(pieces, known, of_classes=True)
    can_end = _spread(pieces, ends, of_classes=False)
    words: dict[ast.AST, set[str]] = {
        piece.node: piece.mentioned for piece in pieces if piece.node is not None
    }
    return Interest(words, mattering, can_end)


def _statements(body: Sequence[ast.stmt]) -> Iterator[tuple[ast.stmt, str, bool]]:
    """Definitions, imports, assignments and bare expressions.

    Each comes with the class that it is in and whether a function holds it.
    """
    waiting: list[tuple[ast.AST, str, bool]] = [(each, "", False) for each in body]
    wanted = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom,
              ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr)  # fmt: skip
    while waiting:
        each, owner, is_local = waiting.pop()
        if isinstance(each, wanted):
            yield each, owner, is_local
        within = is_local or isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
        inner_owner = each.name if isinstance(each, ast.ClassDef) else owner
        for name in _BLOCKS:
            waiting.extend((inner, inner_owner, within) for inner in getattr(each, name, ()))


def _piece(
    statement: ast.stmt, lines: Sequence[str], owner: str, *, is_local: bool
) -> _Piece | None:
    """A statement as what it mentions and gives; None for one that gives nothing to others."""
    if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        given = _given(statement, is_local=is_local) - EVERYWHERE
        mentioned = _mentioned(_lines_of(statement, lines)) if given else set[str]()
        return _Piece(None, mentioned, given, owner) if given else None
    given = {statement.name}
    if statement.name == "forward":
        given.add(CALLS_ITSELF)
    own = given - WORDS - _ENDS
    mentioned = _mentioned(_lines_of(statement, lines)) - own
    return _Piece(statement, mentioned, given - EVERYWHERE, owner)


def _mentioned(lines: Sequence[str]) -> set[str]:
    """The words in some lines, and marks for what is no word."""
    text = "\n".join(lines)
    mentioned = set(_WORD.findall(text))
    if "self(" in text or "cls(" in text:
        mentioned.add(CALLS_ITSELF)
    if _END.search(text):
        mentioned.add("(end)")
    if "exp" in mentioned and "sum" in mentioned:
        mentioned.add("logsumexp")
    return mentioned


def _lines_of(statement: ast.stmt, lines: Sequence[str]) -> Sequence[str]:
    """The lines of a statement; of a definition without what describes it."""
    first, last = statement.lineno, statement.end_lineno or statement.lineno
    if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return lines[first - 1 : last]
    begins = statement.body[0]
    if isinstance(statement, ast.ClassDef):  # its methods speak for themselves
        return lines[first - 1 : max(begins.lineno - 1, first)]
    described = isinstance(begins, ast.Expr) and isinstance(begins.value, ast.Constant)
    end = begins.end_lineno or begins.lineno
    shared = len(statement.body) > 1 and statement.body[1].lineno == end
    if described and begins.lineno > first and not shared:
        return [*lines[first - 1 : begins.lineno - 1], *lines[end:last]]
    return lines[first - 1 : last]


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


def _spread(pieces: list[_Piece], known: set[str], *, of_classes: bool) -> set[ast.AST]:
    """The definitions that mention a name that matters; what does gives names that matter too."""
    waiting, found = pieces, set[ast.AST]()
    for _ in range(MOST_ROUNDS):
        before = len(known)
        left: list[_Piece] = []
        for piece in waiting:
            if known.isdisjoint(piece.mentioned):
                left.append(piece)
                continue
            known |= piece.given
            if of_classes and piece.owner:
                known.add(piece.owner)
            if piece.node is not None:
                found.add(piece.node)
        waiting = left
        if len(known) == before:
            break
    return found
