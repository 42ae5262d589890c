#!/usr/bin/env bash
# Checks adamv-bench on a machine with a GPU: it needs no Rust, only this folder tree, the built binary and a
# Python with torch 2.11.0, whose libtorch and CUDA libraries the binary then runs on.
#
#   ADAMV_BENCH=FILE    the binary (default ./adamv-bench, else target/release/adamv-bench)
#   PEERS_PYTHON=FILE   a Python that has ci/peers/requirements.txt (default python3)
#   GPU_CHECK_OUT=DIR   where the run and the numbers stay (a new folder; default runs/gpu-check, made afresh)
#
# Doctor; features on CPU, on CUDA and of PyTorch agree; a short run in bf16; images a second of training and
# evaluation and peak memory beside PyTorch eager doing the same. One table at the end.
# Exit: 0 fine, 1 the features disagree or a step failed, 4 nothing was measured, 5 no GPU or set-up.
set -euo pipefail
caller=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() { printf 'gpu-check: error: %s\n' "$2" >&2; exit "$1"; }
stage() { printf '\n== %s\n' "$*" >&2; }

# ---------------------------------------------------------------- what is needed
python=${PEERS_PYTHON:-python3}
command -v "$python" >/dev/null 2>&1 || fail 5 "$python is not here; set PEERS_PYTHON to a Python with torch 2.11.0"
lib=$("$python" -c '
import os, sys
try:
    import safetensors, timm, torch, torchvision
except ImportError as error:
    sys.exit(f"{error}; pip install -r ci/peers/requirements.txt")
version = torch.__version__.split("+")[0]
if version != "2.11.0":
    sys.exit(f"torch 2.11.0 is needed, but this Python has {version}; pip install -r ci/peers/requirements.txt")
if not torch.cuda.is_available():
    sys.exit("no usable GPU: nvidia-smi must list one, and its driver must be new enough for CUDA "
             f"{torch.version.cuda}")
print(os.path.join(os.path.dirname(torch.__file__), "lib"))
') || fail 5 "this machine can't be checked (the reason is above)"

bench=${ADAMV_BENCH:-}
if [[ -z $bench ]]; then
    for candidate in ./adamv-bench target/release/adamv-bench; do
        [[ -x $candidate ]] && bench=$candidate && break
    done
elif [[ $bench != /* ]]; then
    bench=$caller/$bench
fi
[[ -n $bench && -x $bench ]] ||
    fail 5 "no adamv-bench: copy the built target/release/adamv-bench here, or set ADAMV_BENCH to it"

if [[ -n ${GPU_CHECK_OUT:-} ]]; then
    out=$GPU_CHECK_OUT
    [[ -z $(ls -A "$out" 2>/dev/null) ]] || fail 5 "GPU_CHECK_OUT=$out is not empty; name a new folder"
else
    out=runs/gpu-check
    rm -rf "$out"
fi
mkdir -p "$out"

# The libtorch inside the Python installation, for the binary alone: LD_LIBRARY_PATH wins over its RUNPATH.
ours() { LD_LIBRARY_PATH="$lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" "$bench" "$@"; }

# ---------------------------------------------------------------- doctor
stage "doctor"
ours doctor --device cuda || fail 5 "doctor found the GPU not usable (the reason is above)"

# ---------------------------------------------------------------- features
stage "features: CPU, CUDA and PyTorch"
"$python" ci/peers/gpu_features.py make "$out"
for device in cpu cuda; do
    ours features --backbone "$out/backbone.yaml" --weights "$out/weights.safetensors" \
        --input "$out/images.safetensors" --out "$out/features.$device.safetensors" --device "$device" ||
        fail 1 "features failed on $device"
done
agree=0
"$python" ci/peers/gpu_features.py compare "$out" >"$out/features.json" || agree=$?

# ---------------------------------------------------------------- a short run
stage "the smoke suite in bf16 on the GPU"
# PyTorch's default is not deterministic, so neither side is: this measures speed. The sizes are gpu_eager.py's.
ours run suite/suites/smoke.yaml --only system=mtl-vit --device cuda --out "$out/run" \
    --set training.precision=bf16 --set training.deterministic=false \
    --set model.inputs.classification.image_size=64 --set training.joint.batch.classification=32 \
    --set model.detector.box_convs=4 --set model.detector.mask_convs=4 \
    --set model.detector.rois=64 --set model.detector.mask_rois=16 \
    --set evaluation.detections=100 || fail 1 "the run failed"
records=("$out"/run/*/record.json)
[[ -f ${records[0]} ]] || fail 4 "the run left no record in $out/run"

# ---------------------------------------------------------------- the same in PyTorch
stage "the same in PyTorch eager"
"$python" ci/peers/gpu_eager.py --device cuda >"$out/eager.json" || fail 1 "PyTorch eager failed"

echo
"$python" ci/peers/gpu_table.py "${records[0]}" "$out/eager.json" "$out/features.json" || fail 4 "nothing was measured"
((agree == 0)) || fail 1 "the features disagree"
