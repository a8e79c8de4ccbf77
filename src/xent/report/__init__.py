"""The report of a run: one HTML file made of its results alone, without data, torch or network."""

from xent.report._folder import arrays_of as arrays_of
from xent.report._folder import read_results as read_results
from xent.report._folder import write as write
from xent.report._folder import write_page as write_page
from xent.report._page import build as build
from xent.report._sweep_page import build_sweep as build_sweep
