//! `drr-train eval` of a radiance field: the pictures that it did not learn from.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use drr::{OpenOptions, Runtime, Sampler, SamplerOptions};
use serde_json::{Value, json};
use tch::{Device, Kind};

use super::bake::bake_with;
use super::print;
use crate::bake;
use crate::config::{Config, RadianceConfig};
use crate::eval::html::{STYLE, data, escape};
use crate::eval::lpips::Lpips;
use crate::eval::scene::{Eye, ViewScore, judge, summary};
use crate::files::write_atomically;
use crate::models::{Parameters, Radiance};
use crate::render::occupancy::Occupancy;
use crate::train::checkpoints::Checkpoint;
use crate::train::radiance::{load_views, march, occupancy_of};
use crate::train::run::Run;

/// Views that the page shows.
const SHOWN: usize = 8;

/// How the model is judged.
pub struct How {
    /// Print a summary as JSON.
    pub json: bool,
    /// Ask the model as it is trained, though it could be baked.
    pub unbaked: bool,
    /// For the perceptual distance.
    pub lpips: Option<Lpips>,
}

/// Judges the run's model on the views of the split `test`.
///
/// # Errors
/// If the run has no checkpoint, its data are gone, or results cannot be written.
pub fn eval(run: &Run, config: &Config, radiance: &RadianceConfig, how: &How) -> Result<()> {
    let views = load_views(config, "test")?;
    let folder = run.path("eval");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let checkpoint = run.model_checkpoint()?;
    let lpips = how.lpips.as_ref();
    let scores = match bake::obstacle(&config.model).is_none() && !how.unbaked {
        true => {
            let baked = folder.join("model.drr.safetensors");
            let description = run.data()?.description;
            bake_with(config, &checkpoint.model(), description, &bake::Options::EXACT, &baked)?;
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            let runtime = Runtime::open(&baked, &OpenOptions { threads, ..Default::default() })?;
            let sampler = Sampler::new(&runtime, &[], &SamplerOptions::default())?;
            judge(&Eye::Baked(&sampler), &views.views, lpips, &folder)?
        }
        false => {
            let (model, occupancy) = load(config, radiance, &checkpoint)?;
            let march = march(radiance, &config.rays, Some(&occupancy));
            judge(&Eye::Model(&model, march), &views.views, lpips, &folder)?
        }
    };
    let quality = summary(&scores);
    let stored = json!({"steps": checkpoint.steps, "quality": {"test": quality}});
    write_atomically(&folder.join("summary.json"), &serde_json::to_vec_pretty(&stored)?)?;
    write_csv(&folder.join("views.csv"), &scores)?;
    let page = html(run.folder(), checkpoint.steps, &quality, &scores, &folder);
    write_atomically(&folder.join("report.html"), page.as_bytes())?;
    if how.json {
        return print(json!({"test": quality}));
    }
    print(text(&quality, &scores))?;
    let written: [PathBuf; 2] = ["views.csv", "report.html"].map(|name| folder.join(name));
    written.iter().try_for_each(|path| print(format_args!("written: {}", path.display())))
}

/// The model of a checkpoint and its cells.
///
/// # Errors
/// If the checkpoint is damaged or does not fit the configuration.
fn load(
    config: &Config,
    radiance: &RadianceConfig,
    checkpoint: &Checkpoint,
) -> Result<(Radiance, Occupancy)> {
    let weights = checkpoint.model();
    let parameters = Parameters::from_checkpoint(&weights, Device::Cpu, Kind::Float)?;
    let model = Radiance::build(radiance, parameters)
        .with_context(|| format!("cannot load {}", weights.display()))?;
    model.check_complete()?;
    Ok((model, occupancy_of(&checkpoint.extra()?, &config.rays)?))
}

fn text(quality: &Value, scores: &[ViewScore]) -> String {
    let with = scores.iter().any(|score| score.lpips.is_some());
    let lpips = if with { "    LPIPS" } else { "" };
    let mut text = format!("view                          PSNR     SSIM{lpips}\n");
    for score in scores {
        let lpips = score.lpips.map_or(String::new(), |lpips| format!("   {lpips:.4}"));
        let (psnr, ssim) = (score.psnr(), score.ssim);
        let _ = writeln!(text, "{:24}  {psnr:5.2} dB   {ssim:.4}{lpips}", score.name);
    }
    let number = |key: &str| quality[key].as_f64().unwrap_or(f64::NAN);
    let _ = writeln!(
        text,
        "\nmean of {} views: {:.2} dB, SSIM {:.4}{}; {:.3} million rays per second",
        scores.len(),
        number("psnr_mean"),
        number("ssim"),
        quality["lpips"].as_f64().map_or(String::new(), |lpips| format!(", LPIPS {lpips:.4}")),
        number("rays_per_s") * 1e-6
    );
    text
}

fn write_csv(path: &Path, scores: &[ViewScore]) -> Result<()> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(["view", "mse", "psnr", "ssim", "lpips", "rays_per_s"])?;
    for s in scores {
        let numbers = [Some(s.mse), Some(s.psnr()), Some(s.ssim), s.lpips, Some(s.rays_per_s)];
        let numbers = numbers.map(|number| number.map_or(String::new(), |n| n.to_string()));
        csv.write_record(std::iter::once(s.name.clone()).chain(numbers))?;
    }
    write_atomically(path, &csv.into_inner()?)
}

/// A page of its own: nothing is loaded from anywhere.
fn html(run: &Path, steps: u64, quality: &Value, scores: &[ViewScore], folder: &Path) -> String {
    let name = run.file_name().unwrap_or_default().to_string_lossy();
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{0}</title>\
         <style>{STYLE}</style>\n<h1>{0}</h1>\n<p>Pictures of {1} views that were not learned from, \
         after {steps} steps: {2:.2} dB on average, SSIM {3:.4}.</p>\n\
         <table><tr><th>view<th>PSNR [dB]<th>SSIM<th>LPIPS",
        escape(&name),
        scores.len(),
        quality["psnr_mean"].as_f64().unwrap_or(f64::NAN),
        quality["ssim"].as_f64().unwrap_or(f64::NAN),
    );
    for s in scores {
        let lpips = s.lpips.map_or("n/a".to_owned(), |lpips| format!("{lpips:.4}"));
        let (name, psnr, ssim) = (escape(&s.name), s.psnr(), s.ssim);
        let _ = write!(page, "\n<tr><td>{name}<td>{psnr:.2}<td>{ssim:.4}<td>{lpips}");
    }
    page.push_str("\n</table>\n<h2>Truth, prediction, difference (four times stronger)</h2>\n");
    for s in scores.iter().take(SHOWN) {
        let picture = std::fs::read(folder.join(format!("view-{}.png", s.name)));
        if let Ok(picture) = picture {
            let _ = writeln!(
                page,
                "<figure><img src=\"{}\" alt=\"{}\"><figcaption>{}, {:.2} dB</figcaption></figure>",
                data(&picture),
                escape(&s.name),
                escape(&s.name),
                s.psnr()
            );
        }
    }
    page.push_str("</html>\n");
    page
}
