use upbeat_core::ConfigError;
use upbeat_nn::Weights;

/// What the chance of a beat is told from, when it is announced: eight numbers and a constant about the last beats.
///
/// The filter's own belief is far too high, and not even higher where more beats are right: a steady wrong
/// octave looks as certain as a steady right one. What helps is how clearly the last beats were heard, what was
/// heard between them, and whether every other one was weaker.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    /// Running means, over five beats or so, of: the filter's belief; what the network and the onset strength made of
    /// the beats; what they made of the places half-way between.
    belief: f32,
    on_net: f32,
    on_onset: f32,
    off_net: f32,
    off_onset: f32,
    /// What `on_net` and `off_net` would be if there were no network.
    no_net: [f32; 2],
    /// Strength of even and of odd beats.
    parity: usize,
    turns: [f32; 2],
    /// How unlike neighbouring intervals are.
    unrest: f32,
}

/// How many numbers there are.
pub(crate) const FEATURES: usize = 9;

impl Trust {
    pub(crate) const fn new() -> Self {
        Self {
            belief: 0.5,
            on_net: 0.2,
            on_onset: 0.2,
            off_net: 0.1,
            off_onset: 0.1,
            no_net: [0.2, 0.1],
            parity: 0,
            turns: [0.2; 2],
            unrest: 0.05,
        }
    }

    /// A beat was announced, believed in so much, so many times the interval before it after the last one.
    pub(crate) fn announced(&mut self, belief: f32, ratio: Option<f64>) {
        self.belief += RATE * (belief - self.belief);
        if let Some(ratio) = ratio {
            self.unrest += RATE * ((ratio.ln().abs() as f32).min(0.5) - self.unrest);
        }
    }

    /// A beat was heard, with these probabilities of a beat there and half-way before it.
    pub(crate) fn heard(&mut self, net: [f32; 2], onset: [f32; 2], with_net: bool) {
        self.on_net += RATE * (net[0] - self.on_net);
        self.off_net += RATE * (net[1] - self.off_net);
        self.on_onset += RATE * (onset[0] - self.on_onset);
        self.off_onset += RATE * (onset[1] - self.off_onset);
        self.no_net = self.no_net.map(|p| p - RATE * p);
        self.parity ^= 1;
        let strength = if with_net { net[0] } else { onset[0] };
        self.turns[self.parity] += 1.5 * RATE * (strength - self.turns[self.parity]);
    }

    /// Given the belief in this beat and in its tempo, and whether the network has a say.
    pub(crate) fn features(&self, belief: f32, tempo: f32, with_net: bool) -> [f32; FEATURES] {
        let [even, odd] = self.turns;
        let [on_net, off_net] = if with_net { [self.on_net, self.off_net] } else { self.no_net };
        [
            1.0,
            logit(belief),
            logit(self.belief),
            logit(on_net),
            logit(self.on_onset / 0.62),
            logit(off_net) + logit(self.off_onset / 0.62),
            (even - odd).abs() / (even + odd + 0.02),
            logit(tempo),
            self.unrest.max(0.002).ln(),
        ]
    }
}

fn logit(p: f32) -> f32 {
    let p = p.clamp(0.002, 0.998);
    (p / (1.0 - p)).ln()
}

/// What [`Trust`] has gathered, weighed: logistic regressions, with the network's say and without.
///
/// `training/beats/confidence.py` fits them on clips that the network was not trained on.
#[derive(Clone, Debug)]
pub(crate) struct Scales {
    confidence: [[f32; FEATURES]; 2],
    presence: [[f32; FEATURES]; 2],
}

impl Scales {
    /// Reads the weights that ship with the crate.
    pub(crate) fn new() -> Result<Self, ConfigError> {
        Self::read(include_bytes!("../../weights/beat_confidence.safetensors"))
            .map_err(|error| ConfigError::new("weights", "those of the confidence", error))
    }

    fn read(bytes: &[u8]) -> Result<Self, upbeat_nn::ModelError> {
        let weights = Weights::read(bytes)?;
        let pair = |of: &str| {
            let mut pair = [[0.0; FEATURES]; 2];
            for (row, front_end) in pair.iter_mut().zip(["onset", "network"]) {
                row.copy_from_slice(&weights.tensor(&format!("{front_end}.{of}"), &[FEATURES])?);
            }
            Ok(pair)
        };
        Ok(Self { confidence: pair("confidence")?, presence: pair("presence")? })
    }

    /// The chance that the beat comes within 70 ms of where it is announced.
    pub(crate) fn confidence(&self, features: &[f32; FEATURES], with_net: bool) -> f32 {
        logistic(features, &self.confidence[usize::from(with_net)])
    }

    /// The chance that there is a beat at all, and not speech or noise.
    pub(crate) fn presence(&self, features: &[f32; FEATURES], with_net: bool) -> f32 {
        logistic(features, &self.presence[usize::from(with_net)])
    }
}

fn logistic(features: &[f32; FEATURES], weights: &[f32; FEATURES]) -> f32 {
    let sum: f32 = features.iter().zip(weights).map(|(x, w)| x * w).sum();
    1.0 / (1.0 + (-sum).exp())
}

const RATE: f32 = 0.2;
