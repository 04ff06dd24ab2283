# Everything that a person does with this project. `make` alone lists it.

PORT ?= 9000
DYNAMODB_PORT ?= 8000

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export SAM_CLI_TELEMETRY := 0

.DEFAULT_GOAL := help
.PHONY: help run test lint tools

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: tools ## serve the API on http://localhost:9000 (PORT=…, DYNAMODB_PORT=…)
	@cargo run --quiet --locked --example local -- --port $(PORT) --dynamodb-port $(DYNAMODB_PORT)

test: tools ## pass all tests; DYNAMODB_ENDPOINT=http://… runs them against another engine
	cargo test --locked -- --include-ignored

lint: ## check format and lints
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings

tools: .venv/installed

# A virtual environment of the project's own, made anew when the pinned versions change.
.venv/installed: requirements.txt
	@echo "Installing the tools of requirements.txt into .venv"
	@python3 -m venv .venv
	@.venv/bin/pip install --quiet --disable-pip-version-check --requirement requirements.txt
	@touch $@
