# `make run` and `make test` do all set-up on a fresh machine that has Rust.
.PHONY: run demo test setup peers fmt lint deny stage image unit docs bench bench-alerting bench-delivery bench-hub bench-replay bench-sessions bench-sizing simulate break clean

CARGO ?= cargo

# The main job: probes.yaml as shipped, SQLite, nothing else running.
run:
	$(CARGO) run --locked -- run

# A simulated world on loopback: needs no internet.
demo:
	$(CARGO) run --locked -- demo

# Everything that decides whether a change lands.
test: setup fmt lint deny stage unit docs

# Real peers and tools that the tests run against.
setup:
	./scripts/setup

fmt:
	$(CARGO) fmt --check

lint:
	$(CARGO) clippy --locked --all-targets -- -D warnings

deny:
	./scripts/deny

# What goes into the image: a static binary, as it ships. The tests build the image from it and run it.
stage:
	./scripts/image stage

# The image usoryou:VERSION, by podman, docker or buildah; needs no registry.
image:
	./scripts/image

unit:
	USORYOU_PEERS=required $(CARGO) test --locked

docs:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps

# The figures of the README: against blackbox_exporter and a bare client in the same run (8 minutes to build, 6 to run).
bench:
	./bench/run

# From a fault to the message, beside Prometheus, blackbox_exporter and Alertmanager (10 minutes to run).
bench-alerting:
	./bench/alerting

# How true delivery times are, beside a server that logs when it received and sent (4 seconds to run). On a machine that has
# other work to do: chrt -f 50 make bench-delivery.
bench-delivery:
	$(CARGO) test --locked --test it -- --ignored --nocapture --exact mqtt::timing::delivery_times_are_true_to_a_millisecond

# The fleet, broken at random for so long: TIME=10m SEED=7. As root it cuts namespaces; a shorter form is part of `make test`.
TIME ?= 10m
SEED ?=
break:
	USORYOU_PEERS=required TIME=$(TIME) SEED=$(SEED) $(CARGO) test --locked --test it -- --ignored --nocapture --exact breaking::a_long_time_of_faults_loses_and_invents_nothing

# The figures of docs/SESSIONS.md: thousands of sessions held, asked, lost and back (8 minutes to build, 10 to run).
bench-sessions:
	./bench/sessions

# The figures of docs/SIZING.md: what an observation, a probe and a region cost (10 minutes to build, 3 to run).
bench-sizing: stage
	./bench/sizing

# What one hub over Postgres takes, stores and judges on one core (8 minutes to build, 1 to run).
bench-hub:
	$(CARGO) bench --locked --bench hub -- --seconds 60

# The figures of docs/REPLAY.md: a trace of 1 GB replayed (10 minutes to build, 1 to run).
bench-replay: stage
	./bench/replay

# The figures of docs/ATTRIBUTION.md: worlds with faults whose truth is known. `make simulate WITH=--quick` for a glance.
WITH ?=
simulate:
	$(CARGO) bench --locked --profile simulate --bench simulate -- $(WITH)
