//! The evaluation as one HTML page that needs nothing beside it: summaries, slices of truth,
//! prediction and error to leaf through, the error over each parameter, the loss curve, all members.

use std::fmt::Write;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::pictures::{Slice, diverging, encode, range_of, shade, short, viridis};
use super::report::{Report, decibels, shown};
use crate::data::{Ensemble, Split};

/// Slices of a member that can be leafed through, at most.
const MOST_SLICES: usize = 25;

/// Widest or tallest drawn part of a slice, in pixels; of larger ones every n-th point is shown.
const LARGEST: usize = 256;

/// Pixels between truth, prediction and error.
const GAP: usize = 4;

/// Width and height of a plot over one parameter, and the room for its labels.
const PLOT: (f64, f64) = (280.0, 170.0);
const LABELS: (f64, f64) = (44.0, 34.0);

/// What a page shows beside the scores.
pub struct Page<'a> {
    /// The run, for the heading.
    pub run: String,
    /// Steps of its training.
    pub steps: u64,
    /// Scores of all members, in the order in which they were added to the report.
    pub report: &'a Report,
    /// The members that were judged.
    pub ensemble: &'a Ensemble,
    /// Members to look at.
    pub views: Vec<View>,
    /// The picture of the loss, PNG.
    pub loss: Option<Vec<u8>>,
}

/// One member's slices.
pub struct View {
    name: String,
    /// PNGs of truth, prediction and error side by side, along the first dimension.
    slices: Vec<Vec<u8>>,
    /// Which slices of the field they are.
    indices: Vec<usize>,
    range: (f64, f64),
    worst: f64,
}

impl View {
    /// Of a picture that is drawn already, PNG.
    pub fn of_picture(name: &str, png: Vec<u8>, range: (f64, f64), worst: f64) -> Self {
        Self { name: name.to_owned(), slices: vec![png], indices: vec![0], range, worst }
    }

    /// `scale` turns normalised values into physical ones. Colours mean the same in all slices.
    ///
    /// # Errors
    /// If a picture cannot be encoded.
    pub fn new(
        name: &str,
        truth: &Slice<'_>,
        prediction: &Slice<'_>,
        scale: impl Fn(f32) -> f64,
    ) -> Result<Self> {
        let physical = |field: &Slice<'_>, index| -> Vec<f64> {
            field.pixels(index).into_iter().map(|v| scale(v as f32)).collect()
        };
        let all: Vec<f64> = (0..truth.count()).flat_map(|n| physical(truth, n)).collect();
        let range = range_of(&all);
        let shown = truth.count().min(MOST_SLICES);
        let last = (truth.count() - 1) as f64 / (shown.max(2) - 1) as f64;
        let indices: Vec<_> = (0..shown).map(|n| (n as f64 * last).round() as usize).collect();
        let pairs: Vec<_> =
            indices.iter().map(|&n| (physical(truth, n), physical(prediction, n))).collect();
        let errors = pairs.iter().flat_map(|(t, p)| t.iter().zip(p)).map(|(t, p)| (p - t).abs());
        let worst = errors.fold(f64::MIN_POSITIVE, f64::max);
        let slices = pairs
            .iter()
            .map(|(truth_pixels, prediction)| {
                side_by_side(truth_pixels, prediction, truth.size(), range, worst)
            })
            .collect::<Result<_>>()?;
        Ok(Self { name: name.to_owned(), slices, indices, range, worst })
    }
}

/// A PNG of truth, prediction and error; the first row is at the bottom: y points up.
fn side_by_side(
    truth: &[f64],
    prediction: &[f64],
    (height, width): (usize, usize),
    range: (f64, f64),
    worst: f64,
) -> Result<Vec<u8>> {
    let step = height.max(width).div_ceil(LARGEST);
    let (tall, wide) = (height.div_ceil(step), width.div_ceil(step));
    let full = 3 * wide + 2 * GAP;
    let mut pixels = vec![255u8; tall * full * 3];
    for y in 0..tall {
        for x in 0..wide {
            let at = (height - 1 - y * step) * width + x * step;
            let colors = [
                shade(truth[at], range, viridis),
                shade(prediction[at], range, viridis),
                shade(prediction[at] - truth[at], (-worst, worst), diverging),
            ];
            for (column, color) in colors.into_iter().enumerate() {
                let pixel = (y * full + column * (wide + GAP) + x) * 3;
                pixels[pixel..pixel + 3].copy_from_slice(&[color.0, color.1, color.2]);
            }
        }
    }
    encode(&pixels, (u32::try_from(full)?, u32::try_from(tall)?)).context("cannot encode a slice")
}

impl Page<'_> {
    /// The page.
    pub fn html(&self) -> String {
        let title = format!("{}: evaluation after {} steps", self.run, self.steps);
        let mut html = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{0}</title>\n<style>{STYLE}</style></head><body>\n<h1>{0}</h1>\n",
            escape(&title)
        );
        let _ = writeln!(html, "<pre>{}</pre>", escape(&self.report.text()));
        self.write_views(&mut html);
        self.write_plots(&mut html);
        if let Some(loss) = &self.loss {
            let _ = writeln!(
                html,
                "<h2>Training</h2>\n<img alt=\"loss curve\" src=\"{}\">",
                data(loss)
            );
        }
        self.write_members(&mut html);
        let _ = writeln!(html, "<script>{SCRIPT}</script>\n</body></html>");
        html
    }

    fn write_views(&self, html: &mut String) {
        if self.views.is_empty() {
            return;
        }
        let value = &self.ensemble.values[0];
        let unit = if value.unit.is_empty() { String::new() } else { format!(" [{}]", value.unit) };
        let name = escape(&format!("{}{unit}", value.name));
        let _ = writeln!(html, "<h2>Held-out members: {name}</h2>");
        for View { name, slices, indices, range, worst } in &self.views {
            let (low, high, worst) = (short(range.0), short(range.1), short(*worst));
            let _ = writeln!(
                html,
                "<figure><figcaption><b>{}</b>: truth, prediction ({low} to {high}), prediction - \
                 truth (-{worst} to {worst})</figcaption>",
                escape(name)
            );
            for (n, slice) in slices.iter().enumerate() {
                let hidden = if n == slices.len() / 2 { "" } else { " hidden" };
                let _ = writeln!(
                    html,
                    "<img class=\"slice\" alt=\"slice {0}\" data-slice=\"{0}\"{hidden} src=\"{1}\">",
                    indices[n],
                    data(slice)
                );
            }
            if slices.len() > 1 {
                let (last, middle) = (slices.len() - 1, slices.len() / 2);
                let _ = writeln!(
                    html,
                    "<label>slice <input type=\"range\" min=\"0\" max=\"{last}\" value=\"{middle}\"> \
                     <output>{}</output></label>",
                    indices[middle]
                );
            }
            html.push_str("</figure>\n");
        }
    }

    /// PSNR of each member over each parameter.
    fn write_plots(&self, html: &mut String) {
        let (ensemble, scores) = (self.ensemble, self.report.last_scores());
        let psnr = scores.iter().map(|(_, score)| score.psnr());
        let (low, high) = range_of(&psnr.collect::<Vec<_>>());
        let validation = match ensemble.validation().next() {
            Some(_) => ", <span class=\"validation\">validation</span>",
            None => "",
        };
        let _ = writeln!(
            html,
            "<h2>Error over the parameters</h2>\n<p>PSNR [dB] of <span \
             class=\"train\">training</span>{validation} and <span class=\"test\">held-out</span> \
             members.</p>"
        );
        for (p, parameter) in ensemble.parameters.iter().enumerate() {
            let ((wide, tall), (left, below)) = (PLOT, LABELS);
            let _ = write!(
                html,
                "<svg width=\"{}\" height=\"{}\" role=\"img\"><rect x=\"{left}\" y=\"4\" \
                 width=\"{wide}\" height=\"{tall}\"/>",
                left + wide + 8.0,
                tall + below + 4.0
            );
            for split in Split::ALL {
                let class = split.name();
                for (member, score) in &scores {
                    let member = &ensemble.members[*member];
                    if member.split != split {
                        continue;
                    }
                    let x = left + wide * parameter.normalize(member.parameters[p]);
                    let y = 4.0 + tall * (high - score.psnr()) / (high - low);
                    let _ = write!(
                        html,
                        "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"><title>{}: \
                         {:.2} dB</title></circle>",
                        escape(&member.name),
                        score.psnr()
                    );
                }
            }
            let name = match parameter.unit.as_str() {
                "" => parameter.name.clone(),
                unit => format!("{} [{unit}]", parameter.name),
            };
            let texts = [
                (left - 6.0, 14.0, "end", short(high)),
                (left - 6.0, 4.0 + tall, "end", short(low)),
                (left, tall + 18.0, "start", short(parameter.min)),
                (left + wide, tall + 18.0, "end", short(parameter.max)),
                (left + wide / 2.0, tall + 32.0, "middle", name),
            ];
            for (x, y, anchor, text) in texts {
                let text = escape(&text);
                let _ = write!(
                    html,
                    "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{text}</text>"
                );
            }
            html.push_str("</svg>\n");
        }
    }

    fn write_members(&self, html: &mut String) {
        html.push_str(
            "<h2>Members</h2>\n<table><tr><th>member<th>split<th>PSNR [dB]<th>SSIM<th>relative L2\
             <th>max. error<th>spectrum",
        );
        for parameter in &self.ensemble.parameters {
            let _ = write!(html, "<th>{}", escape(&parameter.name));
        }
        for (member, score) in self.report.last_scores() {
            let member = &self.ensemble.members[member];
            let _ = write!(
                html,
                "\n<tr><td>{}<td>{}<td>{:.2}<td>{}<td>{:.5}<td>{}<td>{}",
                escape(&member.name),
                member.split.name(),
                score.psnr(),
                shown(score.ssim),
                score.relative_l2(),
                short(score.max_error),
                decibels(score.spectrum)
            );
            for value in &member.parameters {
                let _ = write!(html, "<td>{value}");
            }
        }
        html.push_str("\n</table>\n");
    }
}

/// A picture as it stands in HTML.
pub(crate) fn data(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(png))
}

/// Text as it stands in HTML.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

pub(crate) const STYLE: &str = "\
body{font:16px/1.5 system-ui,sans-serif;color:#282830;max-width:1100px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2rem}pre{background:#f4f4f6;padding:1rem;overflow-x:auto}
figure{margin:1rem 0}.slice{width:100%;image-rendering:pixelated;display:block}[hidden]{display:none}
input[type=range]{width:60%;vertical-align:middle}img{max-width:100%}
svg rect{fill:#f4f4f6}svg text{font-size:12px;fill:#282830}
circle.train{fill:#9a9aa6}circle.validation{fill:#3b7dd8}circle.test{fill:#d1495b}span.train{color:#6d6d78}span.validation{color:#3b7dd8}span.test{color:#d1495b}
span{font-weight:bold}table{border-collapse:collapse;font-size:.85rem;display:block;overflow-x:auto}
th,td{padding:.2rem .6rem;text-align:right;border-bottom:1px solid #ddd;white-space:nowrap}";

const SCRIPT: &str = "\
for (const figure of document.querySelectorAll('figure')) {
  const input = figure.querySelector('input');
  if (!input) continue;
  const slices = figure.querySelectorAll('.slice');
  input.addEventListener('input', () => {
    slices.forEach((slice, n) => { slice.hidden = n !== Number(input.value); });
    figure.querySelector('output').value = slices[input.value].dataset.slice;
  });
}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_few_and_reach_both_ends() {
        let values: Vec<f32> = (0..70 * 2 * 3).map(|n| n as f32).collect();
        let field = |values| Slice { values, dims: &[70, 2, 3], outputs: 1 };
        let view = View::new("m", &field(&values), &field(&values), f64::from).unwrap();
        assert_eq!(view.slices.len(), MOST_SLICES);
        assert_eq!((view.indices[0], view.indices[MOST_SLICES - 1]), (0, 69));
        assert!(view.indices.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(view.range, (0.0, 419.0));
        let flat = Slice { values: &values, dims: &[140, 3], outputs: 1 };
        let again = Slice { values: &values, dims: &[140, 3], outputs: 1 };
        assert_eq!(View::new("m", &flat, &again, f64::from).unwrap().indices, [0]);
    }

    #[test]
    fn names_cannot_break_the_page() {
        assert_eq!(escape("<a href=\"x\">&</a>"), "&lt;a href=&quot;x&quot;&gt;&amp;&lt;/a&gt;");
    }
}
