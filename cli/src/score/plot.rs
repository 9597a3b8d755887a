//! Plots of empirical distribution functions.

use std::path::Path;

use anyhow::{Context, Result, bail};
use plotters::chart::{ChartBuilder, SeriesLabelPosition};
use plotters::drawing::IntoDrawingArea;
use plotters::element::PathElement;
use plotters::prelude::SVGBackend;
use plotters::series::LineSeries;
use plotters::style::{BLACK, BLUE, Color, RED, WHITE};
use scoring::{Sorted, ks};

/// Width and height of a panel in pixels.
const PANEL: (u32, u32) = (480, 320);
/// Panels side by side.
const COLUMNS: usize = 2;
/// Points of a curve.
const POINTS: usize = 1000;

/// Two samples and their names.
pub(crate) struct Pair {
    pub(crate) title: String,
    pub(crate) names: [String; 2],
    pub(crate) samples: [Sorted; 2],
}

/// Draws the distribution functions of each pair in a panel and marks where they are farthest apart.
pub(crate) fn plot(path: &Path, pairs: &[Pair]) -> Result<()> {
    if pairs.is_empty() {
        bail!("there is nothing to draw: no submissions were compared");
    }
    let columns = pairs.len().min(COLUMNS);
    let rows = pairs.len().div_ceil(columns);
    let size = (PANEL.0 * u32::try_from(columns)?, PANEL.1 * u32::try_from(rows)?);
    let area = SVGBackend::new(path, size).into_drawing_area();
    area.fill(&WHITE)?;
    for (panel, pair) in area.split_evenly((rows, columns)).iter().zip(pairs) {
        let statistic = ks::statistic(&pair.samples[0], &pair.samples[1]);
        let mut chart = ChartBuilder::on(panel)
            .caption(format!("{}: D = {statistic:.6}", pair.title), ("sans-serif", 16))
            .margin(12)
            .x_label_area_size(24)
            .y_label_area_size(36)
            .build_cartesian_2d(0.0..1.0, 0.0..1.0)?;
        chart.configure_mesh().x_labels(6).y_labels(6).draw()?;
        for ((sample, name), color) in pair.samples.iter().zip(&pair.names).zip([BLUE, RED]) {
            chart
                .draw_series(LineSeries::new(curve(sample), color))?
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color));
        }
        let (at, below, above) = gap(&pair.samples[0], &pair.samples[1]);
        chart.draw_series(LineSeries::new([(at, below), (at, above)], BLACK.stroke_width(2)))?;
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK)
            .draw()?;
    }
    area.present().with_context(|| format!("writing {}", path.display()))?;
    eprintln!("plot written to {}", path.display());
    Ok(())
}

/// The share of a sample's values that are at most x.
#[allow(clippy::cast_precision_loss, reason = "counts of values, and a picture")]
fn share(sample: &Sorted, x: f64) -> f64 {
    sample.values().partition_point(|value| *value <= x) as f64 / sample.values().len() as f64
}

#[allow(clippy::cast_precision_loss, reason = "a thousand points")]
fn curve(sample: &Sorted) -> Vec<(f64, f64)> {
    (0..=POINTS).map(|point| point as f64 / POINTS as f64).map(|x| (x, share(sample, x))).collect()
}

/// Where two distribution functions are farthest apart, with their values there.
fn gap(first: &Sorted, second: &Sorted) -> (f64, f64, f64) {
    let values = first.values().iter().chain(second.values());
    let gaps = values.map(|x| (*x, share(first, *x), share(second, *x)));
    gaps.max_by(|one, other| (one.1 - one.2).abs().total_cmp(&(other.1 - other.2).abs())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn the_gap_is_that_of_the_statistic() {
        let [first, second] =
            [vec![0.1, 0.2, 0.2, 0.9], vec![0.15, 0.3, 0.95]].map(|values| Sorted::new(values).unwrap());
        let (at, below, above) = gap(&first, &second);
        assert!((at - 0.2).abs() < f64::EPSILON);
        assert!(((below - above).abs() - ks::statistic(&first, &second)).abs() < 1e-15);
    }
}
