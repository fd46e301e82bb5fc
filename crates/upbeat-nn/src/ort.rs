use std::fmt;
use std::path::PathBuf;
use std::sync::OnceLock;

use ::ort::ep::{self, ExecutionProvider, ExecutionProviderDispatch};
use ::ort::session::{Session, SessionInputValue};
use ::ort::value::{Outlet, TensorElementType, TensorRef};

use crate::ports::{Port, Ports};
use crate::{Model, ModelError};

/// What computes for ONNX Runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Provider {
    /// The processor; in every build of ONNX Runtime.
    Cpu,
    /// NVIDIA's graphics processors.
    Cuda,
    /// Apple's accelerators.
    CoreMl,
    /// Graphics processors on Windows.
    DirectMl,
}

impl Provider {
    const ALL: [Self; 4] = [Self::Cpu, Self::Cuda, Self::CoreMl, Self::DirectMl];

    /// Its name: `cpu`, `cuda`, `coreml`, `directml`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::CoreMl => "coreml",
            Self::DirectMl => "directml",
        }
    }

    /// The one named `name`, capitals or not.
    ///
    /// # Errors
    ///
    /// If none is; says which there are.
    pub fn of_name(name: &str) -> Result<Self, ModelError> {
        let found = Self::ALL.into_iter().find(|own| own.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| ModelError::Provider {
            name: name.into(),
            reason: format!("the names are {}", Self::ALL.map(Self::name).join(", ")),
        })
    }

    /// The provider itself, if the library that was loaded has it.
    fn make(self) -> Result<ExecutionProviderDispatch, ModelError> {
        let (available, dispatch) = match self {
            Self::Cpu => (Ok(true), ep::CPU::default().build()),
            Self::Cuda => (ep::CUDA::default().is_available(), ep::CUDA::default().build()),
            Self::CoreMl => (ep::CoreML::default().is_available(), ep::CoreML::default().build()),
            Self::DirectMl => {
                (ep::DirectML::default().is_available(), ep::DirectML::default().build())
            }
        };
        match available {
            Ok(true) => Ok(dispatch.error_on_failure()),
            Ok(false) => {
                let reason = "this build of ONNX Runtime does not have it".into();
                Err(ModelError::Provider { name: self.name().into(), reason })
            }
            Err(error) => Err(backend(&error)),
        }
    }
}

/// Settings of [`OrtModel`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OrtConfig {
    /// The library of ONNX Runtime. Default: what the environment variable `ORT_DYLIB_PATH` says, or else what the
    /// system finds under its usual name. It is loaded once per process: the first attempt stays, be it a failure.
    pub library: Option<PathBuf>,
    /// What is to compute, the first that is able to each operation. Default: none, which is the processor.
    pub providers: Vec<Provider>,
}

/// An `.onnx` file, run by ONNX Runtime. Feature `ort`.
///
/// Inputs and outputs are those of `OnnxModel`: a frame first, then states. The library is loaded at run time, 1.17 or
/// newer; nothing is downloaded. For networks as small as this project's a graphics processor is no use: handing over a
/// frame takes longer than the processor takes for all of it.
///
/// It allocates in each [`run`](Model::run), so it is not for the audio thread: see [`Worker`](crate::Worker).
///
/// # Examples
///
/// ```no_run
/// use upbeat_nn::{Model, ModelError, OrtConfig, OrtModel, Provider};
///
/// let mut config = OrtConfig::default();
/// config.providers = vec![Provider::of_name("cuda")?];
/// let mut model = OrtModel::read(&std::fs::read("hear.onnx").expect("the file is there"), &config)?;
/// let mut latent = vec![0.0; model.output_length()];
/// model.run(&vec![0.0; model.input_length()], &mut latent)?;
/// # Ok::<(), ModelError>(())
/// ```
pub struct OrtModel {
    session: Session,
    ports: Ports,
    states: Vec<Vec<f32>>,
}

impl OrtModel {
    /// Reads the file that is in `bytes`.
    ///
    /// # Errors
    ///
    /// If the library is not found or too old, lacks a provider, or the file is none that it can run frame by frame.
    pub fn read(bytes: &[u8], config: &OrtConfig) -> Result<Self, ModelError> {
        load(config)?;
        let providers: Vec<_> =
            config.providers.iter().map(|provider| provider.make()).collect::<Result<_, _>>()?;
        let names: Vec<&str> = config.providers.iter().map(|provider| provider.name()).collect();
        let builder = Session::builder().map_err(|error| backend(&error))?;
        // One thread: frames are too small to share.
        let builder = builder.with_intra_threads(1).map_err(|error| backend(&error))?;
        let mut builder = builder.with_execution_providers(providers).map_err(|error| {
            ModelError::Provider { name: names.join(", "), reason: error.to_string() }
        })?;
        let session = builder
            .commit_from_memory(bytes)
            .map_err(|error| ModelError::corrupt(error.to_string()))?;
        let ports = |outlets: &[Outlet]| outlets.iter().map(port).collect::<Result<_, _>>();
        let ports = Ports::new(ports(session.inputs())?, ports(session.outputs())?)?;
        Ok(Self { session, states: ports.zeros(), ports })
    }
}

impl Model for OrtModel {
    fn input_length(&self) -> usize {
        self.ports.input_length()
    }

    fn output_length(&self) -> usize {
        self.ports.output_length()
    }

    fn run(&mut self, input: &[f32], output: &mut [f32]) -> Result<(), ModelError> {
        let Self { session, ports, states } = self;
        ports.check_lengths(input, output);
        let frames = std::iter::once(input).chain(states.iter().map(|state| &**state));
        let values = ports.inputs.iter().zip(frames).map(|(port, frame)| {
            TensorRef::from_array_view((port.shape.clone(), frame)).map(SessionInputValue::from)
        });
        let values: Vec<_> = values.collect::<Result<_, _>>().map_err(|error| backend(&error))?;
        let found = session.run(&values[..]).map_err(|error| backend(&error))?;
        drop(values);
        for (place, port) in ports.outputs.iter().enumerate() {
            let tensor = found[&*port.name].try_extract_tensor::<f32>();
            let (_, values) = tensor.map_err(|error| backend(&error))?;
            ports.keep(place, values, output, states)?;
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.states = self.ports.zeros();
    }
}

impl fmt::Debug for OrtModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrtModel").field("ports", &self.ports).finish_non_exhaustive()
    }
}

/// Loads the library, at the first call only. To be done before anything else of the crate `ort` is called, which would
/// panic without it; and not twice, because a second attempt after a failed one is taken for a success there.
fn load(config: &OrtConfig) -> Result<(), ModelError> {
    static LOADED: OnceLock<Result<(), ModelError>> = OnceLock::new();
    LOADED.get_or_init(|| load_first(config)).clone()
}

fn load_first(config: &OrtConfig) -> Result<(), ModelError> {
    let path = config.library.clone().or_else(|| {
        std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()).map(PathBuf::from)
    });
    let path = path.unwrap_or_else(|| {
        let name = if cfg!(windows) {
            "onnxruntime.dll"
        } else if cfg!(target_vendor = "apple") {
            "libonnxruntime.dylib"
        } else {
            "libonnxruntime.so"
        };
        name.into()
    });
    let loaded = ::ort::init_from(&path).map_err(|error| ModelError::Library {
        path: path.display().to_string(),
        reason: error.to_string(),
    })?;
    loaded.commit();
    Ok(())
}

fn port(outlet: &Outlet) -> Result<Port, ModelError> {
    let name = outlet.name().to_owned();
    if outlet.dtype().tensor_type() != Some(TensorElementType::Float32) {
        return Err(ModelError::Ports { reason: format!("{name:?} is not of f32") });
    }
    let shape = outlet.dtype().tensor_shape().into_iter().flat_map(|shape| shape.iter());
    let shape = shape.map(|size| usize::try_from(*size).unwrap_or(1)).collect();
    Ok(Port { name, shape })
}

fn backend<T>(error: &::ort::Error<T>) -> ModelError {
    ModelError::Backend { reason: error.to_string() }
}
