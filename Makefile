# Two commands: `make run` starts a demo venue, `make test` runs every test. Both set up what
# they need first. `make help` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: compiled plain test-compiled quickfix wheel image help setup install update lock run demo demo-cluster docs documents \
	test freqtrade check prove prove-cluster bench compare day sustained growth clean

VENV := .venv
BIN := $(VENV)/bin
# `source` compiles the official QuickFIX, `wheel` installs the prebuilt quickfix-tls. What was
# chosen holds until something else is.
QUICKFIX ?= $(or $(shell cat $(VENV)/quickfix 2>/dev/null),source)
ifeq ($(filter source wheel,$(QUICKFIX)),)
$(error QUICKFIX is source or wheel, not $(QUICKFIX))
endif
PYTHON ?= $(shell command -v python3.11 || command -v python3)
# Many tests wait most of the time, so that two processors have work for four.
WORKERS ?= 3
PYTEST_ARGS ?=
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# What is installed is what the lock files say, to the hash; `make update` moves them. The stamps
# say what is installed. QuickFIX has its own: it is compiled once per user (tools/quickfix.py keeps
# the wheel), and left out of what pip installs.
BASE := $(VENV)/.stamp-base
ENGINE := $(VENV)/.stamp-quickfix-$(QUICKFIX)
RUNNING := $(VENV)/.stamp-running
PAGES := $(VENV)/.stamp-pages
READY := $(VENV)/.stamp-ready
CCXT := $(VENV)/.stamp-ccxt
FREQTRADE := $(VENV)/.stamp-freqtrade
SITE := build/docs/.stamp
WITHOUT_QUICKFIX := sed '/^quickfix==/,/[^\\]$$/d'
LOCKED = $(WITHOUT_QUICKFIX) $(1) > $(VENV)/$(1) && \
	$(BIN)/python -m pip install -qq --require-hashes --no-deps --requirement $(VENV)/$(1)
# Byte code of our own sources. Where they are installed as they lie here, pip makes none, and a
# process whose user may not write here would compile them anew at each start.
COMPILED := $(BIN)/python -m compileall -q engine fix_gateway account_api config tandem \
	certification bots clients/sdk/tandem_client
ITSELF := $(BIN)/python -m pip install -qq --no-deps --no-build-isolation --editable . --editable clients/sdk

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(READY)  ## make the virtual environment and install everything
	@$(COMPILED)

install: $(RUNNING)  ## the same with what a venue runs on alone, as a server wants it
	@$(COMPILED)

update: $(READY)  ## move the lock files to the newest releases, run the tests, show what moved
	@$(BIN)/python -m tools.locks upgrade | tee $(VENV)/moved
	@trap 'echo "What moved:"; cat $(VENV)/moved; \
		echo "git diff --stat requirements*.txt shows it; git checkout requirements*.txt goes back."' EXIT; \
		$(MAKE) --no-print-directory setup test

lock: $(READY)  ## write the lock files after a change of setup.cfg; nothing else moves
	@$(BIN)/python -m tools.locks lock

run: $(RUNNING)  ## start a demo venue; MARKET=1 with bots, TLS=1 with TLS
	@$(COMPILED)
	@$(MAKE) --no-print-directory -q $(SITE) 2>/dev/null || { \
		echo "The documentation is built meanwhile; /docs has it a minute after (build/docs.log)."; \
		mkdir -p build; nice -n 19 $(MAKE) --no-print-directory $(SITE) >build/docs.log 2>&1 </dev/null & }
	@exec $(BIN)/tandem up $(if $(filter-out 0,$(MARKET)),--market) \
		$(if $(filter-out 0,$(TLS)),--tls)

docs: $(PAGES)  ## build the documentation into build/docs, which a running venue serves at /docs
	@$(BIN)/python docs/build.py build/docs && touch $(SITE)

image: $(READY)  ## build the image with podman and try what compose.yaml says: minutes
	@exec $(BIN)/python -m tools.image $(PYTEST_ARGS)

wheel: $(READY) $(SITE)  ## build the wheel into dist; it has the documentation and runs by itself
	@rm -rf build/lib build/bdist.*
	@$(BIN)/python -m pip wheel -qq --no-deps --no-build-isolation --wheel-dir dist . && ls dist/*.whl

documents: $(READY)  ## write the documents that are made from the code
	@$(BIN)/python -m tests.docs.examples
	@$(BIN)/python -m tests.docs.conversations
	@$(BIN)/python -m account_api.documents spec
	@$(BIN)/python -m tools.client_code
	@$(BIN)/python docs/generate.py

demo: $(RUNNING)  ## play a checked trading day on a temporary venue
	@exec $(BIN)/tandem demo

demo-cluster: $(RUNNING)  ## three machines on etcd here; kill the leader's and lose nothing
	@exec $(BIN)/tandem demo-cluster $(if $(filter-out 0,$(KEEP)),--keep)

# Many tests kill and time out real processes. Where nobody looks on, on a machine that others
# use too, one that fails is tried once again, unless it shares what it judges with others. The
# summary names it with its first failure: it is a fault to be found.
RERUNS := $(if $(CI),1,0)

# A loop that keeps a processor busy as long as the shell that started it.
BUSY := import os; p = os.getppid(); \
	all(sum(range(10**6)) for _ in iter(lambda: os.getppid() == p, False))

test: $(READY) $(CCXT)  ## run every test; LOADED=1 with four busy loops beside them
	@$(COMPILED)
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || echo \
		"There is no chromium with its driver (Debian: apt-get install chromium chromium-driver): the tests of the web page are skipped."
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || echo \
		"There is no PostgreSQL server (Debian: apt-get install postgresql): the history is tested on SQLite alone."
	@for loop in $(if $(filter-out 0,$(LOADED)),1 2 3 4); do $(BIN)/python -c '$(BUSY)' & done; \
		$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder --reruns $(RERUNS) $(PYTEST_ARGS)

freqtrade: $(READY) $(CCXT) $(FREQTRADE)  ## install freqtrade for the tests and have it trade at a venue
	@exec $(BIN)/python -m pytest -v tests/clients/test_freqtrade.py $(PYTEST_ARGS)

check: $(READY)  ## lint, types, layer rules: seconds
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/style

prove: $(READY)  ## the long forms of the proofs, two hours; SEED=n MINUTES=n PROVE_ARGS="--only soak"
	@exec $(BIN)/python -m tests.prove $(if $(SEED),--seed $(SEED)) \
		$(if $(MINUTES),--soak-minutes $(MINUTES)) $(PROVE_ARGS)

prove-cluster: $(READY)  ## three machines lose their leader a hundred times, an hour; SEED=n LOSSES=n
	@exec $(BIN)/python -m tests.prove.cluster $(if $(SEED),--seed $(SEED)) \
		$(if $(LOSSES),--losses $(LOSSES)) $(PROVE_ARGS)

bench: $(READY)  ## run every benchmark, write docs/benchmarks.md: a quarter of an hour
	@exec $(BIN)/python -m benchmarks.report

compare: $(READY)  ## run the whole venue beside its peers (TANDEM_QUICKFIX_SOURCE), some minutes
	@exec $(BIN)/python -m benchmarks.report --only peers

day: $(READY)  ## run the trading day of the benchmarks and draw it: ten minutes
	@exec $(BIN)/python -m benchmarks.report --only day

sustained: $(READY)  ## load the whole venue step by step, then steadily for ten minutes, and draw it
	@exec $(BIN)/python -m benchmarks.report --only sustained

growth: $(READY)  ## measure a venue that has grown old and large: a quarter of an hour
	@exec $(BIN)/python -m benchmarks.report --only growth stream-large

compiled: $(READY)  ## compile engine/core and the bridge to QuickFIX, two minutes; `make plain` undoes it
	@$(BIN)/python -m tools.compiled build

plain: $(READY)  ## go back to the plain build of both
	@$(BIN)/python -m tools.compiled remove

test-compiled: compiled  ## run the tests of engine and gateway on the compiled parts: minutes
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder --reruns $(RERUNS) \
		tests/unit/core tests/unit/fix tests/golden tests/crash tests/fix $(PYTEST_ARGS)

clean:  ## remove the virtual environment and caches; ./data is left alone
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BASE): requirements-build.txt
	@if [ -z "$(PYTHON)" ] || ! "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
		echo "Python 3.11 or later is needed (Debian 12: apt-get install python3.11)." >&2; exit 1; fi
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "Python's venv module is needed (Debian 12: apt-get install python3-venv)." >&2; exit 1; }
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	@$(call LOCKED,requirements-build.txt)
	@touch $@

$(ENGINE): $(BASE) requirements.txt requirements-quickfix-wheel.txt
	@$(BIN)/python -m tools.quickfix $(QUICKFIX)
	@rm -f $(VENV)/.stamp-quickfix* && echo $(QUICKFIX) > $(VENV)/quickfix && touch $@

quickfix: $(ENGINE)

# ccxt, against which its class for Tandem is tested, in an environment inside the other.
$(CCXT): $(BASE) requirements-ccxt.txt
	@$(BIN)/python -m venv $(VENV)/ccxt
	@$(VENV)/ccxt/bin/python -m pip install -qq --require-hashes --no-deps -r requirements-ccxt.txt
	@touch $@

# freqtrade, which trades through that class. Nothing else needs it, and it is large.
$(FREQTRADE): $(BASE) requirements-freqtrade.txt
	@$(BIN)/python -m venv $(VENV)/freqtrade
	@$(VENV)/freqtrade/bin/python -m pip install -qq --require-hashes --no-deps -r requirements-freqtrade.txt
	@touch $@

# A venue runs without its documentation, so a page that cannot be built is no reason to stop.
$(SITE): $(PAGES) $(shell find docs spec 2>/dev/null -name '*.md' -o -name '*.png' -o -name 'conf.py')
	@echo "Building the documentation."
	@$(BIN)/python docs/build.py build/docs || { mkdir -p build/docs; \
		echo "It could not be built; /docs shows the API reference alone." >&2; }
	@touch $@

$(RUNNING): $(ENGINE) requirements.txt setup.cfg pyproject.toml
	@echo "Installing Tandem and what it runs on."
	@$(call LOCKED,requirements.txt)
	@$(ITSELF)
	@touch $@

$(PAGES): $(RUNNING) requirements-docs.txt
	@echo "Installing what builds the documentation."
	@$(call LOCKED,requirements-docs.txt)
	@touch $@

$(READY): $(PAGES) requirements-test.txt
	@echo "Installing what the tests need."
	@$(call LOCKED,requirements-test.txt)
	@touch $@
