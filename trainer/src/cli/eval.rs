//! `drr-train eval`

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use drr::{OpenOptions, Runtime};
use serde_json::json;

use super::query_place::spanning;
use super::{eval_scene, print};
use crate::bake;
use crate::config::ModelConfig;
use crate::data::{Ensemble, LoadOptions};
use crate::eval::html::{Page, View};
use crate::eval::lpips::Lpips;
use crate::eval::pictures::{Slice, comparison};
use crate::eval::report::Report;
use crate::eval::scatter::Raster;
use crate::eval::{Judged, colours, evaluate, vti};
use crate::files::write_atomically;
use crate::models::Network;
use crate::progress::{Progress, say};
use crate::train::load_ensemble;
use crate::train::run::Run;

/// Judge a run on its training and held-out members.
///
/// The last checkpoint is baked and asked through the runtime, as users will; models that cannot be
/// baked are asked as they are. PSNR and SSIM are of the range of the training data (however values
/// are normalised), the relative L2 error and the largest error of physical values; the spectrum error says how far, in dB, the power of each scale is from the
/// truth's. A run on reduced fields (dim_scale_factor) is judged on them and on the full
/// ones. Values at scattered points have no SSIM, and pictures that show them along the last axis.
/// Radiance fields are judged on the pictures of the split `test`.
/// Held-out members with parameters beyond those of training are named.
/// Writes tables, pictures and report.html, which has all of them, to RUN/eval.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Folder of the run
    run: PathBuf,
    /// Print a summary as JSON instead of the table
    #[arg(long)]
    json: bool,
    /// Folder of the data, if they moved
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Training members to judge, the first ones [default: all]
    #[arg(long, value_name = "N")]
    train_members: Option<usize>,
    /// Held-out members to draw
    #[arg(long, value_name = "N", default_value_t = 2)]
    pictures: usize,
    /// Held-out members to write as volumes for ParaView (.vti): truth, prediction and difference in
    /// physical values
    #[arg(long, value_name = "N", default_value_t = 0)]
    volumes: usize,
    /// Also measure how different pictures look (LPIPS): the state of Python's lpips.LPIPS(net="alex")
    /// or net="vgg", stored by safetensors
    #[arg(long, value_name = "FILE")]
    lpips: Option<PathBuf>,
    /// Ask the model as it is trained, not its baked file: a check of the other, and of its speed
    #[arg(long)]
    unbaked: bool,
}

const EXAMPLES: &str = "\
Examples:
  drr-train eval run
  drr-train eval run --json > quality.json
  drr-train eval run --volumes 3              # for ParaView
  drr-train eval lego --lpips vgg.safetensors   # of pictures and radiance fields
  drr-train eval run --data /new/place/ensemble --pictures 0";

/// # Errors
/// If the run has no checkpoint, its data are gone, or results cannot be written.
pub fn run(arguments: Arguments) -> Result<()> {
    let run = Run::open(&arguments.run)?;
    let mut config = run.config()?;
    if let Some(data) = &arguments.data {
        config.dataset.data = Some(data.clone());
    }
    let lpips = arguments.lpips.as_deref().map(Lpips::load).transpose()?;
    if let ModelConfig::Radiance(radiance) = &config.model {
        ensure!(
            arguments.volumes == 0 && arguments.train_members.is_none(),
            "--volumes and --train-members are for models of fields, the run is a radiance field"
        );
        let how = eval_scene::How { json: arguments.json, unbaked: arguments.unbaked, lpips };
        return eval_scene::eval(&run, &config, radiance, &how);
    }
    let options = LoadOptions::of(config.model.of_ensemble()?);
    let ensemble = load_ensemble(&config.dataset, &options)?;
    run.check_data(&ensemble, &config)?;
    for note in ensemble.extrapolations() {
        say(&format!("note: {note}"));
    }
    let folder = run.path("eval");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;

    let checkpoint = run.model_checkpoint()?;
    let judged = match bake::obstacle(&config.model).is_none() && !arguments.unbaked {
        true => {
            let baked = folder.join("model.drr.safetensors");
            let description = run.data()?.description;
            let (weights, options) = (checkpoint.model(), bake::Options::EXACT);
            super::bake::bake_with(&config, &weights, description, &options, &baked)?;
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            let options = OpenOptions { threads, ..Default::default() };
            Judged::Baked(Runtime::open(&baked, &options)?)
        }
        false => Judged::Network(Network::load(&config.model, &checkpoint.model())?),
    };

    let mut report = Report::default();
    let judge = |ensemble: &Ensemble, report: &mut Report| {
        judge(&judged, ensemble, arguments.train_members, lpips.as_ref(), report)
    };
    judge(&ensemble, &mut report)?;
    let ensemble = match config.dataset.dim_scale_factor {
        1.0 => ensemble,
        _ => {
            let full = ensemble.at_full_resolution(&config.dataset, &options)?;
            drop(ensemble);
            judge(&full, &mut report)?;
            full
        }
    };
    report.write_csv(&folder.join("members.csv"))?;
    let summary = json!({"steps": checkpoint.steps, "quality": report.json()});
    write_atomically(&folder.join("summary.json"), &serde_json::to_vec_pretty(&summary)?)?;

    let (mut written, mut views) = (vec![folder.join("members.csv")], Vec::new());
    let (canvas, outputs) = (Canvas::of(&ensemble), ensemble.values.len());
    // A single field is all there is to look at.
    let held_out: Vec<usize> = ensemble.test().collect();
    let shown = if held_out.is_empty() { ensemble.train().take(1).collect() } else { held_out };
    for member in shown.into_iter().take(arguments.pictures) {
        let prediction = judged.predict(&ensemble, member)?;
        let field = ensemble.field(member)?;
        let name = &ensemble.members[member].name;
        if colours::are_colours(&ensemble) {
            let path = folder.join(format!("picture-{name}.png"));
            colours::comparison(&path, &ensemble, &field.floats(), &prediction)?;
            let worst = report.last_scores().first().map_or(0.0, |(_, score)| score.max_error);
            let range = ensemble.normalization.range;
            views.push(View::of_picture(name, std::fs::read(&path)?, range, worst));
            written.push(path);
            continue;
        }
        let prediction = canvas.fill(prediction.into(), outputs);
        let truth = canvas.fill(field.floats(), outputs);
        let path = folder.join(format!("{}-{name}.png", canvas.name));
        let (truth, prediction) = (canvas.slice(&truth), canvas.slice(&prediction));
        let title = format!(
            "{}, {} {name}, {}",
            ensemble.values[0].name,
            if ensemble.members.len() > 1 { "held-out member" } else { "field" },
            canvas.title
        );
        let scale = |v| ensemble.denormalize(v);
        comparison(&path, &title, &truth, &prediction, scale)?;
        views.push(View::new(name, &truth, &prediction, scale)?);
        written.push(path);
    }
    written.extend(write_volumes(&judged, &ensemble, arguments.volumes, &folder)?);
    let page = Page {
        run: arguments.run.canonicalize()?.file_name().unwrap_or_default().to_string_lossy().into(),
        steps: checkpoint.steps,
        report: &report,
        ensemble: &ensemble,
        views,
        loss: std::fs::read(run.path("loss.png")).ok(),
    };
    let path = folder.join("report.html");
    write_atomically(&path, page.html().as_bytes())?;
    written.push(path);
    if arguments.json {
        return print(report.json());
    }
    print(report.text())?;
    written.iter().try_for_each(|path| print(format_args!("written: {}", path.display())))
}

/// Writes truth, prediction and difference of the first `count` held-out members.
fn write_volumes(
    judged: &Judged,
    ensemble: &Ensemble,
    count: usize,
    folder: &Path,
) -> Result<Vec<PathBuf>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let Some(dims) = ensemble.places.lattice() else {
        bail!("--volumes: values at scattered points are no volume");
    };
    let lattice = spanning(ensemble.axes.iter().map(|axis| (axis.min, axis.max)), dims);
    let outputs = ensemble.values.len();
    let names: Vec<String> = (ensemble.values.iter())
        .flat_map(|v| ["", "_predicted", "_error"].map(|what| format!("{}{what}", v.name)))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let write = |member: usize| {
        let field = ensemble.field(member)?;
        let truth = field.floats();
        let prediction = judged.predict(ensemble, member)?;
        let physical = |values: &[f32], at: usize| ensemble.denormalize(values[at]);
        let three = |at: usize| {
            let (t, p) = (physical(&truth, at), physical(&prediction, at));
            [t as f32, p as f32, (p - t) as f32]
        };
        let values: Vec<f32> =
            (0..lattice.dims.iter().product::<usize>() * outputs).flat_map(three).collect();
        let path = folder.join(format!("volume-{}.vti", ensemble.members[member].name));
        vti::write(&path, &lattice, &names, &values)?;
        Ok(path)
    };
    ensemble.test().take(count).map(write).collect()
}

/// What fields are drawn on.
struct Canvas {
    raster: Option<Raster>,
    dims: Vec<usize>,
    outputs: usize,
    /// What the files of pictures begin with.
    name: &'static str,
    title: &'static str,
}

impl Canvas {
    fn of(ensemble: &Ensemble) -> Self {
        match Raster::of(&ensemble.places) {
            Some(raster) => Self {
                dims: raster.dims().to_vec(),
                outputs: 1,
                raster: Some(raster),
                name: "points",
                title: match ensemble.places.axes() {
                    2 => "means of all points",
                    _ => "means of all points along the last axis",
                },
            },
            None => Self {
                dims: ensemble.places.shape(),
                outputs: ensemble.values.len(),
                raster: None,
                name: "slice",
                title: "middle slice",
            },
        }
    }

    /// What is drawn of a field.
    fn fill<'a>(&self, field: Cow<'a, [f32]>, outputs: usize) -> Cow<'a, [f32]> {
        match &self.raster {
            Some(raster) => Cow::Owned(raster.draw(&field, outputs)),
            None => field,
        }
    }

    fn slice<'a>(&'a self, values: &'a [f32]) -> Slice<'a> {
        Slice { values, dims: &self.dims, outputs: self.outputs }
    }
}

/// Adds the scores of all members, of those of training no more than `most`.
fn judge(
    judged: &Judged,
    ensemble: &Ensemble,
    most: Option<usize>,
    lpips: Option<&Lpips>,
    report: &mut Report,
) -> Result<()> {
    let train = ensemble.train().take(most.unwrap_or(usize::MAX));
    let members: Vec<usize> = train.chain(ensemble.validation()).chain(ensemble.test()).collect();
    ensure!(!members.is_empty(), "the data have no members");
    let progress = Progress::new("evaluating", "members", members.len() as u64);
    let scores = evaluate(judged, ensemble, &members, lpips, &progress)?;
    progress.finish();
    report.add(ensemble, &members, &scores);
    Ok(())
}
