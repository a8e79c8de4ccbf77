"""The public face: what ``import xent`` offers, and that all of it is documented."""

import inspect
from importlib import metadata

import pytest

import xent
import xent.functional
import xent.nn
import xent.scoring
import xent.study

FACE = [
    "LINKS",
    "Agreement",
    "Choice",
    "Comparison",
    "ContractError",
    "Explanation",
    "Formulation",
    "InputError",
    "Link",
    "LiveReport",
    "LossWarning",
    "MissingExtraError",
    "PredictionComparison",
    "Sweep",
    "WatchReport",
    "WiringError",
    "XentError",
    "__version__",
    "check",
    "compare",
    "compare_predictions",
    "empty_cache",
    "explain",
    "sweep",
    "verify",
    "watch",
    "which",
]


def test_face_is_pinned():
    assert xent.__all__ == FACE
    assert dir(xent) == sorted(FACE)


@pytest.mark.parametrize("name", FACE)
def test_every_name_exists(name):
    assert getattr(xent, name) is not None


def test_unknown_names():
    with pytest.raises(AttributeError, match="module 'xent' has no attribute 'compair'"):
        xent.compair  # noqa: B018


def public_objects():
    for name in FACE:
        if not name.startswith("__"):
            yield f"xent.{name}", getattr(xent, name)
    for room in (xent.study, xent.scoring):
        for name, value in vars(room).items():
            if not name.startswith("_") and not inspect.ismodule(value):
                yield f"{room.__name__}.{name}", value
    for room in (xent.functional, xent.nn):
        for name in room.__all__:
            yield f"{room.__name__}.{name}", getattr(room, name)


def documented():
    """Public functions and classes, and the public methods and properties of the classes."""
    for name, value in public_objects():
        if not (inspect.isclass(value) or inspect.isfunction(value)):
            continue
        yield name, value
        if inspect.isclass(value) and value.__module__.startswith("xent"):
            for member, item in vars(value).items():
                if not member.startswith("_") and (
                    inspect.isfunction(item) or isinstance(item, property | classmethod)
                ):
                    yield f"{name}.{member}", item


@pytest.mark.parametrize(("name", "value"), list(documented()), ids=lambda value: str(value)[:60])
def test_documented(name, value):
    text = inspect.getdoc(value)
    assert text, name
    assert text.splitlines()[0].rstrip().endswith((".", ":")), f"{name}: {text.splitlines()[0]}"


def arguments_of(value):
    parameters = inspect.signature(value).parameters
    return [name for name in parameters if name not in ("self", "cls")]


@pytest.mark.parametrize(
    "name",
    [
        "Agreement",
        "Choice",
        "compare",
        "explain",
        "Explanation",
        "sweep",
        "Comparison",
        "Sweep",
        "ContractError",
        "Formulation",
        "Link",
        "InputError",
        "MissingExtraError",
        "verify",
        "watch",
        "WatchReport",
        "which",
    ],
)
def test_every_argument_is_documented(name):
    value = getattr(xent, name)
    text = inspect.getdoc(value)
    missing = [argument for argument in arguments_of(value) if f"{argument}:" not in text]
    assert name == "MissingExtraError" or not missing


@pytest.mark.parametrize(
    "value",
    [getattr(room, name) for room in (xent.functional, xent.nn) for name in room.__all__],
    ids=lambda value: value.__name__,
)
def test_every_argument_of_a_loss_is_documented(value):
    text = inspect.getdoc(value)
    arguments = [] if inspect.ismodule(value) else arguments_of(value)
    assert not [argument for argument in arguments if f"{argument}:" not in text]


def test_version():
    assert xent.__version__ == "0.1.0"
    try:
        assert metadata.version("xent") == xent.__version__
    except metadata.PackageNotFoundError:
        pytest.skip("not installed")


def test_errors_are_of_the_kinds_that_callers_expect():
    assert issubclass(xent.InputError, ValueError)
    assert issubclass(xent.MissingExtraError, ImportError)
    assert issubclass(xent.InputError, xent.XentError)
