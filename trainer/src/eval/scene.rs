//! Quality of a radiance field on pictures of its scene that it did not learn from.

use std::path::Path;

use anyhow::{Context, Result};
use drr::{Camera as DrrCamera, RenderOptions, RenderOutput, Sampler, ValuesMut};
use serde_json::{Value, json};
use tch::Device;

use super::lpips::Lpips;
use super::metrics::{psnr, ssim};
use super::pictures::encode;
use crate::data::{Camera, Ray, View};
use crate::files::write_atomically;
use crate::models::Radiance;
use crate::progress::Progress;
use crate::render::march::March;
use crate::render::render;

/// White, as in the reference's tests.
const BACKGROUND: [f32; 3] = [1.0; 3];

/// Differences are drawn this much stronger.
const STRONGER: f32 = 4.0;

/// Who looks at the scene.
pub enum Eye<'a> {
    /// The library, from a baked file.
    Baked(&'a Sampler),
    /// The trainer, of a model that cannot be baked.
    Model(&'a Radiance, March<'a>),
}

/// How well a view was predicted.
#[derive(Debug, Clone, PartialEq)]
pub struct ViewScore {
    /// Name of its picture.
    pub name: String,
    /// Of colours from 0 to 1 in front of white.
    pub mse: f64,
    /// Structural similarity, mean over the colours.
    pub ssim: f64,
    /// Learned perceptual distance, if there are weights for it.
    pub lpips: Option<f64>,
    /// Rays per second.
    pub rays_per_s: f64,
}

impl ViewScore {
    /// `-10 log10(mse)`
    pub fn psnr(&self) -> f64 {
        psnr(self.mse)
    }
}

impl Eye<'_> {
    /// What a camera sees in front of white, `[height, width, 3]`.
    ///
    /// # Errors
    /// Those of the library, or if the user interrupts.
    pub fn look(&self, camera: &Camera, progress: &Progress) -> Result<Vec<[f32; 3]>> {
        let [width, height] = camera.size;
        let mut pixels = vec![[0.0f32; 4]; width * height];
        match self {
            Self::Baked(sampler) => {
                let options = RenderOptions {
                    background: BACKGROUND.map(f64::from),
                    output: RenderOutput::Opaque,
                    ..Default::default()
                };
                let mut room = ValuesMut::packed(pixels.as_flattened_mut(), 4)?;
                sampler.render(&of_library(camera), camera.size, &options, &mut room, None)?;
                progress.check_interrupt()?;
                Ok(pixels.iter().map(|&[r, g, b, _]| [r, g, b]).collect())
            }
            Self::Model(model, march) => {
                let rays: Vec<Ray> = (0..width * height)
                    .map(|n| camera.ray((n % width) as f64 + 0.5, (n / width) as f64 + 0.5))
                    .collect();
                pixels =
                    render(model, march, &rays, Device::Cpu, &mut |_| progress.check_interrupt())?;
                let over = |&[r, g, b, a]: &[f32; 4]| {
                    let colour = [r, g, b];
                    std::array::from_fn(|k| colour[k] + (1.0 - a) * BACKGROUND[k])
                };
                Ok(pixels.iter().map(over).collect())
            }
        }
    }
}

/// The camera as the library takes it.
pub fn of_library(camera: &Camera) -> DrrCamera {
    DrrCamera {
        to_world: camera.to_world,
        focal: [camera.focal; 2],
        centre: camera.size.map(|n| n as f64 / 2.0),
    }
}

/// Scores of `views`, with their perceptual distance if there is `lpips`, each of which is also drawn into `folder`: truth, what was seen, and their
/// difference, four times stronger.
///
/// # Errors
/// As [`Eye::look`], if a view is too small for `lpips`, and if a picture cannot be written.
pub fn judge(
    eye: &Eye<'_>,
    views: &[View],
    lpips: Option<&Lpips>,
    folder: &Path,
) -> Result<Vec<ViewScore>> {
    let progress = Progress::new("looking", "pictures", views.len() as u64);
    let mut scores = Vec::new();
    for view in views {
        let began = std::time::Instant::now();
        let seen = eye.look(&view.camera, &progress)?;
        let seconds = began.elapsed().as_secs_f64();
        let truth = view.over(BACKGROUND);
        let mut score = score(&view.name, view.camera.size, &truth, &seen);
        score.rays_per_s = seen.len() as f64 / seconds.max(1e-9);
        if let Some(lpips) = lpips {
            let distance = lpips.distance(view.camera.size, &|n| truth[n], &|n| seen[n])?;
            score.lpips = Some(distance);
        }
        scores.push(score);
        let path = folder.join(format!("view-{}.png", view.name));
        draw(&path, view.camera.size, &truth, &seen)?;
        progress.advance(1);
    }
    progress.finish();
    Ok(scores)
}

fn score(
    name: &str,
    [width, height]: [usize; 2],
    truth: &[[f32; 3]],
    seen: &[[f32; 3]],
) -> ViewScore {
    let channel = |pixels: &[[f32; 3]], k: usize| -> Vec<f64> {
        pixels.iter().map(|pixel| f64::from(pixel[k])).collect()
    };
    let (mut squares, mut similar) = (0.0, 0.0);
    for k in 0..3 {
        let (truth, seen) = (channel(truth, k), channel(seen, k));
        squares += truth.iter().zip(&seen).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        similar += ssim(|i| truth[i], |i| seen[i], &[height, width]) / 3.0;
    }
    let mse = squares / (3 * truth.len()).max(1) as f64;
    ViewScore { name: name.to_owned(), mse, ssim: similar, lpips: None, rays_per_s: 0.0 }
}

/// Truth, what was seen and their difference side by side.
fn draw(
    path: &Path,
    [width, height]: [usize; 2],
    truth: &[[f32; 3]],
    seen: &[[f32; 3]],
) -> Result<()> {
    let byte = |value: f32| (value * 255.0).round().clamp(0.0, 255.0) as u8;
    let mut bytes = Vec::with_capacity(width * height * 9);
    for row in 0..height {
        let span = row * width..(row + 1) * width;
        let (truth, seen) = (&truth[span.clone()], &seen[span]);
        bytes.extend(truth.iter().chain(seen).flatten().map(|&value| byte(value)));
        let pairs = truth.as_flattened().iter().zip(seen.as_flattened());
        bytes.extend(pairs.map(|(t, s)| byte((t - s).abs() * STRONGER)));
    }
    let size = (u32::try_from(3 * width)?, u32::try_from(height)?);
    let png = encode(&bytes, size).with_context(|| format!("cannot encode {}", path.display()))?;
    write_atomically(path, &png)
}

/// Means over views, as PSNR of the mean error and otherwise.
pub fn summary(scores: &[ViewScore]) -> Value {
    let mean =
        |of: fn(&ViewScore) -> f64| scores.iter().map(of).sum::<f64>() / scores.len().max(1) as f64;
    json!({
        "views": scores.len(), "psnr": psnr(mean(|s| s.mse)), "psnr_mean": mean(ViewScore::psnr),
        "ssim": mean(|s| s.ssim), "rays_per_s": mean(|s| s.rays_per_s),
        "lpips": scores.iter().map(|s| s.lpips).sum::<Option<f64>>().map(|s| s / scores.len() as f64),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_those_of_the_differences() {
        let truth = vec![[0.5f32; 3]; 20 * 30];
        let mut seen = truth.clone();
        let same = score("a", [30, 20], &truth, &seen);
        assert!(same.psnr() > 190.0 && (same.ssim - 1.0).abs() < 1e-12);
        seen.iter_mut().for_each(|pixel| pixel[1] += 0.3);
        let other = score("a", [30, 20], &truth, &seen);
        assert!((other.mse - 0.03).abs() < 1e-6 && other.ssim < 1.0);
        let mean = summary(&[same, other]);
        assert!((mean["psnr"].as_f64().unwrap() - psnr(0.015)).abs() < 1e-4);
    }
}
