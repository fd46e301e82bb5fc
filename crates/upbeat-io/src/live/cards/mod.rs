mod callback;
mod convert;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{BufferSize, Data, HostId, SampleFormat};
use upbeat_core::SampleRate;

use self::callback::{Input, Output, PIECE};
use self::convert::{describe, device_error, on_error, to_encoding};
use super::{
    Backend, ConnectInput, ConnectOutput, DeviceError, DeviceId, DeviceInfo, Direction, OpenStream,
    StreamHealth, StreamRequest,
};
use crate::StreamFormat;

/// Sound cards, and what the operating system offers like them, through `cpal`.
///
/// On Linux that is ALSA, and through its plug-ins PulseAudio and PipeWire; on macOS CoreAudio, on Windows WASAPI.
/// Ids are `host:device`. Of samples in integers full scale becomes ±1, unsigned ones are centred.
///
/// Each call makes its own connection to the sound system, so nothing outlives a sound system that was restarted.
/// What ALSA's library would write to the error output while it is asked is kept quiet.
///
/// What one cannot have, since `cpal` does not tell: how many samples an overrun lost. It is estimated from the
/// device's time stamps, and is at least 1, so that the two sides of it are never taken for neighbours.
#[derive(Clone, Debug, Default)]
pub struct CardBackend {
    host: Option<HostName>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct HostName(HostId);

impl fmt::Debug for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl CardBackend {
    /// All sound systems; the default device is that of the platform's preferred one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Only the sound system `name`, as `alsa`, `wasapi` or `coreaudio`.
    ///
    /// # Errors
    ///
    /// If there is none of that name.
    pub fn host(name: &str) -> Result<Self, DeviceError> {
        let host = HostId::from_str(name).map_err(|error| device_error(&error))?;
        Ok(Self { host: Some(HostName(host)) })
    }

    /// The names of the sound systems there are.
    #[must_use]
    pub fn hosts() -> Vec<String> {
        let _quiet = quiet();
        cpal::available_hosts().into_iter().map(|host| host.to_string()).collect()
    }

    fn host_ids(&self) -> Vec<HostId> {
        self.host.map_or_else(cpal::available_hosts, |host| vec![host.0])
    }

    fn device(&self, id: &DeviceId) -> Result<cpal::Device, DeviceError> {
        let missing = || DeviceError::NotFound(id.clone());
        let parsed = cpal::DeviceId::from_str(id.as_str()).map_err(|_| missing())?;
        if self.host.is_some_and(|host| host.0 != parsed.host()) {
            return Err(missing());
        }
        let host = cpal::host_from_id(parsed.host()).map_err(|error| device_error(&error))?;
        host.device_by_id(&parsed).ok_or_else(missing)
    }
}

impl Backend for CardBackend {
    fn name(&self) -> &str {
        self.host.map_or("sound cards", |host| host.0.name())
    }

    fn devices(&self) -> Result<Vec<DeviceInfo>, DeviceError> {
        let _quiet = quiet();
        let mut infos = Vec::new();
        for id in self.host_ids() {
            let Ok(host) = cpal::host_from_id(id) else { continue };
            let of = |device: Option<cpal::Device>| device.and_then(|device| device.id().ok());
            let defaults = (of(host.default_input_device()), of(host.default_output_device()));
            let devices = host.devices().map_err(|error| device_error(&error))?;
            infos.extend(devices.filter_map(|device| describe(&device, id, &defaults)));
        }
        Ok(infos)
    }

    fn default_device(&self, direction: Direction) -> Result<Option<DeviceId>, DeviceError> {
        let _quiet = quiet();
        let mut last = None;
        for id in self.host_ids() {
            let host = match cpal::host_from_id(id) {
                Ok(host) => host,
                Err(error) => {
                    last = Some(device_error(&error));
                    continue;
                }
            };
            let device = match direction {
                Direction::Input => host.default_input_device(),
                Direction::Output => host.default_output_device(),
            };
            if let Some(id) = device.and_then(|device| device.id().ok()) {
                return Ok(Some(DeviceId::new(id.to_string())));
            }
        }
        last.map_or(Ok(None), Err)
    }

    fn is_present(&self, device: &DeviceId, direction: Direction) -> bool {
        let _quiet = quiet();
        let Ok(device) = self.device(device) else { return false };
        // Neither listed nor able to tell its formats is enough: a sound server's device does both while what is
        // behind it is away. So it is opened, but not started.
        let tried = Chosen::new(&device, direction, &StreamRequest::default()).and_then(|chosen| {
            let Chosen { config, encoding, .. } = chosen;
            let stream = match direction {
                Direction::Input => device.build_input_stream_raw(
                    config,
                    encoding,
                    |_: &Data, _: &cpal::InputCallbackInfo| {},
                    |_| {},
                    TIMEOUT,
                ),
                Direction::Output => device.build_output_stream_raw(
                    config,
                    encoding,
                    |_: &mut Data, _: &cpal::OutputCallbackInfo| {},
                    |_| {},
                    TIMEOUT,
                ),
            };
            stream.map(drop).map_err(|error| device_error(&error))
        });
        // One that cannot be had, but is there, is worth an attempt that says why.
        !matches!(tried, Err(DeviceError::HostUnavailable(_) | DeviceError::Backend(_)))
    }

    fn open_input(
        &self,
        device: &DeviceId,
        request: &StreamRequest,
        health: Arc<StreamHealth>,
        connect: ConnectInput,
    ) -> Result<Box<dyn OpenStream>, DeviceError> {
        let _quiet = quiet();
        let device = self.device(device)?;
        let chosen = Chosen::new(&device, Direction::Input, request)?;
        let format = chosen.format;
        health.opened(format);
        let scratch = chosen.scratch();
        let mut input = Input {
            sink: connect(format)?,
            health: Arc::clone(&health),
            channels: format.channels(),
            rate: format.sample_rate(),
            scratch,
            xruns: 0,
            expected: None,
        };
        let data = move |data: &Data, info: &cpal::InputCallbackInfo| {
            let stamp = info.timestamp();
            input.take(data, stamp.callback, stamp.capture);
        };
        let stream = device
            .build_input_stream_raw(chosen.config, chosen.encoding, data, on_error(health), TIMEOUT)
            .map_err(|error| device_error(&error))?;
        start(stream, format)
    }

    fn open_output(
        &self,
        device: &DeviceId,
        request: &StreamRequest,
        health: Arc<StreamHealth>,
        connect: ConnectOutput,
    ) -> Result<Box<dyn OpenStream>, DeviceError> {
        let _quiet = quiet();
        let device = self.device(device)?;
        let chosen = Chosen::new(&device, Direction::Output, request)?;
        let format = chosen.format;
        health.opened(format);
        let scratch = chosen.scratch();
        let mut output = Output {
            fill: connect(format)?,
            health: Arc::clone(&health),
            channels: format.channels(),
            scratch,
            xruns: 0,
        };
        let data = move |data: &mut Data, info: &cpal::OutputCallbackInfo| {
            let stamp = info.timestamp();
            output.give(data, stamp.playback.checked_duration_since(stamp.callback));
        };
        let stream = device
            .build_output_stream_raw(
                chosen.config,
                chosen.encoding,
                data,
                on_error(health),
                TIMEOUT,
            )
            .map_err(|error| device_error(&error))?;
        start(stream, format)
    }
}

/// What to open a device with.
struct Chosen {
    config: cpal::StreamConfig,
    encoding: SampleFormat,
    format: StreamFormat,
}

impl Chosen {
    /// What is asked for as far as the device lists it, since some devices run at another rate than they were asked for
    /// without saying so; else its default.
    fn new(
        device: &cpal::Device,
        direction: Direction,
        request: &StreamRequest,
    ) -> Result<Self, DeviceError> {
        let default = match direction {
            Direction::Input => device.default_input_config(),
            Direction::Output => device.default_output_config(),
        }
        .map_err(|error| device_error(&error))?;
        let ranges: Vec<_> = match direction {
            Direction::Input => device.supported_input_configs().map(Iterator::collect),
            Direction::Output => device.supported_output_configs().map(Iterator::collect),
        }
        .map_err(|error| device_error(&error))?;
        let has = |channels: u16, rate: u32, encoding: SampleFormat| {
            ranges.iter().any(|range: &cpal::SupportedStreamConfigRange| {
                range.channels() == channels
                    && range.sample_format() == encoding
                    && (range.min_sample_rate()..=range.max_sample_rate()).contains(&rate)
            })
        };
        let mut encoding = default.sample_format();
        if to_encoding(encoding).is_none() {
            let known = ranges.iter().find(|range| to_encoding(range.sample_format()).is_some());
            let none = || DeviceError::Unsupported(format!("samples of {encoding} only"));
            encoding = known.ok_or_else(none)?.sample_format();
        }
        let (mut channels, mut rate) = (default.channels(), default.sample_rate());
        let wanted = request.channels.and_then(|channels| u16::try_from(channels).ok());
        if let Some(wanted) = wanted.filter(|wanted| has(*wanted, rate, encoding)) {
            channels = wanted;
        }
        let wanted = request.sample_rate.map(SampleRate::hz);
        if let Some(wanted) = wanted.filter(|wanted| has(channels, *wanted, encoding)) {
            rate = wanted;
        }
        let buffer_size = request.block.map_or(BufferSize::Default, |block| {
            let block = u32::try_from(block).unwrap_or(u32::MAX);
            BufferSize::Fixed(match default.buffer_size() {
                cpal::SupportedBufferSize::Range { min, max } => block.clamp(*min, *max),
                cpal::SupportedBufferSize::Unknown => block,
            })
        });
        let format = StreamFormat::new(SampleRate::new(rate)?, usize::from(channels))?;
        let config = cpal::StreamConfig { channels, sample_rate: rate, buffer_size };
        Ok(Self { config, encoding, format })
    }

    fn scratch(&self) -> Box<[f32]> {
        vec![0.0; PIECE * self.format.channels()].into()
    }
}

struct Running {
    stream: cpal::Stream,
    format: StreamFormat,
}

impl OpenStream for Running {
    fn format(&self) -> StreamFormat {
        self.format
    }

    fn block(&self) -> Option<usize> {
        self.stream.buffer_size().ok().map(|samples| samples as usize)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _quiet = quiet();
        // Stops at once where the device can; the drop that follows stops it in any case.
        let _ = self.stream.pause();
    }
}

fn start(stream: cpal::Stream, format: StreamFormat) -> Result<Box<dyn OpenStream>, DeviceError> {
    stream.play().map_err(|error| device_error(&error))?;
    Ok(Box::new(Running { stream, format }))
}

/// Keeps ALSA's library from writing to the error output on this thread: it explains every device it tries in vain.
#[cfg(target_os = "linux")]
fn quiet() -> impl Drop {
    struct Quiet;
    impl Drop for Quiet {
        fn drop(&mut self) {
            // An empty buffer takes the place of the full one.
            let _ = alsa::Output::local_error_handler();
        }
    }
    let _ = alsa::Output::local_error_handler();
    Quiet
}

#[cfg(not(target_os = "linux"))]
fn quiet() {}

/// How long ALSA may wait for a device before it looks whether that is still there.
const TIMEOUT: Option<Duration> = Some(Duration::from_millis(500));
