//! Reading the weights that ship with the crate.

use safetensors::{Dtype, SafeTensors};
use upbeat_core::ConfigError;

/// The tensors of a `safetensors` file.
pub(crate) struct Tensors<'a>(SafeTensors<'a>);

impl<'a> Tensors<'a> {
    /// # Errors
    ///
    /// If `bytes` are not such a file.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, ConfigError> {
        SafeTensors::deserialize(bytes)
            .map(Self)
            .map_err(|error| ConfigError::new("weights", "a safetensors file", error))
    }

    /// The tensor `name` in rows, whatever its shape.
    ///
    /// # Errors
    ///
    /// If it is missing or not of `length` values of this type.
    pub(crate) fn of<T: Element>(
        &self,
        name: &str,
        length: usize,
    ) -> Result<Box<[T]>, ConfigError> {
        let values = self.any::<T>(name)?;
        if values.len() == length {
            Ok(values)
        } else {
            Err(ConfigError::new("weights", format!("{length} values in {name}"), values.len()))
        }
    }

    /// The tensor `name`, whatever its length.
    ///
    /// # Errors
    ///
    /// If it is missing or of another type.
    pub(crate) fn any<T: Element>(&self, name: &str) -> Result<Box<[T]>, ConfigError> {
        let tensor = self
            .0
            .tensor(name)
            .map_err(|error| ConfigError::new("weights", format!("with a tensor {name}"), error))?;
        if tensor.dtype() != T::DTYPE {
            let wanted = format!("{:?} in {name}", T::DTYPE);
            return Err(ConfigError::new("weights", wanted, format!("{:?}", tensor.dtype())));
        }
        Ok(tensor.data().chunks_exact(size_of::<T>()).map(T::from_le).collect())
    }
}

/// A type of numbers in a tensor.
pub(crate) trait Element: Sized {
    const DTYPE: Dtype;
    /// The number in `size_of::<Self>()` bytes.
    fn from_le(bytes: &[u8]) -> Self;
}

macro_rules! element {
    ($($type:ty = $dtype:ident),*) => {$(
        impl Element for $type {
            const DTYPE: Dtype = Dtype::$dtype;
            fn from_le(bytes: &[u8]) -> Self {
                let mut array = [0; size_of::<$type>()];
                array.copy_from_slice(bytes);
                Self::from_le_bytes(array)
            }
        }
    )*};
}

element!(u8 = U8, u16 = U16, u32 = U32, f32 = F32);
