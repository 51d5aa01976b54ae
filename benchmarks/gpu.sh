#!/bin/sh
# Check and time on a GPU what was only ever run on a CPU. Under six minutes on one H100 or H200:
#
#     sh benchmarks/gpu.sh [--out gpu.json] [--steps image video-5 ...] [--seconds 345]
#
# Needs a copy of this repository, Python 3.11 or later, and torch 2.6 or later with CUDA; no network and no weights:
# they are random, in the released shapes. Python packages: numpy pillow scipy tqdm safetensors regex pydantic ftfy
# pycocotools. Without transformers the comparison with it is left out, and without pytest, hydra-core and tensorboard
# the tests marked `gpu` are; the table says so. Exit code: 0 if every step ended well, 1 if one failed, 2 without a GPU.
#
# Packages that the machine lacks can be carried as wheels in the folder .wheels (or $WHEELS), 4 MB for these:
#
#     for_it="--only-binary=:all: --python-version 3.12 --implementation cp --platform manylinux_2_28_x86_64
#         --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 -d .wheels"
#     pip download $for_it pydantic ftfy && pip download --no-deps $for_it pycocotools
#
# Logic only, on any machine: sh benchmarks/gpu.sh --device cpu --size small
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
wheels=${WHEELS:-.wheels}
if ls "$wheels"/*.whl >/dev/null 2>&1; then
    site=$(mktemp -d)
    "$python" -m pip install -q --no-index --no-deps --no-compile --target "$site" "$wheels"/*.whl
    export PYTHONPATH="$site${PYTHONPATH:+:$PYTHONPATH}"
fi
exec "$python" -m benchmarks.gpu "$@"
