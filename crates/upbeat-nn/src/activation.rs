use serde::Deserialize;

/// What a layer's outputs go through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Activation {
    /// Nothing.
    #[default]
    None,
    /// `max(0, x)`.
    Relu,
    /// `x` above 0, `0.01 x` below.
    LeakyRelu,
    /// `1 / (1 + e^−x)`.
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// `x / (1 + e^−x)`, also called swish.
    Silu,
    /// `e^x` over the sum of all, which makes the outputs of a frame probabilities.
    Softmax,
}

impl Activation {
    /// Replaces each of `values`, one frame of them, by what becomes of it.
    pub fn apply(self, values: &mut [f32]) {
        let each = |values: &mut [f32], f: fn(f32) -> f32| {
            for value in values {
                *value = f(*value);
            }
        };
        match self {
            Self::None => {}
            Self::Relu => each(values, |x| x.max(0.0)),
            Self::LeakyRelu => each(values, |x| x.max(0.01 * x)),
            Self::Sigmoid => each(values, sigmoid),
            Self::Tanh => each(values, f32::tanh),
            Self::Silu => each(values, |x| x * sigmoid(x)),
            Self::Softmax => {
                let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let mut sum = 0.0;
                for value in values.iter_mut() {
                    *value = (*value - largest).exp();
                    sum += *value;
                }
                for value in values {
                    *value /= sum;
                }
            }
        }
    }
}

pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(activation: Activation, x: [f32; 3]) -> [f32; 3] {
        let mut values = x;
        activation.apply(&mut values);
        values
    }

    fn near(found: [f32; 3], expected: [f64; 3]) {
        for (f, e) in found.iter().zip(expected) {
            assert!((f64::from(*f) - e).abs() < 1e-6, "{found:?} is not {expected:?}");
        }
    }

    #[test]
    fn each_is_what_its_formula_says() {
        let x = [-2.0, 0.0, 3.0];
        near(of(Activation::None, x), [-2.0, 0.0, 3.0]);
        near(of(Activation::Relu, x), [0.0, 0.0, 3.0]);
        near(of(Activation::LeakyRelu, x), [-0.02, 0.0, 3.0]);
        near(of(Activation::Sigmoid, x), [0.119_202_922, 0.5, 0.952_574_127]);
        near(of(Activation::Tanh, x), [-0.964_027_580, 0.0, 0.995_054_754]);
        near(of(Activation::Silu, x), [-0.238_405_844, 0.0, 2.857_722_381]);
        near(of(Activation::Softmax, x), [0.006_377_460, 0.047_123_416, 0.946_499_123]);
    }

    #[test]
    fn nothing_overflows() {
        for activation in [Activation::Sigmoid, Activation::Silu, Activation::Softmax] {
            assert!(of(activation, [-1e4, 0.0, 1e4]).iter().all(|y| y.is_finite()));
        }
    }
}
