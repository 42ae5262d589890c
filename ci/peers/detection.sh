#!/bin/sh
# The detection training step of this project beside torchvision's Mask R-CNN: same backbone, sizes,
# batch, threads and machine, in one run. The two take turns.
#
# Prints one table; the ratio is ours / torchvision, below 1 is faster.
#   ADAMV_BENCH_STEPS   timed steps a round (default 20)
#   ADAMV_BENCH_ROUNDS  rounds (default 3)
#   ADAMV_BENCH_THREADS threads of either side (default 2)
#   PEERS_PYTHON        a Python that has the peers (see setup.sh)
# Exit: 0 measured, 4 a side gave no number, 5 set-up.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
threads=${ADAMV_BENCH_THREADS:-2}
export ADAMV_BENCH_STEPS="${ADAMV_BENCH_STEPS:-20}"
export OMP_NUM_THREADS="$threads" MKL_NUM_THREADS="$threads" RAYON_NUM_THREADS="$threads"

python=$("$here/setup.sh")
echo "building our side" >&2
cargo bench --quiet -p adamv-engine --bench detection_step --no-run >&2 || exit 5
"$here/take_turns.sh" "${ADAMV_BENCH_ROUNDS:-3}" torchvision "detection training step, median seconds a step of each round" \
    seconds_per_step.median "'$python' '$here/detection.py' --threads $threads" \
    "cargo bench --quiet -p adamv-engine --bench detection_step"
