#!/usr/bin/env bash
# Remakes weights/next_chord.safetensors, weights/chords.safetensors and weights/chords.onnx, and what their tests compare
# with.
#   make.sh POP909 SOUNDFONT SCRATCH [CHECK]
# POP909 holds one folder per song, CHECK other such folders to report on. Needs fluidsynth, cargo, and the packages of
# requirements.txt. About 2 s per song to render and a minute of one core to train.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
pop909=$1 soundfont=$2 scratch=$3
weights=$here/../../weights
cd "$here"
python3 next_chord.py --pop909 "$pop909" ${4:+--check "$4"} --out "$weights/next_chord.safetensors"
python3 render.py --pop909 "$pop909" --soundfont "$soundfont" --out "$scratch/audio" --songs 165
mkdir -p "$scratch/features"
(cd "$here/../../../.." && cargo run --release -p upbeat-predict --example harmony_features -- \
    "$scratch/features" 0 "$scratch"/audio/*.wav)
python3 train.py --audio "$scratch/audio" --features "$scratch/features" --out "$weights/chords.safetensors"
python3 golden.py --weights "$weights" --out "$here/../../tests/data"
python3 export_onnx.py --weights "$weights"
