use std::sync::Arc;
use std::time::Duration;

use cpal::{Data, FromSample, SampleFormat, SizedSample, StreamInstant};
use upbeat_core::SampleRate;

use crate::live::{CallbackInfo, InputSink, OutputFill, StreamHealth, monotonic};

/// What runs in an input's callback.
pub(super) struct Input {
    pub(super) sink: Box<dyn InputSink>,
    pub(super) health: Arc<StreamHealth>,
    pub(super) channels: usize,
    pub(super) rate: SampleRate,
    pub(super) scratch: Box<[f32]>,
    /// How many overruns there had been at the block before.
    pub(super) xruns: u64,
    /// When, by the device, the next block should have been captured.
    pub(super) expected: Option<StreamInstant>,
}

impl Input {
    pub(super) fn take(&mut self, data: &Data, callback: StreamInstant, capture: StreamInstant) {
        let samples = data.len() / self.channels;
        if samples == 0 {
            return;
        }
        let xruns = self.health.xruns();
        let xrun = xruns != self.xruns;
        self.xruns = xruns;
        let lost = match self.expected {
            Some(expected) if xrun => {
                let late = capture.saturating_duration_since(expected).min(LONGEST_LOSS);
                self.rate.samples(late.as_secs_f64()).max(1)
            }
            _ => 0,
        };
        let seconds = Duration::from_secs_f64(self.rate.seconds(samples as u64));
        self.expected = capture.checked_add(seconds);
        let latency = callback.checked_duration_since(capture);
        let mut info = CallbackInfo { lost, xrun, latency, ..CallbackInfo::at(monotonic()) };
        self.health.beat(&info, samples);
        let Self { sink, scratch, .. } = self;
        let hand_on = |block: &[f32]| {
            sink.data(&info, block);
            info.lost = 0;
        };
        match data.sample_format() {
            SampleFormat::F32 => data.as_slice().map_or((), hand_on),
            SampleFormat::I8 => decode::<i8>(data, scratch, hand_on),
            SampleFormat::I16 => decode::<i16>(data, scratch, hand_on),
            SampleFormat::I24 => decode::<cpal::I24>(data, scratch, hand_on),
            SampleFormat::I32 => decode::<i32>(data, scratch, hand_on),
            SampleFormat::I64 => decode::<i64>(data, scratch, hand_on),
            SampleFormat::U8 => decode::<u8>(data, scratch, hand_on),
            SampleFormat::U16 => decode::<u16>(data, scratch, hand_on),
            SampleFormat::U24 => decode::<cpal::U24>(data, scratch, hand_on),
            SampleFormat::U32 => decode::<u32>(data, scratch, hand_on),
            SampleFormat::U64 => decode::<u64>(data, scratch, hand_on),
            SampleFormat::F64 => decode::<f64>(data, scratch, hand_on),
            _ => {}
        }
    }
}

/// What runs in an output's callback.
pub(super) struct Output {
    pub(super) fill: Box<dyn OutputFill>,
    pub(super) health: Arc<StreamHealth>,
    pub(super) channels: usize,
    pub(super) scratch: Box<[f32]>,
    pub(super) xruns: u64,
}

impl Output {
    pub(super) fn give(&mut self, data: &mut Data, latency: Option<Duration>) {
        let samples = data.len() / self.channels;
        if samples == 0 {
            return;
        }
        let xruns = self.health.xruns();
        let xrun = xruns != self.xruns;
        self.xruns = xruns;
        let info = CallbackInfo { xrun, latency, ..CallbackInfo::at(monotonic()) };
        self.health.beat(&info, samples);
        let Self { fill, scratch, .. } = self;
        let ask = |block: &mut [f32]| fill.fill(&info, block);
        match data.sample_format() {
            SampleFormat::F32 => data.as_slice_mut().map_or((), ask),
            SampleFormat::I8 => encode::<i8>(data, scratch, ask),
            SampleFormat::I16 => encode::<i16>(data, scratch, ask),
            SampleFormat::I24 => encode::<cpal::I24>(data, scratch, ask),
            SampleFormat::I32 => encode::<i32>(data, scratch, ask),
            SampleFormat::I64 => encode::<i64>(data, scratch, ask),
            SampleFormat::U8 => encode::<u8>(data, scratch, ask),
            SampleFormat::U16 => encode::<u16>(data, scratch, ask),
            SampleFormat::U24 => encode::<cpal::U24>(data, scratch, ask),
            SampleFormat::U32 => encode::<u32>(data, scratch, ask),
            SampleFormat::U64 => encode::<u64>(data, scratch, ask),
            SampleFormat::F64 => encode::<f64>(data, scratch, ask),
            _ => {}
        }
    }
}

/// Hands on samples of another type as `f32`, piece by piece.
fn decode<T: SizedSample>(data: &Data, scratch: &mut [f32], mut hand_on: impl FnMut(&[f32]))
where
    f32: FromSample<T>,
{
    for piece in data.as_slice::<T>().unwrap_or_default().chunks(scratch.len()) {
        for (to, from) in scratch.iter_mut().zip(piece) {
            *to = f32::from_sample_(*from);
        }
        hand_on(&scratch[..piece.len()]);
    }
}

/// Asks for samples as `f32` and makes them another type, piece by piece. Beyond full scale they are clipped.
fn encode<T: SizedSample + FromSample<f32>>(
    data: &mut Data,
    scratch: &mut [f32],
    mut ask: impl FnMut(&mut [f32]),
) {
    for piece in data.as_slice_mut::<T>().unwrap_or_default().chunks_mut(scratch.len()) {
        let block = &mut scratch[..piece.len()];
        ask(block);
        for (to, from) in piece.iter_mut().zip(block) {
            *to = T::from_sample_(from.clamp(-1.0, 1.0));
        }
    }
}

/// Samples per channel converted at once.
pub(super) const PIECE: usize = 512;
/// The longest loss believed.
const LONGEST_LOSS: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_full_scale_at_one() {
        fn both<T: SizedSample + FromSample<f32> + PartialEq + std::fmt::Debug>(
            low: T,
            zero: T,
            high: T,
        ) where
            f32: FromSample<T>,
        {
            assert_eq!(f32::from_sample_(low), -1.0, "{low:?}");
            assert_eq!(f32::from_sample_(zero), 0.0, "{zero:?}");
            let top = f32::from_sample_(high);
            assert!(top > 0.99 && top <= 1.0, "{high:?} is {top}");
            assert_eq!(T::from_sample_(-1.0), low);
            assert_eq!(T::from_sample_(0.0), zero);
            assert_eq!(T::from_sample_(1.0), high, "clipped, not wrapped");
        }
        both(i8::MIN, 0, i8::MAX);
        both(i16::MIN, 0, i16::MAX);
        both(i32::MIN, 0, i32::MAX);
        both(u8::MIN, 1 << 7, u8::MAX);
        both(u16::MIN, 1 << 15, u16::MAX);
        both(u32::MIN, 1 << 31, u32::MAX);
    }
}
