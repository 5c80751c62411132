# `make demo` and `make test` install what they need into .venv first.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
export OMP_NUM_THREADS ?= 1

.PHONY: help install demo test check bench clean

help:  ## what one can do here
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(STAMP): pyproject.toml constraints/cpu.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/pip install --quiet --constraint constraints/cpu.txt --editable ".[dev]"
	touch $@

install: $(STAMP)  ## make a virtual environment in .venv and install the lab

demo: $(STAMP)  ## from nothing to verdicts on the embedded model
	$(BIN)/bct run recipes/quickstart.yaml

test: $(STAMP)  ## the whole test suite, offline
	HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 $(BIN)/python -m pytest -n 2 --dist loadfile

check: $(STAMP)  ## formatting, lint and types
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/pyright

bench: $(STAMP)  ## measure; prints ratios and writes docs/measured/benchmarks.md
	$(BIN)/python -m benchmarks

clean:  ## remove the virtual environment and caches (runs and logs stay)
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache
