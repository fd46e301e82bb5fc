use upbeat_core::{SampleIndex, SampleRate};

/// Says when a sample sounds, from when samples were heard of.
///
/// Told at time `t` that the stream has been heard up to sample `n`, it knows that `n / rate + o = t` would hold for
/// some `o` if nothing took any time; as buffers and threads only ever delay, the smallest such `o` of the last 8 s
/// is nearest to the truth, and `time(n) = n / rate + o`. So single delays of any length do no harm, and a sound card
/// that runs fast or slow by 0.01 % is followed within 1 ms. If for a whole second all is later than that by more
/// than 0.25 s, the stream has stood still (a pause), and `o` is taken from that second on.
///
/// What is left is the shortest time from the sound to the listener: the latency of the input and what one block
/// waits for its end. A nudge takes care of it.
///
/// Times are in seconds from any origin, which never go back.
///
/// ```
/// use upbeat_core::{SampleIndex, SampleRate};
/// use upbeat_sync::StreamClock;
///
/// let mut clock = StreamClock::new(SampleRate::new(1000)?);
/// assert_eq!(clock.time(SampleIndex(500)), None); // nothing was heard yet
/// clock.hear(SampleIndex(100), 7.10);
/// clock.hear(SampleIndex(200), 7.23); // 30 ms late
/// assert!((clock.time(SampleIndex(500)).unwrap() - 7.5).abs() < 1e-9);
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct StreamClock {
    rate: SampleRate,
    /// The smallest offset of each of the last seconds, the oldest first; infinite where nothing was heard.
    offsets: [f64; SECONDS],
    /// When the newest of them began.
    began: f64,
}

const SECONDS: usize = 8;
/// Later than this for a second is a pause.
const STANDSTILL: f64 = 0.25;

impl StreamClock {
    /// A clock that has heard nothing.
    #[must_use]
    pub const fn new(rate: SampleRate) -> Self {
        Self { rate, offsets: [f64::INFINITY; SECONDS], began: f64::NEG_INFINITY }
    }

    /// At `now`, the stream has been heard up to `heard`: that is the sample to come next.
    pub fn hear(&mut self, heard: SampleIndex, now: f64) {
        let offset = now - heard.seconds(self.rate);
        if now >= self.began + 1.0 {
            let newest = self.offsets[SECONDS - 1];
            if newest.is_finite() && newest > self.offset() + STANDSTILL {
                self.offsets[..SECONDS - 1].fill(f64::INFINITY);
            }
            // Where nothing came for long, all is old.
            let passed = (now - self.began).min(SECONDS as f64) as usize;
            self.offsets.rotate_left(passed % SECONDS);
            self.offsets[SECONDS - passed..].fill(f64::INFINITY);
            self.began = if passed < SECONDS { self.began + passed as f64 } else { now };
        }
        let newest = &mut self.offsets[SECONDS - 1];
        *newest = newest.min(offset);
    }

    /// When the sample at `at` sounds; `None` before anything was heard.
    #[must_use]
    pub fn time(&self, at: SampleIndex) -> Option<f64> {
        let offset = self.offset();
        offset.is_finite().then(|| at.seconds(self.rate) + offset)
    }

    fn offset(&self) -> f64 {
        self.offsets.iter().copied().fold(f64::INFINITY, f64::min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use upbeat_testkit::signal::Random;

    const RATE: u32 = 48_000;

    fn clock() -> StreamClock {
        StreamClock::new(SampleRate::new(RATE).expect("not 0"))
    }

    /// How far off the clock is for what sounds 0.25 s ahead, over `seconds` in which ten blocks a second are
    /// heard of with delays, on a card that runs `drift` times too fast.
    fn errors(drift: f64, seconds: usize, delay: impl Fn(usize, &mut Random) -> f64) -> Vec<f64> {
        let (mut clock, mut random) = (clock(), Random::new(5));
        let sample = |t: f64| (t * f64::from(RATE) * (1.0 + drift)).round();
        let mut errors = Vec::new();
        for n in 1..10 * seconds {
            let t = n as f64 / 10.0;
            clock.hear(SampleIndex(sample(t) as u64), 3.0 + t + delay(n, &mut random));
            let ahead = SampleIndex(sample(t + 0.25) as u64);
            errors.push(clock.time(ahead).expect("something was heard") - (3.0 + t + 0.25));
        }
        errors
    }

    #[test]
    fn delays_do_no_harm_and_drift_is_followed() {
        for drift in [0.0, 1e-4, -1e-4] {
            let errors = errors(drift, 120, |n, random| {
                let spike = if n % 37 == 36 { 0.8 } else { 0.0 };
                spike + 0.02 * random.unit()
            });
            // From one delay of 20 ms at the first block to the shortest of 80.
            let worst = errors[80..].iter().fold(0.0_f64, |worst, e| worst.max(e.abs()));
            assert!(worst < 0.003, "{worst}");
            assert!(errors.iter().all(|e| (-0.001..0.021).contains(e)));
        }
    }

    #[test]
    fn after_a_pause_it_is_right_within_two_seconds() {
        let errors = errors(0.0, 60, |n, _| if n > 300 { 5.0 } else { 0.0 });
        assert!(errors[..300].iter().all(|e| e.abs() < 1e-4));
        assert!(errors[320..].iter().all(|e| (e - 5.0).abs() < 1e-4), "{:?}", &errors[300..330]);
    }

    #[test]
    fn a_long_silence_of_the_stream_leaves_nothing_behind() {
        let mut clock = clock();
        clock.hear(SampleIndex(0), 1.0);
        clock.hear(SampleIndex(100 * u64::from(RATE)), 102.5);
        assert_eq!(clock.time(SampleIndex(0)), Some(2.5));
    }
}
