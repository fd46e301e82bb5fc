"""Piano pieces in the manner of the classical repertoire, drawn by chance, played with an expressive tempo.

`piece(rnd, seconds)` returns (notes, beats, programs) as `grooves.groove` does. Harmony moves at bar lines, phrases of a
few bars end slower, textures change from phrase to phrase, hands are not quite together, the pedal holds.
"""
import bisect

# beats per bar, ways to divide a beat, tempo range
METRES = [(2, (2, 4), 45, 190), (3, (2, 2, 4, 3), 45, 260), (4, (2, 4, 4, 3), 45, 220), (2, (3, 6), 40, 150), (4, (3,), 45, 140)]
MAJOR, MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 11)
# likely ways on from each degree
ON = {0: (0, 3, 4, 4, 5, 1), 1: (4, 4, 0), 2: (5, 3), 3: (4, 0, 1, 4), 4: (0, 0, 0, 5), 5: (1, 3, 4), 6: (0,)}
TEXTURES = ['alberti', 'blocks', 'afterbeats', 'arpeggio', 'runs', 'chorale', 'voices', 'octaves', 'melody']
RHYTHMS = {2: ['x.', 'x.', 'xx', '..'], 3: ['x..', 'xxx', 'x.x', 'xx.', '...'], 4: ['x...', 'x.x.', 'xxxx', 'x..x', 'x.xx', 'xx..', '....'],
           6: ['x.....', 'x.x.x.', 'xxxxxx', 'x...x.', 'x..x..']}


def tempo_curve(rnd, bars, per_bar, bpm):
    """When each beat comes: arches over phrases, a walk, noise from beat to beat, holds, new tempi."""
    freedom = rnd.choice([.25, .7, 1.2, 1.8, 2.5])
    times, t, walk, section = [], rnd.uniform(0, 1.5), 0.0, 1.0
    phrase, start, depth = rnd.choice([2, 4, 4, 8]), 0, rnd.uniform(0, .25)
    lean = [rnd.gauss(0, .03) * freedom for _ in range(per_bar)]
    for bar in range(bars):
        if bar - start >= phrase:
            start, phrase, depth = bar, rnd.choice([2, 4, 4, 8]), rnd.uniform(0, .25)
            if rnd.random() < .15:
                section = rnd.choice([.75, .85, 1.15, 1.3, 1])
        for beat in range(per_bar):
            times.append(t)
            place = (bar - start + beat / per_bar) / phrase
            arch = -depth * freedom * (2.2 * max(0, place - .75) * 4 * place + .6 * (1 - place) ** 4)
            walk = .9 * walk + rnd.gauss(0, .012) * freedom
            log = arch + walk + lean[beat] + rnd.gauss(0, .018) * freedom
            last = bar - start == phrase - 1 and beat == per_bar - 1
            if last and rnd.random() < .3:
                log -= rnd.uniform(.1, .7) * min(freedom, 1)       # a hold
            t += 60 / (bpm * section) * 2.718281828 ** -log
    times.append(t)
    return times


def piece(rnd, seconds):
    per_bar, ways, low, high = rnd.choice(METRES)
    bpm = low * (high / low) ** rnd.random()
    bars = int(seconds * bpm / 60 / per_bar * 1.5) + 3
    times = tempo_curve(rnd, bars, per_bar, bpm)

    def at(beat):
        i = min(max(bisect.bisect(range(len(times)), beat) - 1, 0), len(times) - 2)
        return times[i] + (times[i + 1] - times[i]) * (beat - i)

    notes = []
    scale, key = rnd.choice([MAJOR, MINOR]), rnd.randrange(12)
    human, spread, lead = rnd.choice([.004, .008, .014]), rnd.choice([0, .008, .03]), rnd.choice([0, .01, .025])
    accent, pedal = rnd.uniform(0, 18), rnd.random()
    arch = rnd.uniform(0, 20)

    def pitch(degree, octave):
        return key + scale[degree % 7] + 12 * (octave + degree // 7)

    def hit(beat, degree, octave, length, loud, roll=0.0, ahead=0.0, pitched=None):
        start = at(beat) + rnd.gauss(0, human) + roll - ahead
        end = at(beat + length) - rnd.uniform(0, .04)
        p = pitched if pitched is not None else pitch(degree, octave)
        if start >= 0 and 21 <= p <= 108:
            notes.append((start, max(end, start + .04), p, max(8, min(127, int(loud))), 'PIANO'))

    degree, start, phrase, texture, divide, tune = 0, 0, 4, 'blocks', ways[0], 7
    for bar in range(bars):
        if bar == 0 or bar - start >= phrase:
            start, phrase = bar, rnd.choice([2, 4, 4, 8])
            texture, divide = rnd.choice(TEXTURES), rnd.choice(ways)
            base, octave, high_octave = rnd.uniform(40, 95), rnd.choice([3, 3, 4]), rnd.choice([5, 5, 6])
            rhythm = [rnd.choice(RHYTHMS[divide]) for _ in range(per_bar)]
            rhythm[0] = 'x' + rhythm[0][1:] if rnd.random() < .8 else rhythm[0]
            figure = [rnd.choice([0, 2, 4, 7, 4, 2]) for _ in range(6)]
            if rnd.random() < .2:                                   # a key nearby
                key, scale = (key + rnd.choice([5, 7, 3, 9])) % 12, rnd.choice([scale, MAJOR, MINOR])
        changes = 2 if per_bar == 4 and rnd.random() < .3 else 1
        for b in range(per_bar):
            beat = bar * per_bar + b
            if b == 0 or (changes == 2 and b == per_bar // 2):
                degree = 0 if bar == start and rnd.random() < .6 else rnd.choice(ON[degree % 7])
            hold = (per_bar - b) if changes == 1 else (per_bar // 2 - b % (per_bar // 2))
            loud = base + (accent if b == 0 else 0) + arch * (1 - abs(2 * (bar - start) / phrase - 1)) + rnd.gauss(0, 5)
            chord = [degree, degree + 2, degree + 4]
            sustained = hold if rnd.random() < pedal else None
            cells = [c / divide for c in range(divide)]
            # the left hand
            if texture in ('alberti', 'arpeggio'):
                turn = [0, 4, 2, 4] if texture == 'alberti' else sorted(set(figure))
                for c, off in enumerate(cells):
                    step = turn[(b * divide * (texture == 'arpeggio') + c) % len(turn)]
                    hit(beat + off, degree + step, octave, sustained or 1 / divide, loud - 14 + (8 if b == c == 0 else 0))
            elif texture == 'afterbeats':
                if b == 0:
                    hit(beat, degree, octave - 1, sustained or 1, loud)
                else:
                    for d in chord:
                        hit(beat, d, octave, .6, loud - 12)
            elif texture in ('blocks', 'chorale', 'octaves'):
                if b == 0 or texture == 'chorale' or rnd.random() < .4:
                    for n, d in enumerate(chord if texture != 'octaves' else [degree, degree + 7]):
                        length = 1 if texture != 'blocks' else hold
                        hit(beat, d, octave, sustained or length, loud - 8, roll=n * spread * rnd.random())
            elif texture == 'runs':
                if b == 0 or rnd.random() < .3:
                    for d in chord:
                        hit(beat, d, octave, .5, loud - 6)
            elif texture == 'voices':
                line = rnd.choice(RHYTHMS[divide])
                for c, stroke in enumerate(line):
                    if stroke == 'x':
                        hit(beat + c / divide, degree + rnd.choice([0, 0, 2, 4, 1, -1]), octave, 1 / divide, loud - 4)
            # the right hand
            line = rhythm[b] if rnd.random() < .75 else rnd.choice(RHYTHMS[divide])
            if texture == 'runs':
                line = 'x' * divide
            for c, stroke in enumerate(line):
                if stroke != 'x':
                    continue
                if texture == 'runs':
                    tune += rnd.choice([1, 1, 1, -1, -1, 2])
                elif c == 0:
                    tune = min((d + 7 * k for d in chord for k in (0, 1, 2)), key=lambda d: abs(d - tune - rnd.uniform(-2, 2)))
                else:
                    tune += rnd.choice([1, -1, 1, -1, 2, -2, 0])
                tune = min(max(tune, 0), 16)
                rest = line.find('x', c + 1)
                length = ((rest if rest > 0 else divide) - c) / divide
                here = loud + 6 + (4 if c == 0 else -3)
                hit(beat + c / divide, tune, high_octave - 1, length, here, ahead=lead)
                if rnd.random() < .04:                              # an ornament
                    hit(beat + c / divide, tune + 1, high_octave - 1, .05, here - 6, ahead=lead + rnd.uniform(.04, .09))
                if texture == 'octaves' or (texture == 'chorale' and c == 0):
                    hit(beat + c / divide, tune - (7 if texture == 'octaves' else 2), high_octave - 1, length, here - 6)
    beats = [(t, i % per_bar + 1) for i, t in enumerate(times[:-1])]
    return [n for n in notes if n[0] < seconds], [b for b in beats if b[0] < seconds], {'PIANO': rnd.choice([0, 0, 0, 1, 3, 6])}
