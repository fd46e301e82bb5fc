use upbeat_nn::{Model, Network, Weights};

use crate::{EqError, ToneCurve};

/// The networks behind tone: `hear` and `tell`, from a spectrum to the latent of its tone; `encode` and `decode`,
/// between curves and latents.
///
/// The latent space is that of equalizer curves, 32 numbers. `encode` and `decode` are linear and without
/// constants: the latent of a difference is the difference of latents, and 0 is flat. All of it is trained
/// on generated material; see `training/README.md` in the sources. Running it does not allocate.
///
/// ```
/// use upbeat_eq::{Band, EqError, ToneCurve, ToneModel};
///
/// let mut model = ToneModel::builtin();
/// let curve = ToneCurve::of_bands(&[Band::low_shelf(200.0, 4.0), Band::peak(3_000.0, -5.0, 1.0)]);
/// let latent = model.encode(&curve);
/// assert!((model.decode(&latent) - curve).rms() < 0.2);
///
/// assert!(matches!(ToneModel::read(b"not a model"), Err(EqError::Model(_))));
/// ```
#[derive(Clone, Debug)]
pub struct ToneModel {
    hear: Network,
    tell: Network,
    odds: [f32; WAYS],
    encode: Network,
    decode: Network,
    programme: [f32; ToneModel::BANDS],
}

/// A place in the space of equalizer curves.
pub type Latent = [f32; ToneModel::LATENT];

impl ToneModel {
    /// Mel bands heard.
    pub const BANDS: usize = 64;

    /// Numbers that the network `hear` makes of the bands: 4 and 64; see [`hear`](Self::hear).
    pub const HEARD: usize = WAYS + Self::BANDS;

    /// Numbers of a latent.
    pub const LATENT: usize = 32;

    /// The model that comes with this crate.
    ///
    /// # Panics
    ///
    /// Never: a test reads it.
    #[must_use]
    pub fn builtin() -> Self {
        Self::read(include_bytes!("../models/tone.safetensors")).expect("a test has read the file")
    }

    /// Reads a model file, `safetensors` with a header that describes the networks.
    ///
    /// # Errors
    ///
    /// If it is damaged, of another kind or version, has networks of other sizes, or a decoder that is not
    /// flat at 0.
    pub fn read(bytes: &[u8]) -> Result<Self, EqError> {
        let weights = Weights::read(bytes)?;
        let foreign = |reason: String| Err(EqError::ForeignModel { reason });
        for (remark, needed) in [("kind", KIND), ("version", VERSION)] {
            match weights.remark(remark) {
                Some(found) if found == needed => {}
                Some(found) => return foreign(format!("its {remark} is {found:?}")),
                None => return foreign(format!("its header has no {remark:?}")),
            }
        }
        let network = |name: &str, inputs: usize, outputs: usize| {
            let network = Network::read(&weights, name)?;
            let sizes = [network.input_length(), network.output_length()];
            if sizes != [inputs, outputs] {
                let reason = format!(
                    "its network {name:?} makes {} numbers of {}, not {outputs} of {inputs}",
                    sizes[1], sizes[0]
                );
                return Err(EqError::ForeignModel { reason });
            }
            Ok(network)
        };
        let programme = weights.tensor("programme", &[Self::BANDS])?;
        let odds = weights.tensor("odds", &[WAYS])?;
        if odds.iter().any(|odds| *odds <= 0.0) {
            return foreign("not all its odds are above 0".into());
        }
        let mut model = Self {
            hear: network("hear", Self::BANDS, Self::HEARD)?,
            tell: network("tell", WAYS, Self::LATENT)?,
            odds: std::array::from_fn(|way| odds[way]),
            encode: network("encode", ToneCurve::POINTS, Self::LATENT)?,
            decode: network("decode", Self::LATENT, ToneCurve::POINTS)?,
            programme: std::array::from_fn(|b| programme[b]),
        };
        if model.decode(&[0.0; Self::LATENT]) != ToneCurve::FLAT {
            return foreign("its decoder is not flat at 0".into());
        }
        Ok(model)
    }

    /// The latent of the tone of a sound whose mean spectrum lies `tone` dB above [`programme`](Self::programme).
    ///
    /// `hear` says how far the spectrum goes in each of 4 ways in which equalizers are told best from what is
    /// played, `y_k`, and what of it no broad equalizer can have done, whose RMS is `r`. Each way counts by the odds
    /// for an equalizer, `o_k y_k / (o_k + r⁶)`, and `tell` makes a latent of that: the less a sound is like music
    /// on average in what it can be judged by, the more of the rest was likely played so too, and is not heard as
    /// tone. Where `r` is 0, all is heard as tone; it is never taken for more than it is.
    #[must_use]
    pub fn hear(&mut self, tone: &[f32; Self::BANDS]) -> Latent {
        let heard = run(&mut self.hear, tone);
        self.likely(&heard)
    }

    /// What [`hear`](Self::hear) makes of what the network `hear` says.
    pub(crate) fn likely(&mut self, heard: &[f32; Self::HEARD]) -> Latent {
        let (ways, rest) = heard.split_at(WAYS);
        let unusual = rest.iter().map(|x| x * x).sum::<f32>().powi(3);
        let likely: [f32; WAYS] = std::array::from_fn(|way| {
            let odds = self.odds[way];
            ways[way] * odds / (odds + unusual)
        });
        run(&mut self.tell, &likely)
    }

    /// The latent of a curve.
    #[must_use]
    pub fn encode(&mut self, curve: &ToneCurve) -> Latent {
        run(&mut self.encode, &curve.gains().map(|gain| gain as f32))
    }

    /// The curve of a latent.
    #[must_use]
    pub fn decode(&mut self, latent: &Latent) -> ToneCurve {
        ToneCurve::new(run::<{ ToneCurve::POINTS }>(&mut self.decode, latent).map(f64::from))
    }

    /// The power density of the mean programme in the mel bands, in dB.
    #[must_use]
    pub const fn programme(&self) -> &[f32; Self::BANDS] {
        &self.programme
    }
}

fn run<const N: usize>(network: &mut Network, input: &[f32]) -> [f32; N] {
    let mut output = [0.0; N];
    // Networks in plain Rust do not fail, and `read` has checked the lengths.
    if network.run(input, &mut output).is_err() {
        output.fill(0.0);
    }
    output
}

/// In which equalizers are told from programmes.
const WAYS: usize = 4;

const KIND: &str = "upbeat tone model";
const VERSION: &str = "2";

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
