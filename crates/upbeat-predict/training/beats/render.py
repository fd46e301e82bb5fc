"""Audio to train the beat network on: generated grooves and piano pieces, POP909 songs (MIT licence) with varied
instruments, and what has no beat: synthetic voices and noises.

  render.py --pop909 DIR --soundfont SF2 [--soundfont …] --out DIR [--songs N] [--grooves N] [--pieces N] [--nones N] [--jobs N]

Writes OUT/train/NAME.wav (22.05 kHz, mono, 36 s) and NAME.beats beside it (time, position in the bar, 0 where it is not known;
empty where there is no beat), and the first 60 songs, 60 grooves, 50 pieces and 50 of nothing to OUT/held instead. Songs are rendered by turns as a piano, as lead, strings and piano, with instruments drawn by chance, with a
drum kit, and as a piano in bent time; excerpts whose notes are not on the annotated beats are left out. Needs fluidsynth 2.2
or newer and espeak-ng on the path. Deterministic for given soundfonts; clips that are there already are kept.
"""
import argparse
import math
import multiprocessing
import os
import random
import subprocess
import tempfile

import mido
import numpy as np
import soundfile

import grooves
import nothing
import pieces

RATE, SECONDS = 22050, 36
HELD = {'song': 60, 'groove': 60, 'piece': 50, 'none': 50}        # not to be trained on
LEADS = [0, 4, 11, 22, 24, 40, 52, 56, 65, 68, 71, 73, 80, 81, 82]
PADS = [4, 16, 19, 24, 25, 27, 48, 49, 50, 51, 52, 61, 88, 89, 90, 91, 94]
CHORDS = [0, 0, 1, 2, 4, 5, 6, 7, 11, 16, 24, 25, 26, 27, 46]


def read(folder):
    """Notes (start, end, pitch, velocity, part) of a song, its beats (time, is a downbeat), its other annotation."""
    midi = mido.MidiFile(os.path.join(folder, os.path.basename(folder) + '.mid'))
    names, notes, tempo = [], [], []
    for track in midi.tracks:
        names.append(next((m.name.strip() for m in track if m.type == 'track_name'), ''))
    tick_times = []
    now, tick, per = 0.0, 0, 500000
    for m in mido.merge_tracks(midi.tracks):
        now += mido.tick2second(m.time, midi.ticks_per_beat, per)
        tick += m.time
        if m.type == 'set_tempo':
            per = m.tempo
            tempo.append((tick, now, per))
    tempo = [(0, 0.0, 500000)] + tempo
    starts = [t[0] for t in tempo]

    def second(tick):
        at = tempo[np.searchsorted(starts, tick, side='right') - 1]
        return at[1] + mido.tick2second(tick - at[0], midi.ticks_per_beat, at[2])

    for name, track in zip(names, midi.tracks):
        tick, open_notes = 0, {}
        for m in track:
            tick += m.time
            if m.type == 'note_on' and m.velocity:
                open_notes[m.note] = (second(tick), m.velocity)
            elif m.type in ('note_off', 'note_on') and m.note in open_notes:
                start, velocity = open_notes.pop(m.note)
                notes.append((start, second(tick), m.note, velocity, name or 'PIANO'))
    beats = np.loadtxt(os.path.join(folder, 'beat_midi.txt'))
    audio = np.loadtxt(os.path.join(folder, 'beat_audio.txt'))
    return notes, beats, audio


def nearest(b, t):
    i = np.clip(np.searchsorted(b, t), 1, len(b) - 1)
    return np.where(abs(t - b[i - 1]) <= abs(t - b[i]), i - 1, i)


def excerpt(folder, rnd):
    """Notes and beats of 36 s, or None where they do not fit each other."""
    notes, marks, audio = read(folder)
    times, down = marks[:, 0], marks[:, 2] > .5
    if times[-1] < SECONDS + 4:
        return None
    t0 = rnd.uniform(0, times[-1] - SECONDS - 2)
    inside = (times >= t0) & (times < t0 + SECONDS)
    onsets = np.sort([n[0] for n in notes if t0 <= n[0] < t0 + SECONDS])
    beats = times[inside]
    if len(onsets) < 40 or len(beats) < 15 or np.mean(abs(onsets[nearest(onsets, beats)] - beats) < .02) < .6:
        return None
    near = audio[(audio[:, 0] > t0 - 1) & (audio[:, 0] < t0 + SECONDS + 1)]
    known = False
    if len(near) > 8:
        off = np.median(near[:, 0] - times[nearest(times, near[:, 0])])
        theirs = near[near[:, 1] == 1, 0] - off
        ours = times[inside & down]
        if abs(off) < .15 and len(theirs) > 4 and len(ours) > 4:
            j = nearest(times, theirs)
            known = np.mean(down[j] & (abs(times[j] - theirs) < .1)) > .9 and \
                np.mean(abs(theirs[nearest(theirs, ours)] - ours) < .1) > .9
    out, position = [], 0
    for time, is_down in zip(times, down):
        position = 1 if is_down else position + 1 if position else 0
        if t0 <= time < t0 + SECONDS:
            out.append((time - t0, position if known else 0))
    kept = [(s - t0, e - t0, p, v, part) for s, e, p, v, part in notes if t0 <= s < t0 + SECONDS]
    return kept, out


def bend(notes, beats, rnd):
    """The same in time that breathes: a slow walk of the logarithm of the tempo, and a hold now and then."""
    n = SECONDS * 4 + 2
    logs = np.array(grooves.walk(rnd, n, rnd.uniform(.01, .05), .08))
    for _ in range(rnd.randrange(4)):
        at = rnd.randrange(n)
        logs[at:at + rnd.randint(2, 6)] -= rnd.uniform(.1, .5)
    there = np.concatenate([[0], np.cumsum(.25 * np.exp(-logs))])
    scale = rnd.uniform(.7, 1.5)

    def to(t):
        return float(np.interp(t / .25, np.arange(len(there)), there)) * scale

    notes = [(to(s) + rnd.gauss(0, .008), to(e), p, v, part) for s, e, p, v, part in notes]
    return [n for n in notes if 0 <= n[0] < SECONDS], [(to(t), p) for t, p in beats if to(t) < SECONDS]


def song(folder, variant, rnd):
    found = next((x for x in (excerpt(folder, rnd) for _ in range(4)) if x), None)
    if not found:
        return None
    notes, beats = found
    programs = {'MELODY': 0, 'BRIDGE': 0, 'PIANO': 0}
    if variant == 1:
        programs = {'MELODY': 80, 'BRIDGE': 48, 'PIANO': 0}
    if variant in (2, 3):
        programs = {'MELODY': rnd.choice(LEADS), 'BRIDGE': rnd.choice(PADS), 'PIANO': rnd.choice(CHORDS)}
    if variant == 3:
        strokes, groove_beats, more = grooves.groove(rnd, SECONDS * 3)
        first = next((i for i, b in enumerate(beats) if b[1] == 1), 0)
        times = [b[0] for b in beats]
        period = (times[-1] - times[0]) / (len(times) - 1)
        bar = max(b[1] for b in beats) or 4
        if bar == max(b[1] for b in groove_beats):
            for s, e, p, v, part in strokes:
                if part == 'drums':
                    i = grooves.place(groove_beats, s) + first
                    if 0 <= i < len(times) - 1:
                        at = times[int(i)] + (i - int(i)) * (times[int(i) + 1] - times[int(i)])
                        notes.append((at, at + .1, p, v, 'drums'))
            programs['drums'] = more['drums']
    if variant == 4:
        notes, beats = bend(notes, beats, rnd)
    return notes, beats, programs


def write_midi(path, notes, programs):
    midi, channel = mido.MidiFile(ticks_per_beat=500), 0        # 1 ms per tick at 120 per minute
    for part, program in programs.items():
        on = 9 if part == 'drums' else channel
        channel += part != 'drums'
        events = [(0, 0, mido.Message('program_change', channel=on, program=program))]
        for s, e, p, v, whose in notes:
            if whose == part:
                start = max(0, round(s * 1000))
                end = max(start + 20, round(e * 1000))
                events.append((start, 2, mido.Message('note_on', channel=on, note=p, velocity=v)))
                events.append((end, 1, mido.Message('note_off', channel=on, note=p)))
        track, now = mido.MidiTrack(), 0
        for tick, _, message in sorted(events, key=lambda e: e[:2]):
            track.append(message.copy(time=tick - now))
            now = tick
        midi.tracks.append(track)
    midi.save(path)


def play(notes, programs, soundfont, rnd):
    with tempfile.TemporaryDirectory() as scratch:
        midi, raw = os.path.join(scratch, 'a.mid'), os.path.join(scratch, 'a.wav')
        write_midi(midi, notes, programs)
        subprocess.run(['fluidsynth', '-ni', '-q', '-r', str(RATE), '-g', '0.4', '-R', str(rnd.randrange(2)), '-C', '0',
                        '-o', 'synth.dynamic-sample-loading=1', '-o', 'audio.file.type=wav', '-o', 'audio.file.format=s16', '-F', raw, soundfont, midi],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        samples = soundfile.read(raw, stop=SECONDS * RATE, always_2d=True)[0].mean(1)
    return np.pad(samples, (0, SECONDS * RATE - len(samples)))


def master(samples, rnd):
    """A room, a drive, a tone control, a noise floor, each now and then."""
    chance = np.random.default_rng(rnd.randrange(1 << 30))
    if rnd.random() < .3:
        n = int(rnd.uniform(.15, .9) * RATE)
        tail = chance.standard_normal(n) * 10 ** (-3 * np.arange(n) / n)
        tail *= rnd.uniform(.1, .7) / np.sqrt(np.sum(tail ** 2))
        tail[0] += 1
        size = 1 << (len(samples) + n).bit_length()
        samples = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(tail, size), size)[:len(samples)]
    if rnd.random() < .3:
        drive = rnd.uniform(.5, 4) / (3 * np.std(samples) + 1e-9)
        samples = np.tanh(drive * samples) / drive
    if rnd.random() < .4:
        samples = samples + rnd.uniform(-.6, .6) * np.concatenate([[0], samples[:-1]])
        samples = samples + chance.standard_normal(len(samples)) * np.std(samples) * 10 ** rnd.uniform(-3, -1.3)
    return samples


def render(job):
    kind, name, folder, variant, soundfonts, out = job
    target = os.path.join(out, name + '.wav')
    if os.path.exists(target):
        return
    rnd = random.Random(name)
    if kind == 'none':
        samples, beats = nothing.nothing(rnd, SECONDS, RATE), []
    else:
        made = {'song': lambda: song(folder, variant, rnd), 'groove': lambda: grooves.groove(rnd, SECONDS),
                'piece': lambda: pieces.piece(rnd, SECONDS)}[kind]()
        if not made or not made[0]:
            return
        notes, beats, programs = made
        samples = play(notes, programs, rnd.choice(soundfonts), rnd)
    samples = master(samples, rnd)
    gain = min(.1 / (np.sqrt(np.mean(samples ** 2)) + 1e-9), .9 / (np.abs(samples).max() + 1e-9))
    soundfile.write(target, samples * gain * 10 ** rnd.uniform(-.8, 0), RATE, subtype='PCM_16')
    with open(os.path.join(out, name + '.beats'), 'w') as f:
        for time, position in beats:
            f.write(f'{time:.4f}\t{position}\n')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ('pop909', 'out'):
        parser.add_argument('--' + name, required=True)
    parser.add_argument('--soundfont', required=True, action='append')
    for name in ('songs', 'grooves', 'pieces', 'nones'):
        parser.add_argument('--' + name, type=int, default=400)
    parser.add_argument('--jobs', type=int, default=2)
    a = parser.parse_args()
    names = sorted(n for n in os.listdir(a.pop909) if n.isdigit())
    random.Random(1).shuffle(names)
    found = [('song', 'song_' + n, os.path.join(a.pop909, n), i % 5) for i, n in enumerate(names[:a.songs])]
    for kind, many in (('groove', a.grooves), ('piece', a.pieces), ('none', a.nones)):
        found += [(kind, f'{kind}_{i:04}', None, 0) for i in range(many)]
    held = {name for kind, many in HELD.items() for name in sorted(job[1] for job in found if job[0] == kind)[:many]}
    jobs = []
    for job in found:
        out = os.path.join(a.out, 'held' if job[1] in held else 'train')
        os.makedirs(out, exist_ok=True)
        jobs.append((*job, a.soundfont, out))
    random.Random(2).shuffle(jobs)
    with multiprocessing.Pool(a.jobs) as pool:
        for _ in pool.imap_unordered(render, jobs):
            pass


if __name__ == '__main__':
    main()
