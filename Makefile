# `make help` lists the targets for people.
SHELL := /bin/bash
.DEFAULT_GOAL := help
TOOLS := PATH="$(CURDIR)/.local/tools/bin:$$PATH" SAM_CLI_TELEMETRY=0
# The functions of the local stack are built for this target (cargo-lambda always names one), so that everything else has to
# be as well: then the functions, the program and the tests share every compiled crate.
export CARGO_BUILD_TARGET := $(shell rustc --print host-tuple 2>/dev/null)
MARATHON := target/$(CARGO_BUILD_TARGET)/debug/marathon

.PHONY: help setup build-local demo run zip-exists up test simulate faults attack escaped-build fuzz bench lint build deploy replay clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{printf "  make %-13s %s\n", $$1, $$2}'

setup: ## Install what the local stack needs
	@scripts/setup.sh

build-local: setup ## Build the functions and the program for this machine
	@scripts/build.sh

demo: build-local ## Run the main job: from a Kafka message to a reported outcome
	@$(MARATHON) demo

run: zip-exists build-local ## Rehearse a submission: make run ZIP=path/to/submission.zip
	@$(MARATHON) run "$(ZIP)"

zip-exists:
	@test -n "$(ZIP)" || { echo "name a submission: make run ZIP=path/to/submission.zip"; exit 2; }
	@test -e "$(ZIP)" || { echo "$(ZIP) does not exist: name a submission with make run ZIP=path/to/submission.zip"; exit 2; }

up: build-local ## Start the system and leave it running; KAFKA_URL=host:port uses your own broker
	@$(MARATHON) up

test: build-local ## Run every test
	@scripts/setup.sh test
	@cargo test --workspace --features product-tests/stack --quiet

simulate: ## Simulate 10,000 submissions before a deadline: make simulate [ARGS="--help"]
	@scripts/setup.sh simulate
	@cargo build --quiet --workspace --features product-tests/stack --bin simulate
	@target/$(CARGO_BUILD_TARGET)/debug/simulate $(ARGS)

faults: build-local ## Run the whole fault matrix (about 25 minutes)
	@cargo test --workspace --features product-tests/stack --quiet --test faults -- --include-ignored

attack: build-local ## Attack the system with every hostile submission, request and answer (about 10 minutes)
	@cargo test --workspace --features product-tests/stack --quiet --test attack -- --include-ignored

escaped-build: build-local ## Write what an escaped build can do into THREATS.md
	@scripts/setup.sh test
	@cargo test --workspace --features product-tests/stack --quiet --test permissions -- --ignored

fuzz: ## Fuzz everything that reads hostile input: make fuzz [SECONDS=60] [PLANTED=1]
	@scripts/setup.sh fuzz
	@scripts/fuzz.sh $(or $(SECONDS),60) $(if $(PLANTED),planted)

bench: setup ## Measure speed, sizes and memory against their peers
	@scripts/bench.sh

lint: setup ## Check format, lints, words, template, definitions, dependencies and scripts
	@scripts/lint.sh

build: setup ## Build the functions as they are deployed
	@$(TOOLS) env -u CARGO_BUILD_TARGET sam build

deploy: build ## Deploy to AWS: make deploy ENV=staging
	@test -n "$(ENV)" || { echo "name an environment of samconfig.toml: make deploy ENV=staging"; exit 2; }
	@$(TOOLS) scripts/deploy.sh "$(ENV)"

replay: ## Deliver quarantined records again: make replay STACK=name [KEYS="quarantine/…"] [DRY_RUN=1]
	@test -n "$(STACK)" || { echo "name a stack: make replay STACK=marathon-match-staging"; exit 2; }
	@cargo run --quiet --package marathon -- replay --stack "$(STACK)" $(if $(DRY_RUN),--dry-run) -- $(KEYS)

clean: ## Delete everything that was built or installed here
	@rm -rf target .local .aws-sam
