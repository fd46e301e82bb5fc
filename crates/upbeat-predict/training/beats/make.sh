#!/usr/bin/env bash
# Remakes weights/beats.safetensors and weights/beats.onnx, and what a test compares with.
#   make.sh POP909 SOUNDFONT SCRATCH
# POP909 holds one folder per song. Needs fluidsynth, cargo, and the packages of requirements.txt. About 2 s per clip to
# render; training takes as long as it is given (half an hour for metrics like those of the README on one core).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
pop909=$1 soundfont=$2 scratch=$3
cd "$here"
python3 render.py --pop909 "$pop909" --soundfont "$soundfont" --out "$scratch/audio" --songs 829 --grooves 700
mkdir -p "$scratch/features"
(cd "$here/../../../.." && cargo build --release -p upbeat-predict --example beat_features)
find "$scratch/audio" -name '*.wav' -print0 | sort -z |
    xargs -0 -n 100 "$here/../../../../target/release/examples/beat_features" "$scratch/features"
python3 train.py --audio "$scratch/audio" --features "$scratch/features" --steps 1000 --out "$scratch/first.safetensors"
python3 train.py --audio "$scratch/audio" --features "$scratch/features" --steps 3500 \
    --start "$scratch/first.safetensors" --out "$here/../../weights/beats.safetensors"
python3 export_onnx.py --weights "$here/../../weights" --golden "$here/../../tests/data"
