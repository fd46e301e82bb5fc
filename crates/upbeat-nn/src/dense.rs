use crate::ModelError;
use crate::linear::Matrix;

/// `y = W x + b`.
#[derive(Clone, Debug)]
pub struct Dense {
    weights: Matrix,
    bias: Box<[f32]>,
    inputs: usize,
}

impl Dense {
    /// `weights` is `[outputs, inputs]`, row after row, as in `PyTorch`'s `Linear`; `bias` is `[outputs]`.
    ///
    /// # Errors
    ///
    /// If there are not as many weights as that, or a size is 0 or above 65 536.
    pub fn new(
        inputs: usize,
        outputs: usize,
        weights: &[f32],
        bias: &[f32],
    ) -> Result<Self, ModelError> {
        ModelError::require_length("length of the bias", bias.len(), outputs)?;
        Ok(Self { weights: Matrix::of_rows(outputs, inputs, weights)?, bias: bias.into(), inputs })
    }

    /// Writes the outputs for `input`.
    ///
    /// # Panics
    ///
    /// If `input` or `output` has another length than this layer.
    pub fn forward(&self, input: &[f32], output: &mut [f32]) {
        assert_eq!(input.len(), self.inputs, "a frame holds one number per input");
        output.copy_from_slice(&self.bias);
        self.weights.multiply_add(input, output);
    }

    pub(crate) fn lengths(&self) -> [usize; 2] {
        [self.inputs, self.bias.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use upbeat_testkit::signal;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn outputs_are_those_of_the_definition(inputs in 1_usize..70, outputs in 1_usize..70, seed: u64) {
            let weights = signal::noise(1.0, seed, inputs * outputs);
            let (x, bias) = (signal::noise(1.0, !seed, inputs), signal::noise(1.0, 5, outputs));
            let mut y = vec![0.0; outputs];
            Dense::new(inputs, outputs, &weights, &bias).unwrap().forward(&x, &mut y);
            for (row, (y, b)) in weights.chunks(inputs).zip(y.iter().zip(&bias)) {
                let dot: f64 = row.iter().zip(&x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
                prop_assert!((dot + f64::from(*b) - f64::from(*y)).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        for (inputs, outputs) in [(2, 3), (0, 4), (usize::MAX, 1)] {
            assert!(Dense::new(inputs, outputs, &[1.0; 4], &[0.0; 4]).is_err());
        }
    }
}
