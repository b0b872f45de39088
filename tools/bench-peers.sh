#!/bin/sh
# Speed beside others on the same machine, model, weights (float32) and requests: lm-evaluation-harness with transformers on
# zero-shot questions, llama.cpp on prompts with all logits. Each side runs by turns, the best of ROUNDS counts; with
# THREADS=1 it is CPU time that counts, which a busy machine disturbs less. What is absent is skipped with a line. Nothing else
# needs any of it.
#   tools/bench-peers.sh BITBENCH
# SMOLLM2   SmolLM2-135M-Instruct.Q4_1.gguf (default: in models/, where make smollm2 puts it)
# DATA      the folder with the zero-shot tasks (default ../shared/data)
# PYTHON    a Python with lm_eval, torch, transformers, gguf, llama_cpp, or some of them (default python3)
# ITEMS     questions of each task (default 100);  TASKS, THREADS, ROUNDS, BATCHES (default "1 8": lm_eval's batch sizes)
set -eu
bitbench=$1
: "${SMOLLM2:=models/SmolLM2-135M-Instruct.Q4_1.gguf}" "${DATA:=${BITBENCH_SHARED:-../shared}/data}" "${PYTHON:=python3}"
: "${ITEMS:=100}" "${THREADS:=$(nproc)}" "${ROUNDS:=3}" "${BATCHES:=1 8}"
: "${TASKS:=arc_easy boolq piqa openbookqa winogrande arc_challenge hellaswag}"
: "${TOKENIZER:=${BITBENCH_SHARED:-../shared}/tokenizers/smollm2}"
export SMOLLM2 DATA ITEMS THREADS ROUNDS BATCHES TASKS TOKENIZER
[ -e "$SMOLLM2" ] || { echo "skipped: $SMOLLM2 is not there: make smollm2, or set SMOLLM2"; exit 0; }
command -v "$PYTHON" >/dev/null || { echo "skipped: there is no $PYTHON: set PYTHON"; exit 0; }
echo "$THREADS threads, $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2-), load $(cut -d' ' -f1-3 /proc/loadavg)"
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error exec "$PYTHON" "$(dirname "$0")/bench-peers.py" "$bitbench"
