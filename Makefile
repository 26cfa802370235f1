# All commands of the project. In a fresh clone, each target first creates the environment .venv that it needs.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-slow test-wheel check format bench docs families clean

demo: .venv/demo.stamp
	$(BIN)/toposheet demo

test: .venv/dev.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile

test-slow: .venv/dev.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m slow -n 2 --dist loadfile --durations=30

test-wheel:
	$(PYTHON) tools/test_wheel.py

check: .venv/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(MAKE) test

format: .venv/dev.stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/dev.stamp
	$(BIN)/python -m benchmarks

docs: .venv/demo.stamp
	$(BIN)/python docs/make_figures.py

families: .venv/dev.stamp
	$(BIN)/python -m tests.architectures.supported

clean:
	rm -rf .venv runs

.venv/venv.stamp:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "toposheet needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	touch $@

.venv/demo.stamp: pyproject.toml constraints.txt | .venv/venv.stamp
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[demo]'
	touch $@

.venv/dev.stamp: pyproject.toml constraints.txt | .venv/venv.stamp
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[demo,dev]'
	touch $@ .venv/demo.stamp
