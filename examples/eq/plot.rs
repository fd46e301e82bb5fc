//! What was heard and done, as a picture.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};
use upbeat::eq::ToneCurve;

use crate::Failure;

pub(crate) struct Picture {
    pub(crate) title: String,
    /// Frequency in Hz and level above music on average in dB.
    pub(crate) input: Vec<(f64, f64)>,
    pub(crate) estimated: ToneCurve,
    pub(crate) target: ToneCurve,
    /// By seconds.
    pub(crate) applied: Vec<(f64, ToneCurve)>,
}

const SIZE: (u32, u32) = (1280, 760);

/// Gains shown in the heat map, in dB.
const RANGE: f64 = 6.0;

impl Picture {
    pub(crate) fn draw(&self, path: &Path) -> Result<(), Failure> {
        register_font("sans-serif", FontStyle::Normal, ttf_noto_sans::REGULAR)
            .map_err(|_| "the font does not load")?;
        let area = BitMapBackend::new(path, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let (upper, lower) = area.split_vertically(400);

        let mut chart = ChartBuilder::on(&upper)
            .caption(&self.title, ("sans-serif", 20))
            .margin(8)
            .x_label_area_size(24)
            .y_label_area_size(60)
            .build_cartesian_2d((20.0..20_000.0).log_scale(), -15.0..15.0)?;
        chart
            .configure_mesh()
            .light_line_style(RGBColor(240, 240, 240))
            .x_label_formatter(&|f| hertz(*f))
            .y_desc("dB")
            .label_style(("sans-serif", 14))
            .draw()?;
        let last = self.applied.last().map(|(_, curve)| *curve).unwrap_or_default();
        let input = self.input.iter().map(|(f, db)| (f.max(20.0), db.clamp(-15.0, 15.0)));
        for (name, color, points) in [
            ("input, above music on average", RGBColor(170, 170, 170), input.collect()),
            ("estimated tone", RGBColor(31, 119, 180), points(&self.estimated)),
            ("target", RGBColor(44, 160, 44), points(&self.target)),
            ("applied at the end", RGBColor(214, 39, 40), points(&last)),
        ] {
            let points: Vec<(f64, f64)> = points;
            chart.draw_series(LineSeries::new(points, color.stroke_width(2)))?.label(name).legend(
                move |(x, y)| PathElement::new([(x, y), (x + 20, y)], color.stroke_width(2)),
            );
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerLeft)
            .label_font(("sans-serif", 14))
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.2))
            .draw()?;

        let end = self.applied.last().map_or(1.0, |(seconds, _)| *seconds);
        let mut map = ChartBuilder::on(&lower)
            .caption(
                format!("applied over time: blue cuts, red boosts, up to {RANGE} dB"),
                ("sans-serif", 18),
            )
            .margin(8)
            .x_label_area_size(36)
            .y_label_area_size(60)
            .build_cartesian_2d(0.0..end, (20.0..20_000.0).log_scale())?;
        map.configure_mesh()
            .disable_mesh()
            .x_desc("seconds")
            .y_label_formatter(&|f| hertz(*f))
            .label_style(("sans-serif", 14))
            .draw()?;
        let plane = map.plotting_area();
        // As many columns as one can see.
        let step = self.applied.len().div_ceil(600).max(1);
        let columns: Vec<&(f64, ToneCurve)> = self.applied.iter().step_by(step).collect();
        for (n, (from, curve)) in columns.iter().enumerate() {
            let to = columns.get(n + 1).map_or(end, |(seconds, _)| *seconds);
            for k in (0..ToneCurve::POINTS - 1).step_by(2) {
                let high = ToneCurve::frequency((k + 2).min(ToneCurve::POINTS - 1));
                let corners = [(*from, ToneCurve::frequency(k)), (to, high)];
                plane.draw(&Rectangle::new(corners, color(curve.gains()[k]).filled()))?;
            }
        }
        area.present()?;
        Ok(())
    }
}

fn points(curve: &ToneCurve) -> Vec<(f64, f64)> {
    ToneCurve::frequencies().zip(curve.gains().map(|gain| gain.clamp(-15.0, 15.0))).collect()
}

/// Blue for cuts, white for nothing, red for boosts.
fn color(gain: f64) -> RGBColor {
    let strength = (gain / RANGE).clamp(-1.0, 1.0);
    let pale = (255.0 * (1.0 - strength.abs())) as u8;
    if strength < 0.0 { RGBColor(pale, pale, 255) } else { RGBColor(255, pale, pale) }
}

fn hertz(f: f64) -> String {
    if f >= 1000.0 { format!("{:.0} kHz", f / 1000.0) } else { format!("{f:.0} Hz") }
}
