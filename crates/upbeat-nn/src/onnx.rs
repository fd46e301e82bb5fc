use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid;
use tract_onnx::tract_hir::internal::DimLike;

use crate::ports::{Port, Ports};
use crate::{Model, ModelError};

/// An `.onnx` file, run by the crate `tract-onnx` in plain Rust. Feature `onnx`.
///
/// The file's first input is a frame and its first output what is made of it, whatever their shapes; sizes that the file
/// leaves open (a batch, a length of time) count as 1. Further inputs are states, each of which belongs to the output
/// in the same place and of the same shape: zeros at first, then what came out for the frame before. All are `f32`.
///
/// It allocates in each [`run`](Model::run), so it is not for the audio thread: see [`Worker`](crate::Worker).
/// INT8 files are accepted where `tract` knows their operations; they are smaller, not faster.
///
/// # Examples
///
/// ```no_run
/// use upbeat_nn::{Model, ModelError, OnnxModel};
///
/// let mut model = OnnxModel::read(&std::fs::read("hear.onnx").expect("the file is there"))?;
/// let mut latent = vec![0.0; model.output_length()];
/// model.run(&vec![0.0; model.input_length()], &mut latent)?;
/// # Ok::<(), ModelError>(())
/// ```
#[derive(Clone)]
pub struct OnnxModel {
    plan: Arc<TypedSimplePlan<TypedModel>>,
    ports: Ports,
    states: Vec<Vec<f32>>,
}

impl OnnxModel {
    /// Reads the file that is in `bytes`.
    ///
    /// # Errors
    ///
    /// If it is no such file, a damaged one, uses operations that `tract` does not know, or cannot be run frame by
    /// frame.
    pub fn read(bytes: &[u8]) -> Result<Self, ModelError> {
        // Some damage is met by assertions.
        let read = catch_unwind(AssertUnwindSafe(|| Self::parse(bytes)));
        read.unwrap_or_else(|_| Err(ModelError::corrupt("its reader panicked")))
    }

    fn parse(bytes: &[u8]) -> Result<Self, ModelError> {
        let corrupt = |error: TractError| ModelError::corrupt(format!("{error:#}"));
        let mut model = onnx().model_for_read(&mut &*bytes).map_err(corrupt)?;
        let mut inputs = Vec::new();
        for place in 0..model.inputs.len() {
            let fact = model.input_fact(place).map_err(corrupt)?;
            let name = model.node(model.inputs[place].node).name.clone();
            let port = port(name, fact)?;
            let fact = f32::fact(&*port.shape).into();
            model.set_input_fact(place, fact).map_err(corrupt)?;
            inputs.push(port);
        }
        let names = model.outputs.iter().map(|outlet| {
            let label = model.outlet_label(*outlet).map(str::to_owned);
            label.unwrap_or_else(|| model.node(outlet.node).name.clone())
        });
        let names: Vec<String> = names.collect();
        let model = model.into_optimized().map_err(corrupt)?;
        let mut outputs = Vec::new();
        for (place, name) in names.into_iter().enumerate() {
            let fact = model.output_fact(place).map_err(corrupt)?;
            outputs.push(port(name, &InferenceFact::from(fact))?);
        }
        let ports = Ports::new(inputs, outputs)?;
        let plan = model.into_runnable().map_err(corrupt)?;
        Ok(Self { plan: Arc::new(plan), states: ports.zeros(), ports })
    }

    fn step(&mut self, input: &[f32], output: &mut [f32]) -> TractResult<Result<(), ModelError>> {
        let frames = std::iter::once(input).chain(self.states.iter().map(|state| &**state));
        let tensors = self.ports.inputs.iter().zip(frames);
        let tensors = tensors.map(|(port, values)| Tensor::from_shape(&port.shape, values));
        let inputs = tensors.map(|tensor| Ok(tensor?.into())).collect::<TractResult<_>>()?;
        for (place, found) in self.plan.run(inputs)?.iter().enumerate() {
            let found = found.as_slice::<f32>()?;
            if let Err(error) = self.ports.keep(place, found, output, &mut self.states) {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }
}

impl Model for OnnxModel {
    fn input_length(&self) -> usize {
        self.ports.input_length()
    }

    fn output_length(&self) -> usize {
        self.ports.output_length()
    }

    fn run(&mut self, input: &[f32], output: &mut [f32]) -> Result<(), ModelError> {
        self.ports.check_lengths(input, output);
        let done = self.step(input, output);
        done.unwrap_or_else(|error| Err(ModelError::Backend { reason: format!("{error:#}") }))
    }

    fn reset(&mut self) {
        self.states = self.ports.zeros();
    }
}

impl fmt::Debug for OnnxModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnnxModel").field("ports", &self.ports).finish_non_exhaustive()
    }
}

fn port(name: String, fact: &InferenceFact) -> Result<Port, ModelError> {
    if fact.datum_type.concretize().is_some_and(|kind| kind != DatumType::F32) {
        return Err(ModelError::Ports { reason: format!("{name:?} is not of f32") });
    }
    if fact.shape.is_open() {
        return Err(ModelError::Ports { reason: format!("{name:?} has no stated shape") });
    }
    let size = |known: Option<TDim>| known.and_then(|size| size.to_usize().ok()).unwrap_or(1);
    Ok(Port { name, shape: fact.shape.dims().map(|size_of| size(size_of.concretize())).collect() })
}
