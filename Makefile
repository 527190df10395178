# The two commands of the README, and those of the workshop. Each sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo run test check lint fix bench fuzz chaos gallery score-masked lock clean

$(READY): pyproject.toml deploy/constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint deploy/constraints.txt --editable '.[dev]'
	@touch $@

demo: $(READY)
	$(BIN)/bounced demo

run: $(READY)
	$(BIN)/bounced serve

# A module's tests stay in one process: they share its servers. Slow ones begin (tests/conftest.py).
test: $(READY)
	$(BIN)/python -m pytest -n auto --dist loadscope --no-loadscope-reorder

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bounced rules check

check: lint test

fix: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)
	$(BIN)/python -m tests.bench

# Mutated messages through the parser processes: make fuzz COUNT=50000 SEED=1 SECONDS=0
COUNT ?= 50000
SEED ?= 1
SECONDS ?= 0
fuzz: $(READY)
	$(BIN)/python -m tests.fuzz --count $(COUNT) --seed $(SEED) --seconds $(SECONDS)

# Daemons that are killed at every step of a notice's way: make chaos RUNS=2000 SEED=1
RUNS ?= 2000
chaos: $(READY)
	$(BIN)/python -m tests.chaos --runs $(RUNS) --seed $(SEED)

# Writes docs/notices/, what the mails to authors look like.
gallery: $(READY)
	$(BIN)/python -m tests.notifier.gallery docs/notices

# Whether verdicts lean on recipients' names; needs the labelled corpus beside the checkout.
score-masked: $(READY)
	$(BIN)/python -m tests.corpus

# Pins every package, names and versions only; run it in a virtual environment of the oldest Python.
lock: $(READY)
	$(BIN)/python -m pip list --format=freeze --exclude bounced-daemon --exclude pip --exclude setuptools \
		> deploy/constraints.txt

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache
