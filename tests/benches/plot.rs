//! The curves of a run as pictures.

use std::ops::Range;
use std::path::Path;

use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

use crate::Outcome;
use crate::curve::{Axis, Curve, Scale};

const SIZE: (u32, u32) = (800, 480);
const TEXT: (&str, u32) = ("sans-serif", 15);

/// Of one line each, in this order.
const COLOURS: [RGBColor; 3] = [BLUE, RED, BLACK];

/// Draws it as `<name>.svg` in the folder.
pub(crate) fn draw(curve: &Curve, folder: &Path) -> Outcome<()> {
    let file = folder.join(format!("{}.svg", curve.name));
    let points = || curve.lines.iter().flat_map(|line| &line.points);
    let x = range(curve.x, points().map(|point| point.0));
    let y = range(curve.y, points().map(|point| point.1));
    match (curve.x.scale, curve.y.scale) {
        (Scale::Linear, Scale::Linear) => on(curve, &file, x, y),
        (Scale::Linear, Scale::Logarithmic) => on(curve, &file, x, y.log_scale()),
        (Scale::Logarithmic, Scale::Linear) => on(curve, &file, x.log_scale(), y),
        (Scale::Logarithmic, Scale::Logarithmic) => on(curve, &file, x.log_scale(), y.log_scale()),
    }
}

/// From zero, or from the power of ten below, to more than the most, so that the legend has room.
fn range(axis: Axis, values: impl Iterator<Item = f64> + Clone) -> Range<f64> {
    let most = values.clone().fold(f64::MIN_POSITIVE, f64::max);
    match axis.scale {
        Scale::Linear => 0.0..most * 1.25,
        Scale::Logarithmic => {
            let least = values.fold(most, f64::min).max(f64::MIN_POSITIVE);
            10_f64.powf(least.log10().floor())..10_f64.powf(most.log10().ceil() + 0.01)
        }
    }
}

fn on<X, Y>(curve: &Curve, file: &Path, x: X, y: Y) -> Outcome<()>
where
    X: AsRangedCoord<Value = f64>,
    Y: AsRangedCoord<Value = f64>,
    X::CoordDescType: ValueFormatter<f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut builder = ChartBuilder::on(&area);
    builder.margin(15).x_label_area_size(45).y_label_area_size(75);
    let mut chart = builder.build_cartesian_2d(x, y)?;
    let mut mesh = chart.configure_mesh();
    mesh.x_desc(curve.x.is).y_desc(curve.y.is).label_style(TEXT).axis_desc_style(TEXT);
    mesh.x_label_formatter(&label).y_label_formatter(&label).draw()?;
    for (line, colour) in curve.lines.iter().zip(COLOURS.iter().cycle()) {
        let points = line.points.iter().copied();
        let drawn = chart.draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))?;
        drawn
            .label(line.of)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
        // So many that they touch say nothing that the line does not.
        if line.points.len() <= FEW_POINTS {
            chart.draw_series(points.map(|point| Circle::new(point, 3, colour.filled())))?;
        }
    }
    let mut legend = chart.configure_series_labels();
    legend.position(SeriesLabelPosition::UpperMiddle).label_font(TEXT);
    legend.background_style(WHITE.mix(0.8)).border_style(BLACK.mix(0.3)).draw()?;
    area.present()?;
    Ok(())
}

const FEW_POINTS: usize = 20;

fn label(value: &f64) -> String {
    if *value < 10.0 && value.fract() != 0.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.0}")
    }
}
