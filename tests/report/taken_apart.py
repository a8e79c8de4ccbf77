"""A report taken apart by the standard library's parser."""

from __future__ import annotations

import copy
from functools import cache
from html.parser import HTMLParser

from report_runs import make_results, predictions_of

from xent.report import build


class Page(HTMLParser):
    """A page taken apart: elements with attributes, texts, tables, and whether tags match."""

    VOID = frozenset({"meta", "link", "wbr", "br", "img", "path", "use", "rect"})

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.html, self.elements, self.open, self.texts = html, [], [], []
        self.tables, self.json, self.unmatched = {}, "", []
        self.section = None
        self.feed(html)
        self.close()

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.elements.append((tag, found))
        if tag == "section":
            self.section = found["id"]
        if tag == "table":
            self.tables.setdefault(self.section, []).append([])
        if tag == "tr":
            self.tables[self.section][-1].append([])
        if tag in ("th", "td"):
            self.tables[self.section][-1][-1].append("")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if tag in self.VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.unmatched.append(tag)

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.json += data
        elif self.open and self.open[-1] != "style":
            self.texts.append(data)
            if {"th", "td"} & set(self.open):
                self.tables[self.section][-1][-1][-1] += data

    def cells(self, section):
        """All cells of the tables of a section."""
        return [cell for table in self.tables.get(section, []) for row in table for cell in row]

    def inside(self, section):
        """The source of one section."""
        start = self.html.index(f'<section id="{section}"')
        return self.html[start : self.html.index("</section>", start)]


def page_of(results, arrays=predictions_of):
    """Build the report of results, which are left as they are, and take it apart."""
    before = copy.deepcopy(results)
    page = Page(build(results, arrays))
    assert results == before
    assert page.unmatched == []
    assert page.open == []
    return page


@cache
def whole():
    """The report of a run of three formulations from three seeds, with all that it can have."""
    return page_of(make_results())
