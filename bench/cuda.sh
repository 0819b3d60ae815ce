#!/usr/bin/env bash
# What the bench measures on an NVIDIA machine without a network, in 15 minutes of its time.
#
#   bench/cuda.sh pack FOLDER            here: fetch what the machine lacks, in pieces of 60 MB: FOLDER/1, FOLDER/2, ...
#   bench/cuda.sh install FOLDER         there: put the pieces together and into the interpreter's own packages
#   bench/cuda.sh run [PART...]          there: equal probe train four_bit peft memory generate; all if none is named
#
# The interpreter is $PYTHON (python3): one with torch, transformers, peft and NVIDIA's CUDA 13 libraries, which MLX finds
# beside its own folder. Each part ends by itself, within its share of $BENCH_SECONDS; what it found stays, whatever the
# next one does: bench/results/<machine>/<call>.jsonl and .txt. With BENCH_DEVICE=cpu the same parts run on the CPU, small.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
VERSION=0.32.4
export HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 TOKENIZERS_PARALLELISM=false PYTHONUNBUFFERED=1
export MLX_ENABLE_TF32=0 BENCH_COOL=0 PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"

say() { printf '%4ss  %s\n' "$SECONDS" "$*"; }

pack() {
  local folder=${1:?"usage: bench/cuda.sh pack FOLDER"} wheels
  wheels=$(mktemp -d)
  trap 'rm -rf "$wheels"' RETURN
  "$PYTHON" -m pip download --quiet --no-deps --only-binary=:all: --dest "$wheels" --python-version 3.12 \
    --platform manylinux_2_35_x86_64 --platform manylinux_2_28_x86_64 --platform any \
    "mlx==$VERSION" "mlx-cuda-13==$VERSION" mlx-lm click rich jinja2 xgboost-cpu scikit-learn pandas rouge-score
  rm -rf "$folder" && mkdir -p "$folder"
  tar -C "$wheels" -cf - . | split -b 60000000 -d -a 1 - "$folder/piece"
  local number=0 piece
  for piece in "$folder"/piece*; do
    number=$((number + 1))
    mkdir -p "$folder/$number" && mv "$piece" "$folder/$number/piece"
  done
  say "$number pieces in $folder"
}

install() {
  local folder=${1:?"usage: bench/cuda.sh install FOLDER"} wheels
  wheels=$(mktemp -d)
  trap 'rm -rf "$wheels"' RETURN
  cat $(printf '%s\n' "$folder"/*/piece | sort -V) | tar -C "$wheels" -xf -
  "$PYTHON" -m pip install --quiet --no-index --no-deps --find-links "$wheels" "$wheels"/*.whl
  "$PYTHON" -c 'import mlx.core as mx; print(mx.default_device(), mx.device_info())'
}

FAILED=()
# part NAME SECONDS COMMAND...: run it within its share and within what is left; a failure is said and the rest goes on.
part() {
  local name=$1 share=$2 left=$((END - SECONDS))
  shift 2
  [[ " $WANTED " == *" all "* || " $WANTED " == *" ${name%%:*} "* ]] || return 0
  [ "$share" -lt "$left" ] || share=$left
  if [ "$share" -le 5 ]; then say "$name: no time left"; FAILED+=("$name"); return 0; fi
  say "$name"
  if ! timeout "$share" "$@" 2>&1 | tee -a "$LOG"; then
    say "$name: failed or ran past $share s" | tee -a "$LOG"
    FAILED+=("$name")
  fi
}

run() {
  WANTED="${*:-all}"
  END=$((SECONDS + ${BENCH_SECONDS:-600}))
  if [ "${BENCH_DEVICE:-gpu}" = cpu ]; then
    SHAPE=(--model granite-toy --random-weights --precision float32 --batch-size 2 --grad-accum 1 --repetitions 1)
    GENERATE=(--model granite-toy --random-weights --batches 1,2 --tokens 4 --repetitions 1)
    CONFIGURATIONS=1
  else
    command -v nvidia-smi >/dev/null || { echo "no nvidia-smi: this is no NVIDIA machine (BENCH_DEVICE=cpu tries the script without one)" >&2; exit 2; }
    nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader
    SHAPE=(--model granite-3.1-3b --random-weights --precision float16 --repetitions "${REPETITIONS:-3}")
    GENERATE=(--model granite-3.1-3b --random-weights --precision float16 --batches 1,8,32 --tokens 64 --repetitions 3)
    CONFIGURATIONS=12
  fi
  FOLDER=$("$PYTHON" -c 'from bench.harness import RESULTS; from bench.machine import this_machine; print(RESULTS / this_machine().folder)')
  mkdir -p "$FOLDER"
  BENCH_CALL=${BENCH_CALL:-call-$(date -u +%Y%m%d-%H%M%S)}
  export BENCH_CALL
  LOG="$FOLDER/$BENCH_CALL.txt"
  : >"$LOG"
  part equal 120 "$PYTHON" -W ignore -m bench.equal
  part probe 60 "$PYTHON" -W ignore -m bench probe
  part train 170 "$PYTHON" -W ignore -m bench train "${SHAPE[@]}" --against mlx-lm
  part train:unshared 90 "$PYTHON" -W ignore -m bench train "${SHAPE[@]}" --against mlx-lm --no-shared-prefix
  part four_bit 90 "$PYTHON" -W ignore -m bench train "${SHAPE[@]}" --quantize 4 --against mlx-lm
  part peft 120 "$PYTHON" -W ignore -m bench train "${SHAPE[@]}" --against peft --without-ours
  part peft:unshared 90 "$PYTHON" -W ignore -m bench train "${SHAPE[@]}" --against peft --without-ours --no-shared-prefix
  part ablation 120 "$PYTHON" -W ignore -m bench train "${SHAPE[@]}" --ablate
  part memory 60 "$PYTHON" -W ignore -m bench memory --count $CONFIGURATIONS
  part generate 60 "$PYTHON" -W ignore -m bench generate "${GENERATE[@]}"
  say "results: $FOLDER/$BENCH_CALL.jsonl and .txt"
  if [ ${#FAILED[@]} -gt 0 ]; then say "not done: ${FAILED[*]}"; return 1; fi
}

case ${1:-} in
  pack | install | run) "$@" ;;
  *) sed -n '2,11p' "$0" | sed 's/^# \{0,1\}//' >&2; exit 2 ;;
esac
