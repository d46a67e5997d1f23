# Everything runs in .venv, built from pyproject.toml and built anew when that changes.

PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help demo test lint bench docs clean

help:
	@echo "make demo    serve examples/demo on http://127.0.0.1:8000/ with two workers"
	@echo "make test    run every test"
	@echo "make lint    check style, types and the direction of imports"
	@echo "make bench   measure this server beside its peers; BENCH=--quick for a first look"
	@echo "make docs    write docs/settings.md anew from the settings' declarations"
	@echo "make clean   remove what was built"

demo: $(VENV)/.installed
	cd examples/demo && exec $(BIN)/gunicorn

test: $(VENV)/.installed-for-tests
	$(BIN)/pytest

lint: $(VENV)/.installed-for-tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m benchmarks.install
	benchmarks/.venv/bin/python -m benchmarks $(BENCH)

docs: $(VENV)/.installed
	$(BIN)/python -m gunicorn.config.reference > docs/settings.md

clean:
	rm -rf $(VENV) build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	rm -rf benchmarks/.venv benchmarks/.venv-pure benchmarks/.venv-gunicorn benchmarks/.build

# The stamps are touched last, so that a build that was broken off starts again.
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=python3.12 ...")'
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --editable .
	touch $@

$(VENV)/.installed-for-tests: $(VENV)/.installed
	$(PIP) install --editable '.[test,lint]'
	touch $@
