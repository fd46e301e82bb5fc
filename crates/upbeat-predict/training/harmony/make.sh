#!/usr/bin/env bash
# Remakes weights/next_chord.safetensors, and what its test compares with.
#   make.sh POP909 [CHECK]
# POP909 holds one folder per song, CHECK other such folders to report on. Needs the packages of requirements.txt.
set -euo pipefail
cd "$(dirname "$0")"
python3 next_chord.py --pop909 "$1" ${2:+--check "$2"} --out ../../weights/next_chord.safetensors
python3 golden.py --weights ../../weights --out ../../tests/data
