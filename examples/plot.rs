//! Draws the mel spectrogram and the chroma of a song, with its onsets marked, into a PNG.
//!
//! ```sh
//! cargo run --release --example plot -- docs/demo.png              # the built-in demo
//! cargo run --release --example plot -- picture.png SONG.mp3 20    # the first 20 s of a song
//! ```

use std::error::Error;

use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};
use upbeat::core::SampleRate;
use upbeat::io::demo::DemoSource;
use upbeat::io::{FileSource, Source};
use upbeat::{Analyzer, AnalyzerConfig, Feature};

const SIZE: (u32, u32) = (1280, 640);
const PITCH_CLASSES: [&str; 12] = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let picture = arguments.next().ok_or("usage: plot PICTURE.png [SONG [SECONDS]]")?;
    let song = arguments.next();
    let seconds: f64 = arguments.next().map_or(Ok(16.0), |text| text.parse())?;

    let title = song.clone().unwrap_or("the built-in demo".into());
    let source: Box<dyn Source> = match song {
        Some(path) => Box::new(FileSource::open(path)?),
        None => Box::new(DemoSource::new(SampleRate::new(44_100)?)?),
    };
    draw(&picture, &title, &analyze(source, seconds)?)?;
    println!("{picture}");
    Ok(())
}

/// The frames of a song, each with its time in seconds.
struct Analysis {
    times: Vec<f64>,
    log_mel: Vec<Vec<f32>>,
    chroma: Vec<Vec<f32>>,
    onsets: Vec<f64>,
}

fn analyze(mut source: Box<dyn Source>, seconds: f64) -> Result<Analysis, Box<dyn Error>> {
    let format = source.format();
    let rate = format.sample_rate();
    let features = [Feature::LogMel, Feature::ChromaStft, Feature::Onset];
    let config = AnalyzerConfig::new(rate.hz(), format.channels()).with_features(features);
    let mut analyzer = Analyzer::new(&config)?;
    let mut analysis = Analysis { times: vec![], log_mel: vec![], chroma: vec![], onsets: vec![] };
    let mut buffer = vec![0.0; 4096 * format.channels()];
    while let Some(block) = source.read(&mut buffer)? {
        if block.at.seconds(rate) >= seconds {
            break;
        }
        analyzer.process(block.at, block.interleaved, |frame| {
            analysis.times.push(frame.seconds());
            analysis.log_mel.push(frame.values(Feature::LogMel).to_vec());
            analysis.chroma.push(frame.values(Feature::ChromaStft).to_vec());
            if frame.value(Feature::Onset).is_some() {
                let at = frame.refers_to(Feature::Onset).unwrap_or(frame.at());
                analysis.onsets.push(at.seconds(rate));
            }
        })?;
    }
    Ok(analysis)
}

fn draw(picture: &str, title: &str, analysis: &Analysis) -> Result<(), Box<dyn Error>> {
    register_font("sans-serif", FontStyle::Normal, ttf_noto_sans::REGULAR)
        .map_err(|_| "the font does not load")?;
    let end = analysis.times.last().copied().ok_or("the song is shorter than one frame")?;
    let area = BitMapBackend::new(picture, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let (upper, lower) = area.split_vertically(380);

    let bands = analysis.log_mel[0].len();
    let loudest = analysis.log_mel.iter().flatten().copied().fold(f32::MIN, f32::max);
    let mut mel = ChartBuilder::on(&upper)
        .caption(
            format!("{title}: mel spectrogram (80 dB) with onsets marked above"),
            ("sans-serif", 20),
        )
        .margin(8)
        .x_label_area_size(24)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..end, 0.0..bands as f64)?;
    mel.configure_mesh()
        .disable_mesh()
        .x_label_formatter(&|seconds| format!("{seconds:.0}"))
        .y_desc("mel band")
        .y_label_formatter(&|band| format!("{band:.0}"))
        .label_style(("sans-serif", 14))
        .draw()?;
    draw_cells(&mel, analysis, &analysis.log_mel, |level| 1.0 + (level - loudest) / 80.0)?;
    mel.draw_series(analysis.onsets.iter().map(|time| {
        let mark = [(*time, bands as f64 * 0.95), (*time, bands as f64)];
        PathElement::new(mark, WHITE.stroke_width(2))
    }))?;

    let mut chroma = ChartBuilder::on(&lower)
        .caption("chroma", ("sans-serif", 20))
        .margin(8)
        .x_label_area_size(36)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..end, 0.0..12.0)?;
    chroma
        .configure_mesh()
        .disable_mesh()
        .x_desc("seconds")
        .y_labels(12)
        .x_label_formatter(&|seconds| format!("{seconds:.0}"))
        .y_label_formatter(&|class| PITCH_CLASSES[(*class as usize).min(11)].into())
        .label_style(("sans-serif", 14))
        .draw()?;
    draw_cells(&chroma, analysis, &analysis.chroma, |strength| strength)?;
    area.present()?;
    Ok(())
}

type Chart<'a, 'b> = ChartContext<
    'a,
    BitMapBackend<'b>,
    Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
>;

/// One coloured cell per frame and value, by `brightness` from 0 to 1.
fn draw_cells(
    chart: &Chart<'_, '_>,
    analysis: &Analysis,
    frames: &[Vec<f32>],
    brightness: impl Fn(f32) -> f32,
) -> Result<(), Box<dyn Error>> {
    let plane = chart.plotting_area();
    let step = analysis.times.get(1).map_or(1.0, |second| second - analysis.times[0]);
    for (time, values) in analysis.times.iter().zip(frames) {
        for (row, value) in values.iter().enumerate() {
            let corners = [(*time, row as f64), (*time + step, row as f64 + 1.0)];
            let color = inferno(brightness(*value).clamp(0.0, 1.0));
            plane.draw(&Rectangle::new(corners, color.filled()))?;
        }
    }
    Ok(())
}

/// From black over purple and orange to light yellow, evenly in brightness: a few points of
/// matplotlib's colour map *inferno* (CC0), joined by lines.
fn inferno(x: f32) -> RGBColor {
    const POINTS: [[f32; 3]; 6] = [
        [0.0, 0.0, 4.0],
        [66.0, 10.0, 104.0],
        [147.0, 38.0, 103.0],
        [221.0, 81.0, 58.0],
        [252.0, 165.0, 10.0],
        [252.0, 255.0, 164.0],
    ];
    let place = x * (POINTS.len() - 1) as f32;
    let left = (place as usize).min(POINTS.len() - 2);
    let mix = |i: usize| {
        let (from, to) = (POINTS[left][i], POINTS[left + 1][i]);
        (from + (to - from) * (place - left as f32)) as u8
    };
    RGBColor(mix(0), mix(1), mix(2))
}
