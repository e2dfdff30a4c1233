# The two commands a newcomer needs are `make up` and `make test`; both set up what they need.
STACK ?= dev
PYTHON := .venv/bin/python
OPS := $(PYTHON) -m ops
export Q DOCS  # through the environment, so that the shell runs nothing that stands in them

.PHONY: up down status preview search token ingest qdrant-key gateway-yaml test check lock parts k8s-up k8s-down test-k8s

up: parts  ## bring the stack up, with a real corpus; REFRESH=1 repairs what was changed by hand; YES=1 asks nothing
	@$(OPS) up --stack $(STACK) $(if $(REFRESH),--refresh) $(if $(YES),--yes)

down: .venv/ready  ## remove what runs; PURGE=1 removes data and secrets too
	@$(OPS) down --stack $(STACK) $(if $(PURGE),--purge) $(if $(YES),--yes)

status: .venv/ready  ## what runs, and whether it is well
	@$(OPS) status --stack $(STACK)

preview: parts  ## what `make up` would do, and whether policies let it: make preview STACK=prod
	@$(OPS) preview --stack $(STACK)

search: .venv/ready  ## make search Q="parse a JSON string"
	@$(if $(Q),,$(error expected a question, found none: make search Q="parse a JSON string"))$(OPS) search --stack $(STACK) -- "$$Q"

token: .venv/ready  ## print a JWT for the gateway
	@$(OPS) token --stack $(STACK)

ingest: .venv/ready  ## make ingest DOCS=dir
	@$(if $(DOCS),,$(error expected a folder, found none: make ingest DOCS=dir))$(OPS) ingest --stack $(STACK) -- "$$DOCS"

qdrant-key: .venv/ready  ## print Qdrant's API key
	@$(OPS) qdrant-key --stack $(STACK)

gateway-yaml: .venv/ready  ## the gateway as declarative YAML
	@$(PYTHON) -m ops.gateway_yaml --stack $(STACK)

test: parts  ## every test, against the real engine and a running stack
	@$(PYTHON) -m pytest

check: .venv/ready  ## style and types
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy . \
		&& cd services/rag && ../../.venv/bin/mypy rag

# Each part of the stack: what is on this machine, else what can be pulled, else a named stand-in.
parts: .venv/ready
	@$(PYTHON) -m sandbox

k8s-up: parts  ## a Kubernetes of three nodes on this machine, unless a kubeconfig points at one
	@$(PYTHON) -m sandbox.kubernetes up

k8s-down: .venv/ready  ## remove that Kubernetes; nothing of it stays
	@$(PYTHON) -m sandbox.kubernetes down

test-k8s: k8s-up  ## the prod stack on that Kubernetes, or on the one that KUBECONFIG names
	@$(PYTHON) -m pytest tests/live/test_8_kubernetes.py tests/sandbox/test_kubernetes.py

.venv/ready: requirements.lock
	@test -x .venv/bin/pip || python3 -m venv .venv
	@.venv/bin/pip install --quiet uv==0.13.9
	@.venv/bin/uv pip sync --quiet --require-hashes requirements.lock
	@touch $@

lock: .venv/ready  ## write requirements.lock from pyproject.toml
	@.venv/bin/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--no-annotate --no-header pyproject.toml --group rag --group sandbox --group dev -o requirements.lock
