# The virtual environment. Another one, for another Python: make test VENV=.venv-3.13 PYTHON=python3.13
VENV ?= .venv
BIN := $(VENV)/bin
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --strip-extras \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make requirements"
INSTALL := VENV=$(VENV) tools/install.sh
export PYTHON # unset, tools/find-python.sh chooses one
export PATH := $(abspath $(BIN)):$(PATH)

.PHONY: serve test test-all check prove chaos mutants bench upgrades release artifacts requirements

serve: $(VENV)/installed
	python -m service release
	exec honcho start web

# The fast part: what every change must pass.
test: $(VENV)/installed-dev
	pytest -n 2 --dist worksteal -m "not alone and not long"

# The rest, with the faults of tests/chaos in short form.
test-all: $(VENV)/installed-dev
	pytest -n 2 --dist worksteal -m "long and not alone"
	pytest -m alone

check: $(VENV)/installed-dev
	ruff format --check .
	ruff check .
	mypy
	lint-imports --no-logo
	codespell

# Checks the image, measures again every figure that docs/ shows, and writes the tables; this takes more than an hour.
prove: $(VENV)/installed-dev
	python -m tests.deployed.container
	python -m tests.chaos
	python -m benchmarks --postgres --peers mlserver,litserve
	python -m benchmarks --scorer pipeline
	python -m benchmarks --scorer pipeline --forest
	python -m benchmarks arrays
	python -m benchmarks.bulk
	python -m benchmarks.bulk.beside
	python -m benchmarks.growth
	python -m benchmarks.readers
	python -m benchmarks.score
	python -m benchmarks.compiled
	python -m benchmarks.text
	python -m benchmarks.models
	python -m benchmarks.models.kinds
	python -m benchmarks.swap_memory
	python -m benchmarks.learning.gate
	python -m benchmarks.learning.retraining
	python -m benchmarks.report README.md docs/performance.md docs/score.md docs/models.md docs/learning.md docs/bulk.md

chaos: $(VENV)/installed-dev
	python -m tests.chaos $(CHAOS)

# Breaks N (200) places of the code, chosen by SEED (0), one at a time, and reports which of them no test notices. FIRST
# continues an interrupted run.
mutants: $(VENV)/installed-dev
	python -m tests.support.mutants $(or $(SEED),0) $(or $(N),200) $(or $(FIRST),0)

bench: $(VENV)/installed-dev
	python -m benchmarks $(BENCH)

upgrades: $(VENV)/installed-dev
	@tools/upgrades.sh

# Checks that VERSION can be released, and says how. It pushes nothing.
release: $(VENV)/installed-dev
	@python -m tools.release $(VERSION)

artifacts: $(VENV)/installed
	python -m serialize recipe titanic -o artifacts

# Keeps the pinned versions where it can; with UPGRADE=--upgrade it takes the newest.
requirements: $(VENV)/installed-dev
	$(COMPILE) $(UPGRADE) pyproject.toml requirements-model.in -o requirements.txt
	$(COMPILE) $(UPGRADE) pyproject.toml requirements-model.in requirements-dev.in -c requirements.txt -o requirements-dev.txt

$(VENV)/installed: requirements.txt
	@$(INSTALL) requirements.txt
	@touch $@

$(VENV)/installed-dev: requirements-dev.txt $(VENV)/installed
	@$(INSTALL) requirements-dev.txt
	@touch $@
