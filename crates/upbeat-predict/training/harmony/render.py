"""Audio to train the chord model on: POP909 songs (MIT licence) with varied instruments.

  render.py --pop909 DIR --soundfont SF2 --out DIR [--songs N]

DIR holds one folder per song (NNN/NNN.mid, NNN/chord_midi.txt). Each song is rendered once, by turns as a piano,
as lead, strings and piano, with instruments drawn by chance, and with those and a drum kit. Writes OUT/NNN.wav
(22.05 kHz, mono, its first 80 s at a level of -20 dB) and OUT/NNN.chords (start, end, Harte label in seconds).
Needs fluidsynth 2.2 or newer on the path. Deterministic for a given soundfont; songs that are there already are kept.
"""
import argparse
import os
import random
import subprocess
import tempfile

import mido
import numpy as np
import soundfile

RATE, SECONDS = 22050, 80
LEADS = [0, 4, 11, 22, 24, 40, 52, 56, 65, 68, 71, 73, 80, 81, 82]
PADS = [4, 16, 19, 24, 25, 27, 48, 49, 50, 51, 52, 61, 88, 89, 90, 91, 94]
CHORDS = [0, 0, 1, 2, 4, 5, 6, 7, 11, 16, 24, 25, 26, 27, 46]


def programs(variant, rnd):
    if variant == 0:
        return None
    if variant == 1:
        return {'MELODY': 80, 'BRIDGE': 48, 'PIANO': 0}
    return {'MELODY': rnd.choice(LEADS), 'BRIDGE': rnd.choice(PADS), 'PIANO': rnd.choice(CHORDS)}


def cut(track, stop):
    """The events of `track` before tick `stop`, and the release of all notes there."""
    out, now = mido.MidiTrack(), 0
    for message in track:
        if now + message.time > stop or message.type == 'end_of_track':
            break
        now += message.time
        out.append(message)
    for channel in sorted({m.channel for m in out if hasattr(m, 'channel')}):
        out.append(mido.Message('control_change', channel=channel, control=123, time=stop - now))
        now = stop
    return out


def assign(track, channel, program):
    """`track` on a channel of its own, with one program throughout."""
    out, carry = mido.MidiTrack(), 0
    out.append(mido.Message('program_change', channel=channel, program=program))
    for message in track:
        if message.type == 'program_change':
            carry += message.time
            continue
        message = message.copy(time=message.time + carry)
        carry = 0
        out.append(message.copy(channel=channel) if hasattr(message, 'channel') else message)
    return out


def drums(beats, tick_of, rnd):
    """A plain kit over the annotated beats: bass drum, snare, hi-hat; a third of the strokes vary."""
    strokes, pattern = [], rnd.choice([(36, 38), (36, 36, 38, 36), (36, 38, 36, 38), (36, 0, 38, 0)])
    loud = rnd.randint(40, 110)
    for i in range(len(beats) - 1):
        half = (beats[i] + beats[i + 1]) / 2
        strokes += [(beats[i], pattern[i % len(pattern)], loud), (beats[i], 42, loud * 2 // 3), (half, 42, loud // 2)]
        if rnd.random() < .3:
            strokes.append((half, rnd.choice([36, 38, 46, 49]), loud))
    track, now = mido.MidiTrack(), 0
    for time, note, velocity in sorted((tick_of(t), n, v) for t, n, v in strokes if n):
        track.append(mido.Message('note_on', channel=9, note=note, velocity=velocity, time=time - now))
        now = time
    return track


def prepare(source, target, variant, beats, rnd):
    midi = mido.MidiFile(source)
    changes, tick, tempo = [], 0, 500000          # (second, tick, seconds per tick)
    second = 0.0
    for message in mido.merge_tracks(midi.tracks):
        tick += message.time
        second += mido.tick2second(message.time, midi.ticks_per_beat, tempo)
        if message.type == 'set_tempo':
            tempo = message.tempo
            changes.append((second, tick, tempo * 1e-6 / midi.ticks_per_beat))
    changes = changes or [(0.0, 0, 0.5 / midi.ticks_per_beat)]

    def tick_of(time):
        at = next((c for c in reversed(changes) if c[0] <= time), changes[0])
        return max(0, round(at[1] + (time - at[0]) / at[2]))

    wanted, channel, tracks = programs(variant, rnd), 0, []
    for track in midi.tracks:
        name = next((m.name.strip() for m in track if m.type == 'track_name'), '')
        track = cut(track, tick_of(SECONDS + 1))
        if wanted and any(m.type == 'note_on' for m in track):
            track = assign(track, channel, wanted.get(name, 0))
            channel += 1
        tracks.append(track)
    if variant == 3:
        tracks.append(drums([b for b in beats if b < SECONDS], tick_of, rnd))
    midi.tracks[:] = tracks
    midi.save(target)


def render(folder, name, variant, soundfont, out):
    rnd = random.Random(int(name))
    beats = [float(line.split()[0]) for line in open(os.path.join(folder, 'beat_midi.txt'))]
    with tempfile.TemporaryDirectory() as scratch:
        midi, raw = os.path.join(scratch, 'a.mid'), os.path.join(scratch, 'a.wav')
        prepare(os.path.join(folder, name + '.mid'), midi, variant, beats, rnd)
        subprocess.run(['fluidsynth', '-ni', '-q', '-r', str(RATE), '-g', '0.4', '-R', '1', '-C', '0',
                        '-o', 'audio.file.type=wav', '-o', 'audio.file.format=s16', '-F', raw, soundfont, midi],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        samples = soundfile.read(raw, stop=SECONDS * RATE, always_2d=True)[0].mean(1)
    gain = min(0.1 / (np.sqrt(np.mean(samples ** 2)) + 1e-9), 0.9 / (np.abs(samples).max() + 1e-9))
    with open(os.path.join(out, name + '.chords'), 'w') as f:
        for line in open(os.path.join(folder, 'chord_midi.txt')):
            start, end, label = (line.split() + ['N'])[:3]
            if float(start) < len(samples) / RATE:
                f.write(f'{float(start):.4f}\t{min(float(end), len(samples) / RATE):.4f}\t{label}\n')
    soundfile.write(os.path.join(out, name + '.wav'), samples * gain, RATE, subtype='PCM_16')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ('pop909', 'soundfont', 'out'):
        parser.add_argument('--' + name, required=True)
    parser.add_argument('--songs', type=int, default=165)
    a = parser.parse_args()
    os.makedirs(a.out, exist_ok=True)
    names = sorted(n for n in os.listdir(a.pop909) if n.isdigit())
    random.Random(1).shuffle(names)
    for i, name in enumerate(names[:a.songs]):
        if not os.path.exists(os.path.join(a.out, name + '.wav')):
            render(os.path.join(a.pop909, name), name, i % 4, a.soundfont, a.out)


if __name__ == '__main__':
    main()
