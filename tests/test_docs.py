"""Generated pages are up to date, and what the pages show exists and prints what they say."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", list(generator().PAGES))
def test_generated_pages_are_up_to_date(name: str) -> None:
    made = generator().PAGES[name]()
    assert made == (ROOT / "docs" / name).read_text(encoding="utf-8"), "python docs/generate.py"


def test_every_page_that_says_it_is_generated_is() -> None:
    note = generator().NOTE
    pages = (ROOT / "docs").glob("*.md")
    marked = {page.name for page in pages if page.read_text(encoding="utf-8").startswith(note)}
    assert marked == set(generator().PAGES)


def examples(page: Path) -> Iterator[tuple[str, str]]:
    """The Python blocks of a page, with what each says it prints.

    That stands in the comments of its print lines, or in the text block right after it.
    """
    blocks = re.compile(r"```python\n(.*?)```(?:\s*```text\n(.*?)```)?", re.DOTALL)
    for code, output in blocks.findall(page.read_text(encoding="utf-8")):
        said = re.findall(r"^\s*print\(.*\)  # (.*)$", code, re.MULTILINE)
        yield code, output or "".join(f"{line}\n" for line in said)


@pytest.mark.parametrize("name", ["README.md", "docs/using-the-losses.md"])
def test_examples_print_what_the_page_says(
    name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Top to bottom, as a reader pastes them."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for code, said in examples(ROOT / name):
        exec(code, names)
        assert capsys.readouterr().out == said, code
    assert not list(tmp_path.iterdir())


def test_every_option_of_the_losses_is_in_the_guide() -> None:
    from xent._contracts import CONTRACTS

    guide = (ROOT / "docs" / "using-the-losses.md").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for contract in CONTRACTS.values():
        assert f"{contract.name}" in guide
        assert f"`{contract.name}`" in readme
        for argument in contract.arguments:
            if argument.keyword_only:
                assert f"`{argument.name}" in guide, argument.name
                assert f"`{argument.name}" in readme, argument.name


def test_codes_and_their_texts_exist() -> None:
    from xent._contracts import CONTRACTS

    known = {fault.code for contract in CONTRACTS.values() for fault in contract.errors}
    guide = (ROOT / "docs" / "using-the-losses.md").read_text(encoding="utf-8")
    assert set(re.findall(r"XE\d+", guide)) <= known


def heading_anchors(page: Path) -> set[str]:
    """The anchors of a page, as code hosts make them from its headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_every_page_and_heading_that_is_linked_exists() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        links = r"\]\(([^)#:]*)(?:#([^)]+))?\)"
        for target, anchor in re.findall(links, page.read_text(encoding="utf-8")):
            linked = page.parent / target if target else page
            assert linked.exists(), f"{page.name} links {target}"
            if anchor:
                assert anchor in heading_anchors(linked), f"{page.name} links {target}#{anchor}"


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "docs/speed.md"])
def test_the_commands_of_the_pages_are_those_of_the_makefile(name: str) -> None:
    page = (ROOT / name).read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for command in re.findall(r"(?:^|`)make ([a-z-]+)", page, re.MULTILINE):
        assert f"\n{command}:" in makefile, command


def test_every_option_in_the_docs_exists() -> None:
    from xent.cli._compare import command

    known = {option for parameter in command.params for option in parameter.opts}
    known |= {option for parameter in command.params for option in parameter.secondary_opts}
    text = (ROOT / "docs" / "compare.md").read_text(encoding="utf-8")
    for option in set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)):
        assert option in known, option
