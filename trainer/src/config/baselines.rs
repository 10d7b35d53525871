//! The models that the paper compares DRR-Net with, by the reference's types and keys.

use anyhow::{Result, bail};

use super::encoded::{EncodedConfig, Encoding};
use super::section::{Section, hint, positive};

/// A model to compare with.
#[derive(Debug, Clone, PartialEq)]
pub enum BaselineConfig {
    /// `KPlaneField`: products of planes over all pairs of inputs (K-Planes).
    KPlanes(KPlanesConfig),
    /// `INR_FG`: a volume times three planes, and lines of the parameters (Explorable-INR).
    Explorable(ExplorableConfig),
    /// `KVMemoryModel`: a mixture of experts, each with a memory of keys and values (FA-INR).
    FaInr(FaInrConfig),
    /// `Siren`: a network with sines.
    Siren(SirenConfig),
    /// `EncodedMLP`: a hash grid or sines and cosines of all inputs, and a small network.
    Encoded(EncodedConfig),
}

/// Types, the first four of the reference.
pub(super) const TYPES: [&str; 5] =
    ["KPlaneField", "INR_FG", "KVMemoryModel", "Siren", "EncodedMLP"];

/// A `KPlaneField`.
#[derive(Debug, Clone, PartialEq)]
pub struct KPlanesConfig {
    /// Vertices along each input: coordinates, then parameters.
    pub resolution: Vec<usize>,
    /// Features of a plane.
    pub features: usize,
    /// What the resolution of coordinates is multiplied by, a scale each.
    pub scales: Vec<usize>,
    /// Whether features of scales stand side by side; else they are summed.
    pub concatenates: bool,
    /// Coordinates among the inputs.
    pub dims: usize,
    /// Ours: whether planes of parameters start at 1, as those of time do in the paper on K-Planes. As
    /// the reference has it, all start between 0.1 and 0.5: of many parameters, whose planes are many
    /// more, the product is so small that nothing is learned.
    pub neutral: bool,
}

/// An `INR_FG`.
#[derive(Debug, Clone, PartialEq)]
pub struct ExplorableConfig {
    /// Vertices of the volume, slowest first.
    pub volume: [usize; 3],
    /// Vertices of the planes over pairs of these.
    pub planes: [usize; 3],
    /// Vertices of the line of each parameter.
    pub lines: Vec<usize>,
    /// Features of the volume and of each plane.
    pub features: usize,
    /// Features of a line.
    pub line_features: usize,
    /// Values per point.
    pub out_dim: usize,
}

/// A `KVMemoryModel`.
#[derive(Debug, Clone, PartialEq)]
pub struct FaInrConfig {
    /// Number of parameters.
    pub cond_dim: usize,
    /// Vertices of the line of each parameter.
    pub line_size: usize,
    /// Features of a line.
    pub line_features: usize,
    /// Keys and values of an expert's memory.
    pub entries: usize,
    /// Length of keys, values and encoded points.
    pub features: usize,
    /// Entries that answer a point.
    pub top: usize,
    /// Hidden layers of an expert's encoder.
    pub encoder_layers: usize,
    /// Their width.
    pub encoder_dim: usize,
    /// Width of the decoder.
    pub decoder_dim: usize,
    /// Values per point.
    pub out_dim: usize,
    /// Experts, of which two answer a point.
    pub experts: usize,
    /// Vertices along each axis of the grid that chooses experts.
    pub manager_res: usize,
}

/// A `Siren`.
#[derive(Debug, Clone, PartialEq)]
pub struct SirenConfig {
    /// Coordinates, or coordinates and parameters.
    pub in_dim: usize,
    /// Width of the hidden layers.
    pub hidden_dim: usize,
    /// Hidden layers behind the first one.
    pub layers: usize,
    /// Values per point.
    pub out_dim: usize,
}

impl BaselineConfig {
    /// Reads one of [`TYPES`].
    pub(super) fn read(kind: &str, section: Section) -> Result<Self> {
        match kind {
            "KPlaneField" => KPlanesConfig::read(section).map(Self::KPlanes),
            "INR_FG" => ExplorableConfig::read(section).map(Self::Explorable),
            "KVMemoryModel" => FaInrConfig::read(section).map(Self::FaInr),
            "Siren" => SirenConfig::read(section).map(Self::Siren),
            "EncodedMLP" => EncodedConfig::read(section).map(Self::Encoded),
            other => bail!("model.type: unknown type `{other}`; {}", hint(other, &TYPES)),
        }
    }

    /// What tables call the model.
    pub fn title(&self) -> &'static str {
        match self {
            Self::KPlanes(_) => "K-Planes",
            Self::Explorable(_) => "Explorable-INR",
            Self::FaInr(_) => "FA-INR",
            Self::Siren(_) => "SIREN",
            Self::Encoded(EncodedConfig { encoding: Encoding::Hash(_), .. }) => "hash grid + MLP",
            Self::Encoded(EncodedConfig { encoding: Encoding::Frequency { .. }, .. }) => {
                "frequencies + MLP"
            }
        }
    }

    /// Values per point.
    pub fn out_dim(&self) -> usize {
        match self {
            Self::KPlanes(_) => 1,
            Self::Explorable(config) => config.out_dim,
            Self::FaInr(config) => config.out_dim,
            Self::Siren(config) => config.out_dim,
            Self::Encoded(config) => config.out_dim,
        }
    }

    /// Coordinates of a point; the other inputs are parameters.
    pub fn dims(&self) -> usize {
        match self {
            Self::KPlanes(config) => config.dims,
            Self::Explorable(_) | Self::FaInr(_) => 3,
            Self::Siren(config) => config.in_dim.min(3),
            Self::Encoded(config) => config.dims,
        }
    }

    /// Numbers that a point and its parameters have together.
    pub fn inputs(&self) -> usize {
        match self {
            Self::KPlanes(config) => config.resolution.len(),
            Self::Explorable(config) => 3 + config.lines.len(),
            Self::FaInr(config) => 3 + config.cond_dim,
            Self::Siren(config) => config.in_dim,
            Self::Encoded(config) => config.dims + config.cond_dim,
        }
    }
}

impl KPlanesConfig {
    fn read(mut s: Section) -> Result<Self> {
        // The reference keeps the box and never reads it.
        s.take::<Vec<f64>>("aabb")?;
        let mut grid = match s.section("grid_config")? {
            Some(grid) => grid,
            None => return Err(s.missing("grid_config", "a mapping")),
        };
        let pairs = positive(&mut grid, "grid_dimensions")?;
        if pairs != 2 {
            bail!("{}: given {pairs}, only planes (2) are supported", grid.at("grid_dimensions"));
        }
        let inputs = positive(&mut grid, "input_coordinate_dim")?;
        let features = positive(&mut grid, "output_coordinate_dim")?;
        let resolution = sizes(&mut grid, "resolution")?;
        if resolution.len() != inputs {
            bail!(
                "{}: {} sizes, expected input_coordinate_dim, {inputs}",
                grid.at("resolution"),
                resolution.len()
            );
        }
        grid.finish()?;
        let scales = s.take::<Vec<usize>>("multiscale_res")?.unwrap_or_else(|| vec![1]);
        let dims = s.take_or("x_dims", 3)?;
        let neutral = s.take_or("neutral_parameters", false)?;
        if scales.is_empty() || scales.contains(&0) {
            bail!("{}: given {scales:?}, expected sizes of 1 or more", s.at("multiscale_res"));
        }
        if dims > inputs || inputs < 2 {
            bail!("{}: {dims} coordinates among {inputs} inputs", s.at("x_dims"));
        }
        let concatenates = s.take_or("concat_features_across_scales", true)?;
        s.finish()?;
        Ok(Self { resolution, features, scales, concatenates, dims, neutral })
    }

    /// Vertices along each input at a scale: that of parameters is the same at all.
    pub fn resolution_at(&self, scale: usize) -> Vec<usize> {
        let all = self.resolution.iter().enumerate();
        all.map(|(n, &size)| if n < self.dims { size.saturating_mul(scale) } else { size })
            .collect()
    }

    /// Features that the decoder gets.
    pub fn width(&self) -> usize {
        self.features * if self.concatenates { self.scales.len() } else { 1 }
    }
}

impl ExplorableConfig {
    fn read(mut s: Section) -> Result<Self> {
        let shape = sizes(&mut s, "grid_shape")?;
        let [a, b, c, d, e, f, lines @ ..] = &shape[..] else {
            bail!(
                "{}: {} sizes, expected 3 of the volume, 3 of the planes, one for each parameter",
                s.at("grid_shape"),
                shape.len()
            );
        };
        if s.take_or("x_dims", 3_usize)? != 3 {
            bail!("{}: only 3 is supported", s.at("x_dims"));
        }
        if s.take_or("dropout_layer", false)? {
            bail!("{}: dropout is not supported", s.at("dropout_layer"));
        }
        // Without it the reference returns the last hidden layer.
        if !s.take_or("out_sigmoid", true)? {
            bail!("{}: expected true", s.at("out_sigmoid"));
        }
        let config = Self {
            volume: [*a, *b, *c],
            planes: [*d, *e, *f],
            lines: lines.to_vec(),
            features: positive(&mut s, "num_feat_3d")?,
            line_features: positive(&mut s, "num_feat_1d")?,
            out_dim: positive(&mut s, "out_features")?,
        };
        let planes = positive(&mut s, "num_feat_2d")?;
        if planes != config.features {
            bail!(
                "{}: given {planes}, expected num_feat_3d, {}: they are multiplied",
                s.at("num_feat_2d"),
                config.features
            );
        }
        if config.lines.is_empty() {
            bail!("{}: no sizes for parameters", s.at("grid_shape"));
        }
        s.finish()?;
        Ok(config)
    }
}

impl FaInrConfig {
    fn read(mut s: Section) -> Result<Self> {
        let config = Self {
            cond_dim: positive(&mut s, "cond_dims")?,
            line_size: positive(&mut s, "cond_hidden_dims")?,
            line_features: s.take_or("feature_dim_1d", 64)?,
            entries: s.take_or("num_entries", 1024)?,
            features: s.take_or("feature_dim_3d", 64)?,
            top: s.take_or("top_K", 16)?,
            encoder_layers: positive(&mut s, "num_hidden_layers")?,
            encoder_dim: s.take_or("mlp_encoder_dim", 128)?,
            decoder_dim: s.take_or("mlp_hidden_dim", 128)?,
            out_dim: s.take_or("out_features", 1)?,
            experts: positive(&mut s, "n_experts")?,
            manager_res: s.take_or("manager_res", 16)?,
        };
        let keys = s.take_or("key_dim", 3)?;
        if keys != config.features {
            bail!(
                "{}: given {keys}, expected feature_dim_3d, {}",
                s.at("key_dim"),
                config.features
            );
        }
        // Nothing has this width in the reference.
        s.take::<usize>("manager_hidden_dim")?;
        // The best of each chunk and then of all are the best of all: it only bounds memory.
        s.take::<usize>("chunk_size")?;
        if s.take_or("x_dims", 3_usize)? != 3 || !s.take_or("out_sigmoid", true)? {
            bail!("{}: only x_dims 3 and out_sigmoid true are supported", s.path());
        }
        let sizes = [
            config.line_features,
            config.features,
            config.top,
            config.encoder_dim,
            config.decoder_dim,
            config.out_dim,
            config.manager_res,
        ];
        if sizes.contains(&0) || config.top > config.entries || config.experts < 2 {
            bail!(
                "{}: expected sizes of 1 or more, top_K ({}) up to num_entries ({}), 2 or more \
                 experts ({})",
                s.path(),
                config.top,
                config.entries,
                config.experts
            );
        }
        s.finish()?;
        Ok(config)
    }

    /// Inputs and outputs of the layers of an expert's encoder.
    pub fn encoder(&self) -> Vec<(usize, usize)> {
        let hidden = std::iter::repeat_n((self.encoder_dim, self.encoder_dim), self.encoder_layers);
        let first = [(ENCODED, self.encoder_dim)];
        first.into_iter().chain(hidden).chain([(self.encoder_dim, self.features)]).collect()
    }
}

/// Length of an encoded point of FA-INR: the coordinates, and sine and cosine of each at 10
/// frequencies.
pub const ENCODED: usize = 3 + 3 * 2 * 10;

/// Features of the grid by which FA-INR chooses experts.
pub const MANAGER: usize = 16;

/// Width of the layer that adapts FA-INR's values to the parameters.
pub const ADAPTER: usize = 64;

/// Width of the decoders of K-Planes and Explorable-INR.
pub const DECODER: usize = 128;

impl SirenConfig {
    fn read(mut s: Section) -> Result<Self> {
        let config = Self {
            in_dim: positive(&mut s, "in_dim")?,
            hidden_dim: positive(&mut s, "feat_dim")?,
            layers: s.require("num_layers")?,
            out_dim: positive(&mut s, "out_dim")?,
        };
        if !s.take_or("outermost_linear", true)? {
            bail!("{}: expected true", s.at("outermost_linear"));
        }
        for key in ["first_omega_0", "hidden_omega_0"] {
            if s.take_or(key, 30.0)? != 30.0 {
                bail!("{}: only 30 is supported", s.at(key));
            }
        }
        s.finish()?;
        Ok(config)
    }
}

fn sizes(s: &mut Section, key: &'static str) -> Result<Vec<usize>> {
    let sizes: Vec<usize> = s.require(key)?;
    if sizes.contains(&0) {
        bail!("{}: given {sizes:?}, expected sizes of 1 or more", s.at(key));
    }
    Ok(sizes)
}
