# Everything runs in build/venv, built from pyproject.toml and built anew when that changes. What make
# removes it has made: environments that people make for themselves have other names, as .venv.

PYTHON ?= python3
VENV := build/venv
FUZZ_VENV := build/fuzz-venv
BIN := $(CURDIR)/$(VENV)/bin
SECONDS := 60
HOT_PATH := tests/test_compiled.py tests/http tests/wsgi tests/integration
PROCESSES := 4
PASSES := -m tests.passes $(PROCESSES)
SANITIZED := tests/test_compiled.py tests/http/test_twins.py tests/integration/test_exchanges.py
PACKAGES := $(CURDIR)/build/packages/venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# The next run need not compile the tests again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-python lint fuzz asan mutants packages bench bench-balance docs clean

help:
	@echo "make demo    serve examples/demo on http://127.0.0.1:8000/ with two workers"
	@echo "make test    run every test"
	@echo "make test-python  run the tests of the hot path without the compiled modules"
	@echo "make fuzz    run the fuzz targets, each for SECONDS=60"
	@echo "make asan    run the compiled modules under AddressSanitizer"
	@echo "make mutants  put faults into a copy of the server, one by one, that its tests must see"
	@echo "make packages  build wheel and source package, and install each"
	@echo "make lint    check style, types and the direction of imports"
	@echo "make bench   measure this server beside its peers; BENCH=--quick for a first look"
	@echo "make bench-balance  measure how long requests wait though a server is free"
	@echo "make docs    write docs/settings.md anew from the settings' declarations"
	@echo "make clean   remove what was built"

demo: $(VENV)/.installed
	cd examples/demo && exec $(BIN)/gunicorn

# Most tests wait most of the time, so there are more processes than CPUs.
test: $(VENV)/.installed-for-tests
	$(BIN)/python $(PASSES)

test-python: $(VENV)/.installed-for-tests
	GUNICORN_PURE_PYTHON=1 $(BIN)/python $(PASSES) $(HOT_PATH)

lint: $(VENV)/.installed-for-tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# Atheris has wheels for CPython 3.11 to 3.13 on Linux.
fuzz: $(FUZZ_VENV)/.installed
	mkdir -p fuzz/.corpus fuzz/.found
	$(FUZZ_VENV)/bin/python -m fuzz.seeds fuzz/.corpus
	for target in heads chunks; do \
		nice -n 19 $(FUZZ_VENV)/bin/python -m fuzz.$$target -max_total_time=$(SECONDS) \
			-max_len=4096 -timeout=10 -dict=fuzz/http.dict \
			-artifact_prefix=fuzz/.found/$$target- fuzz/.corpus/$$target || exit 1; \
	done

# The modules are built apart, in build/asan, and found there before those of the environment.
# Everything takes several times as long.
asan: $(FUZZ_VENV)/.installed
	rm -rf build/asan
	CFLAGS="-fsanitize=address -fno-omit-frame-pointer -g" LDFLAGS="-fsanitize=address" \
		$(FUZZ_VENV)/bin/python setup.py --quiet build --build-base build/asan --build-lib build/asan/lib
	PYTHONPATH=$(CURDIR)/build/asan/lib LD_PRELOAD=$$(gcc -print-file-name=libasan.so) \
		PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0 \
		$(FUZZ_VENV)/bin/python -m pytest --timeout 600 $(SANITIZED)

# Half an hour or more; MUTANTS='pidfile arbiter/pool' tries a part (see mutants/README.md).
mutants: $(VENV)/.installed-for-tests
	nice -n 19 $(BIN)/python -m mutants $(MUTANTS)

# The source package is installed where no compiler can be found: then the Python parser serves.
packages:
	rm -rf build/packages
	$(PYTHON) -m venv build/packages/venv
	$(PACKAGES)/pip --disable-pip-version-check --quiet install build
	$(PACKAGES)/python -m build --outdir build/packages . > build/packages/log
	$(PACKAGES)/pip --disable-pip-version-check --quiet install build/packages/*.whl
	$(PACKAGES)/gunicorn --version | grep 'fast HTTP parser'
	PATH=$(PACKAGES) $(PACKAGES)/pip --disable-pip-version-check --quiet install \
		--no-cache-dir --force-reinstall build/packages/*.tar.gz
	$(PACKAGES)/gunicorn --version | grep 'python HTTP parser'

bench:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m benchmarks.install
	benchmarks/.build/venv/bin/python -m benchmarks $(BENCH)

bench-balance:
	$(PYTHON) -m benchmarks.install
	benchmarks/.build/venv/bin/python -m benchmarks.balance $(BENCH)

docs: $(VENV)/.installed
	$(BIN)/python -m gunicorn.config.reference > docs/settings.md

clean:
	rm -rf $(VENV) $(FUZZ_VENV) build/packages build/asan build/mutants build/cython build/lib.* build/temp.*
	rm -rf src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	rm -rf fuzz/.corpus fuzz/.found benchmarks/.build

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

$(FUZZ_VENV)/.installed: pyproject.toml setup.py $(wildcard src/gunicorn/*/*.pyx src/gunicorn/*/*.pxd)
	rm -rf $(FUZZ_VENV)
	$(PYTHON) -m venv $(FUZZ_VENV)
	$(FUZZ_VENV)/bin/python -m pip --disable-pip-version-check --quiet install \
		'atheris>=2.3' 'setuptools>=77' 'Cython>=3.1' --editable '.[test]'
	touch $@
