use serde::Deserialize;

use crate::{Activation, CausalConv, Dense, DepthwiseConv, Gru, Model, ModelError, Weights};

/// One layer of a [`Network`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Layer {
    /// All inputs to all outputs.
    Dense(Dense),
    /// Over past frames, channels mixed.
    CausalConv(CausalConv),
    /// Over past frames, channels apart.
    DepthwiseConv(DepthwiseConv),
    /// Recurrent.
    Gru(Gru),
}

/// Layers behind one another, each followed by an activation.
#[derive(Clone, Debug)]
pub struct Network {
    layers: Box<[(Layer, Activation)]>,
    /// What each layer writes.
    frames: Box<[Box<[f32]>]>,
}

impl Network {
    /// Of `layers`, the first of which takes the input.
    ///
    /// # Errors
    ///
    /// If there is none, or one takes another number of inputs than the one before it gives.
    pub fn new(layers: Vec<(Layer, Activation)>) -> Result<Self, ModelError> {
        ModelError::require(!layers.is_empty(), "number of layers", "at least 1", 0)?;
        for pair in layers.windows(2) {
            let [_, given] = pair[0].0.lengths();
            let [taken, _] = pair[1].0.lengths();
            ModelError::require_length("inputs of a layer", taken, given)?;
        }
        let frames = layers.iter().map(|(layer, _)| vec![0.0; layer.lengths()[1]].into());
        Ok(Self { frames: frames.collect(), layers: layers.into() })
    }

    /// Of a `safetensors` file whose header says, under `prefix.layers`, which layers to make: a JSON list
    /// of objects with `kind` (`dense`, `causal_conv`, `depthwise_conv`, `gru`), `name`, and optionally
    /// `activation` and `dilation`. The tensors of a layer are `name.weight` and `name.bias`, those of a
    /// GRU `name.weight_ih`, `name.weight_hh`, `name.bias_ih` and `name.bias_hh`; their shapes and orders
    /// are `PyTorch`'s.
    ///
    /// # Errors
    ///
    /// If the file does not say so, lacks a tensor, or has one that does not fit.
    pub fn read(weights: &Weights<'_>, prefix: &str) -> Result<Self, ModelError> {
        let remark = format!("{prefix}.layers");
        let text = weights
            .remark(&remark)
            .ok_or_else(|| ModelError::corrupt(format!("its header does not say {remark:?}")))?;
        let specs: Vec<Spec> =
            serde_json::from_str(text).map_err(|error| ModelError::corrupt(error.to_string()))?;
        let layers = specs.iter().map(|spec| Ok((spec.layer(weights)?, spec.activation)));
        Self::new(layers.collect::<Result<_, _>>()?)
    }
}

impl Model for Network {
    fn input_length(&self) -> usize {
        self.layers[0].0.lengths()[0]
    }

    fn output_length(&self) -> usize {
        self.layers[self.layers.len() - 1].0.lengths()[1]
    }

    fn run(&mut self, input: &[f32], output: &mut [f32]) -> Result<(), ModelError> {
        for k in 0..self.layers.len() {
            let (before, after) = self.frames.split_at_mut(k);
            let (layer, activation) = &mut self.layers[k];
            layer.forward(before.last().map_or(input, |frame| frame), &mut after[0]);
            activation.apply(&mut after[0]);
        }
        output.copy_from_slice(&self.frames[self.frames.len() - 1]);
        Ok(())
    }

    fn reset(&mut self) {
        for (layer, _) in &mut self.layers {
            match layer {
                Layer::Dense(_) => {}
                Layer::CausalConv(layer) => layer.reset(),
                Layer::DepthwiseConv(layer) => layer.reset(),
                Layer::Gru(layer) => layer.reset(),
            }
        }
    }
}

impl Layer {
    /// Numbers per frame taken and given.
    fn lengths(&self) -> [usize; 2] {
        match self {
            Self::Dense(layer) => layer.lengths(),
            Self::CausalConv(layer) => layer.lengths(),
            Self::DepthwiseConv(layer) => layer.lengths(),
            Self::Gru(layer) => layer.lengths(),
        }
    }

    fn forward(&mut self, input: &[f32], output: &mut [f32]) {
        match self {
            Self::Dense(layer) => layer.forward(input, output),
            Self::CausalConv(layer) => layer.forward(input, output),
            Self::DepthwiseConv(layer) => layer.forward(input, output),
            Self::Gru(layer) => layer.forward(input, output),
        }
    }
}

/// A layer as a file's header describes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    kind: Kind,
    name: String,
    #[serde(default)]
    activation: Activation,
    #[serde(default = "one")]
    dilation: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Dense,
    CausalConv,
    DepthwiseConv,
    Gru,
}

impl Spec {
    fn layer(&self, weights: &Weights<'_>) -> Result<Layer, ModelError> {
        let bias = |outputs: usize| weights.tensor(&format!("{}.bias", self.name), &[outputs]);
        Ok(match self.kind {
            Kind::Dense => {
                let ([outputs, inputs], weight) = self.tensor(weights, "weight")?;
                Layer::Dense(Dense::new(inputs, outputs, &weight, &bias(outputs)?)?)
            }
            Kind::CausalConv => {
                let ([outputs, inputs, kernel], weight) = self.tensor(weights, "weight")?;
                let (bias, dilation) = (bias(outputs)?, self.dilation);
                let conv = CausalConv::new(inputs, outputs, kernel, dilation, &weight, &bias)?;
                Layer::CausalConv(conv)
            }
            Kind::DepthwiseConv => {
                let ([channels, per_group, kernel], weight) = self.tensor(weights, "weight")?;
                ModelError::require_length("inputs per channel", per_group, 1)?;
                let (bias, dilation) = (bias(channels)?, self.dilation);
                Layer::DepthwiseConv(DepthwiseConv::new(
                    channels, kernel, dilation, &weight, &bias,
                )?)
            }
            Kind::Gru => {
                let ([gates, inputs], from_input) = self.tensor(weights, "weight_ih")?;
                let ([_, outputs], from_state) = self.tensor(weights, "weight_hh")?;
                let bias = |of: &str| weights.tensor(&format!("{}.bias_{of}", self.name), &[gates]);
                let (b, c) = (bias("ih")?, bias("hh")?);
                Layer::Gru(Gru::new(inputs, outputs, &from_input, &from_state, &b, &c)?)
            }
        })
    }

    /// A tensor of as many dimensions as are asked for, and its shape.
    fn tensor<const N: usize>(
        &self,
        weights: &Weights<'_>,
        which: &str,
    ) -> Result<([usize; N], Vec<f32>), ModelError> {
        let name = format!("{}.{which}", self.name);
        let shape = weights.shape(&name)?;
        let Ok(sizes) = <[usize; N]>::try_from(shape.as_slice()) else {
            let requirement = format!("of {N} dimensions");
            return Err(ModelError::Tensor { name, requirement, found: format!("{shape:?}") });
        };
        Ok((sizes, weights.tensor(&name, &shape)?))
    }
}

const fn one() -> usize {
    1
}
