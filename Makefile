# make run   creates .venv, installs, and runs the main job on data_samples (ARGS="--data DIR" for your own plant)
# make test  creates .venv, installs, and runs everything that CI runs
#
# Nothing but Python 3.11, git and make is needed. Constraints hold at every install: without them a range may admit
# a newer torch, which brings gigabytes of CUDA.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt
JOBS ?= 2

# Two cores shared by two test processes: a library's own threads only get in the way.
test: export OMP_NUM_THREADS = 1

.DEFAULT_GOAL := help
.PHONY: help run test install lint types imports pytest serving-alone clean

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -n 2

$(BIN)/python:
	@echo "creating $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV)

# The stamp makes a second `make` start at once; a changed pyproject or pin installs again.
$(INSTALLED): pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing superheat with all extras, pinned by constraints.txt (minutes on the first run)"
	@$(PIP) hatchling editables
	@$(PIP) --no-build-isolation --editable '.[all]'
	@touch $@

install: $(INSTALLED)

run: $(INSTALLED)
	@$(BIN)/superheat run $(ARGS)

test: lint types imports pytest serving-alone
	@echo "all checks passed"

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

imports: $(INSTALLED)
	$(BIN)/lint-imports --no-cache

pytest: $(INSTALLED)
	$(BIN)/python -m pytest -q -n $(JOBS) --dist loadgroup

serving-alone: $(INSTALLED)
	$(BIN)/python tests/architecture/serving_alone.py

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
