# make demo   set up and run the main job         make test   set up and run the tests
# make lint   format, lint, types, layers, losses make bench  speed of the study, side by side
# make bench-losses, make bench-accuracy          speed and digits of the losses, and their pages
# make bench-check                                speed of xent check, beside TorchFix
# make sanitize                                   the native tests under sanitizers (GCC)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml constraints.txt CMakeLists.txt $(wildcard native/*)

SANITIZED := build/sanitized
NATIVE_TESTS := tests/kernels tests/native

.PHONY: demo test lint format bench bench-losses bench-accuracy bench-check sanitize clean

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
	$(BIN)/xent check .

format: $(VENV)/linted
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/benchmarked
	$(BIN)/python benchmarks/study.py

bench-losses: $(VENV)/benchmarked
	$(BIN)/python benchmarks/losses.py --save
	$(BIN)/python docs/generate.py

bench-accuracy: $(VENV)/benchmarked
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/accuracy.py --save
	$(BIN)/python docs/generate.py

bench-check: $(VENV)/benchmarked
	$(BIN)/python benchmarks/check.py --save

# Two threads, so that tasks are split. Without -S the extension of the venv would be found first.
# libstdc++ is loaded early because the sanitizer looks for its throw before Python loads it.
sanitize: $(SANITIZED)/built
	LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libstdc++.so.6)" \
	ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 OMP_NUM_THREADS=2 \
	PYTHONPATH=$(SANITIZED)/packages:$$(echo $(VENV)/lib/python3*/site-packages) \
	$(BIN)/python -S -m pytest $(NATIVE_TESTS)

clean:
	rm -rf $(VENV) build runs

$(VENV)/installed: $(SOURCES)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/tested: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@

# An extension that fails to build would leave its tests skipped, so it must be there.
$(SANITIZED)/built: $(SOURCES) $(shell find src -name '*.py') | $(VENV)/tested
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target $(SANITIZED)/packages \
	  --config-settings=cmake.define.XENT_SANITIZE=ON \
	  --config-settings=build-dir=$(SANITIZED)/objects --config-settings=install.strip=false .
	ls $(SANITIZED)/packages/xent/_native*.so
	touch $@

$(VENV)/linted: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[lint]'
	touch $@

$(VENV)/benchmarked: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[benchmark]'
	touch $@
