//! What is baked: a run, a checkpoint of the reference, or a file that was baked before; and the
//! data by which it is judged.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use drr::Checksums;
use drr::model::spec::{Spec, Transform};
use serde_json::{Value, json};

use super::Arguments;
use crate::bake::{self, Baked, Description, Judge, Source};
use crate::config::{self, Config, DatasetConfig, DatasetKind, ModelConfig};
use crate::data::{Ensemble, LoadOptions};
use crate::progress::say;
use crate::train::load_ensemble;
use crate::train::run::Run;

/// Where a model comes from.
pub enum Origin {
    Run(Run),
    Checkpoint { config: Box<Config>, weights: PathBuf, description: Box<Description> },
    File(Baked),
}

impl Origin {
    /// Finds out what the arguments name.
    pub fn of(arguments: &Arguments) -> Result<Self> {
        if let Some(path) = &arguments.source {
            if path.is_file() {
                return Ok(Self::File(Baked::open(path, Checksums::Verify)?));
            }
            return Ok(Self::Run(Run::open(path)?));
        }
        let (Some(path), Some(weights)) = (&arguments.config, &arguments.weights) else {
            bail!("give a run, a baked file, or --config and --weights");
        };
        let mut entry = config::load_entry(path, arguments.config_id)?;
        for assignment in &arguments.set {
            config::apply_override(&mut entry, assignment)?;
        }
        let config = Config::from_value(&entry)?;
        let mut description = Description::of_config(&config);
        let hash = crc32fast::hash(serde_json::to_string(&entry)?.as_bytes());
        description.provenance.insert("config_crc32".into(), json!(format!("{hash:08x}")));
        let (config, description) = (Box::new(config), Box::new(description));
        Ok(Self::Checkpoint { config, weights: weights.clone(), description })
    }

    /// Its vertices.
    pub fn source(&self) -> Result<Box<dyn Source>> {
        match self {
            Self::Run(run) => {
                let checkpoint = run.model_checkpoint()?;
                let mut description = run.data()?.description;
                let config = checksum(&run.path("config.yaml"))?;
                description.provenance.insert("config_crc32".into(), json!(config));
                description.provenance.insert("steps".into(), json!(checkpoint.steps));
                if let Some(quality) = measured(run)? {
                    description.provenance.insert("quality".into(), quality);
                }
                trained(&run.config()?, &checkpoint.model(), description)
            }
            Self::Checkpoint { config, weights, description } => {
                trained(config, weights, (**description).clone())
            }
            Self::File(file) => {
                let mut file = file.clone();
                file.set_provenance("tool", json!(tool()));
                Ok(Box::new(file))
            }
        }
    }

    fn is_radiance(&self) -> Result<bool> {
        let of_config = |config: &Config| matches!(config.model, ModelConfig::Radiance(_));
        Ok(match self {
            Self::Run(run) => of_config(&run.config()?),
            Self::Checkpoint { config, .. } => of_config(config),
            Self::File(file) => file.model().spec().radiance.is_some(),
        })
    }

    /// The data by which losses are judged: those in `data`, else those of the run if they are
    /// still where they were.
    pub fn judge(&self, data: Option<&Path>) -> Result<Option<Judge>> {
        if self.is_radiance()? {
            ensure!(data.is_none(), "--data: pictures do not judge the grids of a radiance field");
            return Ok(None);
        }
        let ensemble = match (self, data) {
            (Self::Run(run), data) => {
                let mut config = run.config()?;
                if let Some(data) = data {
                    config.dataset.data = Some(data.to_owned());
                }
                let loaded = of_run(run, &config);
                match (loaded, data) {
                    (Err(error), None) => {
                        say(&format!(
                            "the run's data are not at hand, errors are of the model alone: {error:#}"
                        ));
                        return Ok(None);
                    }
                    (loaded, _) => loaded?,
                }
            }
            (Self::File(file), Some(data)) => of_file(file.model().spec(), data)?,
            (Self::Checkpoint { config, .. }, Some(data)) => {
                let mut config = (**config).clone();
                config.dataset.data = Some(data.to_owned());
                load(&config)?
            }
            (Self::File(_) | Self::Checkpoint { .. }, None) => return Ok(None),
        };
        Ok(Some(Judge::new(&ensemble)?))
    }
}

/// A checkpoint, with what the file will say about its origin.
pub fn trained(
    config: &Config,
    weights: &Path,
    mut description: Description,
) -> Result<Box<dyn Source>> {
    description.provenance.insert("tool".into(), json!(tool()));
    description.provenance.insert("weights_crc32".into(), json!(checksum(weights)?));
    bake::load(config, weights, description)
}

fn tool() -> String {
    format!("drr-train {}", drr::VERSION)
}

fn of_run(run: &Run, config: &Config) -> Result<Ensemble> {
    let ensemble = load(config)?;
    run.check_data(&ensemble, config)?;
    Ok(ensemble)
}

fn load(config: &Config) -> Result<Ensemble> {
    load_ensemble(&config.dataset, &LoadOptions::of(config.model.of_ensemble()?))
}

/// The data in `folder`, which must have the scales of a baked file.
fn of_file(spec: &Spec, folder: &Path) -> Result<Ensemble> {
    let value = spec.values.first();
    let single = folder.is_file();
    let config = DatasetConfig {
        kind: if single { DatasetKind::Field } else { DatasetKind::HdField },
        data: Some(folder.to_owned()),
        data_min: value.map(|value| value.min),
        data_max: value.map(|value| value.max),
        use_logdata: value.is_some_and(|value| value.transform == Transform::Log),
        ..DatasetConfig::default()
    };
    let options = LoadOptions { model_dims: spec.axes.len(), components: spec.values.len() };
    let mut ensemble = load_ensemble(&config, &options)?;
    // Of values normalised by mean and deviation, whose range is not that of the scale.
    if let Some(Value::Array(range)) = spec.provenance.get("data").map(|data| &data["range"])
        && let [Some(low), Some(high)] = [0, 1].map(|n| range.get(n).and_then(Value::as_f64))
        && low < high
    {
        ensemble.normalization.range = (low, high);
    }
    let own = Description {
        axes: spec.axes.clone(),
        parameters: spec.parameters.clone(),
        values: spec.values.clone(),
        provenance: serde_json::Map::new(),
    };
    own.check_scales(&Description::of(&ensemble))
        .with_context(|| format!("the file was not made from the data in {}", folder.display()))?;
    Ok(ensemble)
}

/// CRC-32 of a file, eight hexadecimal digits.
fn checksum(path: &Path) -> Result<String> {
    let sum = || -> std::io::Result<u32> {
        let mut reader = BufReader::with_capacity(1 << 20, File::open(path)?);
        let mut crc = crc32fast::Hasher::new();
        loop {
            let bytes = reader.fill_buf()?;
            if bytes.is_empty() {
                return Ok(crc.finalize());
            }
            crc.update(bytes);
            let count = bytes.len();
            reader.consume(count);
        }
    };
    let sum = sum().with_context(|| format!("cannot read {}", path.display()))?;
    Ok(format!("{sum:08x}"))
}

/// What `eval` found for the last checkpoint, if it ran.
fn measured(run: &Run) -> Result<Option<Value>> {
    let path = run.path("eval/summary.json");
    if !path.is_file() {
        return Ok(None);
    }
    let text = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let summary: Value = serde_json::from_slice(&text)
        .with_context(|| format!("{} is damaged: run `drr-train eval` again", path.display()))?;
    let current = summary["steps"].as_u64() == Some(run.model_checkpoint()?.steps);
    // `eval` bakes 32-bit grids, whatever is baked now.
    Ok(current.then(|| json!({"grids": "F32", "splits": summary["quality"]})))
}
