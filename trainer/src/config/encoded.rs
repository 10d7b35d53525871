//! Encodings of any number of inputs, and the small network behind them: the classical ways to
//! learn a field.

use anyhow::{Result, bail};
use drr::model::spec::Activation;

use super::layers::activation;
use super::section::{Section, hint, positive};

/// A multi-resolution hash grid (instant-NGP, Müller et al. 2022), by the reference's keys.
#[derive(Debug, Clone, PartialEq)]
pub struct HashConfig {
    /// Numbers that are encoded, 2 to [`MAX_DIMS`](Self::MAX_DIMS).
    pub dims: usize,
    /// Number of levels.
    pub levels: usize,
    /// Features of a level.
    pub features: usize,
    /// Binary logarithm of the most entries that a level's table has.
    pub log2_entries: usize,
    /// Cells along each axis of the coarsest level.
    pub base: usize,
    /// Cells along each axis of the finest level.
    pub finest: usize,
}

/// One level of a [`HashConfig`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashLevel {
    /// Vertices along each axis.
    pub vertices: usize,
    /// Rows of the table.
    pub entries: usize,
    /// Whether vertices share rows.
    pub hashed: bool,
}

impl HashConfig {
    /// What the primes of the hash function suffice for.
    pub const MAX_DIMS: usize = 7;

    /// Reads the parameters of a `HashGrid` over `dims` numbers.
    pub(super) fn read(s: &mut Section, dims: Option<usize>) -> Result<Self> {
        let given = s.take::<usize>("n_input_dims")?;
        if let (Some(given), Some(dims)) = (given, dims)
            && given != dims
        {
            bail!("{}: given {given}, expected {dims}", s.at("n_input_dims"));
        }
        let Some(dims) = dims.or(given) else {
            return Err(s.missing("n_input_dims", "the number of coordinates"));
        };
        let config = Self {
            dims,
            levels: s.take_or("n_levels", 16)?,
            features: s.take_or("n_features_per_level", 2)?,
            log2_entries: s.take_or("log2_hashmap_size", 19)?,
            base: s.take_or("base_resolution", 16)?,
            finest: s.take_or("max_resolution", 512)?,
        };
        config.check(s.path())?;
        Ok(config)
    }

    /// Reads the keys that `NGPRadianceField` has, with its defaults.
    pub(super) fn read_ngp(s: &mut Section) -> Result<Self> {
        let config = Self {
            dims: 3,
            levels: s.take_or("n_levels", 16)?,
            features: 2,
            log2_entries: s.take_or("log2_hashmap_size", 19)?,
            base: s.take_or("base_resolution", 16)?,
            finest: s.take_or("max_resolution", 4096)?,
        };
        config.check(s.path())?;
        Ok(config)
    }

    fn check(&self, path: &str) -> Result<()> {
        if !(2..=Self::MAX_DIMS).contains(&self.dims) {
            bail!(
                "{path}: a hash grid over {} numbers, expected 2 to {}: each needs twice the \
                 corners",
                self.dims,
                Self::MAX_DIMS
            );
        }
        let sizes = [self.levels, self.features, self.base];
        if sizes.contains(&0) || self.finest < self.base || self.finest > 1 << 30 {
            bail!(
                "{path}: expected n_levels ({}), n_features_per_level ({}) and base_resolution \
                 ({}) of 1 or more, max_resolution ({}) from there to 2^30",
                self.levels,
                self.features,
                self.base,
                self.finest
            );
        }
        if !(1..=30).contains(&self.log2_entries) || self.levels > 64 || self.features > 1024 {
            bail!(
                "{path}: expected log2_hashmap_size ({}) from 1 to 30, n_levels ({}) up to 64, \
                 n_features_per_level ({}) up to 1024",
                self.log2_entries,
                self.levels,
                self.features
            );
        }
        Ok(())
    }

    /// Features of all levels.
    pub fn width(&self) -> usize {
        self.levels * self.features
    }

    /// The levels, coarsest first: resolutions grow by the same factor (equations 2 and 3 of the
    /// paper); those whose vertices fit the table need no hash function.
    pub fn levels(&self) -> Vec<HashLevel> {
        let ratio = self.finest as f64 / self.base as f64;
        let most = 1_usize << self.log2_entries;
        (0..self.levels)
            .map(|level| {
                let part = level as f64 / (self.levels.max(2) - 1) as f64;
                // A little more, since the last power is not exactly the finest resolution.
                let cells = (self.base as f64 * ratio.powf(part) + 1e-6).floor() as usize;
                let vertices = cells + 1;
                let all = (0..self.dims).try_fold(1_usize, |all, _| all.checked_mul(vertices));
                match all.filter(|&all| all <= most) {
                    Some(entries) => HashLevel { vertices, entries, hashed: false },
                    None => HashLevel { vertices, entries: most, hashed: true },
                }
            })
            .collect()
    }
}

/// `EncodedMLP`: an encoding of coordinates and parameters together, and a network of few layers.
/// Not one of the reference's.
#[derive(Debug, Clone, PartialEq)]
pub struct EncodedConfig {
    /// Coordinates among the inputs.
    pub dims: usize,
    /// Simulation parameters, the other inputs.
    pub cond_dim: usize,
    /// What makes features of the inputs.
    pub encoding: Encoding,
    /// Width of the hidden layers.
    pub hidden_dim: usize,
    /// Hidden layers.
    pub layers: usize,
    /// Follows the hidden layers.
    pub activation: Activation,
    /// Follows the last layer.
    pub out_act: Activation,
    /// Values per point.
    pub out_dim: usize,
}

/// An encoding of inputs.
#[derive(Debug, Clone, PartialEq)]
pub enum Encoding {
    /// Learned features of a hash grid.
    Hash(HashConfig),
    /// Sines and cosines (Mildenhall et al. 2020, equation 4).
    Frequency {
        /// Frequencies of each coordinate.
        spatial: usize,
        /// Frequencies of each parameter.
        conditional: usize,
    },
}

impl EncodedConfig {
    pub(super) fn read(mut s: Section) -> Result<Self> {
        let (dims, cond_dim) = (s.take_or("x_dims", 3)?, s.take_or("cond_dims", 0)?);
        if !(1..=3).contains(&dims) {
            bail!("{}: given {dims}, expected 1 to 3", s.at("x_dims"));
        }
        let encoding = s
            .typed("encoding")?
            .ok_or_else(|| s.missing("encoding", "{type: HashGrid or Frequency, param: {...}}"))?;
        let config = Self {
            dims,
            cond_dim,
            encoding: Encoding::read(encoding, dims + cond_dim)?,
            hidden_dim: positive(&mut s, "hidden_dim")?,
            layers: s.take_or("num_layers", 2)?,
            activation: activation(&mut s, "activation")?.unwrap_or(Activation::ReLU),
            out_act: activation(&mut s, "out_act")?.unwrap_or(Activation::Identity),
            out_dim: s.take_or("out_dim", 1)?,
        };
        if config.out_dim == 0 {
            bail!("{}: given 0, expected 1 or more", s.at("out_dim"));
        }
        s.finish()?;
        Ok(config)
    }

    /// Features of a point.
    pub fn width(&self) -> usize {
        match &self.encoding {
            Encoding::Hash(hash) => hash.width(),
            Encoding::Frequency { spatial, conditional } => {
                2 * (self.dims * spatial + self.cond_dim * conditional)
            }
        }
    }

    /// Widths between the layers of the network, from the features to the values.
    pub fn widths(&self) -> Vec<usize> {
        let hidden = std::iter::repeat_n(self.hidden_dim, self.layers);
        std::iter::once(self.width()).chain(hidden).chain([self.out_dim]).collect()
    }
}

impl Encoding {
    fn read((kind, mut s): (String, Section), inputs: usize) -> Result<Self> {
        let encoding = match kind.as_str() {
            "HashGrid" => Self::Hash(HashConfig::read(&mut s, Some(inputs))?),
            "Frequency" => {
                let spatial = s.take_or("num_freqs", 6)?;
                let conditional = s.take_or("cond_freqs", 2)?;
                if !(1..=16).contains(&spatial) || !(1..=16).contains(&conditional) {
                    bail!(
                        "{}: expected num_freqs ({spatial}) and cond_freqs ({conditional}) from 1 \
                         to 16: higher ones are lost in 32 bits",
                        s.path()
                    );
                }
                Self::Frequency { spatial, conditional }
            }
            other => {
                let advice = hint(other, &["HashGrid", "Frequency"]);
                bail!("{}: unknown encoding `{other}`; {advice}", s.path())
            }
        };
        s.finish()?;
        Ok(encoding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn hash(value: Value) -> Result<HashConfig> {
        HashConfig::read(&mut Section::new("enc", value)?, None)
    }

    #[test]
    fn resolutions_grow_by_the_same_factor_to_the_finest() {
        let config = hash(json!({"n_input_dims": 3, "n_levels": 6, "base_resolution": 4,
            "max_resolution": 128, "log2_hashmap_size": 12}));
        let levels = config.unwrap().levels();
        let vertices: Vec<_> = levels.iter().map(|level| level.vertices).collect();
        assert_eq!(vertices, [5, 9, 17, 33, 65, 129]);
        let entries: Vec<_> = levels.iter().map(|level| (level.entries, level.hashed)).collect();
        assert_eq!(entries[..3], [(125, false), (729, false), (4096, true)]);
        let one = hash(json!({"n_input_dims": 2, "n_levels": 1, "base_resolution": 7}));
        assert_eq!(one.unwrap().levels()[0].vertices, 8);
    }

    #[test]
    fn senseless_grids_are_errors() {
        for (value, part) in [
            (json!({}), "n_input_dims"),
            (json!({"n_input_dims": 9}), "a hash grid over 9 numbers"),
            (json!({"n_input_dims": 3, "n_levels": 0}), "n_levels (0)"),
            (json!({"n_input_dims": 3, "max_resolution": 4}), "max_resolution (4)"),
            (json!({"n_input_dims": 3, "log2_hashmap_size": 31}), "log2_hashmap_size (31)"),
        ] {
            let error = hash(value).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
