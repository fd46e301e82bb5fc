//! A band on its way from one setting to another.

use upbeat_core::SampleRate;

use crate::{Band, BandKind, Coefficients, Design};

/// Gain, pitch and sharpness follow what is wanted through two one-pole smoothers each, and the
/// coefficients are designed anew for each step of the way. A band that is to be of another kind is first
/// mixed away, the signal itself taking its place, and then mixed in as what it is to be. All of it is
/// stable: a design is, a mix has the design's poles, and so is what lies between two of them.
#[derive(Clone, Debug)]
pub(crate) struct Motion {
    rate: SampleRate,
    design: Design,
    /// How much of the distance one smoother covers per step.
    share: f64,
    target: Band,
    /// Where the target is.
    goal: [f64; 3],
    /// What the band still is.
    kind: BandKind,
    /// Gain in dB, natural logarithms of frequency and Q.
    place: [Smooth; 3],
    /// How much of the filter is heard, the rest being the signal itself.
    weight: Smooth,
    moving: bool,
    current: Coefficients,
}

impl Motion {
    /// A band at rest. Smoothers take `steps` steps of the motion for a time constant.
    pub(crate) fn new(band: Band, rate: SampleRate, design: Design, steps: f64) -> Self {
        Self {
            rate,
            design,
            share: 1.0 - (-steps.recip()).exp(),
            target: band,
            goal: place(&band),
            kind: band.kind,
            place: place(&band).map(Smooth::at),
            weight: Smooth::at(1.0),
            moving: false,
            current: Coefficients::of(&band, rate, design),
        }
    }

    /// Sets off towards `band`, from wherever it is.
    pub(crate) fn go_to(&mut self, band: Band) {
        if band != self.target {
            self.moving = true;
            self.target = band;
            self.goal = place(&band);
        }
    }

    /// Arrives at once.
    pub(crate) fn arrive(&mut self) {
        self.kind = self.target.kind;
        self.place = self.goal.map(Smooth::at);
        self.weight = Smooth::at(1.0);
        self.moving = false;
        self.current = Coefficients::of(&self.target, self.rate, self.design);
    }

    /// One step on, and the coefficients there.
    pub(crate) fn step(&mut self) -> Coefficients {
        if self.kind == self.target.kind {
            let mut arrived = self.weight.step(1.0, self.share);
            for (place, target) in self.place.iter_mut().zip(self.goal) {
                arrived &= place.step(target, self.share);
            }
            if arrived {
                self.arrive();
                return self.current;
            }
        } else if self.kind == BandKind::Off || self.weight.step(0.0, self.share) {
            self.kind = self.target.kind;
            self.place = self.goal.map(Smooth::at);
            self.weight = Smooth::at(0.0);
        }
        let [gain, frequency, q] = self.place.map(|place| place.value);
        // Most moves are of the gain alone.
        let [_, same_frequency, same_q] = self.goal;
        let of =
            |place: f64, same: f64, value: f64| if place == same { value } else { place.exp() };
        let frequency = of(frequency, same_frequency, self.target.frequency);
        let band = Band::new(self.kind, frequency, gain, of(q, same_q, self.target.q));
        self.current = Coefficients::of(&band, self.rate, self.design).mixed(self.weight.value);
        self.current
    }

    pub(crate) const fn is_moving(&self) -> bool {
        self.moving
    }

    pub(crate) const fn current(&self) -> Coefficients {
        self.current
    }
}

/// Two one-pole smoothers in series: the value starts and ends its way without a corner.
#[derive(Clone, Copy, Debug)]
struct Smooth {
    between: f64,
    value: f64,
}

impl Smooth {
    const fn at(value: f64) -> Self {
        Self { between: value, value }
    }

    /// One step towards `target`; whether it is there, but for what nobody can hear.
    fn step(&mut self, target: f64, share: f64) -> bool {
        self.between += share * (target - self.between);
        self.value += share * (self.between - self.value);
        (target - self.between).abs() < ARRIVED && (target - self.value).abs() < ARRIVED
    }
}

fn place(band: &Band) -> [f64; 3] {
    [band.gain, band.frequency.ln(), band.q.ln()]
}

/// In dB, or as a fraction of frequency, Q or the mix.
const ARRIVED: f64 = 1e-4;

#[cfg(test)]
mod tests {
    use super::*;

    fn motion(band: Band) -> Motion {
        Motion::new(band, SampleRate::new(48_000).unwrap(), Design::Matched, 7.5)
    }

    #[test]
    fn a_band_arrives_exactly_and_then_rests() {
        let (from, to) = (Band::peak(200.0, 12.0, 1.0), Band::peak(4000.0, -6.0, 3.0));
        let mut moving = motion(from);
        assert!(!moving.is_moving());
        moving.go_to(to);
        let mut steps = 0;
        while moving.is_moving() {
            assert!(moving.step().is_stable());
            steps += 1;
            assert!(steps < 300, "never arrives");
        }
        assert_eq!(moving.current(), motion(to).current());
        moving.go_to(to);
        assert!(!moving.is_moving());
    }

    #[test]
    fn pitch_moves_evenly_through_the_designs_between() {
        let mut moving = motion(Band::peak(100.0, 6.0, 1.0));
        moving.go_to(Band::peak(10_000.0, 6.0, 1.0));
        let rate = SampleRate::new(48_000).unwrap();
        let mut passed = false;
        while moving.is_moving() {
            let level = moving.step().response(1000.0, rate).level().0;
            assert!(level < 6.01);
            passed |= level > 5.5;
        }
        assert!(passed, "the bell has not passed 1 kHz at its full height");
    }

    #[test]
    fn another_kind_is_mixed_in_evenly() {
        let rate = SampleRate::new(48_000).unwrap();
        for (from, to, level) in [
            (Band::off(), Band::high_pass(100.0), -27.97),
            (Band::low_pass(15.0), Band::notch(20.0, 2.0), -200.0),
            (Band::high_shelf(9.0, 12.0), Band::off(), 0.0),
        ] {
            let mut moving = motion(from);
            moving.go_to(to);
            let mut last = moving.current().response(20.0, rate).magnitude;
            let mut steps = 0;
            while moving.is_moving() {
                let step = moving.step();
                assert!(step.is_stable());
                let magnitude = step.response(20.0, rate).magnitude;
                assert!((magnitude - last).abs() < 0.15, "{from:?} {to:?}: {last} to {magnitude}");
                last = magnitude;
                steps += 1;
                assert!(steps < 300, "never arrives");
            }
            assert!(20.0 * last.log10() < level + 0.1, "{from:?} {to:?}: {last}");
        }
    }
}
