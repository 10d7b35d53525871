//! Several courses in one picture.

use std::path::Path;

use anyhow::Result;
use plotters::prelude::*;

use super::pictures::{INK, picture, range_of};

/// One of them.
pub struct Course {
    /// For the legend.
    pub name: String,
    /// Points, from left to right.
    pub points: Vec<(f64, f64)>,
}

/// Draws all that have points; nothing if none has.
///
/// # Errors
/// If the picture cannot be written.
pub fn draw(path: &Path, [title, across, up]: [&str; 3], courses: &[Course]) -> Result<()> {
    let points = || courses.iter().flat_map(|course| &course.points);
    if points().next().is_none() {
        return Ok(());
    }
    let (left, right) = range_of(&points().map(|point| point.0).collect::<Vec<_>>());
    let (low, high) = range_of(&points().map(|point| point.1).collect::<Vec<_>>());
    let room = 0.05 * (high - low);
    picture(path, (1000, 600), |area| {
        let mut chart = ChartBuilder::on(area)
            .caption(title, ("sans-serif", 24).into_font().color(&INK))
            .margin(20)
            .x_label_area_size(48)
            .y_label_area_size(80)
            .build_cartesian_2d(left..right, low - room..high + room)?;
        chart
            .configure_mesh()
            .x_desc(across)
            .y_desc(up)
            .label_style(("sans-serif", 16).into_font().color(&INK))
            .light_line_style(WHITE)
            .draw()?;
        for (n, course) in courses.iter().enumerate() {
            let color = Palette99::pick(n).to_rgba();
            let line = LineSeries::new(course.points.iter().copied(), color.stroke_width(2));
            // A course of one point is no line.
            let dots = course.points.iter().map(|&point| Circle::new(point, 3, color.filled()));
            chart.draw_series(dots)?;
            chart.draw_series(line)?.label(&course.name).legend(move |(x, y)| {
                PathElement::new(vec![(x, y), (x + 20, y)], color.stroke_width(3))
            });
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE.mix(0.85))
            .border_style(RGBColor(200, 200, 200))
            .label_font(("sans-serif", 15).into_font().color(&INK))
            .draw()?;
        Ok(())
    })
}
