#!/usr/bin/env bash
# What the bench measures on any Mac with Apple silicon, in 20 minutes, as one file to send.
#
#   bench/metal.sh            results: lendsafe-metal-<machine>.tar.gz in this folder
#
# The interpreter is $PYTHON, else .venv's (`make test` makes it). The model is Granite 3.1 3B's shape with random weights,
# 4-bit on a Mac of 8 GB, float16 else; nothing is downloaded. No name of a host or a user is in what it writes.
# BENCH_SECONDS: at most so long. BENCH_DEVICE=cpu, or a machine without Metal: a toy, to try the script.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-.venv/bin/python}
[ -x "$PYTHON" ] || command -v "$PYTHON" >/dev/null || { echo "$PYTHON: no interpreter; make test makes .venv" >&2; exit 2; }
export HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 TOKENIZERS_PARALLELISM=false PYTHONUNBUFFERED=1
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
END=$((SECONDS + ${BENCH_SECONDS:-1200}))

say() { printf '%4ss  %s\n' "$SECONDS" "$*"; }

# ask EXPRESSION: of Python, with what the bench knows about the machine.
ask() { "$PYTHON" -c "from lendsafe.mlx_lora import backend; from bench.harness import RESULTS; from bench.machine import this_machine as here; print($1)"; }

KIND=$(ask 'backend.name()')
FOLDER=$(ask 'RESULTS / here().folder')
MACHINE=$(ask 'here().folder')
if [ "${BENCH_DEVICE:-gpu}" = cpu ] || [ "$KIND" != metal ]; then
  SHAPE=(--model granite-toy --random-weights --precision float32 --batch-size 2 --grad-accum 1 --repetitions 1)
  GENERATE=(--model granite-toy --random-weights --batches 1,2 --tokens 4 --repetitions 1)
  CONFIGURATIONS=1
elif [ "$(ask 'here().memory_gb')" -lt 16 ]; then
  SHAPE=(--model granite-3.1-3b --random-weights --precision float16 --quantize 4 --token-budget 512 --repetitions 2)
  GENERATE=(--model granite-3.1-3b --random-weights --precision float16 --quantize 4 --batches 1,8 --tokens 32 --repetitions 2)
  CONFIGURATIONS=6
else
  SHAPE=(--model granite-3.1-3b --random-weights --precision float16 --repetitions 3)
  GENERATE=(--model granite-3.1-3b --random-weights --precision float16 --batches 1,8,32 --tokens 32 --repetitions 3)
  CONFIGURATIONS=12
fi
mkdir -p "$FOLDER"
BENCH_CALL=${BENCH_CALL:-call-$(date -u +%Y%m%d-%H%M%S)}
export BENCH_CALL
LOG="$FOLDER/$BENCH_CALL.txt"
: >"$LOG"
FAILED=()
part() {
  local name=$1 share=$2 left=$((END - SECONDS))
  shift 2
  [ "$share" -lt "$left" ] || share=$left
  if [ "$share" -le 5 ]; then say "$name: no time left"; FAILED+=("$name"); return 0; fi
  say "$name" | tee -a "$LOG"
  # macOS has no timeout(1)
  if ! "$PYTHON" -c 'import subprocess, sys; sys.exit(subprocess.run(sys.argv[2:], timeout=float(sys.argv[1])).returncode)' "$share" "$@" 2>&1 | tee -a "$LOG"; then
    say "$name: failed or ran past $share s" | tee -a "$LOG"
    FAILED+=("$name")
  fi
}
part equal 180 "$PYTHON" -W ignore -m bench.equal
part probe 90 "$PYTHON" -W ignore -m bench probe
part graph 60 "$PYTHON" -W ignore -m bench graph
part train 420 "$PYTHON" -W ignore -m bench train "${SHAPE[@]}" --against mlx-lm
part train:unshared 240 "$PYTHON" -W ignore -m bench train "${SHAPE[@]}" --against mlx-lm --no-shared-prefix
part memory 120 "$PYTHON" -W ignore -m bench memory --count "$CONFIGURATIONS"
part generate 90 "$PYTHON" -W ignore -m bench generate "${GENERATE[@]}"
FILE="lendsafe-metal-$MACHINE.tar.gz"
tar -C "$(dirname "$FOLDER")" -czf "$FILE" "$MACHINE"
say "results: $FILE"
if [ ${#FAILED[@]} -gt 0 ]; then say "not done: ${FAILED[*]}"; exit 1; fi
