use crate::ModelError;
use crate::activation::sigmoid;
use crate::linear::Matrix;

/// A gated recurrent unit (Cho et al., EMNLP 2014), in the form of `PyTorch` and cuDNN:
///
/// ```text
/// r = σ(W_r x + b_r + U_r h + c_r)
/// z = σ(W_z x + b_z + U_z h + c_z)
/// n = tanh(W_n x + b_n + r ⊙ (U_n h + c_n))
/// h ← (1 − z) ⊙ n + z ⊙ h
/// ```
///
/// The output is `h`, which is 0 before the first frame.
#[derive(Clone, Debug)]
pub struct Gru {
    from_input: Matrix,
    from_state: Matrix,
    input_bias: Box<[f32]>,
    state_bias: Box<[f32]>,
    inputs: usize,
    state: Box<[f32]>,
    /// What comes of the input and of the state: `r`, `z`, `n`.
    gates: [Box<[f32]>; 2],
}

impl Gru {
    /// `input_weights` is `[3 · outputs, inputs]` and `state_weights` `[3 · outputs, outputs]`, with the
    /// rows of `r`, `z`, `n` in this order, as `weight_ih_l0` and `weight_hh_l0` in `PyTorch`; the biases
    /// are `[3 · outputs]`.
    ///
    /// # Errors
    ///
    /// If there are not as many numbers as that, or a size is 0 or above 65 536.
    pub fn new(
        inputs: usize,
        outputs: usize,
        input_weights: &[f32],
        state_weights: &[f32],
        input_bias: &[f32],
        state_bias: &[f32],
    ) -> Result<Self, ModelError> {
        let gates = outputs.saturating_mul(3);
        ModelError::require_length("length of the input's bias", input_bias.len(), gates)?;
        ModelError::require_length("length of the state's bias", state_bias.len(), gates)?;
        Ok(Self {
            from_input: Matrix::of_rows(gates, inputs, input_weights)?,
            from_state: Matrix::of_rows(gates, outputs, state_weights)?,
            input_bias: input_bias.into(),
            state_bias: state_bias.into(),
            inputs,
            state: vec![0.0; outputs].into(),
            gates: [vec![0.0; gates].into(), vec![0.0; gates].into()],
        })
    }

    /// Takes the next frame, and writes the outputs for it.
    ///
    /// # Panics
    ///
    /// If `input` or `output` has another length than this layer.
    pub fn forward(&mut self, input: &[f32], output: &mut [f32]) {
        assert_eq!(input.len(), self.inputs, "a frame holds one number per input");
        let [from_input, from_state] = &mut self.gates;
        from_input.copy_from_slice(&self.input_bias);
        self.from_input.multiply_add(input, from_input);
        from_state.copy_from_slice(&self.state_bias);
        self.from_state.multiply_add(&self.state, from_state);
        let outputs = self.state.len();
        for (k, h) in self.state.iter_mut().enumerate() {
            let [r, z, n] = [k, outputs + k, 2 * outputs + k];
            let reset = sigmoid(from_input[r] + from_state[r]);
            let keep = sigmoid(from_input[z] + from_state[z]);
            let new = (from_input[n] + reset * from_state[n]).tanh();
            *h = new + keep * (*h - new);
        }
        output.copy_from_slice(&self.state);
    }

    /// Forgets all earlier frames.
    pub fn reset(&mut self) {
        self.state.fill(0.0);
    }

    pub(crate) fn lengths(&self) -> [usize; 2] {
        [self.inputs, self.state.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use upbeat_testkit::signal;

    #[test]
    fn outputs_are_those_of_the_formula() {
        let (inputs, outputs) = (3, 5);
        let w = signal::noise(1.0, 1, 3 * outputs * inputs);
        let u = signal::noise(1.0, 2, 3 * outputs * outputs);
        let (b, c) = (signal::noise(1.0, 3, 3 * outputs), signal::noise(1.0, 4, 3 * outputs));
        let mut gru = Gru::new(inputs, outputs, &w, &u, &b, &c).unwrap();
        let dot = |row: &[f32], x: &[f64]| -> f64 {
            row.iter().zip(x).map(|(w, x)| f64::from(*w) * x).sum()
        };
        let sigma = |x: f64| 1.0 / (1.0 + (-x).exp());
        for _ in 0..2 {
            let mut h = vec![0.0_f64; outputs];
            for t in 0..20 {
                let frame = signal::noise(1.0, t + 10, inputs);
                let x: Vec<f64> = frame.iter().map(|x| f64::from(*x)).collect();
                let gate = |row: usize| {
                    let from_input = dot(&w[row * inputs..][..inputs], &x) + f64::from(b[row]);
                    let from_state = dot(&u[row * outputs..][..outputs], &h) + f64::from(c[row]);
                    (from_input, from_state)
                };
                let next: Vec<f64> = (0..outputs)
                    .map(|k| {
                        let [r, z, n] = [gate(k), gate(outputs + k), gate(2 * outputs + k)];
                        let new = (n.0 + sigma(r.0 + r.1) * n.1).tanh();
                        let z = sigma(z.0 + z.1);
                        (1.0 - z) * new + z * h[k]
                    })
                    .collect();
                h = next;
                let mut out = vec![0.0; outputs];
                gru.forward(&frame, &mut out);
                for (found, expected) in out.iter().zip(&h) {
                    assert!((f64::from(*found) - expected).abs() < 1e-6, "frame {t}");
                }
            }
            gru.reset();
        }
    }
}
