//! The analysis of one stream.

use axum::extract::ws::Utf8Bytes;
use upbeat::core::{ConfigError, SampleIndex, SampleRate};
use upbeat::perf::{Cost, QualitySettings};
use upbeat::predict::beats::{Relation, TempoCandidate};
use upbeat::{
    AnalyzerStats, Event, EventAnalyzer, EventConfig, EventKind, Feature, FeatureFrame, FeatureSet,
    Interests, Listener,
};

use crate::message::{
    Analysis, ChordNow, Happening, Known, Moment, NextBeat, NextChord, TempoChoice, text,
};

/// What a stream's analysis is to give.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EngineConfig {
    pub(crate) rate: SampleRate,
    pub(crate) channels: usize,
    /// Analyses per second.
    pub(crate) analyses: f32,
    /// Features named in each analysis beside the usual ones.
    pub(crate) extra: FeatureSet,
    pub(crate) spectrogram: bool,
}

impl EngineConfig {
    /// Frames of about 46 ms, a hundred a second at every sample rate.
    pub(crate) fn events(&self) -> EventConfig {
        let rate = f64::from(self.rate.hz());
        let mut config = EventConfig::new(self.rate.hz(), self.channels);
        config.analyzer.frame_length = 1 << ((rate * 0.0464).log2().round() as u32);
        config.analyzer.hop_length = (rate / 100.0).round() as usize;
        config.analyzer.features.insert(Feature::Loudness);
        for feature in self.extra.iter() {
            config.analyzer.features.insert(feature);
        }
        config
    }
}

/// A message, and whether a later one of its kind makes it superfluous.
pub(crate) struct Made {
    pub(crate) text: Utf8Bytes,
    pub(crate) is_state: bool,
    pub(crate) sequence: u64,
}

pub(crate) struct Engine {
    analyzer: EventAnalyzer,
    view: View,
    /// What was counted before the analysis was started anew.
    before: AnalyzerStats,
}

impl Engine {
    pub(crate) fn new(config: &EngineConfig) -> Result<Self, ConfigError> {
        let events = config.events();
        let view = View::new(config, events.analyzer.frame_length as u64);
        let before = AnalyzerStats::default();
        Ok(Self { analyzer: EventAnalyzer::new(&events)?, view, before })
    }

    /// Analyses whole samples of all channels; `gap` says why samples are missing before them, if any are.
    pub(crate) fn process(
        &mut self,
        at: u64,
        interleaved: &[f32],
        gap: &'static str,
        made: &mut Vec<Made>,
    ) {
        self.view.gap = gap;
        let result = self.analyzer.process(SampleIndex(at), interleaved, &mut self.view);
        debug_assert!(result.is_ok(), "messages are whole samples");
        self.view.flush();
        made.append(&mut self.view.made);
    }

    /// The stream begins at this index: if the first samples analysed come later, there is a gap before them.
    pub(crate) fn begin(&mut self, at: u64) {
        let result = self.analyzer.process(SampleIndex(at), &[], &mut self.view);
        debug_assert!(result.is_ok(), "no samples are whole samples");
    }

    /// Analyses what waits for a frame to end: the stream is at its end.
    pub(crate) fn finish(&mut self, made: &mut Vec<Made>) {
        self.analyzer.finish(&mut self.view);
        self.view.flush();
        made.append(&mut self.view.made);
    }

    /// Leaves out what is to be left out.
    pub(crate) fn govern(&mut self, settings: &QualitySettings, made: &mut Vec<Made>) {
        self.analyzer.set_quality(settings, &mut self.view);
        made.append(&mut self.view.made);
    }

    pub(crate) fn costs(&self) -> Vec<Cost> {
        self.analyzer.items().collect()
    }

    pub(crate) fn reset(&mut self) {
        self.before = self.stats();
        self.analyzer.reset();
        self.view.known = Known { level: self.view.known.level, ..Known::default() };
        self.view.due = None;
    }

    pub(crate) fn set_rate(&mut self, analyses: f32) {
        self.view.config.analyses = analyses;
    }

    /// Starts anew with these features; the numbers of messages go on.
    pub(crate) fn set_features(&mut self, extra: FeatureSet) -> Result<(), ConfigError> {
        let config = EngineConfig { extra, ..self.view.config };
        let (sequence, before) = (self.view.sequence, self.stats());
        *self = Self::new(&config)?;
        (self.view.sequence, self.before) = (sequence, before);
        Ok(())
    }

    /// What was seen since the stream began.
    pub(crate) fn stats(&self) -> AnalyzerStats {
        let mut sum = self.before;
        sum += self.analyzer.stats();
        sum
    }
}

/// Makes messages of what the analyzer tells.
struct View {
    config: EngineConfig,
    frame_length: u64,
    known: Known,
    /// The number of the last message.
    sequence: u64,
    /// Which analysis was sent last, in periods since the start.
    tick: u64,
    /// The frame to be told, once its events are in.
    due: Option<FeatureFrame>,
    gap: &'static str,
    made: Vec<Made>,
}

impl View {
    fn new(config: &EngineConfig, frame_length: u64) -> Self {
        let (known, made) = (Known::default(), Vec::new());
        let config = *config;
        Self { config, frame_length, known, sequence: 0, tick: 0, due: None, gap: "client", made }
    }

    fn flush(&mut self) {
        let Some(frame) = self.due.take() else { return };
        self.sequence += 1;
        let EngineConfig { rate, extra, spectrogram, .. } = self.config;
        let heard = Moment::new(frame.at() + self.frame_length, rate);
        let analysis = Analysis::new(self.sequence, heard, &frame, &self.known, extra, spectrogram);
        let text = text(&analysis);
        self.made.push(Made { text, is_state: true, sequence: self.sequence });
        self.known.onset = None;
    }

    fn know(&mut self, event: &Event) {
        let known = &mut self.known;
        match &event.kind {
            EventKind::Onset { strength } => {
                known.onset = Some(known.onset.map_or(*strength, |most| most.max(*strength)));
            }
            EventKind::Energy(energy) => {
                known.energy = energy.energy;
                known.energy_forecast = energy.forecast;
            }
            EventKind::Tempo { bpm: Some(bpm) } => known.tempo = Some(*bpm as f32),
            EventKind::Tempo { bpm: None } => {
                (known.tempo, known.tempo_confidence, known.next_beat) = (None, None, None);
                known.tempo_alternatives.clear();
            }
            EventKind::Beat { confidence, bpm, tempi, .. } => {
                known.tempo = bpm.map(|bpm| bpm as f32);
                known.tempo_confidence = Some(*confidence);
                let at = Moment::new(event.at, self.config.rate);
                known.next_beat = Some(NextBeat { at, confidence: *confidence });
                let choice = |tempo: &TempoCandidate| TempoChoice {
                    bpm: tempo.bpm as f32,
                    probability: tempo.share,
                };
                let others = tempi.iter().flatten().filter(|t| t.relation != Relation::Same);
                known.tempo_alternatives = others.map(choice).collect();
            }
            EventKind::Chord { label, confidence, key, next, .. } => {
                let label = label.to_string();
                let since = event.at.seconds(self.config.rate);
                let since = match &known.chord {
                    Some(chord) if chord.label == label => chord.since,
                    _ => since,
                };
                known.chord = Some(ChordNow { label, since, confidence: *confidence });
                known.key = key.map(|key| key.to_string());
                known.next_chord = next
                    .map(|(triad, confidence)| NextChord { label: triad.to_string(), confidence });
            }
            EventKind::Gap { .. } => *known = Known { level: known.level, ..Known::default() },
            EventKind::Quality(settings) => known.level = settings.level,
            // Kinds that this version does not know are not told.
            _ => {}
        }
    }
}

impl Listener for View {
    fn event(&mut self, event: &Event) {
        if matches!(event.kind, EventKind::Gap { .. }) {
            self.flush();
        }
        self.know(event);
        let sequence = self.sequence + 1;
        let happening = Happening::new(event, &self.known, self.gap, self.config.rate, sequence);
        if let Some(happening) = happening {
            self.sequence = sequence;
            self.made.push(Made { text: text(&happening), is_state: false, sequence });
        }
    }

    fn frame(&mut self, frame: &FeatureFrame) {
        self.flush();
        let heard = (frame.at() + self.frame_length).seconds(self.config.rate);
        let tick = (heard * f64::from(self.config.analyses)) as u64;
        if tick != self.tick {
            self.tick = tick;
            self.due = Some(frame.clone());
        }
    }

    fn interests(&self) -> Interests {
        Interests { blocks: false, ..Interests::ALL }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn messages(rate: u32, analyses: f32, samples: &[f32], block: usize) -> Vec<Value> {
        let config = EngineConfig {
            rate: SampleRate::new(rate).expect("a rate"),
            channels: 1,
            analyses,
            extra: FeatureSet::EMPTY,
            spectrogram: true,
        };
        let mut engine = Engine::new(&config).expect("sound settings");
        let mut made = Vec::new();
        for (i, block_samples) in samples.chunks(block).enumerate() {
            engine.process((i * block) as u64, block_samples, "client", &mut made);
        }
        engine.finish(&mut made);
        made.iter().map(|made| serde_json::from_str(&made.text).expect("JSON")).collect()
    }

    /// Clicks on a hum.
    fn sound(rate: u32, seconds: u32) -> Vec<f32> {
        let step = 440.0 * std::f32::consts::TAU / rate as f32;
        let hum = (0..rate * seconds).map(|n| 0.1 * (n as f32 * step).sin());
        let mut sound: Vec<_> = hum.collect();
        sound.iter_mut().step_by(rate as usize / 2).skip(1).for_each(|x| *x = 0.9);
        sound
    }

    #[test]
    fn every_sample_rate_gives_the_analyses_asked_for() {
        for rate in [8000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000] {
            for analyses in [10.0, 30.0, 100.0] {
                let all = messages(rate, analyses, &sound(rate, 2), 1000);
                let analysed: Vec<_> = all.iter().filter(|m| m["type"] == "analysis").collect();
                let expected = 2.0 * f64::from(analyses);
                let missing = expected - analysed.len() as f64;
                assert!(
                    (0.0..=0.07 * f64::from(analyses) + 2.0).contains(&missing),
                    "{rate} {analyses} {missing}"
                );
                let last = analysed[analysed.len() - 1];
                let pitch = last["pitch"].as_f64().expect("a pitch");
                assert!((pitch - 440.0).abs() < 2.0, "{rate}: {pitch}");
                assert_eq!(last["log_mel"].as_array().expect("a column").len(), 64);
                assert_eq!(last["tempo"], Value::Null);
            }
        }
    }

    #[test]
    fn numbers_have_no_holes_and_blocks_make_no_difference() {
        let sound = sound(44_100, 3);
        let all = messages(44_100, 10.0, &sound, 441);
        assert_eq!(all, messages(44_100, 10.0, &sound, 7));
        assert_eq!(all, messages(44_100, 10.0, &sound, 100_000));
        for (i, message) in all.iter().enumerate() {
            assert_eq!(message["sequence"], i as u64 + 1);
        }
        let onsets = all.iter().filter(|m| m["type"] == "onset").count();
        assert_eq!(onsets, 5, "clicks at every half second but the first");
        assert!(all.iter().any(|m| m["onset_detected"] == true));
    }
}
