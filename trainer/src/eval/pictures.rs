//! Pictures where people look: slices of fields, the loss curve. PNG.

use std::cmp::Ordering;
use std::path::Path;
use std::sync::Once;

use anyhow::{Context, Result, anyhow};
use plotters::prelude::*;

use crate::files::write_atomically;

/// A field to draw, by slices along its first dimension, or all of it if it has two.
pub struct Slice<'a> {
    /// `[D, H, W, out]` or `[H, W, out]`.
    pub values: &'a [f32],
    /// Without `out`.
    pub dims: &'a [usize],
    /// Values per point, of which the first is drawn.
    pub outputs: usize,
}

/// One panel of a picture.
struct Panel {
    title: String,
    pixels: Vec<f64>,
    range: (f64, f64),
    map: fn(f64) -> RGBColor,
}

const PANEL: u32 = 380;
const MARGIN: u32 = 24;
const HEADER: u32 = 64;
const LEGEND: u32 = 70;
pub(super) const INK: RGBColor = RGBColor(40, 40, 48);
/// NaN.
const MISSING: RGBColor = RGBColor(200, 200, 200);

impl Slice<'_> {
    /// Height and width.
    pub(super) fn size(&self) -> (usize, usize) {
        let [.., height, width] = self.dims else { return (1, self.dims[0]) };
        (*height, *width)
    }

    /// Slices along the first of three dimensions.
    pub(super) fn count(&self) -> usize {
        let (height, width) = self.size();
        self.values.len() / (height * width * self.outputs).max(1)
    }

    /// The values of a slice, row by row.
    pub(super) fn pixels(&self, index: usize) -> Vec<f64> {
        let (height, width) = self.size();
        let start = index * height * width;
        (start..start + height * width).map(|i| f64::from(self.values[i * self.outputs])).collect()
    }
}

/// Truth, prediction and their difference side by side; `scale` turns normalised values into
/// physical ones.
///
/// # Errors
/// If the picture cannot be written.
pub fn comparison(
    path: &Path,
    title: &str,
    truth: &Slice<'_>,
    prediction: &Slice<'_>,
    scale: impl Fn(f32) -> f64,
) -> Result<()> {
    let physical = |slice: &Slice<'_>| -> Vec<f64> {
        slice.pixels(slice.count() / 2).into_iter().map(|v| scale(v as f32)).collect()
    };
    let (truth_pixels, prediction_pixels) = (physical(truth), physical(prediction));
    let range = range_of(&truth_pixels);
    let error: Vec<f64> = prediction_pixels.iter().zip(&truth_pixels).map(|(p, t)| p - t).collect();
    let worst = error.iter().fold(0.0f64, |worst, e| worst.max(e.abs())).max(f64::MIN_POSITIVE);
    let panel = |title: &str, pixels, range, map| Panel { title: title.into(), pixels, range, map };
    let panels = [
        panel("truth", truth_pixels, range, viridis),
        panel("prediction", prediction_pixels, range, viridis),
        panel("prediction - truth", error, (-worst, worst), diverging),
    ];
    draw(path, title, &panels, truth.size())
}

/// One field.
///
/// # Errors
/// If the picture cannot be written.
pub fn field(path: &Path, title: &str, slice: &Slice<'_>) -> Result<()> {
    let pixels = slice.pixels(slice.count() / 2);
    let range = range_of(&pixels);
    let panel = Panel { title: String::new(), pixels, range, map: viridis };
    draw(path, title, &[panel], slice.size())
}

/// The loss over the steps, logarithmic.
///
/// # Errors
/// If the picture cannot be written.
pub fn loss_curve(path: &Path, points: &[(u64, f64)]) -> Result<()> {
    let usable: Vec<_> =
        points.iter().filter(|(_, loss)| *loss > 0.0 && loss.is_finite()).collect();
    let (Some(first), Some(last)) = (usable.first(), usable.last()) else { return Ok(()) };
    let lowest = usable.iter().fold(f64::INFINITY, |low, point| low.min(point.1));
    let highest = usable.iter().fold(0.0f64, |high, point| high.max(point.1));
    let steps = first.0 as f64..(last.0.max(first.0 + 1)) as f64;
    picture(path, (900, 560), |area| {
        let mut chart = ChartBuilder::on(area)
            .caption(
                "training loss (mean squared error)",
                ("sans-serif", 24).into_font().color(&INK),
            )
            .margin(20)
            .x_label_area_size(48)
            .y_label_area_size(80)
            .build_cartesian_2d(steps, (lowest * 0.8..highest * 1.2).log_scale())?;
        chart
            .configure_mesh()
            .x_desc("step")
            .y_desc("loss")
            .label_style(("sans-serif", 16).into_font().color(&INK))
            .x_label_formatter(&|step| format!("{step:.0}"))
            .y_label_formatter(&|loss| format!("{loss:.1e}"))
            .light_line_style(WHITE)
            .draw()?;
        let line = usable.iter().map(|(step, loss)| (*step as f64, *loss));
        chart.draw_series(LineSeries::new(line, RGBColor(33, 102, 172).stroke_width(2)))?;
        Ok(())
    })
}

pub(super) type Area<'a> = DrawingArea<BitMapBackend<'a>, plotters::coord::Shift>;

fn draw(path: &Path, title: &str, panels: &[Panel], size: (usize, usize)) -> Result<()> {
    let count = panels.len() as u32;
    let (height, width) = size;
    let aspect = (height as f64 / width.max(1) as f64).clamp(0.2, 3.0);
    let panel_height = (f64::from(PANEL) * aspect) as u32;
    let total = (MARGIN + count * (PANEL + LEGEND + MARGIN), HEADER + 28 + panel_height + MARGIN);
    picture(path, total, |area| {
        let style = ("sans-serif", 22).into_font().color(&INK);
        area.draw(&Text::new(title.to_owned(), (MARGIN as i32, 20), style))?;
        for (i, panel) in panels.iter().enumerate() {
            let left = MARGIN + i as u32 * (PANEL + LEGEND + MARGIN);
            draw_panel(area, panel, size, (left as i32, HEADER as i32), (PANEL, panel_height))?;
        }
        Ok(())
    })
}

/// One panel with its title and legend. The first row of the field is at the bottom: y points up.
fn draw_panel(
    area: &Area<'_>,
    panel: &Panel,
    (height, width): (usize, usize),
    (left, top): (i32, i32),
    (wide, tall): (u32, u32),
) -> Result<()> {
    let style = ("sans-serif", 18).into_font().color(&INK);
    area.draw(&Text::new(panel.title.clone(), (left, top), style))?;
    let top = top + 28;
    let (low, high) = panel.range;
    for y in 0..tall {
        let row = height - 1 - (y as usize * height / tall as usize).min(height - 1);
        for x in 0..wide {
            let column = (x as usize * width / wide as usize).min(width - 1);
            let color = shade(panel.pixels[row * width + column], panel.range, panel.map);
            area.draw_pixel((left + x as i32, top + y as i32), &color)?;
        }
        let legend = (panel.map)(1.0 - f64::from(y) / f64::from(tall));
        for x in 0..12 {
            area.draw_pixel((left + wide as i32 + 8 + x, top + y as i32), &legend)?;
        }
    }
    let label = ("sans-serif", 14).into_font().color(&INK);
    for (value, y) in
        [(high, 0), ((low + high) / 2.0, tall as i32 / 2 - 7), (low, tall as i32 - 14)]
    {
        let at = (left + wide as i32 + 24, top + y);
        area.draw(&Text::new(short(value), at, label.clone()))?;
    }
    Ok(())
}

/// Draws on white and writes the PNG, atomically.
pub(super) fn picture(
    path: &Path,
    (width, height): (u32, u32),
    body: impl FnOnce(&Area<'_>) -> Result<()>,
) -> Result<()> {
    register_font()?;
    let mut pixels = vec![255u8; (width * height * 3) as usize];
    {
        let area = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
        body(&area)?;
        area.present()?;
    }
    let bytes = encode(&pixels, (width, height))
        .with_context(|| format!("cannot encode {}", path.display()))?;
    write_atomically(path, &bytes)
}

/// A PNG of `pixels`, three bytes each.
pub(super) fn encode(pixels: &[u8], size: (u32, u32)) -> Result<Vec<u8>> {
    encode_as(pixels, size, png::ColorType::Rgb)
}

/// A PNG of `pixels`, four bytes each, the last one opacity.
///
/// # Errors
/// If there are not as many as `size` says.
pub fn encode_rgba(pixels: &[u8], size: (u32, u32)) -> Result<Vec<u8>> {
    encode_as(pixels, size, png::ColorType::Rgba)
}

fn encode_as(pixels: &[u8], (width, height): (u32, u32), color: png::ColorType) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(color);
    encoder.write_header().and_then(|mut writer| writer.write_image_data(pixels))?;
    Ok(bytes)
}

/// The colour of `value`, where `map` covers `range`.
pub fn shade(value: f64, (low, high): (f64, f64), map: fn(f64) -> RGBColor) -> RGBColor {
    let place = ((value - low) / (high - low).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
    if place.is_nan() { MISSING } else { map(place) }
}

/// Text needs a font, and headless machines have none.
fn register_font() -> Result<()> {
    static ONCE: Once = Once::new();
    let mut result = Ok(());
    ONCE.call_once(|| {
        let font = epaint_default_fonts::UBUNTU_LIGHT;
        result = plotters::style::register_font("sans-serif", FontStyle::Normal, font)
            .map_err(|_| anyhow!("the built-in font cannot be read"));
    });
    result
}

pub(super) fn range_of(values: &[f64]) -> (f64, f64) {
    let finite = || values.iter().filter(|value| value.is_finite());
    let low = finite().fold(f64::INFINITY, |low, &v| low.min(v));
    let high = finite().fold(f64::NEG_INFINITY, |high, &v| high.max(v));
    match low.total_cmp(&high) {
        Ordering::Less => (low, high),
        Ordering::Equal => (low - 0.5, low + 0.5),
        Ordering::Greater => (0.0, 1.0),
    }
}

pub(super) fn short(value: f64) -> String {
    match value.abs() {
        a if a >= 1e4 || (a < 1e-2 && a > 0.0) => format!("{value:.1e}"),
        _ => format!("{value:.2}"),
    }
}

/// The colour map of values, from 0 to 1.
pub fn viridis(t: f64) -> RGBColor {
    ViridisRGB.get_color(t)
}

/// Blue below, white at the middle, red above.
pub(super) fn diverging(t: f64) -> RGBColor {
    let ends = if t < 0.5 { [33.0, 102.0, 172.0] } else { [178.0, 24.0, 43.0] };
    let strength = (2.0 * t - 1.0).abs();
    let [r, g, b] = ends.map(|end| (255.0 + (end - 255.0) * strength) as u8);
    RGBColor(r, g, b)
}
