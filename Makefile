# One file runs everything; the first target that needs it makes the virtual environment.
#   make test PYTHON=python3.12 VENV=/tmp/venv       another interpreter, another place
#   make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu      torch without CUDA

PYTHON ?= python3
VENV ?= .venv
TORCH_INDEX ?=
RESULTS ?= results/demo
PYTEST_FLAGS ?= -q
# Test files side by side, each as a whole in one process. The fast ones keep a core busy each; the others mostly wait.
TEST_WORKERS ?= 2
SLOW_WORKERS ?= 3
SHARED_OUT := --dist loadfile --max-worker-restart 0

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq -c constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
RUN := $(VENV)/.installed-run
DEV := $(VENV)/.installed-dev

# `make test` and `make integration` share the tests out: each test runs in exactly one of them.
# `make chaos` runs a part of the latter at full length.
SLOW := integration or chaos or gpu

# Trials run side by side: one thread each keeps them off each other's cores.
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help demo test integration chaos check docs bench clean
.DELETE_ON_ERROR:

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(RUN)  ## search digits with both brains, in parallel trials on a local Ray
	rm -rf $(RESULTS)
	$(BIN)/raytao run digits_bayesian results_dir=$(RESULTS)/bayesian
	$(BIN)/raytao run digits_hyperband results_dir=$(RESULTS)/hyperband

test: $(DEV)  ## fast tests and a Ray smoke test (5 to 8 minutes on two cores)
	$(BIN)/python -m pytest $(PYTEST_FLAGS) -n $(TEST_WORKERS) $(SHARED_OUT) -o faulthandler_timeout=180 -m "not ($(SLOW))"

integration: $(DEV)  ## the other tests: minutes, kills, GPUs where there are some
	$(BIN)/python -m pytest $(PYTEST_FLAGS) -n $(SLOW_WORKERS) $(SHARED_OUT) -m "$(SLOW)"

chaos: $(DEV)  ## kills and errors at every place, random kills on Ray, fuzzing (at most 20 minutes)
	$(BIN)/python -m pytest $(PYTEST_FLAGS) -n $(SLOW_WORKERS) $(SHARED_OUT) -m chaos

check: $(DEV)  ## lint, format, types, layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/architecture

docs: $(DEV)  ## the documentation as a site, in docs/_build: a broken link is an error
	$(BIN)/sphinx-build -W --keep-going -n -q -c docs . docs/_build

bench: $(DEV)  ## run every measurement in benchmarks/
	@bad=0; for file in benchmarks/*.py; do \
	  echo "== $$file"; $(BIN)/python $$file || bad=1; \
	done; exit $$bad

clean:  ## remove the environment, results and caches
	rm -rf $(VENV) results dist build docs/_build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find raytao tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

$(RUN): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "raytao needs Python 3.11 or newer; name one: make PYTHON=python3.11"; exit 1; }
	@echo "installing into $(VENV): a minute or two, the first time only"
	$(PYTHON) -m venv $(VENV)
	$(PIP) pip
	$(PIP) -e .
	@touch $@

$(DEV): $(RUN)
	$(PIP) --group test --group lint --group docs
	$(PIP) --no-deps nvidia-tao-core==7.3.0  # its own search, to compare `compat: tao7` with; it needs none of the rest
	@touch $@
