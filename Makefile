# make demo   set up and run the main job         make test   set up and run the tests
# make lint   format, lint, types, layers         make bench  speed of the study, side by side

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml constraints.txt CMakeLists.txt $(wildcard native/*)

.PHONY: demo test lint format bench clean

demo: $(VENV)/installed
	$(BIN)/xent demo --out runs/demo

# One thread: tests are small, and cores that are shared with other work stall a second one.
test: $(VENV)/tested
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest

lint: $(VENV)/linted
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/linted
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/benchmarked
	$(BIN)/python benchmarks/study.py

clean:
	rm -rf $(VENV) build runs

$(VENV)/installed: $(SOURCES)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/tested: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@

$(VENV)/linted: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[lint]'
	touch $@

$(VENV)/benchmarked: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[benchmark]'
	touch $@
