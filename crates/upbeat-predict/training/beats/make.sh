#!/usr/bin/env bash
# Remakes weights/beats.safetensors, beats.onnx and beat_confidence.safetensors, and what a test compares with.
#   make.sh POP909 SCRATCH SOUNDFONT [SOUNDFONT…]
# POP909 holds one folder per song. Needs fluidsynth, espeak-ng, cargo, and the packages of requirements.txt. Rendering takes 2 s
# of a processor per clip, training an hour and a half of one.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../../../..
weights=$here/../../weights
pop909=$1 scratch=$2
shift 2
cd "$here"
fonts=()
for font in "$@"; do fonts+=(--soundfont "$font"); done
render() { python3 render.py --pop909 "$pop909" "${fonts[@]}" "$@"; }
example() { cargo build --release --manifest-path "$root/Cargo.toml" -p upbeat-predict --example "$1"; }
through() {  # EXAMPLE OUT ARGUMENTS… : each WAV file of standard input
    mkdir -p "$2"
    xargs -0 -n 100 "$root/target/release/examples/$1" "${@:2}"
}
train() { python3 train.py --audio "$scratch/audio" --features "$scratch/features" "$@"; }

render --out "$scratch/audio" --songs 829 --grooves 1100 --pieces 600 --nones 200
example beat_features
for part in train held; do
    find "$scratch/audio/$part" -name '*.wav' -print0 | sort -z | through beat_features "$scratch/features/$part"
done
train --channels 32 --steps 9500 --out "$scratch/small.safetensors"
train --channels 48 --steps 4200 --start "$scratch/small.safetensors" --out "$weights/beats.safetensors"
python3 export_onnx.py --weights "$weights" --golden "$here/../../tests/data"

# What the network has not heard tells how far to trust it.
example beat_evidence
find "$scratch/audio/held" -name '*.wav' -print0 | sort -z | through beat_evidence "$scratch/network"
find "$scratch/audio/held" -name '*.wav' -print0 | sort -z | through beat_evidence "$scratch/onset" --onsets
python3 confidence.py --audio "$scratch/audio/held" --network "$scratch/network" --onset "$scratch/onset" \
    --out "$weights/beat_confidence.safetensors"
