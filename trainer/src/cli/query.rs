//! `drr-train query`

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use drr::{Outside, SamplerOptions, Units};

use super::print;
use super::query_asked::Asked;
use super::query_picture;
use super::query_place::Place;
use crate::config::hint;
use crate::data::npy;
use crate::eval::pictures::{Slice, field};
use crate::eval::vti;
use crate::files::write_atomically;
use crate::progress::Progress;

/// Ask a baked file for values, or a model with its weights.
///
/// Points come from a file (`[N, dims]`, x first), are a regular grid over the whole domain, or the
/// pixels of a picture.
/// Parameters are given by name, or as a table with one row per set in the file's order; all in
/// the file's units. The result is `[sets, N, values]`, or `[sets, D, H, W, values]` for a grid.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
#[command(group = clap::ArgGroup::new("positions").required(true).args(["points", "grid", "size"]))]
pub struct Arguments {
    /// The baked file
    #[arg(required_unless_present = "config")]
    file: Option<PathBuf>,
    /// In place of a baked file: a configuration and weights under the reference's names, of any
    /// model, also of those that cannot be baked
    #[arg(long, value_name = "C.yaml", conflicts_with = "file", requires = "weights")]
    config: Option<PathBuf>,
    /// Which entry of the configuration
    #[arg(long, value_name = "N", default_value_t = 0)]
    config_id: usize,
    /// The weights, safetensors
    #[arg(long, value_name = "W.safetensors", requires = "config")]
    weights: Option<PathBuf>,
    /// Points, [N, dims], f32 or f64, order x, y(, z)
    #[arg(long, value_name = "NPY")]
    pub(super) points: Option<PathBuf>,
    /// Regular grid over the domain, its borders included, slowest dimension first
    #[arg(long, value_name = "D,H,W", value_delimiter = ',')]
    pub(super) grid: Option<Vec<usize>>,
    /// Where a grid of size 1, or a picture, stands along an axis, instead of in the middle: a slice
    #[arg(long, value_name = "axis=x,...", value_delimiter = ',', conflicts_with = "points")]
    pub(super) at: Vec<String>,
    /// A picture of so many pixels, row by row, so that it may be larger than memory: colours where
    /// values are red, green and blue, else the first value by its range
    #[arg(long, value_name = "WxH", value_parser = query_picture::parse_size)]
    size: Option<[usize; 2]>,
    /// The upper left and lower right pixels of the picture along the first two axes [default: the
    /// domain]
    #[arg(
        long,
        value_name = "x0,y0,x1,y1",
        value_delimiter = ',',
        requires = "size",
        allow_hyphen_values = true
    )]
    pub(super) rect: Option<Vec<f64>>,
    /// Parameters by name, in the file's units; `drr-train info` lists them
    #[arg(long, value_name = "name=value,...", value_delimiter = ',')]
    params: Vec<String>,
    /// Parameters as a table, [sets, parameters]
    #[arg(long, value_name = "C.npy", conflicts_with = "params")]
    params_npy: Option<PathBuf>,
    /// Points in [-1, 1], parameters in [0, 1], values before de-normalisation
    #[arg(long)]
    pub(super) normalized: bool,
    /// What points outside the domain give
    #[arg(long, default_value = "clamp")]
    outside: OutsideArgument,
    /// Where values are computed: cpu, cuda or cuda:N
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Result: .npy or .raw (f32), .vti (grid for ParaView), .png (middle slice of a grid)
    #[arg(short, long, value_name = "OUT")]
    pub(super) output: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum OutsideArgument {
    /// Value at the nearest point of the border
    Clamp,
    /// Features fade to zero within one cell, as in the reference
    Zeros,
    /// NaN
    Nan,
    /// Fail (parameters out of their ranges too)
    Error,
}

const EXAMPLES: &str = "\
Examples:
  drr-train query f.drr.safetensors --points p.npy --params density=0.2,energy=1.4 -o values.npy
  drr-train query f.drr.safetensors --grid 1,256,256 --at z=0.5 --params ... -o slice.png
  drr-train query image.drr.safetensors --rect 5000,4000,5512,4512 --size 512x512 -o part.png
  drr-train query f.drr.safetensors --grid 128,128,128 --params density=0.2,energy=1.4 -o f.vti
  drr-train query f.drr.safetensors --points p.npy --params-npy c.npy --device cuda:0 -o v.npy
  drr-train query --config model.yaml --weights w.safetensors --normalized --points p.npy \\
      --params-npy c.npy -o values.npy";

/// # Errors
/// If inputs do not fit the file, or the result cannot be written.
pub fn run(arguments: Arguments) -> Result<()> {
    let asked = asked(&arguments)?;
    if let Some(size) = arguments.size {
        return picture(&arguments, &asked, size);
    }
    let format = Format::of(&arguments.output, arguments.grid.is_some())?;
    check_folder(&arguments.output)?;
    let options = options(&arguments);
    let sets = parameter_sets(&arguments, &asked)?;
    let single = matches!(format, Format::Npy | Format::Raw);
    ensure!(single || sets.len() == 1, "pictures and .vti files are of one set of parameters");
    let place = Place::new(&arguments, &asked)?;
    let (count, outputs) = (place.count(&asked), asked.values.len());
    let progress = Progress::new("querying", "points", (sets.len() * count) as u64);
    let shape = [&[sets.len()], &place.shape(&asked)[..], &[outputs]].concat();
    let mut values = zeros(&shape)?;
    for (parameters, values) in sets.iter().zip(values.chunks_mut((count * outputs).max(1))) {
        place.query(&asked, &asked.bind(parameters, &options)?, values, &progress)?;
    }
    progress.finish();
    format.write(&arguments.output, &shape, &values, &asked, &place)?;
    print(format_args!("{}: {shape:?}", arguments.output.display()))
}

fn picture(arguments: &Arguments, asked: &Asked, size: [usize; 2]) -> Result<()> {
    check_folder(&arguments.output)?;
    let sets = parameter_sets(arguments, asked)?;
    let [parameters] = &sets[..] else { bail!("a picture is of one set of parameters") };
    let bound = asked.bind(parameters, &options(arguments))?;
    query_picture::write(arguments, asked, &bound, size)?;
    print(format_args!("{}: {} x {} pixels", arguments.output.display(), size[0], size[1]))
}

fn asked(arguments: &Arguments) -> Result<Asked> {
    let (Some(config), Some(weights)) = (&arguments.config, &arguments.weights) else {
        let file =
            arguments.file.as_deref().context("give a baked file, or --config and --weights")?;
        return Asked::baked(file, &arguments.device);
    };
    ensure!(
        arguments.normalized,
        "weights know no physical units: ask with --normalized, or bake them"
    );
    ensure!(
        arguments.device == "cpu" && matches!(arguments.outside, OutsideArgument::Clamp),
        "--device and --outside are for baked files"
    );
    Asked::weights(config, arguments.config_id, weights)
}

/// Found before the work rather than after it.
fn check_folder(output: &Path) -> Result<()> {
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty());
    let Some(folder) = folder.filter(|folder| !folder.is_dir()) else { return Ok(()) };
    bail!("cannot write {}: there is no folder {}", output.display(), folder.display())
}

/// Room for an array of `shape`.
fn zeros(shape: &[usize]) -> Result<Vec<f32>> {
    let count = shape.iter().try_fold(1usize, |count, &n| count.checked_mul(n));
    let mut values = Vec::new();
    count
        .filter(|&count| values.try_reserve_exact(count).is_ok())
        .map(|count| values.resize(count, 0.0))
        .with_context(|| {
            format!("{shape:?} values (sets, points or grid, components) fit no memory")
        })?;
    Ok(values)
}

fn options(arguments: &Arguments) -> SamplerOptions {
    let units = if arguments.normalized { Units::Normalized } else { Units::Physical };
    let outside = match arguments.outside {
        OutsideArgument::Clamp => Outside::Clamp,
        OutsideArgument::Zeros => Outside::Zeros,
        OutsideArgument::Nan => Outside::Nan,
        OutsideArgument::Error => Outside::Error,
    };
    let outside_parameters = match outside {
        Outside::Zeros => Outside::Clamp,
        other => other,
    };
    SamplerOptions { units, outside, outside_parameters }
}

fn parameter_sets(arguments: &Arguments, asked: &Asked) -> Result<Vec<Vec<f64>>> {
    let count = asked.parameters.len();
    if let Some(path) = &arguments.params_npy {
        let array = npy::read::<f64>(path)?;
        let [sets, columns] = array.shape[..] else {
            bail!("{}: shape {:?}, expected [sets, {count}]", path.display(), array.shape);
        };
        ensure!(
            columns == count,
            "{}: {columns} parameters per set, the file has {count}",
            path.display()
        );
        return Ok((0..sets).map(|set| array.data[set * count..][..count].to_vec()).collect());
    }
    let names: Vec<&str> = asked.parameters.iter().map(|p| p.name.as_str()).collect();
    let mut values = vec![None; count];
    for assignment in &arguments.params {
        let (name, value) = assignment
            .rsplit_once('=')
            .with_context(|| format!("--params {assignment}: expected name=value"))?;
        let (name, value) = (name.trim(), value.trim());
        let index = (names.iter().position(|&known| known == name)).with_context(|| {
            format!("--params {name}: no such parameter; {}", hint(name, &names))
        })?;
        let value: f64 =
            value.parse().with_context(|| format!("--params {name}={value}: not a number"))?;
        ensure!(values[index].replace(value).is_none(), "--params {name} is given twice");
    }
    let missing = names.iter().zip(&values).filter(|(_, value)| value.is_none());
    let missing: Vec<_> = missing.map(|(&name, _)| name).collect();
    ensure!(missing.is_empty(), "--params: {} missing", missing.join(", "));
    Ok(vec![values.into_iter().flatten().collect()])
}

/// The form of the result, by the file's extension.
#[derive(Clone, Copy, PartialEq)]
enum Format {
    Npy,
    Raw,
    Vti,
    Png,
}

impl Format {
    fn of(path: &Path, is_grid: bool) -> Result<Self> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("npy") => Ok(Self::Npy),
            Some("raw") => Ok(Self::Raw),
            Some("vti") if is_grid => Ok(Self::Vti),
            Some("png") if is_grid => Ok(Self::Png),
            Some("png" | "vti") => {
                bail!("{}: pictures and volumes are of a --grid", path.display())
            }
            _ => bail!("{}: expected a name that ends in .npy, .raw, .vti or .png", path.display()),
        }
    }

    fn write(
        self,
        path: &Path,
        shape: &[usize],
        values: &[f32],
        asked: &Asked,
        place: &Place,
    ) -> Result<()> {
        match self {
            Self::Npy => npy::write(path, shape, values),
            Self::Raw => {
                let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                write_atomically(path, &bytes)
            }
            Self::Vti => {
                let lattice = place.lattice().context("a volume is of a --grid")?;
                let names: Vec<_> = asked.values.iter().map(|value| value.name.as_str()).collect();
                vti::write(path, lattice, &names, values)
            }
            Self::Png => {
                let [sets, dims @ .., outputs] = shape else { bail!("nothing to draw") };
                ensure!(*sets == 1 && dims.len() >= 2, "a picture has two or three dimensions");
                let name = asked.values.first().map_or("value", |value| value.name.as_str());
                field(path, name, &Slice { values, dims, outputs: *outputs })
            }
        }
    }
}
