# All commands of the project. In a fresh clone, each target first creates the environment .venv that it needs.
# brainscore-language needs older packages than toposheet, so test-brain creates a second environment, .venv-brain.
PYTHON ?= python3
BIN := .venv/bin
BRAIN_PYTHON ?= $(PYTHON)
BRAIN_BIN := .venv-brain/bin
BRAIN_TESTS := tests/brain_score/installed

.PHONY: demo test test-slow test-wheel test-brain check format bench docs families clean

demo: .venv/demo.stamp
	$(BIN)/toposheet demo

test: .venv/dev.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile

test-slow: .venv/dev.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m slow -n 2 --dist loadfile --durations=30

test-wheel:
	$(PYTHON) tools/test_wheel.py

test-brain: .venv/dev.stamp .venv-brain/brain.stamp
	OMP_NUM_THREADS=1 TOPOSHEET_PYTHON=$(abspath $(BIN)/python) $(BRAIN_BIN)/python -m pytest -q -c $(BRAIN_TESTS)/pytest.ini $(BRAIN_TESTS)

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
	rm -rf .venv .venv-brain runs

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

# Of toposheet it gets the code alone: its packages are in .venv, where the subjects run.
.venv-brain/brain.stamp: constraints-brain.txt pyproject.toml
	$(BRAIN_PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12) and "brainscore-language 2.3 needs Python 3.11 or 3.12, this is " + sys.version.split()[0] + ": make BRAIN_PYTHON=python3.12 ...")'
	$(BRAIN_PYTHON) -m venv .venv-brain
	$(BRAIN_BIN)/python -m pip install --quiet --constraint constraints-brain.txt brainscore-language==2.3.0 pytest
	$(BRAIN_BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@
