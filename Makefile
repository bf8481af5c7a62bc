# `make` lists the targets. Everything happens in .venv and build/; PYTHON=... picks the interpreter that .venv is made with.
PY := .venv/bin/python
SANITIZE := build/sanitize
PYTEST_ARGS ?=
BENCH_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help build demo test bench lint sanitize annotate clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# tools/prepare installs what is missing, and builds everything once.
.venv/ready: pyproject.toml tools/prepare
	@tools/prepare

build: .venv/ready  ## compile what changed
	@$(PY) setup.py -q build_ext --inplace

demo: build  ## benign traffic, an attack stopped, a tunnel opened, a hostile packet named
	@.venv/bin/fastpath demo

test: build  ## run the tests (PYTEST_ARGS=... is passed on)
	@$(PY) -m pytest $(PYTEST_ARGS)

bench: build  ## measure, print the table, write bench/record/
	@$(PY) bench/run.py $(BENCH_ARGS)

lint: .venv/ready  ## ruff, cython-lint, mypy over the public face and its examples
	@$(PY) -m ruff check .
	@PATH="$(CURDIR)/.venv/bin:$$PATH" cython-lint src
	@MYPYPATH=src $(PY) -m mypy --follow-imports=silent src/fastpath/__init__.pyi examples

# A build of its own, so that the ordinary one stays as it is. libstdc++ is preloaded beside libasan because Hyperscan throws
# C++ exceptions, which the sanitizer must be able to find.
sanitize: .venv/ready  ## run the tests with the address and undefined-behaviour sanitizers
	@FASTPATH_SANITIZE=address,undefined $(PY) setup.py -q build --build-base $(SANITIZE) --build-lib $(SANITIZE)/lib
	@PYTHONPATH=$(CURDIR)/$(SANITIZE)/lib PYTHONMALLOC=malloc FASTPATH_SANITIZED=1 \
	 LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libstdc++.so.6)" \
	 ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 $(PY) -m pytest $(PYTEST_ARGS)

annotate: .venv/ready  ## Cython's annotated listings, as src/**/*.html
	@FASTPATH_ANNOTATE=1 $(PY) setup.py -q build_ext --inplace

clean:  ## remove what was built, but not .venv
	@rm -rf build dist src/*.egg-info
	@find src -name '*.so' -delete
	@find src -name '*.pyx' | sed 's/pyx$$//' | while read -r stem; do rm -f "$${stem}c" "$${stem}html"; done
	@find src tests bench examples pcaps -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
	@rm -f .venv/ready
