use std::collections::HashMap;

use safetensors::{Dtype, SafeTensors};

use crate::ModelError;

/// The tensors of a `safetensors` file, and its remarks.
///
/// Reading it runs no code and trusts no length: a damaged or foreign file is an error.
#[derive(Debug)]
pub struct Weights<'file> {
    tensors: SafeTensors<'file>,
    remarks: HashMap<String, String>,
}

impl<'file> Weights<'file> {
    /// Reads the file that is in `bytes`.
    ///
    /// # Errors
    ///
    /// If it is no such file, or a damaged one.
    pub fn read(bytes: &'file [u8]) -> Result<Self, ModelError> {
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| corrupt(&error))?;
        let tensors = SafeTensors::deserialize(bytes).map_err(|error| corrupt(&error))?;
        let remarks = metadata.metadata().iter().flatten();
        Ok(Self {
            tensors,
            remarks: remarks.map(|(name, text)| (name.clone(), text.clone())).collect(),
        })
    }

    /// A remark in the file's header (`__metadata__`).
    #[must_use]
    pub fn remark(&self, name: &str) -> Option<&str> {
        self.remarks.get(name).map(String::as_str)
    }

    /// The shape of tensor `name`.
    ///
    /// # Errors
    ///
    /// If there is no such tensor.
    pub fn shape(&self, name: &str) -> Result<Vec<usize>, ModelError> {
        Ok(self.view(name)?.shape().to_vec())
    }

    /// The numbers of tensor `name`, which must be `f32`, of the given shape, and finite.
    ///
    /// # Errors
    ///
    /// If it is not all of that, or not there.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let view = self.view(name)?;
        let error = |requirement: String, found: String| {
            Err(ModelError::Tensor { name: name.into(), requirement, found })
        };
        if view.dtype() != Dtype::F32 {
            return error("f32".into(), format!("{:?}", view.dtype()));
        }
        if view.shape() != shape {
            return error(format!("of shape {shape:?}"), format!("{:?}", view.shape()));
        }
        let (words, _) = view.data().as_chunks::<4>();
        let values: Vec<f32> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
        match values.iter().find(|value| !value.is_finite()) {
            Some(value) => error("finite".into(), value.to_string()),
            None => Ok(values),
        }
    }

    fn view(&self, name: &str) -> Result<safetensors::tensor::TensorView<'file>, ModelError> {
        self.tensors.tensor(name).map_err(|_| ModelError::Missing { name: name.into() })
    }
}

fn corrupt(error: &safetensors::SafeTensorError) -> ModelError {
    ModelError::corrupt(format!("{error:?}"))
}
