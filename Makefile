# Targets that people call stand in `make help`.
SHELL := /bin/bash
.DEFAULT_GOAL := help
TOOLS := PATH="$(CURDIR)/.local/tools/bin:$$PATH" SAM_CLI_TELEMETRY=0
LOCAL := cargo run --quiet --package local --

.PHONY: help setup build-local demo run up test faults bench lint build deploy replay clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: ## Install what the local stack needs
	@local/setup.sh

build-local: setup
	@local/build.sh

demo: build-local ## Run the main job: from a Kafka message to a trained model
	@$(LOCAL) demo

run: build-local ## Rehearse a submission: make run ZIP=path/to/submission.zip
	@test -n "$(ZIP)" || { echo "say which submission: make run ZIP=path/to/submission.zip"; exit 2; }
	@$(LOCAL) run "$(ZIP)"

up: build-local ## Start the system and leave it running; KAFKA_URL=host:port uses a broker of yours
	@$(LOCAL) up

test: build-local ## Run every test
	@cargo test --workspace --quiet

faults: build-local ## Run the whole fault matrix; some 15 minutes
	@cargo test --quiet --package local --test faults -- --include-ignored

bench: setup ## Measure speed, sizes and memory against their peers
	@local/bench.sh

lint: setup ## Check format, lints, template, definitions, dependencies and scripts
	@local/lint.sh

build: setup ## Build the functions as they are deployed
	@$(TOOLS) sam build

deploy: build ## Deploy to AWS: make deploy ENV=staging
	@test -n "$(ENV)" || { echo "say where to: make deploy ENV=staging"; exit 2; }
	@$(TOOLS) sam deploy --config-env "$(ENV)"

replay: setup ## Feed records back that were put aside: make replay STACK=name [KEYS="quarantine/…"] [DRY_RUN=1]
	@test -n "$(STACK)" || { echo "say which stack: make replay STACK=marathon-match-staging"; exit 2; }
	@$(LOCAL) replay --stack "$(STACK)" $(if $(DRY_RUN),--dry-run) -- $(KEYS)

clean: ## Remove everything that was built or installed here
	@rm -rf target .local .aws-sam
