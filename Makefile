# The two commands a newcomer needs are `make up` and `make test`; both set up what they need.
STACK ?= dev
PYTHON := .venv/bin/python
CLI := $(PYTHON) -m cli
PROVE := $(PYTHON) -m cli.prove
PLAN = $(if $(DRY_RUN),--dry-run)
LOSS = $(if $(ALLOW_DATA_LOSS),--allow-data-loss)
# Where the official CLI is on PATH, and images are where the engine or the cluster pulls them, no part has to be looked for.
PARTS := $(if $(AS_IS),.venv/ready,parts)
export Q DOCS  # through the environment, so that the shell runs nothing that stands in them

.DEFAULT_GOAL := help
help:  ## this list
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z0-9-]+:.*## / {printf "  %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: help up down status preview search token ingest qdrant-key admin-token doctor parts gateway-yaml backup restore migrate \
	replace-node scale verify pin newest test-pure test load chaos roll breaker hops capacity prove k8s-up k8s-down test-k8s \
	check results lock

##@ Use

up: $(PARTS)  ## bring the stack up, with a real corpus; REFRESH=1 repairs what was changed by hand; YES=1 asks nothing
	@$(CLI) up --stack $(STACK) $(if $(REFRESH),--refresh) $(if $(YES),--yes) $(LOSS)

down: .venv/ready  ## remove what runs; PURGE=1 removes data and secrets too
	@$(CLI) down --stack $(STACK) $(if $(PURGE),--purge) $(if $(YES),--yes)

status: .venv/ready  ## what runs, and whether it is well
	@$(CLI) status --stack $(STACK)

preview: $(PARTS)  ## what `make up` would do, and whether policies let it: make preview STACK=prod; REFRESH=1 as with up
	@$(CLI) preview --stack $(STACK) $(if $(REFRESH),--refresh) $(if $(UNCHANGED),--unchanged) \
		$(if $(MARKDOWN),--markdown "$(MARKDOWN)") $(LOSS)

search: .venv/ready  ## make search Q="parse a JSON string"
	@$(if $(Q),,$(error expected a question, found none: make search Q="parse a JSON string"))$(CLI) search --stack $(STACK) -- "$$Q"

token: .venv/ready  ## print a JWT for the gateway; CONSUMER=name or KEY=kid: signed with a key of yours
	@$(CLI) token --stack $(STACK) $(if $(CONSUMER),--consumer "$(CONSUMER)") $(if $(KEY),--key "$(KEY)")

ingest: .venv/ready  ## make ingest DOCS=dir
	@$(if $(DOCS),,$(error expected a folder, found none: make ingest DOCS=dir))$(CLI) ingest --stack $(STACK) -- "$$DOCS"

qdrant-key: .venv/ready  ## print Qdrant's API key
	@$(CLI) qdrant-key --stack $(STACK)

admin-token: .venv/ready  ## print the token of Kong's Admin API, for the header Kong-Admin-Token
	@$(CLI) admin-token --stack $(STACK)

doctor: .venv/ready  ## what this machine has for each command, what it lacks and what to do; STACK=prod asks the cluster
	@$(CLI) doctor --stack $(STACK)

# Each part of the stack: what is on this machine, else what can be pulled, else a named stand-in.
parts: .venv/ready  ## every part of the stack, real ones first; REQUIRE_REAL=1 fails at a stand-in, here and in all that need parts
	@$(PYTHON) -m sandbox $(if $(REQUIRE_REAL),--require-real)

##@ Day two

gateway-yaml: .venv/ready  ## the gateway as declarative YAML
	@$(PYTHON) -m cli.gateway_yaml --stack $(STACK)

backup: .venv/ready  ## make backup TO=folder
	@$(if $(TO),,$(error expected a folder, found none: make backup TO=backups/today))$(CLI) backup --stack $(STACK) $(PLAN) -- "$(TO)"

restore: .venv/ready  ## make restore FROM=folder [COLLECTION=name] [REPLACE=1] [INTO=name]
	@$(if $(FROM),,$(error expected a backup, found none: make restore FROM=backups/today))$(CLI) restore --stack $(STACK) \
		$(PLAN) $(if $(COLLECTION),--collection "$(COLLECTION)") $(if $(REPLACE),--replace) \
		$(if $(INTO),--into "$(INTO)") -- "$(FROM)"

migrate: .venv/ready  ## make migrate FROM=http://host:6333 [KEY_FILE=file] [COLLECTION=name], or ROLLBACK=1
	@$(CLI) migrate --stack $(STACK) $(PLAN) $(if $(FROM),--from "$(FROM)") $(if $(KEY_FILE),--from-key-file "$(KEY_FILE)") \
		$(if $(COLLECTION),--collection "$(COLLECTION)") $(if $(INTO),--into "$(INTO)") $(if $(REINDEX),--reindex) \
		$(if $(TEXT_KEY),--text-key "$(TEXT_KEY)") $(if $(ROLLBACK),--rollback)

replace-node: parts  ## make replace-node NODE=1: its disk is lost
	@$(if $(NODE),,$(error expected a node, found none: make replace-node NODE=1))$(CLI) replace-node --stack $(STACK) \
		$(PLAN) $(if $(YES),--yes) $(if $(FORCE_LIVING),--force-living) -- "$(NODE)"

scale: parts  ## as many nodes as the stack file says; make scale NODES=5 DRY_RUN=1 shows a plan
	@$(CLI) scale --stack $(STACK) $(PLAN) $(if $(YES),--yes) $(if $(NODES),--nodes "$(NODES)")

verify: .venv/ready  ## every point on every copy; LEDGER=file: every acknowledged one
	@$(CLI) verify --stack $(STACK) $(PLAN) $(if $(LEDGER),--ledger "$(LEDGER)")

newest: .venv/ready  ## write each image's newest patch, and Qdrant's newest minor version, into the stack file
	@$(CLI) newest --stack $(STACK)

pin: .venv/ready  ## write each image's digest into the stack file, as its registry has it
	@$(CLI) pin --stack $(STACK)

##@ Prove

test-pure: .venv/ready  ## every test that needs no engine
	@$(PYTHON) -m pytest tests/unit tests/program tests/policies services/rag/tests sandbox/tests -m "not live and not engine"

test: parts  ## every test, against the real engine and a running stack
	@$(PYTHON) -m pytest tests services/rag/tests sandbox/tests

load: parts  ## make load PROFILE=seed|slo|ratelimit|soak, on a stack of its own; KEEP=1 leaves that up
	@$(PROVE) load $(if $(PROFILE),--profile $(PROFILE)) $(if $(FACTOR),--factor $(FACTOR)) $(if $(KEEP),--keep)

chaos: parts  ## every fault under load, or ONLY=kill-leader,freeze-node; STACK=prod: on Kubernetes
	@$(PROVE) chaos --stack $(STACK) $(if $(YES),--yes) $(if $(ONLY),--only $(ONLY)) $(if $(PACE),--pace $(PACE)) $(if $(KEEP),--keep)

roll: parts  ## every component changed under load, or ONLY=qdrant-image,kong-setting; TIMES=10; STACK=prod as with chaos
	@$(PROVE) roll --stack $(STACK) $(if $(YES),--yes) $(if $(ONLY),--only $(ONLY)) $(if $(TIMES),--times $(TIMES)) $(if $(PACE),--pace $(PACE)) $(if $(KEEP),--keep)

breaker: parts  ## the embedder stops and comes back: the circuit breaker opens and closes
	@$(PROVE) breaker $(if $(KEEP),--keep)

hops: parts  ## what each hop adds to a bare query
	@$(PROVE) hops $(if $(KEEP),--keep)

capacity: parts  ## a bare cluster of 1, 3 and 5 nodes: queries a second, memory
	@$(PROVE) capacity $(if $(POINTS),--points $(POINTS))

prove: test  ## every test, every load but the long one, every fault, ten rolling runs, breaker, hops, capacity
	@$(PROVE) prove $(if $(PACE),--pace $(PACE))

k8s-up: parts  ## a Kubernetes of three nodes on this machine, unless a kubeconfig points at one
	@$(PYTHON) -m sandbox.kubernetes up

k8s-down: .venv/ready  ## remove that Kubernetes; nothing of it stays
	@$(PYTHON) -m sandbox.kubernetes down

test-k8s: k8s-up  ## the prod stack on that Kubernetes, or on the one that KUBECONFIG names
	@$(PYTHON) -m pytest tests/live/test_0_workload.py tests/live/test_8_kubernetes.py sandbox/tests/test_kubernetes.py

##@ Develop

check: .venv/ready  ## style, types, and the public checkers of workflows, YAML, shell scripts and secrets
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .ci/checkers && .venv/bin/mypy . \
		&& cd services/rag && ../../.venv/bin/mypy rag

results:  ## what a run of tests means, for GitHub: annotations, and the summary with the parts; make results JUNIT=file
	@python3 .ci/results.py $(JUNIT)

.venv/ready: requirements.lock sandbox/requirements.lock
	@python3 .ci/python_version.py
	@test -x .venv/bin/pip || python3 -m venv .venv
	@.venv/bin/pip install --quiet uv==0.13.9
	@.venv/bin/uv pip sync --quiet --require-hashes $^
	@touch $@

PIN = .venv/bin/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	--no-annotate --no-header

lock: .venv/ready  ## write requirements.lock from pyproject.toml, and the sandbox's from its own at the same versions
	@$(PIN) pyproject.toml --group rag --group dev -o requirements.lock
	@$(PIN) sandbox/pyproject.toml --group sandbox/pyproject.toml:stand-ins --group sandbox/pyproject.toml:tests \
		--constraint requirements.lock -o sandbox/requirements.lock
