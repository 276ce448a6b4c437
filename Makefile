# What a developer needs: `make demo`, `make test`, `make bench`. All set-up is done here.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
TESTS ?= tests/unit tests/component tests/integration tests/acceptance tests/browser
# Files of tests that run at once: most of their time they wait for programs and for clocks.
WORKERS ?= 4

CONSTRAINTS := --constraint constraints.txt
# A Python that is not installed is passed over; Debian's own is the oldest that Debian 12 has.
PYTHONS ?= python3.11 python3.12 python3.13 $(wildcard /usr/bin/python3)

.PHONY: demo test test-newest test-pythons lint types unit packages bench fuzz crash boards docs clean

demo: $(READY)  ## play a host's night on this machine, without root; exits 0 only if all came out right
	@$(BIN)/vtspolicy demo

test: lint types packages  ## everything that must hold before a change lands
	$(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile $(TESTS) $$(sh .ci/left-out)

test-newest:  ## lint, types and the quick tests with the newest versions, in .venv-newest
	rm -f .venv-newest/ready
	@$(MAKE) --no-print-directory .venv-newest/ready
	@sh .ci/changed-versions .venv-newest
	$(MAKE) --no-print-directory READY=.venv-newest/ready BIN=.venv-newest/bin lint types unit

test-pythons:  ## the quick tests with each Python of PYTHONS that is installed, in .venv-VERSION
	@MAKE="$(MAKE)" sh .ci/test-pythons $(PYTHONS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy -p vtspolicy

unit: $(READY)  ## the quick part
	$(BIN)/pytest -q --numprocesses auto --dist loadfile tests/unit tests/component

packages: $(READY)  ## the programs that the integration tests run, from Debian, as root or with sudo
	@sh .ci/install-packages

bench: $(READY)  ## every speed beside its floor and its peer, in one table
	$(BIN)/python -m tests.benchmarks

fuzz: $(READY)  ## the grammar under atheris, for FUZZ_RUNS inputs
	$(BIN)/python tests/fuzz/fuzz_grammar.py -runs=$(or $(FUZZ_RUNS),5000000)

crash: $(READY)  ## kill everything CRASH_KILLS times, from CRASH_SEED, on CRASH_SITES sites at once; nothing may be lost or doubled
	$(BIN)/python -m tests.crash

boards: $(READY)  ## the board for Grafana, from the metrics' own table
	$(BIN)/python deploy/grafana/make.py

docs: $(READY)  ## the pages that are made from the code's own tables
	$(BIN)/python -m vtspolicy.grammar.pages
	$(BIN)/python docs/make.py

# Environments, made again whenever the list of dependencies changes. What builds the program is
# installed first and not fetched by pip for the building, so that constraints.txt holds for it, too.
LISTS := setup.cfg pyproject.toml constraints.txt
INSTALL = $(@D)/bin/python -m pip install --quiet --disable-pip-version-check
define ENVIRONMENT
@test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
@echo "Installing vtspolicy and its dependencies into $(@D) ..."
@$(INSTALL) $(CONSTRAINTS) setuptools
@$(INSTALL) $(CONSTRAINTS) --no-build-isolation --editable '.[test]'
@touch $@
endef

.venv/ready: $(LISTS)
	$(ENVIRONMENT)

.venv-%/ready: $(LISTS)
	$(ENVIRONMENT)

.venv-newest/ready: CONSTRAINTS := --upgrade --upgrade-strategy eager
.venv-newest/ready: $(LISTS)
	$(ENVIRONMENT)

clean:
	rm -rf .venv .venv-* build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
