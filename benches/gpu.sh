#!/usr/bin/env bash
# Images per second of training and inference on this machine's GPU, next to PyTorch on the same GPU, as a Markdown table
# for BENCHMARKS.md:
#
#   benches/gpu.sh cuda            an NVIDIA GPU (cuda:1 for the second)
#   benches/gpu.sh metal           a Mac
#   benches/gpu.sh vulkan          any GPU, without PyTorch
#   benches/gpu.sh vulkan --quick  a smoke test of this script: tiny sizes, a few minutes
#
# Further options are passed to benches/peers/gpu.py. torch and torchvision are used from $PYTHON if it has them, otherwise
# installed into target/gpu-peers.
set -euo pipefail
cd "$(dirname "$0")/.."

device=${1:?which device? cuda, metal or vulkan}
shift
feature=${device%%:*}
quick=()
if [ "${1:-}" = "--quick" ]; then
    shift
    quick=(--sizes 32x32 --batches 2 --seconds 0.1)
fi
target=${CARGO_TARGET_DIR:-target}
cargo build --release --locked --features "$feature"

case $feature in
    cuda) peer=cuda ;;
    metal) peer=mps ;;
    *) peer=none ;;
esac
python=${PYTHON:-python3}
if [ "$peer" != none ] && ! "$python" -c "import torch, torchvision" 2> /dev/null; then
    python3 -m venv "$target/gpu-peers"
    "$target/gpu-peers/bin/pip" install --quiet torch torchvision
    python=$target/gpu-peers/bin/python
fi

"$target/release/visage" devices >&2
if [ "$peer" = cuda ]; then
    nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv >&2 || true
    "$python" -c "import torch; print('PyTorch', torch.__version__)" >&2
fi
"$python" benches/peers/gpu.py --program "$target/release/visage" --device "$device" --peer-device "$peer" "${quick[@]}" "$@"
