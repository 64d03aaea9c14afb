PYTHON ?= python3
ARGS ?=

BIN := .venv/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: help demo test docs bench notebook clean

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo 'PYTHON=python3.12 makes .venv with that Python; ARGS="-k notebooks" goes to pytest.'

demo: .venv/.plain  ## install into .venv, then report on the sample logs, and verify (one host went past the gateway)
	$(BIN)/egresslog report -o table notebooks/logs/egressgateway-*
	-$(BIN)/egresslog verify -o table --gateway 'notebooks/logs/egressgateway-*' --sidecar notebooks/logs/sidecar-istio.log

test: .venv/.dev  ## install with all that development needs; check style and types; run the tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest $(ARGS)

docs: .venv/.dev  ## write the output of commands into README.md
	$(BIN)/cog -r README.md

bench: .venv/.dev  ## lines per second and memory, against a plain regular expression and kubectl logs -f
	$(BIN)/python -m tests.benchmark
	$(BIN)/python -m tests.benchmark_live

notebook: .venv/.notebook  ## install with JupyterLab, and open it in notebooks/
	cd notebooks && ../$(BIN)/jupyter lab

clean:  ## remove .venv and what tools left behind
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis notebooks/.ipynb_checkpoints
	find egresslog tests -name __pycache__ -prune -exec rm -rf {} +

# Stamps: what they name is installed, until pyproject.toml changes. Every extra brings the plain package along.
.venv/.plain: pyproject.toml | $(BIN)/pip
	$(PIP) -e .
	@touch $@

.venv/.dev .venv/.notebook: .venv/.%: pyproject.toml | $(BIN)/pip
	$(PIP) -e '.[$*]'
	@touch $@ .venv/.plain

# pip comes last into a new environment; where it cannot be made (Debian without python3-venv) no half is left behind.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo 'egresslog needs Python 3.11 or newer, and "$(PYTHON)" is not: '"$$($(PYTHON) -V 2>&1)" >&2; \
	    echo 'Name another one: make PYTHON=python3.12 ...' >&2; exit 1; }
	$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }
