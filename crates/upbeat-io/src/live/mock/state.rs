use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::MockDevice;
use crate::StreamFormat;
use crate::live::backend::duration_of;
use crate::live::{
    CallbackInfo, DeviceError, DeviceId, Direction, FaultKind, InputSink, OutputFill, StreamHealth,
};

#[derive(Default)]
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    pub(super) thawed: Condvar,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) now: Duration,
    pub(super) devices: BTreeMap<DeviceId, Device>,
    pub(super) default_input: Option<DeviceId>,
    pub(super) default_output: Option<DeviceId>,
    pub(super) streams: Vec<Stream>,
    pub(super) wire: Option<Wire>,
    pub(super) opened: u64,
    pub(super) frozen: bool,
}

pub(super) struct Device {
    pub(super) plugged: MockDevice,
    pub(super) jitter: Duration,
    pub(super) stalled: bool,
    pub(super) refused: Option<DeviceError>,
}

pub(super) enum End {
    Input(Box<dyn InputSink>),
    Output(Box<dyn OutputFill>),
}

pub(super) struct Stream {
    pub(super) number: u64,
    pub(super) device: DeviceId,
    pub(super) format: StreamFormat,
    pub(super) end: End,
    pub(super) health: Arc<StreamHealth>,
    /// Number of the device's sample that the next block starts with.
    pub(super) next: u64,
    /// How many samples are to be lost before it.
    pub(super) lost: u64,
    /// How late it will be.
    pub(super) late: Duration,
    pub(super) dead: bool,
    pub(super) buffer: Vec<f32>,
}

pub(super) struct Wire {
    pub(super) output: DeviceId,
    pub(super) input: DeviceId,
    pub(super) delay: u64,
    /// What was played, by the number of the sample.
    pub(super) played: BTreeMap<u64, Vec<f32>>,
}

impl State {
    pub(super) fn default_mut(&mut self, direction: Direction) -> &mut Option<DeviceId> {
        match direction {
            Direction::Input => &mut self.default_input,
            Direction::Output => &mut self.default_output,
        }
    }

    pub(super) fn of(&mut self, id: &DeviceId) -> impl Iterator<Item = &mut Stream> {
        self.streams.iter_mut().filter(move |stream| !stream.dead && stream.device == *id)
    }

    /// The stream whose block is due first, and when.
    pub(super) fn next_due(&self) -> Option<(usize, Duration)> {
        let stalled = |id| self.devices.get(id).is_some_and(|device| device.stalled);
        let alive = self.streams.iter().enumerate();
        let alive = alive.filter(|(_, stream)| !stream.dead && !stalled(&stream.device));
        let due = alive.map(|(index, stream)| {
            let samples = stream.buffer.len() / stream.format.channels();
            let ready = match stream.end {
                // A block is heard when its last sample is there, and asked for before its first is played.
                End::Input(_) => stream.next + stream.lost + samples as u64,
                End::Output(_) => stream.next + stream.lost,
            };
            let speed = self.devices.get(&stream.device).map_or(1.0, |device| device.plugged.speed);
            let time = duration_of(ready, stream.format.sample_rate().hz());
            (index, stretch(time, 1.0 / speed) + stream.late)
        });
        // Outputs first: what is played now may be heard now.
        due.min_by_key(|(index, at)| (*at, matches!(self.streams[*index].end, End::Input(_))))
    }

    pub(super) fn deliver(&mut self, index: usize) {
        let Self { now, devices, streams, wire, .. } = self;
        let stream = &mut streams[index];
        let channels = stream.format.channels();
        let samples = stream.buffer.len() / channels;
        let lost = std::mem::take(&mut stream.lost);
        stream.next += lost;
        let first = stream.next;
        stream.next += samples as u64;
        let Some(Device { plugged, jitter, .. }) = devices.get(&stream.device) else { return };
        stream.late = jitter.mul_f64(pseudo_random(stream.next));
        let info = CallbackInfo { lost, xrun: lost > 0, ..CallbackInfo::at(*now) };
        if lost > 0 {
            stream.health.fault(FaultKind::Xrun, "injected");
        }
        stream.health.beat(&info, samples);
        match &mut stream.end {
            End::Input(sink) => {
                let wire = wire.as_ref().filter(|wire| wire.input == stream.device);
                let speed = plugged.speed;
                for (n, sample) in (first..).zip(stream.buffer.chunks_exact_mut(channels)) {
                    let at = if speed == 1.0 { n } else { (n as f64 / speed).round() as u64 };
                    let heard = wire.map(|wire| wire.played.get(&at.checked_sub(wire.delay)?));
                    for (channel, x) in sample.iter_mut().enumerate() {
                        *x = match heard {
                            None => (plugged.signal)(n, channel),
                            Some(played) => played
                                .and_then(|played| played.get(channel))
                                .copied()
                                .unwrap_or(0.0),
                        };
                    }
                }
                sink.data(&info, &stream.buffer);
            }
            End::Output(fill) => {
                fill.fill(&info, &mut stream.buffer);
                if let Some(wire) = wire.as_mut().filter(|wire| wire.output == stream.device) {
                    for (n, sample) in (first..).zip(stream.buffer.chunks_exact(channels)) {
                        wire.played.insert(n, sample.to_vec());
                    }
                }
            }
        }
    }
}

/// A time by another clock; exact where there is but one.
pub(super) fn stretch(time: Duration, by: f64) -> Duration {
    if by == 1.0 { time } else { time.mul_f64(by) }
}

/// From 0 to below 1, always the same for the same `n`: `SplitMix64`.
fn pseudo_random(n: u64) -> f64 {
    let mut z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}
