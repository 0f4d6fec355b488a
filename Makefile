# One command for everything. Set-up is a dependency of each target, so a fresh clone needs no other step.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test check lint types floors interop soak bench clean

help: ## what can be made
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[notebooks]' --group test
	@touch $@

demo: $(READY) ## scan the embedded lab world and open its report: demo/report/index.html
	rm -rf demo
	$(BIN)/python -m crawler demo --out demo --domains 2000
	$(BIN)/python -m analysis build demo/archive --out demo/report
	@echo
	@echo "Open demo/report/index.html, or ask: $(BIN)/sts-report list"

test: $(READY) ## the tests, under ten minutes on two cores; a file's tests stay together
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: lint types floors test ## everything that must be green before a commit

lint: $(READY) ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY) ## mypy, strict
	$(BIN)/mypy

floors: $(READY) ## import contracts: the floors, and crawler apart from analysis
	$(BIN)/lint-imports

interop: $(READY) ## one scan over NSD, unbound, nginx, Postfix and OpenSSL, where installed
	$(BIN)/python -m pytest -m interop -rs

soak: $(READY) ## slow tests: long generated inputs
	$(BIN)/python -m pytest -m soak --timeout 3600

bench: $(READY) ## clients, judgement and whole scans beside their peers, under half an hour
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group bench
	$(BIN)/python -m tests.benchmarks --out bench.json $(BENCH)

clean: ## remove what this Makefile made
	rm -rf $(VENV) demo dist bench.json
