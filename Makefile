# Everything is installed into .venv; each target does its own set-up once.
#   make demo     run the demo, leave its results in demo-out/
#   make test     lint, types, layer contracts, tests, notebooks
#   make lint     the first three of these
#   make bench    benchmarks
#   make bench-endurance  millions of messages, frames, requests and kills
#   make bench-receiver   the receiver requirements R1 to R28 as one table (BENCH_OPTIONS="--only R6,R9 --scale 0.2")
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# One more than processors: a good part of the tests waits for real time.
WORKERS = $(shell $(PYTHON) -c "import os; print(len(os.sched_getaffinity(0)) + 1 if hasattr(os, 'sched_getaffinity') else 'auto')")
# Programs in real time may be too late when other tests keep the processors busy. What failed is named, and runs once more alone:
# that run is the verdict. Anything but failed tests (exit code 1), an error of pytest say, stays what it is.
alone = { status=$$?; [ $$status -eq 1 ] || exit $$status; echo "once more, alone:"; \
	$(BIN)/python -m pytest --last-failed --last-failed-no-failures none --exitfirst -rA $(1); }

.PHONY: setup demo test lint bench bench-endurance bench-receiver clean

setup: $(VENV)/.installed-test

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# The run-time libraries alone: enough for the demo.
$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install -c constraints.txt -e .
	$(BIN)/python -c "from flowgraphs.kernels import ensure_compiled; ensure_compiled()"
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP) install -c constraints.txt -e '.[test]'
	touch $@

demo: $(VENV)/.installed
	$(BIN)/osgp-sdr demo --out demo-out

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# pytest rewrites the assertions of test files that are new or changed; here once, instead of once in every worker.
$(VENV)/.rewritten: $(VENV)/.installed-test $(shell find tests -name '*.py')
	@$(BIN)/python -m pytest --collect-only -q >/dev/null 2>&1 || true
	@touch $@

test: $(VENV)/.installed-test
	$(MAKE) --no-print-directory -j2 lint $(VENV)/.rewritten
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal || $(call alone)
	$(BIN)/python -m pytest -n auto --nbmake --no-header notebooks || $(call alone,--nbmake notebooks)

BENCHMARKS := channel_speed symbol_level_speed receiver_speed gnuradio_ratio awgn_loss missed_and_false class_a mains_impulses \
	identify_profiles stack_speed csma network_speed repeating routes meter_speed meter_year latency view_load
# Millions of messages, frames, requests and kills: an hour and more.
ENDURANCE := stack_faults stack_noise meter_fuzz port_fuzz store_kill stream_chaos

bench: $(VENV)/.installed-test
	@failed=; for name in $(BENCHMARKS); do echo "== $$name"; $(BIN)/python benchmarks/$$name.py || failed="$$failed $$name"; done; \
	if [ -n "$$failed" ]; then echo "marks missed by:$$failed"; exit 1; fi

bench-endurance: $(VENV)/.installed-test
	@failed=; for name in $(ENDURANCE); do echo "== $$name"; $(BIN)/python benchmarks/$$name.py || failed="$$failed $$name"; done; \
	if [ -n "$$failed" ]; then echo "marks missed by:$$failed"; exit 1; fi

bench-receiver: $(VENV)/.installed-test
	$(BIN)/python benchmarks/receiver_requirements.py $(BENCH_OPTIONS)

clean:
	rm -rf $(VENV) demo-out .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
