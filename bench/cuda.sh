#!/usr/bin/env bash
# Everything that the bench measures, on an NVIDIA machine without a network, within 8 minutes.
#
#   bench/cuda.sh WHEELS [PYTHON]
#
# WHEELS holds the wheels of `pip download 'mlx[cuda13]>=0.32.2' mlx-lm torch transformers peft ... ` for that machine;
# nothing is downloaded. With BENCH_DEVICE=cpu the same steps run on the CPU with a small shape, and nothing is installed.
# Result: bench/results/<machine>/results.jsonl, and all that was printed in cuda.txt beside it.
set -euo pipefail
cd "$(dirname "$0")/.."
LIMIT=${BENCH_SECONDS:-480}
END=$((SECONDS + LIMIT))
DEVICE=${BENCH_DEVICE:-gpu}
export HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 TOKENIZERS_PARALLELISM=false PYTHONUNBUFFERED=1

say() { printf '%4ss  %s\n' "$SECONDS" "$*"; }

if [ "$DEVICE" = cpu ]; then
  PYTHON=${2:-${PYTHON:-python3}}
  MODEL=granite-toy PRECISION=float32 REPETITIONS=1 BATCHES=1,2 TOKENS=4 WINDOW="--batch-size 2 --grad-accum 1" CONFIGURATIONS=1
else
  WHEELS=${1:?"usage: bench/cuda.sh WHEELS [PYTHON]"}
  [ -d "$WHEELS" ] || { echo "$WHEELS: no folder of wheels" >&2; exit 2; }
  command -v nvidia-smi >/dev/null || { echo "no nvidia-smi: this is no NVIDIA machine (BENCH_DEVICE=cpu tries the script without one)" >&2; exit 2; }
  nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader
  ENVIRONMENT=$(mktemp -d)
  trap 'rm -rf "$ENVIRONMENT"' EXIT
  "${2:-python3}" -m venv "$ENVIRONMENT"
  PYTHON="$ENVIRONMENT/bin/python"
  say "installing from $WHEELS"
  "$PYTHON" -m pip install --quiet --no-index --find-links "$WHEELS" 'mlx[cuda13]' mlx-lm torch transformers peft \
    safetensors numpy pandas xgboost scikit-learn rouge-score bert-score click rich jinja2 matplotlib typst
  MODEL=granite-3.1-3b PRECISION=float16 REPETITIONS=5 BATCHES=1,8,32 TOKENS=64 WINDOW="" CONFIGURATIONS=12
fi
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
mkdir -p bench/results
LOG=$(mktemp)

# step NAME SECONDS COMMAND...: run it within its share and within what is left; a failure is said and the rest goes on.
FAILED=()
step() {
  local name=$1 share=$2 left=$((END - SECONDS))
  shift 2
  [ "$share" -lt "$left" ] || share=$left
  if [ "$share" -le 5 ]; then say "$name: no time left"; FAILED+=("$name"); return; fi
  say "$name"
  if ! timeout "$share" "$@" 2>&1 | tee -a "$LOG"; then say "$name: failed or ran past $share s"; FAILED+=("$name"); fi
}

step "losses and gradients equal the CPU's" 60 "$PYTHON" -m bench.equal
# shellcheck disable=SC2086  # several words
step "train" 170 "$PYTHON" -W ignore -m bench train --model $MODEL --random-weights --precision $PRECISION --repetitions $REPETITIONS $WINDOW
# shellcheck disable=SC2086
step "train, 4-bit base, ours" 60 "$PYTHON" -W ignore -m bench train --model $MODEL --random-weights --precision $PRECISION \
  --quantize 4 --against "" --repetitions $REPETITIONS $WINDOW
step "memory" 60 "$PYTHON" -W ignore -m bench memory --count $CONFIGURATIONS
step "generate" 90 "$PYTHON" -W ignore -m bench generate --model $MODEL --random-weights --precision $PRECISION \
  --batches $BATCHES --tokens $TOKENS --repetitions $REPETITIONS

FOLDER=$("$PYTHON" -c 'from bench.harness import RESULTS; from bench.machine import this_machine; print(RESULTS / this_machine().folder)')
mkdir -p "$FOLDER"
cp "$LOG" "$FOLDER/cuda.txt"
rm -f "$LOG"
say "results in $FOLDER"
if [ ${#FAILED[@]} -gt 0 ]; then say "not done: ${FAILED[*]}"; exit 1; fi
