//! The `model` part of an entry: which network, of which sizes.
//!
//! What loads here is consistent: every width fits the next. Networks are built elsewhere.

use anyhow::{Result, anyhow, bail};
use drr::model::spec::Activation;
use serde_json::Value;

use super::baselines::{self, BaselineConfig};
use super::encoder::{EncoderConfig, check_residual};
use super::inr::InrConfig;
use super::layers::{FeatMlpConfig, GluConfig, RefinerConfig, activation};
use super::radiance::{self, RadianceConfig};
use super::section::{Section, hint, positive};
use super::spatial::SpatialConfig;

/// A model that can be built.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelConfig {
    /// `HDINRBase`, the DRR-Net for ensembles: grid, lines, decoder.
    Hdinr(HdinrConfig),
    /// `DRRINR`: one field or image.
    Inr(InrConfig),
    /// A radiance field.
    Radiance(RadianceConfig),
    /// One of those that the paper compares with.
    Baseline(BaselineConfig),
}

/// A model of fields: of an ensemble, or of a single one.
#[derive(Debug, Clone, Copy)]
pub enum EnsembleModel<'a> {
    /// DRR-Net.
    Hdinr(&'a HdinrConfig),
    /// Of one field or image.
    Inr(&'a InrConfig),
    /// One to compare it with.
    Baseline(&'a BaselineConfig),
}

impl EnsembleModel<'_> {
    /// Coordinates of a point.
    pub fn dims(&self) -> usize {
        match self {
            Self::Hdinr(config) => config.encoder.dims(),
            Self::Inr(config) => config.spatial.encoder.dims(),
            Self::Baseline(config) => config.dims(),
        }
    }

    /// Simulation parameters.
    pub fn parameters(&self) -> usize {
        match self {
            Self::Hdinr(config) => config.latent.cond_dim,
            Self::Inr(_) => 0,
            Self::Baseline(config) => config.inputs() - config.dims(),
        }
    }

    /// Values per point.
    pub fn out_dim(&self) -> usize {
        match self {
            Self::Hdinr(config) => config.out_dim,
            Self::Inr(config) => config.out_dim,
            Self::Baseline(config) => config.out_dim(),
        }
    }

    /// What values go through last, which decides their range.
    pub fn out_act(&self) -> Option<Activation> {
        match self {
            Self::Hdinr(config) => config.out_act,
            Self::Inr(_) => None,
            Self::Baseline(BaselineConfig::Explorable(_) | BaselineConfig::FaInr(_)) => {
                Some(Activation::Sigmoid)
            }
            Self::Baseline(BaselineConfig::Encoded(config)) => Some(config.out_act),
            Self::Baseline(BaselineConfig::KPlanes(_) | BaselineConfig::Siren(_)) => None,
        }
    }
}

/// An `HDINRBase`.
#[derive(Debug, Clone, PartialEq)]
pub struct HdinrConfig {
    /// Values per point.
    pub out_dim: usize,
    /// Width of the fused features.
    pub hidden_dim: usize,
    /// Channels that come from the encoder.
    pub spatial_fdim: usize,
    /// Activation after the fusion layer.
    pub default_act: Activation,
    /// Activation of the output.
    pub out_act: Option<Activation>,
    /// The grids.
    pub encoder: EncoderConfig,
    /// From fused features to values.
    pub decoder: FeatMlpConfig,
    /// The parameter lines.
    pub latent: LatentConfig,
    /// Whether the refiners that are there are used.
    pub if_refine: bool,
    /// Refiner of the grid, used if [`refines_grid`](Self::refines_grid).
    pub spatial_refiner: Option<RefinerConfig>,
    /// Refiner of the lines, used if [`refines_lines`](Self::refines_lines).
    pub cond_refiner: Option<GluConfig>,
    /// Whether a linear layer follows the decoder.
    pub use_out_proj: bool,
}

/// The parameter lines (`MultiCondLatentLines`, `CondLatentLines`).
#[derive(Debug, Clone, PartialEq)]
pub struct LatentConfig {
    /// Whether there are several scales as a matter of type, which decides the checkpoint's names.
    pub multi: bool,
    /// Entries of each line, `[scale][parameter]`.
    pub line_dims: Vec<Vec<usize>>,
    /// Number of parameters.
    pub cond_dim: usize,
    /// Features of a line entry.
    pub features: usize,
    /// Range of the uniform initial values.
    pub init_range: (f64, f64),
}

const OWN: [&str; 2] = ["HDINRBase", "DRRINR"];

impl ModelConfig {
    /// Reads a model of type `kind`.
    pub(super) fn read((kind, param): (String, Section)) -> Result<Self> {
        match kind.as_str() {
            "HDINRBase" => HdinrConfig::read(param).map(Self::Hdinr),
            "DRRINR" => InrConfig::read(param).map(Self::Inr),
            known if radiance::TYPES.contains(&known) => {
                RadianceConfig::read(known, param).map(Self::Radiance)
            }
            known if baselines::TYPES.contains(&known) => {
                BaselineConfig::read(known, param).map(Self::Baseline)
            }
            other => {
                let known: Vec<_> =
                    OWN.into_iter().chain(radiance::TYPES).chain(baselines::TYPES).collect();
                bail!("model.type: unknown type `{other}`; {}", hint(other, &known))
            }
        }
    }

    /// The model of fields.
    ///
    /// # Errors
    /// If it is a radiance field.
    pub fn of_ensemble(&self) -> Result<EnsembleModel<'_>> {
        match self {
            Self::Hdinr(config) => Ok(EnsembleModel::Hdinr(config)),
            Self::Baseline(config) => Ok(EnsembleModel::Baseline(config)),
            Self::Inr(config) => Ok(EnsembleModel::Inr(config)),
            Self::Radiance(_) => bail!(
                "model.type: a radiance field, expected a model of fields: only `train`, `eval`, \
                 `render`, `bake`, `info` and `flops` are for both"
            ),
        }
    }

    /// What tables call the model.
    pub fn title(&self) -> String {
        let grids = |config: &EncoderConfig| match config {
            EncoderConfig::MultiDense { .. } => "multi-dense grids",
            EncoderConfig::Dense { .. } => "dense grid",
            EncoderConfig::TriPlane { .. } => "tri-planes",
            EncoderConfig::Hash(_) => "hash grid",
        };
        let (refined, encoder) = match self {
            Self::Hdinr(config) => (config.refines_grid(), &config.encoder),
            Self::Inr(config) => (config.spatial.refines_grid(), &config.spatial.encoder),
            Self::Radiance(config) => match config.spatial() {
                Some(spatial) => (spatial.refines_grid(), &spatial.encoder),
                None => return "NeRF".to_owned(),
            },
            Self::Baseline(config) => return config.title().to_owned(),
        };
        match refined {
            true => format!("DRR-Net, {}", grids(encoder)),
            false if matches!(encoder, EncoderConfig::Hash(_)) => grids(encoder).to_owned(),
            false => format!("{}, not refined", grids(encoder)),
        }
    }

    /// Whether there is a grid that is refined.
    pub fn refines_grid(&self) -> bool {
        match self {
            Self::Hdinr(config) => config.refines_grid(),
            Self::Inr(config) => config.spatial.refines_grid(),
            Self::Radiance(config) => config.spatial().is_some_and(SpatialConfig::refines_grid),
            Self::Baseline(_) => false,
        }
    }

    /// The grids of the model; models to compare with have none of this kind.
    pub fn encoder(&self) -> Option<&EncoderConfig> {
        match self {
            Self::Hdinr(config) => Some(&config.encoder),
            Self::Inr(config) => Some(&config.spatial.encoder),
            Self::Radiance(config) => config.spatial().map(|spatial| &spatial.encoder),
            Self::Baseline(_) => None,
        }
    }
}

impl HdinrConfig {
    fn read(mut s: Section) -> Result<Self> {
        let (kind, encoder) = require_typed(&mut s, "encoder_kwargs")?;
        let config = Self {
            out_dim: positive(&mut s, "out_dim")?,
            hidden_dim: positive(&mut s, "hidden_dim")?,
            spatial_fdim: positive(&mut s, "spatial_fdim")?,
            default_act: activation(&mut s, "default_act")?.unwrap_or(Activation::ELU),
            out_act: read_out_act(&mut s)?,
            encoder: EncoderConfig::read(&kind, encoder)?,
            decoder: FeatMlpConfig::read(require_typed(&mut s, "decoder_kwargs")?)?,
            latent: LatentConfig::read(require_typed(&mut s, "latent_kwargs")?)?,
            if_refine: s.take_or("if_refine", false)?,
            spatial_refiner: s
                .typed("spatial_trans_kwargs")?
                .map(RefinerConfig::read)
                .transpose()?,
            cond_refiner: s.typed("cond_trans_kwargs")?.map(GluConfig::read_typed).transpose()?,
            use_out_proj: s.take_or("use_out_proj", false)?,
        };
        // Progress messages of the reference: nothing to compute.
        s.take::<bool>("verbose")?;
        config.check(&s)?;
        s.finish()?;
        Ok(config)
    }

    /// Whether the grid is refined; without it there is no positional encoding either.
    pub fn refines_grid(&self) -> bool {
        self.if_refine && self.spatial_refiner.is_some()
    }

    /// Whether the lines are refined; it decides the order of their features.
    pub fn refines_lines(&self) -> bool {
        self.if_refine && self.cond_refiner.is_some()
    }

    fn check(&self, s: &Section) -> Result<()> {
        let refiner = self.spatial_refiner.as_ref().filter(|_| self.if_refine);
        self.encoder.check_widths(self.spatial_fdim, refiner, s.path())?;
        if let (true, Some(glu)) = (self.if_refine, &self.cond_refiner) {
            let path = s.at("cond_trans_kwargs.param");
            let input = "cond_dim x scales x latent_shape";
            check_residual(glu, self.latent.width(), input, &path)?;
        }
        let decoder = s.at("decoder_kwargs.param");
        if self.decoder.feat_dim != self.hidden_dim {
            bail!(
                "{decoder}.feat_dim: given {}, expected hidden_dim, {}",
                self.decoder.feat_dim,
                self.hidden_dim
            );
        }
        let (given, expected) = (self.decoder.out_dim, (self.out_dim, self.hidden_dim));
        match self.use_out_proj {
            false if given != expected.0 => bail!(
                "{decoder}.out_dim: given {given}, expected the model's out_dim, {}",
                expected.0
            ),
            true if given != expected.1 => bail!(
                "{decoder}.out_dim: given {given}, expected hidden_dim, {}, which use_out_proj \
                 goes on from",
                expected.1
            ),
            _ => Ok(()),
        }
    }
}

impl LatentConfig {
    fn read((kind, mut s): (String, Section)) -> Result<Self> {
        let multi = match kind.as_str() {
            "MultiCondLatentLines" => true,
            "CondLatentLines" => false,
            other => {
                let advice = hint(other, &["MultiCondLatentLines", "CondLatentLines"]);
                bail!("{}: unknown type `{other}`; {advice}", s.path())
            }
        };
        s.refuse(&["pre_refiner_proj_kwargs"])?;
        let line_dims: Vec<Vec<usize>> = match multi {
            true => s.require("line_dims_list")?,
            false => vec![s.require("line_dims")?],
        };
        let config = Self {
            multi,
            cond_dim: positive(&mut s, "cond_dim")?,
            line_dims,
            features: read_features(&mut s)?,
            init_range: read_init(&mut s)?,
        };
        config.check(s.path())?;
        s.finish()?;
        Ok(config)
    }

    /// Number of scales.
    pub fn scales(&self) -> usize {
        self.line_dims.len()
    }

    /// Features of all parameters and scales together.
    pub fn width(&self) -> usize {
        self.cond_dim * self.scales() * self.features
    }

    fn check(&self, path: &str) -> Result<()> {
        if self.line_dims.is_empty() {
            bail!("{path}.line_dims_list: empty, expected one row for each scale");
        }
        for (scale, row) in self.line_dims.iter().enumerate() {
            if row.len() != self.cond_dim {
                bail!(
                    "{path}: scale {scale} has {} lines, expected cond_dim, {}",
                    row.len(),
                    self.cond_dim
                );
            }
            if row.contains(&0) {
                bail!("{path}: scale {scale} has a line without entries");
            }
        }
        let longest = self.line_dims.iter().flatten().copied().max().unwrap_or(1);
        [self.scales(), self.features, longest, size_of::<f64>()]
            .into_iter()
            .try_fold(self.cond_dim, usize::checked_mul)
            .filter(|&bytes| bytes <= isize::MAX as usize)
            .map(|_| ())
            .ok_or_else(|| anyhow!("{path}: lines of this size fit no memory"))
    }
}

fn require_typed(s: &mut Section, key: &'static str) -> Result<(String, Section)> {
    s.typed(key)?.ok_or_else(|| s.missing(key, "{type: ..., param: {...}}"))
}

/// Python's `None` is no YAML null, but people write it.
fn read_out_act(s: &mut Section) -> Result<Option<Activation>> {
    match s.peek("out_act").and_then(Value::as_str) {
        Some("None") => Ok(s.take_value("out_act").and(None)),
        _ => activation(s, "out_act"),
    }
}

fn read_features(s: &mut Section) -> Result<usize> {
    match s.require::<Vec<usize>>("latent_shape")?.as_slice() {
        [features] if *features > 0 => Ok(*features),
        other => bail!(
            "{}: given {other:?}, expected one number, 1 or more, in a list",
            s.at("latent_shape")
        ),
    }
}

fn read_init(s: &mut Section) -> Result<(f64, f64)> {
    let kind = s.take_or("latent_init", "uniform".to_owned())?;
    if kind != "uniform" {
        bail!("{}: given {kind}, only `uniform` is supported", s.at("latent_init"));
    }
    let Some(mut range) = s.section("latent_init_kwargs")? else {
        return Ok((-1e-3, 1e-3));
    };
    let (low, high) = (range.take_or("a", -1e-3)?, range.take_or("b", 1e-3)?);
    if low > high {
        bail!("{}: a = {low} is above b = {high}", range.path());
    }
    range.finish()?;
    Ok((low, high))
}
