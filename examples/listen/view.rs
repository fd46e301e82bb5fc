//! What the terminal shows.

use std::collections::VecDeque;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Bar, BarChart, BarGroup, Block, Gauge, Paragraph, Sparkline};
use upbeat::core::Decibels;
use upbeat::io::StreamFormat;
use upbeat::pipeline::PipelineStatus;
use upbeat::predict::beats::Relation;
use upbeat::{Event, EventKind, Feature, FeatureFrame};

use crate::json::describe;

const NOTES: [&str; 12] = ["C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B"];
/// The lowest level shown, in dB.
const FLOOR: f32 = -60.0;

/// The beat announced last.
#[derive(Default)]
struct Beat {
    /// When it is, in seconds of the stream.
    at: f64,
    bpm: Option<f64>,
    /// Other tempi that it may have.
    others: String,
    place: String,
    confidence: f32,
}

/// What was heard last.
pub(crate) struct View {
    format: StreamFormat,
    seconds: f64,
    rms: f32,
    peak: f32,
    /// The highest peak of late; it falls 20 dB a second.
    held: f32,
    loudness: [Option<f32>; 3],
    mel: Vec<f32>,
    chroma: Vec<f32>,
    /// Frames since the last onset.
    since_onset: u32,
    pitch: Option<f32>,
    energy: VecDeque<u64>,
    chord: String,
    beat: Beat,
    news: VecDeque<String>,
}

impl View {
    pub(crate) fn new(format: StreamFormat) -> Self {
        Self {
            format,
            seconds: 0.0,
            rms: FLOOR,
            peak: FLOOR,
            held: FLOOR,
            loudness: [None; 3],
            mel: Vec::new(),
            chroma: Vec::new(),
            since_onset: u32::MAX,
            pitch: None,
            energy: VecDeque::new(),
            chord: "–".to_owned(),
            beat: Beat::default(),
            news: VecDeque::new(),
        }
    }

    pub(crate) fn frame(&mut self, frame: &FeatureFrame) {
        let level = |feature| {
            frame.value(feature).map_or(FLOOR, |x| Decibels::from_amplitude(x).0.max(FLOOR))
        };
        let passed = (frame.seconds() - self.seconds).clamp(0.0, 1.0) as f32;
        self.seconds = frame.seconds();
        (self.rms, self.peak) = (level(Feature::Rms), level(Feature::Peak));
        self.held = (self.held - 20.0 * passed).max(self.peak);
        for (kept, new) in self.loudness.iter_mut().zip(frame.values(Feature::Loudness)) {
            *kept = Some(*new).filter(|x| x.is_finite());
        }
        self.mel = frame.values(Feature::LogMel).to_vec();
        self.chroma = frame.values(Feature::ChromaStft).to_vec();
        self.pitch = frame.value(Feature::Pitch);
        self.since_onset = self.since_onset.saturating_add(1);
    }

    pub(crate) fn event(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Onset { .. } => self.since_onset = 0,
            EventKind::Energy(energy) => {
                self.energy.push_back((100.0 * energy.energy.unwrap_or(0.0)) as u64);
                if self.energy.len() > 300 {
                    self.energy.pop_front();
                }
            }
            EventKind::Chord { label, key, next, .. } => {
                let key = key.map_or("no key".to_owned(), |key| key.to_string());
                let next = next.map_or(String::new(), |(triad, p)| {
                    format!(", next {triad} {:.0} %", 100.0 * p)
                });
                self.chord = format!("{label} in {key}{next}");
            }
            EventKind::Beat { confidence, bar_position, bpm, tempi, .. } => {
                let place = bar_position
                    .map_or(String::new(), |bar| format!("{} of {}", bar.beat, bar.metre));
                let at = event.at.seconds(self.format.sample_rate());
                let others =
                    tempi.iter().flatten().filter(|tempo| tempo.relation != Relation::Same);
                let others: Vec<String> = others.map(|tempo| format!("{:.0}", tempo.bpm)).collect();
                let others = others.join(", ");
                self.beat = Beat { at, bpm: *bpm, others, place, confidence: *confidence };
            }
            EventKind::Tempo { bpm: None } => self.beat = Beat::default(),
            EventKind::Pitch { .. } | EventKind::Tempo { .. } => {}
            kind => {
                let (name, fields) = describe(kind);
                let time = event.at.seconds(self.format.sample_rate());
                self.news.push_back(format!("{time:8.1} s  {name} {fields}"));
                if self.news.len() > 50 {
                    self.news.pop_front();
                }
            }
        }
    }

    /// All of it in a line.
    pub(crate) fn line(&self, status: &PipelineStatus) -> String {
        let pitch = self.pitch.map_or("-".to_owned(), |hz| format!("{hz:.0} Hz"));
        let loudness = self.loudness[0].map_or("-".to_owned(), |x| format!("{x:.1} LUFS"));
        format!(
            "{:7.1} s  rms {:5.1} dB  {loudness}  pitch {pitch}  {}  {}",
            self.seconds,
            self.rms,
            self.chord,
            load(status)
        )
    }

    pub(crate) fn draw(&self, frame: &mut Frame<'_>, status: &PipelineStatus) {
        let rows = Layout::vertical([
            Constraint::Length(4),
            Constraint::Length(6),
            Constraint::Min(8),
            Constraint::Length(4),
            Constraint::Length(6),
        ]);
        let [state, level, spectrum, energy, news] = rows.areas(frame.area());
        frame.render_widget(self.state(status), state);
        self.draw_level(frame, level);
        let [bands, chroma] =
            Layout::horizontal([Constraint::Fill(2), Constraint::Length(50)]).areas(spectrum);
        self.draw_spectrum(frame, bands);
        self.draw_chroma(frame, chroma);
        let energies: Vec<u64> = self.energy.iter().copied().collect();
        let newest = &energies[energies.len().saturating_sub(usize::from(energy.width))..];
        let title = Block::bordered().title("energy, the last half minute");
        frame.render_widget(Sparkline::default().data(newest).max(100).block(title), energy);
        let lines: Vec<Line<'_>> =
            self.news.iter().rev().take(4).map(|text| Line::raw(text.as_str())).collect();
        frame.render_widget(Paragraph::new(lines).block(Block::bordered().title("news")), news);
    }

    fn state(&self, status: &PipelineStatus) -> Paragraph<'static> {
        let stream = status.stream.as_ref().map_or(String::new(), |stream| {
            let device = stream.device.as_ref().map_or("no device", |device| device.as_str());
            format!("  {:?} on {device}", stream.state)
        });
        let first = format!(
            "{:?}{stream}  {}  {:.1} s  gaps {}  lost {}",
            status.state, self.format, self.seconds, status.gaps, status.lost
        );
        let keys = "q ends, space pauses, 1-4 quality, 0 automatic";
        Paragraph::new(vec![Line::raw(first), Line::raw(load(status))])
            .block(Block::bordered().title("upbeat listens").title_bottom(keys))
    }

    fn draw_level(&self, frame: &mut Frame<'_>, area: Rect) {
        let [meter, numbers] =
            Layout::horizontal([Constraint::Fill(1), Constraint::Length(58)]).areas(area);
        let share = f64::from((self.rms - FLOOR) / -FLOOR).clamp(0.0, 1.0);
        let color = if self.held > -0.1 { Color::Red } else { Color::Green };
        let label = format!("{:.1} dB, peak {:.1} dB", self.rms, self.held);
        let gauge = Gauge::default().ratio(share).label(label).gauge_style(color);
        frame.render_widget(gauge.block(Block::bordered().title("level")), meter);
        let text = |x: Option<f32>| x.map_or("   –".to_owned(), |x| format!("{x:.1}"));
        let [momentary, short, integrated] = self.loudness.map(text);
        let pitch = self.pitch.map_or("–".to_owned(), |hz| {
            let note = 69.0 + 12.0 * (hz / 440.0).log2();
            let nearest = note.round();
            let name = NOTES[(nearest as i32).rem_euclid(12) as usize];
            let octave = (nearest as i32).div_euclid(12) - 1;
            format!("{hz:.1} Hz {name}{octave} {:+.0} ct", 100.0 * (note - nearest))
        });
        let onset =
            if self.since_onset < 6 { "● onset".yellow() } else { Span::raw("○ onset") };
        let lines = vec![
            Line::raw(format!("LUFS {momentary} M  {short} S  {integrated} I")),
            Line::raw(self.chord.as_str()),
            Line::from(vec![Span::raw(format!("pitch {pitch}   ")), onset]),
            self.tempo(),
        ];
        frame.render_widget(Paragraph::new(lines).block(Block::bordered().title("heard")), numbers);
    }

    /// Tempo and bar, and a light that is on at the beat.
    fn tempo(&self) -> Line<'static> {
        let Beat { at, bpm: Some(bpm), others, place, confidence } = &self.beat else {
            return Line::raw("no beat");
        };
        let light = if (self.seconds - at).abs() < 0.1 { "■".red() } else { Span::raw("□") };
        let text =
            format!(" {bpm:.1} bpm (or {others}), beat {place}, {:.0} % sure", 100.0 * confidence);
        Line::from(vec![light, Span::raw(text)])
    }

    fn draw_spectrum(&self, frame: &mut Frame<'_>, area: Rect) {
        let bars: Vec<u64> =
            self.mel.iter().map(|db| (db + 80.0).clamp(0.0, 80.0) as u64).collect();
        let width = (area.width.saturating_sub(2) / (bars.len().max(1) as u16)).max(1);
        let group = BarGroup::default().bars(
            &bars.iter().map(|v| Bar::default().value(*v).text_value("")).collect::<Vec<_>>(),
        );
        let chart = BarChart::default()
            .data(group)
            .bar_width(width)
            .bar_gap(0)
            .max(80)
            .bar_style(Style::new().cyan())
            .block(Block::bordered().title("spectrum: mel bands, 80 dB"));
        frame.render_widget(chart, area);
    }

    fn draw_chroma(&self, frame: &mut Frame<'_>, area: Rect) {
        let bars: Vec<Bar<'_>> = self
            .chroma
            .iter()
            .zip(NOTES)
            .map(|(share, note)| {
                let value = if share.is_finite() { (100.0 * share) as u64 } else { 0 };
                Bar::default().value(value).text_value("").label(note)
            })
            .collect();
        let chart = BarChart::default()
            .data(BarGroup::default().bars(&bars))
            .bar_width(3)
            .max(100)
            .bar_style(Style::new().magenta())
            .block(Block::bordered().title("chroma"));
        frame.render_widget(chart, area);
    }
}

/// How hard it works, and how much it computes.
fn load(status: &PipelineStatus) -> String {
    let performance = &status.performance;
    let load = performance.load.load.map_or("load –".to_owned(), |load| {
        let [p50, p99, max] = [load.p50, load.p99, load.max].map(|x| 100.0 * x);
        format!("load p50 {p50:.1} % p99 {p99:.1} % max {max:.1} %")
    });
    let xruns = status.stream.as_ref().map_or(0, |stream| stream.stats.xruns);
    format!("{load}  xruns {xruns}  quality {} ({})", performance.level, performance.reason)
}
