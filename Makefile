# Two commands for a checkout: `make run` trains the main recipe on embedded data, `make test` runs the tests.
PYTHON ?= python3
BIN := .venv/bin
RUN ?= glscl

.PHONY: run test slow clean

run: .venv/ready
	$(BIN)/vlobj run $(RUN)

test: .venv/ready
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -q

slow: .venv/ready
	$(BIN)/python -m pytest -m slow -q

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv runs build dist
