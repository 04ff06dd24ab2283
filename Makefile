# Everything that a person does with this project. `make` alone lists it.

PORT ?= 9000
DYNAMODB_PORT ?= 8000
# The stack that `make deploy` makes. Region and account are the AWS SDKs' own: AWS_REGION, AWS_PROFILE.
STACK ?= session-api
# What it is built for: arm64 or x86_64, the answer to the last deployment's question by default.
ARCHITECTURE ?= $(shell $(SAM)/python -B deploy/stack.py architecture)

# Where `make bench` leaves its results; benches/results is what the README shows.
RESULTS ?= target/bench/results

# Tools in environments of their own, by the pins of one file each: theirs do not fit together.
SAM := .tools/sam/bin
EMULATOR := .tools/emulator/bin
CHECKOV := .tools/checkov/bin
# The processor of this machine: what is deployed into the emulator runs here.
MACHINE := $(if $(filter aarch64 arm64,$(shell uname -m)),arm64,x86_64)

export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/$(SAM):$(PATH)
export SAM_CLI_TELEMETRY := 0

.DEFAULT_GOAL := help
.PHONY: help run test test-api test-deploy bench costs lint lint-rust lint-template deploy destroy-stack tools

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: tools ## serve the API on http://localhost:9000 (PORT=…, DYNAMODB_PORT=…)
	@cargo run --locked --example local -- --port $(PORT) --dynamodb-port $(DYNAMODB_PORT)

test: test-api test-deploy ## pass all tests

test-api: tools ## pass the tests of the API; DYNAMODB_ENDPOINT=http://… runs them against another engine
	cargo test --locked -- --include-ignored

# The functions are built for this machine, and beside what `make deploy` builds.
test-deploy: tools .tools/sam/installed .tools/emulator/installed ## deploy into an emulated AWS and test that from outside
	sam build --build-dir .aws-sam/emulated --parameter-overrides Architecture=$(MACHINE)
	$(EMULATOR)/python -B -m pytest -p no:cacheprovider tests/deploy

# Everything goes into one target folder: what the floor and the product share is built once.
bench: export CARGO_TARGET_DIR := $(CURDIR)/target
bench: tools ## measure the functions beside what else there is, in some minutes (RESULTS=…)
	-benches/peers/install .tools/peers
	cargo lambda build --locked --release
	cargo lambda build --locked --release --output-format zip
	cd benches && for floor in hello get-item get-item-defaults; do \
		cargo lambda build --locked --release --package $$floor --lambda-dir ../target/bench/floor || exit; \
	done
	cargo run --locked --manifest-path benches/Cargo.toml --profile harness --package bench -- --results $(RESULTS)

costs: .tools/emulator/installed ## calculate the costs in the documents anew, after a change of prices or alarms
	$(EMULATOR)/python -B tests/deploy/costs.py

lint: lint-rust lint-template ## check format and lints

lint-rust:
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo fmt --check --all --manifest-path benches/Cargo.toml
	cargo clippy --locked --all-targets --workspace --manifest-path benches/Cargo.toml --target-dir target -- -D warnings

# Both linters see the template as it is written and as SAM translates it: each form hides something. Only
# the translated one has the resources that SAM adds, and with them the whole graph of dependencies.
lint-template: .tools/sam/installed .tools/emulator/installed .tools/checkov/installed
	AWS_DEFAULT_REGION=us-east-1 sam validate --lint
	@mkdir -p .aws-sam
	$(EMULATOR)/python -B tests/deploy/translate.py template.yaml > .aws-sam/translated.json
	cfn-lint --template template.yaml .aws-sam/translated.json
	$(CHECKOV)/checkov --file template.yaml .aws-sam/translated.json

deploy: tools .tools/sam/installed ## build and deploy to your AWS account (STACK=…, ARCHITECTURE=…)
	sam build --parameter-overrides Architecture=$(ARCHITECTURE)
	@$(SAM)/python -B deploy/stack.py restrict --built-for $(ARCHITECTURE)
	sam deploy --guided --stack-name $(STACK)
	@$(SAM)/python -B deploy/stack.py call

destroy-stack: .tools/sam/installed ## delete the stack but for the sessions (STACK=…)
	@$(SAM)/python -B deploy/stack.py destroy $(if $(filter command environment,$(firstword $(origin STACK))),--stack-name $(STACK))

tools: .venv/installed

# A virtual environment of the project's own, made anew when the pinned versions change.
.venv/installed: requirements.txt
	@echo "Installing the tools of $< into .venv"
	@python3 -m venv .venv
	@.venv/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

.tools/%/installed: tests/deploy/requirements/%.txt
	@echo "Installing the tools of $< into .tools/$*"
	@python3 -m venv .tools/$*
	@.tools/$*/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@
