use upbeat_core::{ConfigError, Mix, SampleIndex, Stage};

use crate::StreamFormat;

/// Which channels a stream is to have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Channels {
    /// Those of the first device; what a later device has is fitted to them as by [`Count`](Self::Count).
    #[default]
    AsDevice,
    /// One: the mean of all.
    Mono,
    /// One: this channel of the device, counted from 0; the last one where it has fewer.
    Only(usize),
    /// So many. One is copied to all of them, several become one as their mean; else those that are on both
    /// sides keep their places, and the others are silent.
    Count(usize),
}

impl Channels {
    /// How many come out where a device has `device` channels.
    #[must_use]
    pub const fn of(self, device: usize) -> usize {
        match self {
            Self::AsDevice => device,
            Self::Mono | Self::Only(_) => 1,
            Self::Count(channels) => channels,
        }
    }
}

/// Turns samples of a device's channels into those of a stream.
#[derive(Debug)]
pub(crate) enum ChannelMap {
    Same,
    Mono(Mix),
    Spread { from: usize, to: usize, piece: Box<[f32]> },
}

impl ChannelMap {
    pub(crate) fn new(channels: Channels, from: usize, to: usize) -> Result<Self, ConfigError> {
        Ok(match channels {
            Channels::Only(channel) if from > 1 => {
                Self::Mono(Mix::channel(from, channel.min(from - 1))?)
            }
            _ if from == to => Self::Same,
            _ if to == 1 => Self::Mono(Mix::down(from)?),
            _ => Self::Spread { from, to, piece: vec![0.0; PIECE * to].into() },
        })
    }

    pub(crate) fn process(
        &mut self,
        at: SampleIndex,
        interleaved: &[f32],
        mut emit: impl FnMut(SampleIndex, &[f32]),
    ) {
        match self {
            Self::Same => emit(at, interleaved),
            Self::Mono(mix) => mix.process(at, interleaved, emit),
            Self::Spread { from, to, piece } => {
                let both = (*from).min(*to);
                let mut at = at;
                for block in interleaved.chunks(PIECE * *from) {
                    let samples = block.len() / *from;
                    let piece = &mut piece[..samples * *to];
                    for (place, sample) in
                        piece.chunks_exact_mut(*to).zip(block.chunks_exact(*from))
                    {
                        if *from == 1 {
                            place.fill(sample[0]);
                        } else {
                            place[..both].copy_from_slice(&sample[..both]);
                            place[both..].fill(0.0);
                        }
                    }
                    emit(at, piece);
                    at += samples as u64;
                }
            }
        }
    }
}

/// Turns a device's samples into those of a stream: first the channels or first the rate, whichever is fewer channels to
/// convert.
#[derive(Debug)]
pub(crate) struct Converter {
    map: ChannelMap,
    resampler: crate::Resampler,
    map_first: bool,
}

impl Converter {
    pub(crate) fn new(
        channels: Channels,
        from: StreamFormat,
        to: StreamFormat,
        quality: crate::ResampleQuality,
    ) -> Result<Self, ConfigError> {
        let map_first = to.channels() <= from.channels();
        let at_rate = if map_first { to.channels() } else { from.channels() };
        let resampled = StreamFormat::new(from.sample_rate(), at_rate)?;
        Ok(Self {
            map: ChannelMap::new(channels, from.channels(), to.channels())?,
            resampler: crate::Resampler::new(resampled, to.sample_rate(), quality)?,
            map_first,
        })
    }

    pub(crate) fn process(
        &mut self,
        at: SampleIndex,
        interleaved: &[f32],
        mut emit: impl FnMut(SampleIndex, &[f32]),
    ) {
        let Self { map, resampler, map_first } = self;
        if *map_first {
            map.process(at, interleaved, |at, block| resampler.process(at, block, &mut emit));
        } else {
            resampler.process(at, interleaved, |at, block| map.process(at, block, &mut emit));
        }
    }

    pub(crate) fn finish(&mut self, mut emit: impl FnMut(SampleIndex, &[f32])) {
        let Self { map, resampler, map_first } = self;
        if *map_first {
            resampler.finish(emit);
        } else {
            resampler.finish(|at, block| map.process(at, block, &mut emit));
        }
    }
}

/// Samples per channel mapped at once.
const PIECE: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_fitted() {
        for (channels, from, to, expected) in [
            (Channels::Count(2), 1, 2, vec![0.1, 0.1, 0.2, 0.2, 0.3, 0.3]),
            (Channels::Count(3), 2, 3, vec![0.1, 0.2, 0.0, 0.3, 0.4, 0.0]),
            (Channels::AsDevice, 3, 2, vec![0.1, 0.2]),
            (Channels::Mono, 2, 1, vec![0.15, 0.35]),
            (Channels::Only(1), 2, 1, vec![0.2, 0.4]),
            (Channels::Only(9), 2, 1, vec![0.2, 0.4]),
            (Channels::Only(9), 1, 1, vec![0.1, 0.2, 0.3]),
        ] {
            let interleaved = &[0.1, 0.2, 0.3, 0.4][..[3, 4, 3][from - 1]];
            let mut map = ChannelMap::new(channels, from, to).unwrap();
            let mut out = Vec::new();
            map.process(SampleIndex(7), interleaved, |at, block| {
                assert_eq!(at.0, 7 + (out.len() / to) as u64);
                out.extend(block.iter().map(|x| (x * 1e4).round() / 1e4));
            });
            assert_eq!(out, expected, "{channels:?} from {from} to {to}");
        }
    }
}
