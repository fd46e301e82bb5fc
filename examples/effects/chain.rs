//! The effects, one after the other, in place.

use upbeat::core::{ConfigError, Decibels, SampleIndex};
use upbeat::io::StreamFormat;
use upbeat::window::latest::{Latest, Publisher, latest};
use upbeat::{Analyzer, AnalyzerConfig, Error, Feature};

/// The longest echo, in seconds.
pub(crate) const MAX_DELAY: f32 = 2.0;

/// What the effects are to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// In dB.
    pub(crate) gain: f32,
    /// Of the echo, in seconds.
    pub(crate) delay: Option<f32>,
    /// How much louder attacks become, in dB.
    pub(crate) shaper: Option<f32>,
    pub(crate) compressor: bool,
    pub(crate) agc: bool,
}

/// Turns the gain, from any thread.
pub(crate) struct Handle(Publisher);

impl Handle {
    #[cfg_attr(not(feature = "device"), expect(dead_code, reason = "there is no slider then"))]
    pub(crate) fn set_gain(&mut self, db: f32) {
        self.0.publish([f64::from(db)]);
    }
}

/// The effects; allocates nothing once made.
pub(crate) struct Chain {
    settings: Settings,
    channels: usize,
    analyzer: Analyzer,
    at: SampleIndex,
    gain: Smooth,
    new_gain: Latest,
    /// A gain that rises at an onset and falls back within 50 ms.
    attack: Smooth,
    /// Samples until the attack is over.
    attack_left: u64,
    compressor: Smooth,
    agc: Smooth,
    echo: Box<[f32]>,
    position: usize,
    rate: f32,
}

impl Chain {
    pub(crate) fn new(
        format: StreamFormat,
        settings: &Settings,
    ) -> Result<(Self, Handle), ConfigError> {
        let (rate, channels) = (format.sample_rate(), format.channels());
        let mut config =
            AnalyzerConfig::new(rate.hz(), channels).with_features([Feature::Rms, Feature::Onset]);
        // Short, so that attacks are seen while they sound.
        (config.frame_length, config.hop_length) = (512, 128);
        config.n_mels = 20;
        let delay = settings.delay.unwrap_or(0.0);
        let echo = rate.samples(f64::from(delay)) as usize * channels;
        let hz = rate.as_f64() as f32;
        let (publisher, new_gain) = latest(1);
        let chain = Self {
            settings: *settings,
            channels,
            analyzer: Analyzer::new(&config)?,
            at: SampleIndex(0),
            gain: Smooth::new(Decibels(settings.gain).amplitude(), 0.01, hz),
            new_gain,
            attack: Smooth::new(1.0, 0.002, hz),
            attack_left: 0,
            compressor: Smooth::new(1.0, 0.01, hz),
            agc: Smooth::new(1.0, 1.0, hz),
            echo: vec![0.0; echo].into(),
            position: 0,
            rate: hz,
        };
        Ok((chain, Handle(publisher)))
    }

    /// Changes a block of whole samples in place.
    pub(crate) fn process(&mut self, interleaved: &mut [f32]) {
        if let Some([db]) = self.new_gain.take_array() {
            self.gain.target = Decibels(db as f32).amplitude();
        }
        // What the analysis hears in this block decides over the next: a few milliseconds later.
        let (mut level, mut onset) = (None, false);
        let heard: Result<(), Error> = self.analyzer.process(self.at, interleaved, |frame| {
            level = frame.value(Feature::Rms).or(level);
            onset |= frame.value(Feature::Onset).is_some();
        });
        debug_assert!(heard.is_ok(), "blocks are of whole samples");
        self.at += (interleaved.len() / self.channels) as u64;
        if let Some(level) = level {
            self.follow(Decibels::from_amplitude(level).0);
        }
        if let Some(db) = self.settings.shaper.filter(|_| onset) {
            self.attack.target = Decibels(db).amplitude();
            self.attack_left = (0.05 * self.rate) as u64;
        }
        for sample in interleaved.chunks_exact_mut(self.channels) {
            if self.attack_left > 0 {
                self.attack_left -= 1;
            } else {
                self.attack.target = 1.0;
            }
            let gain =
                self.gain.next() * self.attack.next() * self.compressor.next() * self.agc.next();
            for x in sample {
                *x = self.echo(*x) * gain;
            }
        }
    }

    /// Sets the gains that depend on the level.
    fn follow(&mut self, level: f32) {
        if self.settings.compressor {
            let over = (level + 24.0).max(0.0);
            self.compressor.target = Decibels(-0.75 * over).amplitude();
        }
        // Silence is not turned up.
        if self.settings.agc && level > -60.0 {
            self.agc.target = Decibels((-20.0 - level).clamp(-24.0, 24.0)).amplitude();
        }
    }

    /// With what came a while ago, half as loud.
    fn echo(&mut self, x: f32) -> f32 {
        let Some(past) = self.echo.get_mut(self.position) else { return x };
        let y = x + 0.5 * *past;
        *past = y;
        self.position = (self.position + 1) % self.echo.len();
        y
    }
}

/// A gain that approaches its target exponentially, so that no change clicks.
struct Smooth {
    value: f32,
    target: f32,
    step: f32,
}

impl Smooth {
    /// Two thirds of the way in `seconds`.
    fn new(value: f32, seconds: f32, rate: f32) -> Self {
        Self { value, target: value, step: 1.0 - (-1.0 / (seconds * rate)).exp() }
    }

    fn next(&mut self) -> f32 {
        self.value += self.step * (self.target - self.value);
        self.value
    }
}

#[cfg(test)]
mod tests {
    use upbeat::core::SampleRate;

    use super::*;

    const NONE: Settings =
        Settings { gain: 0.0, delay: None, shaper: None, compressor: false, agc: false };

    fn through(settings: Settings, input: &[f32]) -> Vec<f32> {
        let format = StreamFormat::mono(SampleRate::new(48_000).expect("a usual rate"));
        let (mut chain, _handle) = Chain::new(format, &settings).expect("usual settings");
        let mut output = input.to_vec();
        for block in output.chunks_mut(480) {
            chain.process(block);
        }
        output
    }

    fn sine(amplitude: f32, length: usize) -> Vec<f32> {
        (0..length).map(|n| amplitude * (n as f32 * 0.1).sin()).collect()
    }

    fn rms(samples: &[f32]) -> f32 {
        (samples.iter().map(|x| x * x).sum::<f32>() / samples.len() as f32).sqrt()
    }

    #[test]
    fn without_effects_nothing_changes() {
        let input = sine(0.5, 10_000);
        assert_eq!(through(NONE, &input), input);
    }

    #[test]
    fn the_echo_is_half_as_loud_and_exactly_late() {
        let mut input = vec![0.0; 48_000];
        input[100] = 0.8;
        let output = through(Settings { delay: Some(0.25), ..NONE }, &input);
        assert_eq!((output[100], output[12_100], output[24_100]), (0.8, 0.4, 0.2));
    }

    #[test]
    fn the_compressor_leaves_a_quarter_of_what_is_above_its_threshold() {
        // 0.5 is -9 dB RMS, 15 dB above the threshold: 11.25 dB are taken away.
        let output = through(Settings { compressor: true, ..NONE }, &sine(0.5, 48_000));
        let level = Decibels::from_amplitude(rms(&output[24_000..])).0;
        assert!((level - (-9.03 - 11.23)).abs() < 0.2, "{level} dB");
        let quiet = sine(0.02, 48_000);
        assert_eq!(through(Settings { compressor: true, ..NONE }, &quiet), quiet);
    }

    #[test]
    fn automatic_gain_brings_loud_and_soft_to_the_same_level() {
        for amplitude in [0.02, 0.9] {
            let output = through(Settings { agc: true, ..NONE }, &sine(amplitude, 480_000));
            let level = Decibels::from_amplitude(rms(&output[432_000..])).0;
            assert!((level + 20.0).abs() < 0.5, "{level} dB");
        }
    }

    #[test]
    fn the_shaper_lifts_attacks_and_not_what_follows() {
        let mut input = vec![0.0; 96_000];
        for start in [24_000, 60_000] {
            for (n, x) in input[start..start + 24_000].iter_mut().enumerate() {
                *x = 0.3 * (n as f32 * 0.2).sin();
            }
        }
        let output = through(Settings { shaper: Some(6.0), ..NONE }, &input);
        let gain = |from: usize| rms(&output[from..from + 960]) / rms(&input[from..from + 960]);
        let attack = (24_000..27_000).step_by(480).map(gain).fold(0.0, f32::max);
        assert!((attack - 1.995).abs() < 0.1, "{attack}");
        assert!((gain(40_000) - 1.0).abs() < 0.01);
    }

    #[test]
    fn a_turn_of_the_gain_has_no_jump() {
        let format = StreamFormat::mono(SampleRate::new(48_000).expect("a usual rate"));
        let (mut chain, mut handle) = Chain::new(format, &NONE).expect("usual settings");
        let mut last = 0.5;
        for n in 0..100 {
            if n == 10 {
                handle.0.publish([-60.0]);
            }
            let mut block = [0.5; 64];
            chain.process(&mut block);
            for x in block {
                // At most 1/480 of the change in one sample.
                assert!((x - last).abs() <= 0.5 / 479.0, "{last} to {x}");
                last = x;
            }
        }
        assert!(last < 0.01);
    }
}
