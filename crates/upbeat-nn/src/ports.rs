use crate::ModelError;

/// What an `.onnx` model takes and gives, as its file states it: a frame first, then states, each of which comes out as
/// it goes in.
#[derive(Clone, Debug)]
pub(crate) struct Ports {
    pub(crate) inputs: Vec<Port>,
    pub(crate) outputs: Vec<Port>,
}

/// One tensor.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    pub(crate) name: String,
    /// Sizes that the file leaves open count as 1.
    pub(crate) shape: Vec<usize>,
}

impl Ports {
    /// Whether it is a stream's step: each state as long before as after, nothing empty, nothing absurd.
    pub(crate) fn new(inputs: Vec<Port>, outputs: Vec<Port>) -> Result<Self, ModelError> {
        let wrong = |reason: String| Err(ModelError::Ports { reason });
        if inputs.is_empty() || inputs.len() != outputs.len() {
            let (taken, given) = (inputs.len(), outputs.len());
            return wrong(format!(
                "it takes {taken} tensors and gives {given}, where a frame, and as many states before as after, are \
                 needed"
            ));
        }
        for port in inputs.iter().chain(&outputs) {
            if !port.length().is_some_and(|length| (1..=MAX_LENGTH).contains(&length)) {
                return wrong(format!("{:?} has the shape {:?}", port.name, port.shape));
            }
        }
        for (before, after) in inputs.iter().zip(&outputs).skip(1) {
            if before.shape != after.shape {
                return wrong(format!(
                    "state {:?} has the shape {:?}, but {:?} the shape {:?}",
                    before.name, before.shape, after.name, after.shape
                ));
            }
        }
        Ok(Self { inputs, outputs })
    }

    pub(crate) fn input_length(&self) -> usize {
        self.inputs[0].length().unwrap_or_default()
    }

    pub(crate) fn output_length(&self) -> usize {
        self.outputs[0].length().unwrap_or_default()
    }

    /// # Panics
    ///
    /// If a frame has another length.
    pub(crate) fn check_lengths(&self, input: &[f32], output: &[f32]) {
        assert_eq!(input.len(), self.input_length(), "a frame holds one number per input");
        assert_eq!(output.len(), self.output_length(), "there is one number per output");
    }

    /// What states are at first.
    pub(crate) fn zeros(&self) -> Vec<Vec<f32>> {
        let lengths = self.inputs.iter().skip(1).map(|port| port.length().unwrap_or_default());
        lengths.map(|length| vec![0.0; length]).collect()
    }

    /// Puts away what a library computed: the first tensor to `output`, the others to `states`.
    pub(crate) fn keep(
        &self,
        place: usize,
        found: &[f32],
        output: &mut [f32],
        states: &mut [Vec<f32>],
    ) -> Result<(), ModelError> {
        let to = if place == 0 { output } else { &mut states[place - 1][..] };
        if found.len() != to.len() {
            let name = &self.outputs[place].name;
            let reason = format!("{name:?} holds {} numbers, not {}", found.len(), to.len());
            return Err(ModelError::Ports { reason });
        }
        to.copy_from_slice(found);
        Ok(())
    }
}

impl Port {
    fn length(&self) -> Option<usize> {
        self.shape.iter().try_fold(1_usize, |product, size| product.checked_mul(*size))
    }
}

/// Numbers in one tensor: 64 MiB.
const MAX_LENGTH: usize = 1 << 24;

#[cfg(test)]
mod tests {
    use super::*;

    fn port(name: &str, shape: &[usize]) -> Port {
        Port { name: name.into(), shape: shape.into() }
    }

    #[test]
    fn what_is_no_step_of_a_stream_is_refused() {
        let frame = || port("x", &[1, 64]);
        let refused = |inputs, outputs| Ports::new(inputs, outputs).unwrap_err().to_string();
        assert!(Ports::new(vec![frame()], vec![port("y", &[1, 2])]).is_ok());
        assert!(refused(vec![], vec![]).contains("takes 0 tensors and gives 0"));
        assert!(refused(vec![frame()], vec![frame(), frame()]).contains("takes 1 tensors"));
        assert!(
            refused(vec![port("x", &[0, 4])], vec![frame()]).contains("\"x\" has the shape [0, 4]")
        );
        let absurd = port("y", &[usize::MAX, 2]);
        assert!(refused(vec![frame()], vec![absurd]).contains("\"y\" has the shape"));
        let (before, after) = (port("h", &[1, 8]), port("next.h", &[1, 9]));
        let error = refused(vec![frame(), before], vec![frame(), after]);
        assert!(
            error.ends_with("state \"h\" has the shape [1, 8], but \"next.h\" the shape [1, 9]")
        );
    }
}
