# The everyday commands. `make test` is what CI runs.

.PHONY: help test venv portal lint fmt deny dev image

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

test: ## set up the tools, run all checks and all tests
	@scripts/test.sh

venv: ## set up the Python tools that some tests use (.venv, .venv-policy)
	@scripts/venv.sh

portal: ## install the node modules that some tests use
	@scripts/portal.sh

lint: venv ## check scripts and formatting, and run clippy
	@scripts/lint.sh
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets --locked -- -D warnings

fmt: ## format the Rust code
	@cargo fmt --all

deny: ## check licences, bans and sources of the dependencies; installs cargo-deny if need be
	@scripts/deny.sh

dev: ## run Lamplighter with a simulated AWS and an example
	@cargo run --locked -- dev --example

image: ## build the image and show that it is small and runs without rights; needs root, buildah, podman and runc
	@scripts/image.sh
