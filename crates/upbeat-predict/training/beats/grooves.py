"""Drum grooves with bass and chords, drawn by chance: as unlike each other as a page of code makes them.

`groove(rnd, seconds)` returns (notes, beats, programs): notes (start, end, pitch, velocity, part), beats (time, position in
the bar, 1 for a downbeat), and the General MIDI program of each part. Drums are part 'drums', their program the kit.
"""
import bisect

KICK, SIDE, SNARE, CLAP, HAT, PEDAL, OPEN, CRASH, RIDE, BELL = 36, 37, 38, 39, 42, 44, 46, 49, 51, 53
TOMS, SHAKER, TAMB, COW, CONGA, MUTE, CABASA, CLAVE = (50, 47, 45, 43, 41), 70, 54, 56, 63, 62, 69, 75
KITS = [0, 0, 0, 8, 16, 24, 25, 32, 40, 48]
BASSES = [32, 33, 33, 34, 35, 36, 38, 39, 43]
TUNES = [11, 22, 40, 52, 52, 53, 53, 54, 56, 65, 66, 73, 80, 81, 85]
COMPS = [0, 1, 4, 5, 7, 16, 18, 24, 25, 26, 27, 28, 29, 30, 48, 61, 62, 81, 89]

# name: beats per bar, cells per beat, tempo range, {drum: cells of a bar}; '|' separates beats, digits are tenths of
# the stroke's velocity. One line of each drum is drawn.
STYLES = {
    'rock': (4, 2, 62, 190, {KICK: ['9.|..|9.|..', '9.|..|99|..', '9.|.9|9.|..', '9.|..|.9|.9', '99|..|9.|.9'],
             SNARE: ['..|9.|..|9.'], 'time': ['87|87|87|87', '8.|8.|8.|8.', '.8|.8|.8|.8']}),
    'floor': (4, 4, 105, 150, {KICK: ['9...|9...|9...|9...'], SNARE: ['....|9...|....|9...', '....|9...|....|9..5', '....|....|....|....'],
              'time': ['..9.|..9.|..9.|..9.', '7595|7595|7595|7595', '7.9.|7.9.|7.9.|7.9.']}),
    'half': (4, 4, 60, 95, {KICK: ['9...|....|..9.|....', '9..7|....|....|..9.', '9...|...9|....|....'], SNARE: ['....|....|9...|....'],
             'time': ['8.7.|8.7.|8.7.|8.7.', '8686|8686|8686|8686', '8..8|..8.|8..8|..88']}),
    'funk': (4, 4, 80, 125, {KICK: ['9..9|..9.|..9.|...9', '9...|...9|.9..|..9.', '9.9.|....|..99|....'],
             SNARE: ['....|9..3|.3.3|9..3', '.3..|9..3|.3..|9.3.', '....|9...|.3.3|93.3'], 'time': ['8585|8585|8585|8585', '8.7.|8.7.|8.7.|8.78']}),
    'break': (4, 4, 85, 175, {KICK: ['9.9.|....|..99|....', '9.9.|....|..9.|....', '9...|..9.|.9..|....'],
              SNARE: ['....|9..5|.5..|9..5', '....|9..5|.5.5|..9.', '....|9...|....|9..9'], 'time': ['8.8.|8.8.|8.8.|8.8.', '8.6.|8.6.|8.6.|8.6.']}),
    'shuffle': (4, 3, 70, 180, {KICK: ['9..|...|9..|...', '9..|..9|9..|..9', '9..|9..|9..|9..'], SNARE: ['...|9..|...|9..'],
                'time': ['8.6|8.6|8.6|8.6', '8..|8.6|8..|8.6']}),
    'swing': (4, 3, 100, 240, {KICK: ['3..|3..|3..|3..', '...|...|...|..6', '...|..5|...|...'], PEDAL: ['...|8..|...|8..'],
              SNARE: ['...|...|...|...', '..3|...|...|..4', '...|..4|..3|...'], 'time': ['9..|9.6|9..|9.6']}),
    'ballad12': (4, 3, 45, 85, {KICK: ['9..|...|9.9|...', '9..|..9|9..|...'], SNARE: ['...|9..|...|9..'], 'time': ['866|866|866|866']}),
    'bossa': (4, 4, 60, 95, {KICK: ['9..6|9..6|9..6|9..6'], SIDE: ['9..9|..9.|..9.|.9..', '9..9|..9.|...9|..9.'], 'time': ['8686|8686|8686|8686']}),
    'samba': (2, 4, 70, 140, {KICK: ['6..6|9..6'], SNARE: ['5.35|.5.5', '7575|5757'], 'time': ['8668|8668', '.8.8|.8.8']}),
    'drop': (4, 3, 60, 95, {KICK: ['...|...|9..|...', '9..|...|9..|...'], SIDE: ['...|...|9..|...'], 'time': ['8.6|8.6|8.6|8.6', '...|8..|...|8..']}),
    'train': (2, 4, 80, 160, {KICK: ['9...|9...'], SNARE: ['4495|4495', '3395|3345'], 'time': ['....|....', '..8.|..8.']}),
    'polka': (2, 2, 90, 140, {KICK: ['9.|9.'], SNARE: ['.8|.8'], 'time': ['..|..', '8.|8.']}),
    'waltz': (3, 2, 80, 200, {KICK: ['9.|..|..'], SNARE: ['..|7.|7.', '..|..|8.', '..|..|..'], 'time': ['8.|8.|8.', '86|86|86', '..|8.|8.']}),
    'waltz3': (3, 3, 80, 190, {KICK: ['9..|...|...', '9..|...|..5'], SNARE: ['...|...|...', '...|5..|5.3'], 'time': ['9..|9.6|9..', '9..|9.6|9.6']}),
    'six8': (2, 3, 45, 90, {KICK: ['9..|...', '9..|..9'], SNARE: ['...|9..'], 'time': ['866|866', '8.8|8.8']}),
    'toms': (4, 4, 75, 140, {KICK: ['9...|9...|9...|9...', '9...|....|9...|....'], TOMS[2]: ['8.8.|..8.|8.8.|8..8', '8..8|..8.|8..8|..8.'],
             SNARE: ['....|....|....|9...', '....|9...|....|9...'], 'time': ['....|....|....|....']}),
    'hand': (4, 4, 70, 130, {CONGA: ['..7.|....|..7.|..99', '....|..77|....|..77'], MUTE: ['8...|8...|8...|8...'],
             'time': ['8686|8686|8686|8686', '....|....|....|....'], CLAVE: ['9..9|..9.|..9.|9...', '....|....|....|....']}),
    'punk': (4, 2, 130, 215, {KICK: ['9.|9.|9.|9.', '9.|.9|9.|.9', '9.|..|99|..'], SNARE: ['.9|.9|.9|.9', '..|9.|..|9.'], 'time': ['9.|9.|9.|9.', '98|98|98|98']}),
    'double': (4, 4, 85, 170, {KICK: ['8888|8888|8888|8888', '9.88|9.88|9.88|9.88', '9888|....|9888|....'], SNARE: ['....|9...|....|9...'],
               'time': ['9...|9...|9...|9...', '9.9.|9.9.|9.9.|9.9.']}),
    'ballad16': (4, 4, 50, 90, {KICK: ['9...|....|9..6|....', '9...|...9|..9.|....'], SNARE: ['....|9...|....|9...', '....|9..2|.2..|9...'],
                 'time': ['8.7.|8.7.|8.7.|8.7.', '8686|8686|8686|8686', '8...|8...|8...|8...']}),
    'hop': (4, 4, 70, 108, {KICK: ['9..9|..9.|..9.|....', '9...|..99|....|.9..', '9.9.|...9|..9.|....'], SNARE: ['....|9...|....|9...', '....|9...|...2|9..3'],
            'time': ['8.7.|8.7.|8.7.|8.77', '8787|8788|8787|8.88', '8...|8.8.|8...|8.8.']}),
    'four': (4, 2, 70, 180, {KICK: ['9.|9.|9.|9.'], SNARE: ['9.|9.|9.|9.', '..|9.|..|9.', '..|..|..|..'], 'time': ['.8|.8|.8|.8', '86|86|86|86']}),
    'plain': (4, 1, 50, 200, {KICK: ['9|.|9|.', '9|9|9|9', '.|.|.|.'], SNARE: ['.|9|.|9', '.|.|.|.'], 'time': ['8|8|8|8', '9|7|7|7']}),
}


def walk(rnd, n, size, pull):
    """n steps of a random walk drawn back to 0."""
    x, out = 0.0, []
    for _ in range(n):
        x = x * (1 - pull) + rnd.gauss(0, size)
        out.append(x)
    return out


def groove(rnd, seconds):
    per_bar, cells, low, high, lines = STYLES[rnd.choice(list(STYLES))]
    bpm = low * (high / low) ** rnd.random()
    n = int(seconds * bpm / 60) + 2 * per_bar
    drift = walk(rnd, n, rnd.choice([0, .002, .006, .012]), .03)
    trend = rnd.choice([0, 0, 0, rnd.uniform(-.15, .15)]) / n
    push = rnd.choice([0] * 9 + [rnd.uniform(-.2, .25)])   # the tempo jumps once, now and then
    jump = rnd.randrange(n // 4, 3 * n // 4)
    times, t = [], rnd.uniform(0, 2)
    for i in range(n + 1):
        times.append(t)
        t += 60 / bpm / (1 + drift[min(i, n - 1)] + trend * i + (push if i > jump else 0))

    def at(beat):
        i = min(int(beat), n - 1)
        return times[i] + (times[i + 1] - times[i]) * (beat - i)

    swing = rnd.uniform(.5, .64) if cells in (2, 4) and rnd.random() < .35 else .5   # of pairs of cells
    late = {d: rnd.gauss(0, rnd.choice([0, .004, .01])) for d in (KICK, SNARE, 'time', 'bass', 'comp')}
    human = rnd.choice([0, .003, .006, .01, .014])
    loud = {d: rnd.uniform(.35, 1) for d in list(lines) + ['bass', 'comp']}
    loud['time'] *= rnd.choice([.4, .7, 1])
    sounds = [rnd.choice([HAT, HAT, HAT, RIDE, OPEN, SHAKER, TAMB, CABASA, COW]) for _ in range(2)]
    snare = rnd.choice([SNARE] * 4 + [40, CLAP, SIDE])
    kick = rnd.choice([KICK] * 3 + [35])
    drums, notes, beats = rnd.random() < .93, [], []
    chosen = [{d: rnd.choice(v) for d, v in lines.items()} for _ in range(2)]
    fill_every, quiet = rnd.choice([0, 2, 4, 4, 8, 8]), rnd.choice([0, .1, .25])
    parts = {d: True for d in lines}

    def hit(beat, pitch, velocity, part, length=.1, who=None):
        start = at(beat) + late.get(who, 0) + rnd.gauss(0, human)
        velocity = max(1, min(127, int(velocity * rnd.uniform(.85, 1.1))))
        if 0 <= start:
            notes.append((start, start + length, pitch, velocity, part))

    bars = n // per_bar
    section = 0
    for bar in range(bars):
        if bar % rnd.choice([4, 8]) == 0:
            section = rnd.randrange(2)
            parts = {d: rnd.random() > quiet for d in lines}
            if bar and rnd.random() < .4 and drums:
                hit(bar * per_bar, CRASH, 100, 'drums')
        for b in range(per_bar):
            beats.append((times[bar * per_bar + b], b + 1))
        fill = fill_every and bar % fill_every == fill_every - 1 and rnd.random() < .7
        for d, line in chosen[section].items() if drums else ():
            cut = per_bar - rnd.choice([1, 1, 2]) if fill else per_bar
            for b, beat in enumerate(line.split('|')):
                for c, stroke in enumerate(beat):
                    if stroke == '.' or not parts[d] or (b >= cut and d != KICK) or rnd.random() < .03:
                        continue
                    where = c / cells
                    if swing != .5 and c % 2:
                        where = (c - 1 + 2 * swing) / cells
                    pitch = {'time': sounds[section], SNARE: snare, KICK: kick}.get(d, d)
                    hit(bar * per_bar + b + where, pitch, int(stroke) / 9 * 120 * loud[d], 'drums', who=d)
        if fill and drums:
            steps = rnd.choice([2, 4, 4, 3, 6]) if cells != 3 else rnd.choice([3, 6])
            for s in range((per_bar - cut) * steps):
                if rnd.random() < .85:
                    hit(bar * per_bar + cut + s / steps, rnd.choice((snare,) + TOMS), rnd.randint(60, 120), 'drums')

    programs = {'drums': rnd.choice(KITS)}
    if rnd.random() < .8 or not drums:
        accompany(rnd, hit, bars, per_bar, cells, loud, at, programs, rnd.random() < .7, rnd.random() < .6 or not drums)
    return [x for x in notes if x[0] < seconds], [b for b in beats if b[0] < seconds], programs


def accompany(rnd, hit, bars, per_bar, cells, loud, at, programs, bass, comp):
    """A bass line and chords on a loop of degrees."""
    programs.update(bass=rnd.choice(BASSES), comp=rnd.choice(COMPS))
    key, loop = rnd.randrange(12), [rnd.choice([0, 5, 7, 9, 2, 4, 10]) for _ in range(rnd.choice([1, 2, 4, 4, 8]))]
    step = rnd.choice([1, 1, 1, 2]) # bars per chord
    cell = rnd.choice([1, cells, cells, min(cells, 2)])
    bass_line = [rnd.random() < .6 if c % cell else True for c in range(per_bar * cell)]
    comp_line = [rnd.random() < rnd.choice([.15, .5]) if c else True for c in range(per_bar * cell)]
    if rnd.random() < .3:                                  # off-beats only
        comp_line = [c % cell > 0 if cell > 1 else c > 0 for c in range(per_bar * cell)]
    for bar in range(bars):
        root = (key + loop[bar // step % len(loop)]) % 12
        minor = loop[bar // step % len(loop)] in (9, 2, 4)
        chord = [root + 48, root + 48 + (3 if minor else 4), root + 55]
        for c in range(per_bar * cell):
            beat = bar * per_bar + c / cell
            length = (at(beat + 1 / cell) - at(beat)) * rnd.uniform(.4, 1)
            if bass and bass_line[c]:
                pitch = 36 + (root + rnd.choice([0, 0, 0, 0, 7, 12, 5]) * (c > 0)) % 12 - 4 * (root > 7)
                hit(beat, pitch, 105 * loud['bass'], 'bass', length, 'bass')
            if comp and comp_line[c]:
                for p in chord:
                    hit(beat, p, 90 * loud['comp'], 'comp', length, 'comp')
    if rnd.random() < .5:
        tune(rnd, hit, bars, per_bar, cells, at, programs, key)


def tune(rnd, hit, bars, per_bar, cells, at, programs, key):
    """A voice or an instrument over it, in short and long notes, less exact than the rest."""
    programs.update(tune=rnd.choice(TUNES))
    busy, free, loud, pitch = rnd.uniform(.15, .6), rnd.uniform(.01, .05), rnd.uniform(60, 115), 69
    steps = [(key + x) % 12 for x in (0, 2, 4, 5, 7, 9, 11)]
    line = [rnd.random() < busy for _ in range(2 * per_bar * cells)]
    for bar in range(bars):
        if bar % 8 == 0:
            rest = rnd.random() < .3
        starts = [c for c in range(per_bar * cells) if line[bar % 2 * per_bar * cells + c] and rnd.random() < .9]
        for c, after in zip(starts, starts[1:] + [per_bar * cells]):
            pitch = min(84, max(57, pitch + rnd.randint(-5, 5)))
            while pitch % 12 not in steps:
                pitch += 1
            beat = bar * per_bar + c / cells + rnd.gauss(0, free)
            if not rest and beat > 0:
                hit(beat, pitch, loud, 'tune', (at(beat + (after - c) / cells) - at(beat)) * rnd.uniform(.5, 1))


def place(beats, time):
    """The beat, with its fraction, at `time`."""
    times = [b[0] for b in beats]
    i = min(max(bisect.bisect(times, time) - 1, 0), len(times) - 2)
    return i + (time - times[i]) / (times[i + 1] - times[i])
