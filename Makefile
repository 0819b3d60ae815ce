# Commands of the repository. `make demo` and `make test` install what they need into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM ?= false

.PHONY: demo test check lint bench soak clean

demo: $(STAMP)  ## the whole flow on granite-tiny; FULL=1 trains all 255 steps
	$(BIN)/lendsafe demo --out demo $(if $(FULL),,--quick)

test: $(STAMP)  ## all tests but the soak runs
	$(BIN)/python -m pytest -q -n 2

check: lint test  ## what continuous integration runs

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

soak: $(STAMP)  ## long fault, fuzz and kill runs
	$(BIN)/python -m pytest -q -n 2 -m soak

bench: $(STAMP)  ## ours, mlx-lm and PEFT in turn; then the tables of bench/README.md
	$(BIN)/python -m bench train
	$(BIN)/python -m bench compare

clean:
	rm -rf $(VENV) demo

# Linux: the CPU build of torch first, else pip fetches gigabytes of CUDA; and OpenBLAS, which MLX's
# CPU back end multiplies 36 times faster with.
$(STAMP): pyproject.toml
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
ifeq ($(shell uname -s),Linux)
	$(BIN)/python -m pip install --quiet torch==2.13.0
	@if ! ls /usr/lib/*/openblas-pthread/libopenblas.so.0 >/dev/null 2>&1; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && apt-get install -y -qq libopenblas0-pthread >/dev/null; \
	  else echo "OpenBLAS not found: matrix products will be about 36 times slower (install libopenblas0-pthread)."; fi; fi
endif
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $(STAMP)
