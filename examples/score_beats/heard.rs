//! What the tracker says of a clip.

use upbeat::core::{SampleIndex, SampleRate, Stage};
use upbeat::predict::beats::{BeatConfig, BeatTracker, FrontEnd};

use crate::Failure;

/// What is set on the command line.
pub(crate) struct Settings {
    pub(crate) front_end: FrontEnd,
    pub(crate) min_tempo: f64,
    pub(crate) max_tempo: f64,
    pub(crate) lead: f64,
    pub(crate) threshold: f64,
}

/// A beat as it was announced; times in seconds.
pub(crate) struct Beat {
    pub(crate) time: f64,
    pub(crate) reported_at: f64,
    /// The place in the bar.
    pub(crate) place: Option<u8>,
    pub(crate) confidence: f32,
    /// The tempo when it was announced, and what it was then expected to be four beats later.
    pub(crate) tempo: Option<f64>,
    pub(crate) tempo_ahead: Option<f64>,
}

/// All that was announced.
pub(crate) struct Heard {
    pub(crate) beats: Vec<Beat>,
    pub(crate) estimates: usize,
    /// How many of them said that there is no beat.
    pub(crate) none: usize,
}

impl Heard {
    pub(crate) fn new(
        samples: &[f32],
        rate: SampleRate,
        settings: &Settings,
    ) -> Result<Self, Failure> {
        let mut config = BeatConfig::new(rate);
        config.front_end = settings.front_end;
        (config.min_tempo, config.max_tempo) = (settings.min_tempo, settings.max_tempo);
        config.lead = settings.lead;
        config.threshold = settings.threshold;
        let mut tracker = BeatTracker::new(&config)?;
        let mut heard = Self { beats: Vec::new(), estimates: 0, none: 0 };
        let end = rate.seconds(samples.len() as u64);
        // Blocks of 5 ms hold one estimate at most, so that the tracker can be asked at each.
        let length = rate.samples(0.005) as usize;
        for (n, block) in samples.chunks(length).enumerate() {
            let mut announced = None;
            tracker.process(SampleIndex((n * length) as u64), block, |now, estimate| {
                heard.estimates += 1;
                heard.none += usize::from(estimate.tempo.is_none());
                announced = estimate.beat.map(|beat| (now, beat, estimate.tempo));
            });
            let Some((now, beat, tempo)) = announced else { continue };
            let time = beat.at.seconds(rate);
            if time < end {
                heard.beats.push(Beat {
                    time,
                    reported_at: (now + 1).seconds(rate),
                    place: beat.bar_position.map(|place| place.beat),
                    confidence: beat.confidence,
                    tempo,
                    tempo_ahead: tracker.tempo_ahead(4).map(|ahead| ahead.bpm),
                });
            }
        }
        Ok(heard)
    }

    pub(crate) fn times(&self) -> Vec<f64> {
        self.beats.iter().map(|beat| beat.time).collect()
    }
}
