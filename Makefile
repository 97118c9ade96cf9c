PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
COMPILE := pip-compile --quiet --upgrade --strip-extras --generate-hashes --allow-unsafe --no-emit-index-url --no-emit-find-links
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: serve test check chaos mutants bench artifacts requirements

serve: .venv/installed
	python -m service migrate
	exec honcho start web

test: .venv/installed-dev
	pytest -n 2 --dist worksteal -m "not alone"
	pytest -m alone

check: .venv/installed-dev
	ruff format --check .
	ruff check .
	mypy

chaos: .venv/installed-dev
	python -m tests.chaos $(CHAOS)

mutants: .venv/installed-dev
	python -m tests.support.mutants $(or $(SEED),0) $(or $(N),200)

bench: .venv/installed-dev
	python -m benchmarks $(BENCH)

artifacts: .venv/installed
	python -m serialize recipe titanic -o artifacts

requirements: .venv/installed-dev
	$(COMPILE) requirements.in
	$(COMPILE) requirements-dev.in

.venv/installed: requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

.venv/installed-dev: requirements-dev.txt .venv/installed
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@
