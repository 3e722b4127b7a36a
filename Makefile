# The only door to this repository: everything a person or CI runs is a target here.
# `make serve` and `make test` set themselves up; they need Python 3.11 or newer, make and git.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
# gpu takes onnxruntime-gpu; both runtimes are one Python package, so .venv holds one of them.
RUNTIME ?= $(if $(shell command -v nvidia-smi),gpu,cpu)
PORT ?= $(or $(SEQSERVE_PORT),8000)
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
OTHER_RUNTIME_gpu := onnxruntime
OTHER_RUNTIME_cpu := onnxruntime-gpu
SERVE_READY := $(VENV)/.serve-$(RUNTIME)
DEV_READY := $(VENV)/.dev-$(RUNTIME)
SERVE_EXTRAS := $(RUNTIME),otel
DEV_EXTRAS := $(SERVE_EXTRAS),train,load,bench,dev

ifeq ($(OTHER_RUNTIME_$(RUNTIME)),)
$(error RUNTIME is "$(RUNTIME)"; it must be cpu or gpu)
endif

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "variables: PORT=$(PORT) RUNTIME=$(RUNTIME) (cpu or gpu) PYTHON=$(PYTHON) ARGS=... (further arguments of the tool)"

# --- set-up: stamps in .venv, made again when pyproject.toml or the lock file change ---

$(VENV)/.created:
	@for candidate in $(PYTHON) python3.13 python3.12 python3.11; do \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    python=$$candidate; break; \
	  fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "error: Python 3.11 or newer is needed, $(PYTHON) is $$($(PYTHON) --version 2>&1 || true)." >&2; \
	  echo "Install it, or name it: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; \
	fi; \
	echo "creating $(VENV) with $$($$python --version)"; \
	if ! $$python -m venv --clear $(VENV) >.venv.log 2>&1; then \
	  cat .venv.log >&2; rm -rf $(VENV) .venv.log; \
	  echo "error: $$python cannot make a virtual environment; install its venv module" >&2; \
	  echo "(Debian, Ubuntu: apt-get install python3-venv) and try again." >&2; exit 1; \
	fi; \
	rm -f .venv.log; touch $@

# $(call install,EXTRAS): the other runtime goes first, since removing it later would take shared files along.
define install
@echo "installing seqserve[$(1)] into $(VENV); the first time this takes a while"
@$(PIP) uninstall -q -y $(OTHER_RUNTIME_$(RUNTIME)) 2>/dev/null
@rm -f $(VENV)/.serve-* $(VENV)/.dev-*
@$(PIP) install -q -c requirements.lock -e ".[$(1)]"
endef

$(SERVE_READY): $(VENV)/.created pyproject.toml requirements.lock
	$(call install,$(SERVE_EXTRAS))
	@touch $@

$(DEV_READY): $(VENV)/.created pyproject.toml requirements.lock
	$(call install,$(DEV_EXTRAS))
	@touch $(SERVE_READY) $@

.PHONY: setup
setup: $(DEV_READY) ## everything for development, in .venv

# --- run ---

.PHONY: serve
serve: $(SERVE_READY) ## serve the shipped models on 127.0.0.1:PORT (installs no torch)
	@exec $(BIN)/seqserve serve --port $(PORT) $(ARGS)

.PHONY: train
train: $(DEV_READY) ## train: TASK=classification|translation|language|tagging|text2text DATA=folder [CONFIG=file]
	@$(if $(DATA),,echo "usage: make train TASK=classification|translation|language|tagging|text2text DATA=folder [CONFIG=file] [ARGS=...]" >&2; exit 2)
	@$(if $(or $(CONFIG),$(DEFAULT_CONFIG_$(TASK))),,echo "TASK must be classification, translation, language, tagging or text2text, or name a CONFIG" >&2; exit 2)
	$(BIN)/python -m models.train --config $(or $(CONFIG),$(DEFAULT_CONFIG_$(TASK))) --data "$(DATA)" $(ARGS)

DEFAULT_CONFIG_classification := models/configs/sentiment-ko.toml
DEFAULT_CONFIG_tagging := models/configs/spacing-ko.toml
DEFAULT_CONFIG_translation := models/configs/translation-en-de-third.toml
DEFAULT_CONFIG_language := models/configs/shakespeare-en.toml
DEFAULT_CONFIG_text2text := models/configs/chatbot-ko.toml

# Six teachers (three seeds, two stages each) label sentences of the reviews, so DATA must be writable. One language
# model serves them all; the student, which is larger, has its own.
EN_RUNS := runs/sentiment-en-teachers
EN_CONFIGS := models/configs/sentiment-en
EN_SEEDS := 1 2 3
TRAIN_EN = $(BIN)/python -m models.train --data "$(DATA)" $(ARGS)

.PHONY: train-sentiment-en
train-sentiment-en: $(DEV_READY) ## train the shipped English sentiment model in all its stages: DATA=folder
	@$(if $(DATA),,echo "usage: make train-sentiment-en DATA=folder [ARGS=...]" >&2; exit 2)
	$(BIN)/python -m models.synthesis.phrases --num-sentences 12000 --out "$(DATA)/sentiment/phrases"
	set -e; for seed in $(EN_SEEDS); do \
	  $(TRAIN_EN) --config $(EN_CONFIGS)-teacher-base.toml --seed $$seed \
	    $$(test $$seed = 1 || echo --init $(EN_RUNS)/base-1/pretraining) --out $(EN_RUNS)/base-$$seed; \
	  $(TRAIN_EN) --config $(EN_CONFIGS)-teacher.toml --seed $$seed --init $(EN_RUNS)/base-$$seed \
	    --out $(EN_RUNS)/teacher-$$seed; \
	done
	$(BIN)/python -m models.synthesis.label --runs $(foreach seed,$(EN_SEEDS),$(EN_RUNS)/base-$(seed) $(EN_RUNS)/teacher-$(seed)) \
	  --data "$(DATA)" --source sentiment/imdb --num-sentences 250000 --out "$(DATA)/sentiment/imdb_sentences"
	$(TRAIN_EN) --config $(EN_CONFIGS).toml

.PHONY: export
export: $(DEV_READY) ## turn a trained run into a version of the model repository: RUN=folder
	@$(if $(RUN),,echo "usage: make export RUN=runs/NAME [ARGS=...]" >&2; exit 2)
	$(BIN)/python -m export torch --run "$(RUN)" $(ARGS)

STUDY := docs/study

.PHONY: study
study: $(DEV_READY) ## compare vanilla RNN, GRU and LSTM, in minutes; results in docs/study [ARGS="--text FILE"]
	OMP_NUM_THREADS=1 $(BIN)/python -m models.study --out $(STUDY) $(ARGS)

.PHONY: load
load: $(DEV_READY) ## five minutes of load on HOST=http://..., or on a service of its own [ARGS="--slo p99=1500ms"]
	@$(BIN)/python -m loadtests.load.run $(if $(HOST),--host $(HOST)) $(ARGS)

# Peers of the benchmark, each in an environment of its own; without it a peer is left out.
PEERS := litserve torchserve ctranslate2

.PHONY: bench-peers
bench-peers: $(DEV_READY) ## the environments of the servers and engines that `make bench` compares with
	@for peer in $(PEERS); do \
	  packages=loadtests/bench/contestants/$$peer.txt; \
	  test $(VENV)/$$peer/.ready -nt $$packages || { \
	    echo "installing $$peer into $(VENV)/$$peer, for the comparison"; \
	    $(BIN)/python -m venv --clear $(VENV)/$$peer && $(VENV)/$$peer/bin/python -m pip install -q \
	      --disable-pip-version-check -c requirements.lock -r $$packages && touch $(VENV)/$$peer/.ready; \
	  } || echo "note: $$peer cannot be installed here and is left out" >&2; \
	done

.PHONY: bench
bench: bench-peers ## the service against its peers and its own engine, 27 minutes (ARGS=--quick: four)
	@$(BIN)/python -m loadtests.bench.run $$(for peer in $(PEERS); do \
	  test ! -e $(VENV)/$$peer/.ready || echo --$$peer $(VENV)/$$peer/bin/python; done) $(ARGS)

.PHONY: bench-smoke
bench-smoke: $(DEV_READY) ## show that every part of the benchmark runs, in about a minute (without wrk, those that need none)
	$(PYTEST) -m slow -rs -s tests/loadtests/bench/test_run.py tests/loadtests/bench/test_overload.py $(ARGS)

# --- check ---

# The tests' models are tiny: on two busy cores torch took 148 s with two threads for what took 35 s with one.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest
FAST := -m "not slow and not gpu and not image"
BY_FILE := --dist loadfile --no-loadscope-reorder
SIDE_BY_SIDE := -n auto $(BY_FILE)
# Its storms of requests share the machine with their server alone. The other tests run side by side, first
# those with servers, which wait a good deal.
WITH_LOAD := tests/integration/test_load.py
OTHERS := tests/integration $(filter-out $(addprefix tests/,clients integration service __pycache__),\
  $(patsubst %/,%,$(wildcard tests/*/)))

.PHONY: fmt
fmt: $(DEV_READY) ## format, and fix what can be fixed
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

.PHONY: fmt-check
fmt-check: $(DEV_READY)
	$(BIN)/ruff format --check .

.PHONY: lint
lint: $(DEV_READY) ## ruff
	$(BIN)/ruff check .

.PHONY: types
types: $(DEV_READY) ## mypy --strict
	$(BIN)/mypy

.PHONY: imports
imports: $(DEV_READY) ## the import contracts
	$(BIN)/lint-imports

# Coverage costs every server a third of its start, so it is measured where it is gated: tests/service alone.
.PHONY: test
test: $(DEV_READY) ## the tests, with the coverage gate
	$(PYTEST) $(FAST) $(SIDE_BY_SIDE) tests/service --cov --cov-fail-under=85 $(ARGS)
	$(PYTEST) $(FAST) $(SIDE_BY_SIDE) $(OTHERS) --ignore=$(WITH_LOAD) $(ARGS)
	$(PYTEST) $(FAST) $(WITH_LOAD) $(ARGS)

# What a machine that only serves has, and what pytest needs; never torch, never onnx.
SERVE_VENV := .venv-serve

.PHONY: test-serve
test-serve: $(VENV)/.created ## the tests of service/ in an environment of its own without torch and onnx
	@test $(SERVE_VENV)/.ready -nt pyproject.toml -a $(SERVE_VENV)/.ready -nt requirements.lock || { \
	  echo "installing seqserve[cpu,otel] and pytest into $(SERVE_VENV)" && \
	  $(BIN)/python -m venv --clear $(SERVE_VENV) && \
	  $(SERVE_VENV)/bin/python -m pip install -q --disable-pip-version-check -c requirements.lock \
	    -e ".[cpu,otel]" httpx pytest pytest-asyncio pytest-cov && \
	  touch $(SERVE_VENV)/.ready; }
	OMP_NUM_THREADS=1 $(SERVE_VENV)/bin/python -m pytest -q $(FAST) tests/service $(ARGS)

.PHONY: serve-smoke
serve-smoke: $(DEV_READY) ## start `make serve` and send its first request, as the README prints them, in seconds
	$(PYTEST) -m slow -rs tests/integration/test_quick_start.py $(ARGS)

CLIENTS_VENV := .venv-clients

CLIENTS_READY := $(CLIENTS_VENV)/.ready
LONGEST_CLIENT := tests/clients/test_schemathesis.py

.PHONY: clients
clients: $(CLIENTS_READY) ## third-party clients, and generated ones, against a real server (skipped if their program is missing)
	$(CLIENTS_VENV)/bin/python -m pytest -rs -n 2 $(BY_FILE) -p no:schemathesis -p no:hypothesispytest \
	  $(LONGEST_CLIENT) $(filter-out $(LONGEST_CLIENT),$(sort $(wildcard tests/clients/test_*.py))) $(ARGS)

.PHONY: clients-setup
clients-setup: $(CLIENTS_READY)

$(CLIENTS_READY): $(VENV)/.created pyproject.toml requirements.lock tests/clients/package.json
	@echo "installing seqserve[cpu,clients] and pytest into $(CLIENTS_VENV)"
	@$(BIN)/python -m venv --clear $(CLIENTS_VENV)
	@$(CLIENTS_VENV)/bin/python -m pip install -q --disable-pip-version-check -c requirements.lock \
	  -e ".[cpu,clients]" httpx pytest pytest-asyncio pytest-xdist
	@mkdir $(CLIENTS_VENV)/javascript && cp tests/clients/package.json $(CLIENTS_VENV)/javascript
	@npm install --silent --no-audit --no-fund --prefix $(CLIENTS_VENV)/javascript || \
	  echo "note: npm cannot install the clients in JavaScript, which are left out" >&2
	@touch $@

.PHONY: test-slow
test-slow: $(DEV_READY) ## the tests that take longer
	$(PYTEST) -m "slow and not gpu and not image" $(ARGS)

# On a machine that reaches no registry, PACKAGES is the folder of what `make gpu-pack` packed elsewhere.
PACKAGES ?=
GPU_PREPARED ?= build/gpu
GPU_PYTHON = $(if $(PACKAGES),PYTHONPATH=.:$(PACKAGES) $(PYTHON),$(BIN)/python)
GPU_READY = $(if $(PACKAGES),,$(DEV_READY))

.PHONY: gpu-check gpu-bench
gpu-check: gpu-prepare ## that a GPU answers like a CPU, in timed stages, under five minutes [REHEARSE=1 OUT=folder PACKAGES=folder]
gpu-bench: gpu-prepare ## how fast a GPU is, in timed stages, five minutes [REHEARSE=1 OUT=folder PACKAGES=folder]
gpu-check gpu-bench:
	$(GPU_PYTHON) -m loadtests.gpu.run $(@:gpu-%=%) --prepared $(GPU_PREPARED) $(if $(REHEARSE),--rehearse) $(ARGS)

.PHONY: gpu-prepare
gpu-prepare: $(GPU_READY)
	@$(if $(and $(PACKAGES),$(wildcard $(GPU_PREPARED)/models)),echo "models: $(GPU_PREPARED)", \
	  $(GPU_PYTHON) -m loadtests.gpu.prepare --out $(GPU_PREPARED))

.PHONY: gpu-pack
gpu-pack: gpu-prepare ## packages and models for gpu-check where nothing can be installed, in build/gpu-parts [GPU_PYTHON_VERSION=3.12]
	RUNTIME=$(RUNTIME) PYTHON_VERSION=$(GPU_PYTHON_VERSION) loadtests/gpu/pack.sh $(BIN)/python $(GPU_PREPARED)
GPU_PYTHON_VERSION ?= 3.12

.PHONY: gpu-test
gpu-test: $(DEV_READY) ## the tests that need a GPU
	$(PYTEST) -m gpu $(ARGS)

.PHONY: chart
chart: $(DEV_READY) ## lint the charts, render them, check them against the Kubernetes schemas
	$(PYTEST) -m "not slow" tests/integration/test_chart.py tests/integration/test_chart_files.py \
	  tests/integration/test_chart_load.py tests/integration/test_rules.py $(ARGS)

.PHONY: rules
rules: $(DEV_READY) ## unit tests of the alerts; dashboard and exemplars with a real Prometheus (Debian package prometheus)
	$(PYTEST) -rs tests/integration/test_rules.py tests/integration/test_exemplars.py $(ARGS)

.PHONY: rolling
rolling: $(DEV_READY) ## two servers behind nginx (Debian package): rolled, killed, hung, under load; two minutes
	$(PYTEST) -rsP tests/integration/test_rolling.py $(ARGS)

.PHONY: chart-schema
chart-schema: $(DEV_READY) ## tell the chart's schema of the server's settings, after changing those
	$(BIN)/python -m tests.integration.chart_schema

.PHONY: check
check: fmt-check lint types imports test ## format, lint, types, imports, tests (.ci/run is all of CI)

# --- documentation ---

.PHONY: docs
docs: $(DEV_READY) ## the documentation as a site, in site/ (strict: a broken link fails)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict $(ARGS)

.PHONY: docs-generate
docs-generate: $(DEV_READY) ## write the generated parts of the documentation and docs/openapi.json anew
	$(BIN)/python -m docs.generate

# --- build ---

.PHONY: dist
dist: $(SERVE_READY) ## the wheel, in dist/
	$(PIP) wheel -q --no-deps --wheel-dir dist .

# The first that has a working engine: a docker without its daemon does not count.
CONTAINER_TOOL ?= $(shell for tool in docker podman buildah; do \
  if "$$tool" info >/dev/null 2>&1; then echo "$$tool"; break; fi; done)
# The format of the others has no health check.
IMAGE_FLAGS_podman := --format docker
IMAGE_FLAGS_buildah := --format docker
IMAGE ?= seqserve:$(RUNTIME)
IMAGE_ARGS = $(if $(BASE),--build-arg BASE=$(BASE)) $(if $(BUILD_BASE),--build-arg BUILD_BASE=$(BUILD_BASE)) \
  --build-arg VERSION=$(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml) \
  --build-arg REVISION=$(or $(shell git rev-parse HEAD 2>/dev/null),unknown) \
  --build-arg CREATED=$(or $(shell TZ=UTC0 git log -1 --format=%cd --date=format-local:%Y-%m-%dT%H:%M:%SZ 2>/dev/null),1970-01-01T00:00:00Z)

.PHONY: image
image: ## the container image, seqserve:cpu or seqserve:gpu by RUNTIME [IMAGE=name:tag BASE=... BUILD_BASE=...]
	@tool=$(CONTAINER_TOOL); \
	if [ -z "$$tool" ]; then echo "error: docker, podman or buildah is needed, with its engine running" >&2; exit 1; fi; \
	set -x; $$tool build $(IMAGE_FLAGS_$(notdir $(CONTAINER_TOOL))) --target $(RUNTIME) --tag $(IMAGE) $(IMAGE_ARGS) $(ARGS) .

.PHONY: image-base
image-base: ## for machines without a registry, as root: BASE and BUILD_BASE of `make image` out of Debian packages
	tests/integration/make_base.sh localhost/seqserve-base $(ARGS)
	@echo "use them: make image BASE=localhost/seqserve-base BUILD_BASE=localhost/seqserve-base-build"

.PHONY: image-test
image-test: $(DEV_READY) image ## build the image and use it for real: locked down, under load, as a Kubernetes pod
	SEQSERVE_TEST_IMAGE=$(IMAGE) SEQSERVE_TEST_TOOL=$(CONTAINER_TOOL) $(PYTEST) -m image -rP $(TEST_ARGS)

.PHONY: lock
lock: $(VENV)/.created ## make requirements.lock again (ARGS=--upgrade for newer versions)
	@$(PIP) install -q $(addprefix -c ,$(wildcard requirements.lock)) uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	  --output-file requirements.lock $(ARGS) pyproject.toml

.PHONY: clean
clean: ## remove environments, caches and build results (never runs/ or models/)
	rm -rf $(VENV) $(SERVE_VENV) $(CLIENTS_VENV) dist build site .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
