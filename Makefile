PYTHON ?= python3
ARGS ?=
# All tests run in as many processes as there are cores. With ARGS they run in one, which starts sooner.
PYTEST_ARGS := $(or $(ARGS),--numprocesses=auto --dist=worksteal)

BIN := .venv/bin
# Many tests run the command in a process of its own: its modules must not be compiled for each.
unexport PYTHONDONTWRITEBYTECODE
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: help demo test docs bench notebook clean

help:  ## Show this help
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo 'Options: make PYTHON=python3.12 ...         create .venv with that Python'
	@echo '         make test ARGS="-k notebooks"      pass arguments to pytest'

demo: .venv/.plain  ## Install into .venv, then run report and verify on the sample logs
	$(BIN)/egresslog report -o table notebooks/logs/egressgateway-*
	-$(BIN)/egresslog verify -o table --gateway 'notebooks/logs/egressgateway-*' --sidecar notebooks/logs/sidecar-istio.log

test: .venv/.dev  ## Install with development tools, check style and types, run the tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest $(PYTEST_ARGS)

docs: .venv/.dev  ## Update the generated parts of the documentation
	$(BIN)/python -m cogapp -r -p 'from tests.generated_docs import *' README.md docs/*.md
	$(BIN)/python -m tests.lab.readme

bench: .venv/.dev  ## Measure speed and memory against a regular expression and kubectl logs -f
	$(BIN)/python -m tests.benchmark
	$(BIN)/python -m tests.benchmark_live

notebook: .venv/.notebook  ## Install with JupyterLab and open it in notebooks/
	cd notebooks && ../$(BIN)/jupyter lab

clean:  ## Remove .venv, build output and caches
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis notebooks/.ipynb_checkpoints
	find egresslog tests -name __pycache__ -prune -exec rm -rf {} +

# Stamp files: what they are named after is installed, until pyproject.toml changes. Every extra includes the package.
.venv/.plain: pyproject.toml | $(BIN)/pip
	$(PIP) -e .
	@touch $@

.venv/.dev .venv/.notebook: .venv/.%: pyproject.toml | $(BIN)/pip
	$(PIP) -e '.[$*]'
	@touch $@ .venv/.plain

# pip is the last thing that venv creates. Where it fails (Debian without python3-venv), no half of .venv is left.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo 'egresslog needs Python 3.11 or newer, and "$(PYTHON)" is not: '"$$($(PYTHON) -V 2>&1)" >&2; \
	    echo 'Name another one: make PYTHON=python3.12 ...' >&2; exit 1; }
	$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }
