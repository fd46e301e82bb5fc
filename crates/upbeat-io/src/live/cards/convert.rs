use std::sync::Arc;

use cpal::traits::DeviceTrait;
use cpal::{HostId, SampleFormat};
use upbeat_core::SampleRate;

use crate::StreamFormat;
use crate::live::{
    DeviceError, DeviceId, DeviceInfo, Encoding, FaultKind, FormatRange, StreamHealth,
};

/// What runs for each error of a stream: on the audio thread, and with some hosts hundreds of thousands of times a
/// second.
pub(super) fn on_error(health: Arc<StreamHealth>) -> impl FnMut(cpal::Error) + Send + 'static {
    move |error| {
        health.fault(fault(error.kind()), error.message().unwrap_or_default());
    }
}

pub(super) const fn fault(kind: cpal::ErrorKind) -> FaultKind {
    use cpal::ErrorKind as E;
    match kind {
        E::DeviceNotAvailable => FaultKind::DeviceLost,
        E::StreamInvalidated | E::HostUnavailable => FaultKind::Invalidated,
        E::Xrun => FaultKind::Xrun,
        E::DeviceChanged => FaultKind::DefaultChanged,
        E::RealtimeDenied => FaultKind::RealtimeDenied,
        _ => FaultKind::Backend,
    }
}

pub(super) fn device_error(error: &cpal::Error) -> DeviceError {
    use cpal::ErrorKind as E;
    let text = error.to_string();
    match error.kind() {
        E::DeviceBusy | E::ResourceExhausted => DeviceError::Busy(text),
        E::DeviceNotAvailable | E::HostUnavailable => DeviceError::HostUnavailable(text),
        E::PermissionDenied => DeviceError::Denied(text),
        E::UnsupportedConfig | E::UnsupportedOperation | E::InvalidInput => {
            DeviceError::Unsupported(text)
        }
        _ => DeviceError::Backend(text),
    }
}

pub(super) fn describe(
    device: &cpal::Device,
    host: HostId,
    defaults: &(Option<cpal::DeviceId>, Option<cpal::DeviceId>),
) -> Option<DeviceInfo> {
    let id = device.id().ok()?;
    let about = device.description().ok();
    let mut description = Vec::new();
    if let Some(about) = &about {
        let parts = [about.manufacturer(), about.driver(), about.address()];
        description.extend(parts.into_iter().flatten().chain(about.extended()).map(str::to_owned));
    }
    let inputs: Vec<_> =
        device.supported_input_configs().map(Iterator::collect).unwrap_or_default();
    let outputs: Vec<_> =
        device.supported_output_configs().map(Iterator::collect).unwrap_or_default();
    let format = |config: Result<cpal::SupportedStreamConfig, cpal::Error>| {
        let config = config.ok()?;
        let rate = SampleRate::new(config.sample_rate()).ok()?;
        StreamFormat::new(rate, usize::from(config.channels())).ok()
    };
    Some(DeviceInfo {
        host: host.to_string(),
        name: about.map_or_else(|| id.id().to_owned(), |about| about.name().to_owned()),
        description,
        default_input: (!inputs.is_empty())
            .then(|| format(device.default_input_config()))
            .flatten(),
        default_output: (!outputs.is_empty())
            .then(|| format(device.default_output_config()))
            .flatten(),
        inputs: inputs.iter().filter_map(range).collect(),
        outputs: outputs.iter().filter_map(range).collect(),
        is_default_input: defaults.0.as_ref() == Some(&id),
        is_default_output: defaults.1.as_ref() == Some(&id),
        id: DeviceId::new(id.to_string()),
    })
}

pub(super) fn range(range: &cpal::SupportedStreamConfigRange) -> Option<FormatRange> {
    Some(FormatRange {
        channels: usize::from(range.channels()),
        min_rate: range.min_sample_rate(),
        max_rate: range.max_sample_rate(),
        encoding: to_encoding(range.sample_format())?,
        block: match range.buffer_size() {
            cpal::SupportedBufferSize::Range { min, max } => Some((*min, *max)),
            cpal::SupportedBufferSize::Unknown => None,
        },
    })
}

/// `None` for what is no PCM.
pub(super) const fn to_encoding(format: SampleFormat) -> Option<Encoding> {
    Some(match format {
        SampleFormat::I8 => Encoding::I8,
        SampleFormat::I16 => Encoding::I16,
        SampleFormat::I24 => Encoding::I24,
        SampleFormat::I32 => Encoding::I32,
        SampleFormat::I64 => Encoding::I64,
        SampleFormat::U8 => Encoding::U8,
        SampleFormat::U16 => Encoding::U16,
        SampleFormat::U24 => Encoding::U24,
        SampleFormat::U32 => Encoding::U32,
        SampleFormat::U64 => Encoding::U64,
        SampleFormat::F32 => Encoding::F32,
        SampleFormat::F64 => Encoding::F64,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_host_get_the_name_that_says_what_to_do() {
        use cpal::ErrorKind as E;
        let of = |kind| device_error(&cpal::Error::with_message(kind, "x"));
        assert_eq!(of(E::DeviceBusy), DeviceError::Busy("x".into()));
        assert_eq!(of(E::DeviceNotAvailable), DeviceError::HostUnavailable("x".into()));
        assert_eq!(of(E::UnsupportedConfig), DeviceError::Unsupported("x".into()));
        assert_eq!(of(E::PermissionDenied), DeviceError::Denied("x".into()));
        assert_eq!(of(E::BackendError), DeviceError::Backend("x".into()));
        assert_eq!(fault(E::DeviceNotAvailable), FaultKind::DeviceLost);
        assert_eq!(fault(E::StreamInvalidated), FaultKind::Invalidated);
        assert_eq!(fault(E::BackendError), FaultKind::Backend);
    }
}
