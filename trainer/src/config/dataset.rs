//! The `dataset` part of an entry: where the data are and how batches are drawn from them.
//!
//! Opens nothing; whether a kind of data set can be trained on is decided by its reader.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Result, bail};

use super::section::{Section, hint, optional_positive};

/// A kind of data set, under its name in the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatasetKind {
    /// `HDFieldDataset`: an ensemble of fields on a regular lattice.
    HdField,
    /// `HDCurviFieldDataset`: an ensemble of fields on scattered points.
    HdCurviField,
    /// `FieldDataset`: one field or image.
    Field,
}

/// Where Variational Pairs put noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairsChoice {
    /// `none`: nowhere.
    None,
    /// `space`: on coordinates.
    Space,
    /// `parameters`: on parameters.
    Parameters,
    /// `both`
    Both,
}

/// What values are normalised by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Normalize {
    /// `minmax`: the least becomes 0, the greatest 1.
    MinMax,
    /// `standard`: the mean becomes 0, the standard deviation 1.
    Standard,
}

/// Where the data are and how batches are drawn from them.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetConfig {
    /// The kind of data set.
    pub kind: DatasetKind,
    /// Ours: the folder of the data, whatever form they have; goes before the reference's paths.
    pub data: Option<PathBuf>,
    /// Folder of the members' files.
    pub data_dir: Option<PathBuf>,
    /// The single field of a [`DatasetKind::Field`].
    pub data_path: Option<PathBuf>,
    /// Point positions of a [`DatasetKind::HdCurviField`].
    pub coord_path: Option<PathBuf>,
    /// Table of parameters (`cond.npy`).
    pub cond_path: Option<PathBuf>,
    /// Which members are for training (`cond_split.npy`).
    pub cond_split_path: Option<PathBuf>,
    /// Ours: training members that are set aside to judge the model during the training.
    pub validation: usize,
    /// Least value (its logarithm, with `use_logdata`); that of the training members if absent.
    pub data_min: Option<f64>,
    /// Greatest value (its logarithm, with `use_logdata`); that of the training members if absent.
    pub data_max: Option<f64>,
    /// Ours: what values are normalised by; by mean and deviation if these are given.
    pub normalize: Normalize,
    /// Mean of the values (of their logarithms, with `use_logdata`); that of the training members if
    /// absent.
    pub data_mean: Option<f64>,
    /// Standard deviation of the values; as the mean.
    pub data_std: Option<f64>,
    /// Ours: GiB of memory that fields may take; if there are more, training sees some of the members
    /// at a time. Half of what the machine has left if absent.
    pub cache_gib: Option<f64>,
    /// Shape of a member, `[D, H, W]` or `[H, W]`.
    pub dims: Option<Vec<usize>>,
    /// Whether the logarithm of the values is what is learned.
    pub use_logdata: bool,
    /// Members in a batch.
    pub cond_batch: Option<usize>,
    /// Points of each member in a batch, as a power of 2.
    pub spatial_log2batch: Option<u32>,
    /// Ours: points of each member in a batch, any number; goes before `spatial_log2batch`.
    pub batch_points: Option<usize>,
    /// Ours: whether all members of a batch are seen at the same points.
    pub shared_points: bool,
    /// Ours: points of a batch are drawn in blocks of so many samples along each axis, which share
    /// the vertices that are refined for them; 1: independently.
    pub block: Option<usize>,
    /// Points in a batch of a [`DatasetKind::Field`], as a power of 2.
    pub log2batch: Option<u32>,
    /// Factor on the shape of the data, above 0 up to 1: training sees reduced fields.
    pub dim_scale_factor: f64,
    /// Ours: where Variational Pairs put noise, with targets interpolated, whatever the keys of the
    /// noise ask for; their numbers are taken where they are given.
    pub pairs: Option<PairsChoice>,
    /// Variational Pairs: standard deviation of the noise on coordinates in `[-1, 1]`, one number,
    /// or one for each axis, slowest first.
    pub x_noise_std: Option<Vec<f64>>,
    /// Where the noise on coordinates is cut off; from its deviation if absent.
    pub x_noise_threshold: Option<Vec<f64>>,
    /// Variational Pairs: standard deviation of the noise on parameters in `[0, 1]`, one number, or
    /// one for each.
    pub cond_noise_std: Option<Vec<f64>>,
    /// Where the noise on parameters is cut off; from its deviation if absent.
    pub cond_noise_threshold: Option<Vec<f64>>,
    /// Members that the target at moved parameters is interpolated between.
    pub neighbors: usize,
    /// Whether the target of a moved point is interpolated.
    pub noise_interp_value: bool,
    /// Ours: which part of a batch's members stands anywhere in the range of the parameters, with the
    /// values that kriging between the training members gives there; from 0 to 1.
    pub virtual_members: Option<f64>,
    /// Ours: what fields depend on, for kriging: products of powers of parameters by name, such as
    /// `density_2 / density_1`. The parameters themselves if there are none.
    pub groups: Vec<String>,
    /// Folder of weights for importance sampling of points.
    pub impsmp_coord_path: Option<PathBuf>,
    /// Weights for importance sampling of members.
    pub impsmp_cond_path: Option<PathBuf>,
}

impl PairsChoice {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::None, Self::Space, Self::Parameters, Self::Both];

    /// Its name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Space => "space",
            Self::Parameters => "parameters",
            Self::Both => "both",
        }
    }
}

impl DatasetKind {
    const ALL: [Self; 3] = [Self::HdField, Self::HdCurviField, Self::Field];

    /// Its name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::HdField => "HDFieldDataset",
            Self::HdCurviField => "HDCurviFieldDataset",
            Self::Field => "FieldDataset",
        }
    }
}

impl fmt::Display for DatasetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Default for DatasetConfig {
    fn default() -> Self {
        Self {
            kind: DatasetKind::HdField,
            data: None,
            data_dir: None,
            data_path: None,
            coord_path: None,
            cond_path: None,
            cond_split_path: None,
            validation: 0,
            data_min: None,
            data_max: None,
            normalize: Normalize::MinMax,
            data_mean: None,
            data_std: None,
            cache_gib: None,
            dims: None,
            use_logdata: false,
            cond_batch: None,
            spatial_log2batch: None,
            batch_points: None,
            shared_points: true,
            block: None,
            log2batch: None,
            dim_scale_factor: 1.0,
            pairs: None,
            x_noise_std: None,
            x_noise_threshold: None,
            cond_noise_std: None,
            cond_noise_threshold: None,
            neighbors: 8,
            noise_interp_value: false,
            virtual_members: None,
            groups: Vec::new(),
            impsmp_coord_path: None,
            impsmp_cond_path: None,
        }
    }
}

impl DatasetConfig {
    pub(super) fn read(s: Section) -> Result<Self> {
        let default = Self::default();
        let (name, mut s) = s.into_typed(Some(default.kind.name()))?;
        let config = Self {
            kind: read_kind(&name)?,
            data: s.take("data")?,
            data_dir: s.take("data_dir")?,
            data_path: s.take("data_path")?,
            coord_path: s.take("coord_path")?,
            cond_path: s.take("cond_path")?,
            cond_split_path: s.take("cond_split_path")?,
            validation: s.take_or("validation", default.validation)?,
            data_min: s.take("data_min")?,
            data_max: s.take("data_max")?,
            normalize: read_normalize(&mut s)?,
            data_mean: s.take("data_mean")?,
            data_std: s.take("data_std")?,
            cache_gib: s.take("cache_gib")?,
            dims: s.take("dims")?,
            use_logdata: s.take_or("use_logdata", default.use_logdata)?,
            cond_batch: optional_positive(&mut s, "cond_batch")?,
            spatial_log2batch: read_log2(&mut s, "spatial_log2batch")?,
            batch_points: optional_positive(&mut s, "batch_points")?,
            shared_points: s.take_or("shared_points", default.shared_points)?,
            block: optional_positive(&mut s, "block")?,
            log2batch: read_log2(&mut s, "log2batch")?,
            dim_scale_factor: read_scale(&mut s)?.unwrap_or(default.dim_scale_factor),
            pairs: read_pairs(&mut s)?,
            x_noise_std: read_noise(&mut s, "x_noise_std")?,
            x_noise_threshold: read_noise(&mut s, "x_noise_threshold")?,
            cond_noise_std: read_noise(&mut s, "cond_noise_std")?,
            cond_noise_threshold: read_noise(&mut s, "cond_noise_threshold")?,
            neighbors: optional_positive(&mut s, "cond_noise_idw_knn")?
                .unwrap_or(default.neighbors),
            noise_interp_value: s.take_or("noise_interp_value", default.noise_interp_value)?,
            virtual_members: s.take("virtual_members")?,
            groups: s.take_or("groups", default.groups)?,
            impsmp_coord_path: s.take("impsmp_coord_path")?,
            impsmp_cond_path: s.take("impsmp_cond_path")?,
        };
        config.check(&s)?;
        s.finish()?;
        Ok(config)
    }

    /// Steps in an epoch of the reference, for `members` training members of `points` points each.
    ///
    /// `None` if the batch sizes are not given. At least 1.
    pub fn steps_per_epoch(&self, members: usize, points: usize) -> Option<usize> {
        if self.kind == DatasetKind::Field {
            let batch = self.batch_points.or(self.log2batch.map(|log2| 1 << log2))?;
            return Some(points.div_ceil(batch).max(1));
        }
        let per_member = match self.batch_points {
            Some(batch) => points.checked_div(batch)?,
            None => points >> self.spatial_log2batch?,
        };
        let batches = members.checked_mul(per_member)?;
        Some(batches.div_ceil(self.cond_batch?).max(1))
    }

    fn check(&self, s: &Section) -> Result<()> {
        if let (Some(min), Some(max)) = (self.data_min, self.data_max)
            && min >= max
        {
            bail!("{}: given {min}, expected less than data_max, {max}", s.at("data_min"));
        }
        if let Some(std) = self.data_std
            && !(std > 0.0 && std.is_finite())
        {
            bail!("{}: given {std}, expected more than 0", s.at("data_std"));
        }
        if let Some(gib) = self.cache_gib
            && gib <= 0.0
        {
            bail!("{}: given {gib}, expected more than 0", s.at("cache_gib"));
        }
        if let Some(share) = self.virtual_members
            && !(0.0..=1.0).contains(&share)
        {
            bail!("{}: given {share}, expected 0 to 1", s.at("virtual_members"));
        }
        if !self.groups.is_empty() && self.virtual_members.is_none() {
            bail!(
                "{}: they are for virtual_members, the part of a batch that kriging gives: say how much",
                s.at("groups")
            );
        }
        if let Some(dims) = &self.dims
            && (dims.is_empty() || dims.contains(&0))
        {
            bail!("{}: given {dims:?}, expected sizes of 1 or more", s.at("dims"));
        }
        Ok(())
    }
}

fn read_kind(name: &str) -> Result<DatasetKind> {
    match DatasetKind::ALL.into_iter().find(|kind| kind.name() == name) {
        Some(kind) => Ok(kind),
        None => bail!(
            "dataset.type: unknown type `{name}`; {}",
            hint(name, &DatasetKind::ALL.map(DatasetKind::name))
        ),
    }
}

/// `normalize`; without it, mean and deviation are what the reference takes if they are given.
fn read_normalize(s: &mut Section) -> Result<Normalize> {
    let given = |key: &str| s.peek(key).is_some_and(|value| !value.is_null());
    let (mean, std) = (given("data_mean"), given("data_std"));
    let place = s.at("normalize");
    match (s.take::<String>("normalize")?.as_deref(), mean, std) {
        (None, true, true) | (Some("standard"), ..) => Ok(Normalize::Standard),
        (None | Some("minmax"), false, false) => Ok(Normalize::MinMax),
        (Some("minmax"), ..) => bail!(
            "{place}: given minmax together with data_mean or data_std, which are for standard: leave \
             out one of them"
        ),
        (None, ..) => bail!(
            "{}: it needs data_mean and data_std, or `normalize: standard`, which computes what is \
             missing from the training members",
            s.at(if mean { "data_mean" } else { "data_std" })
        ),
        (Some(other), ..) => bail!("{place}: given `{other}`, expected minmax or standard"),
    }
}

fn read_pairs(s: &mut Section) -> Result<Option<PairsChoice>> {
    let Some(name) = s.take::<String>("pairs")? else { return Ok(None) };
    match PairsChoice::ALL.into_iter().find(|choice| choice.name() == name) {
        Some(choice) => Ok(Some(choice)),
        None => bail!(
            "{}: given `{name}`; {}",
            s.at("pairs"),
            hint(&name, &PairsChoice::ALL.map(PairsChoice::name))
        ),
    }
}

fn read_log2(s: &mut Section, key: &'static str) -> Result<Option<u32>> {
    match s.take::<usize>(key)? {
        Some(log2 @ 0..=40) => Ok(Some(log2 as u32)),
        Some(log2) => bail!("{}: given {log2}, expected 0 to 40 (a power of 2)", s.at(key)),
        None => Ok(None),
    }
}

/// The reference spells it in two ways.
fn read_scale(s: &mut Section) -> Result<Option<f64>> {
    let plural: Option<f64> = s.take("dims_scale_factor")?;
    let factor = s.take("dim_scale_factor")?.or(plural);
    match factor {
        Some(factor) if !(factor > 0.0 && factor <= 1.0) => {
            bail!("{}: given {factor}, expected more than 0, up to 1", s.at("dim_scale_factor"))
        }
        factor => Ok(factor),
    }
}

/// One number or a list of numbers, none below 0.
fn read_noise(s: &mut Section, key: &'static str) -> Result<Option<Vec<f64>>> {
    let Some(value) = s.take_value(key) else {
        return Ok(None);
    };
    let numbers: Option<Vec<f64>> = match &value {
        serde_json::Value::Array(items) => items.iter().map(|item| item.as_f64()).collect(),
        single => single.as_f64().map(|number| vec![number]),
    };
    match numbers {
        Some(numbers) if !numbers.is_empty() && numbers.iter().all(|&n| n >= 0.0) => {
            Ok(Some(numbers))
        }
        _ => bail!("{}: given {value}, expected numbers of 0 or more", s.at(key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_sees_every_member_about_once_over() {
        let mut config = DatasetConfig { cond_batch: Some(3), ..DatasetConfig::default() };
        assert_eq!(config.steps_per_epoch(10, 100), None);
        config.spatial_log2batch = Some(5);
        assert_eq!(config.steps_per_epoch(10, 100), Some(10));
        config.batch_points = Some(40);
        assert_eq!(config.steps_per_epoch(10, 100), Some(7));
        config.batch_points = Some(1000);
        assert_eq!(config.steps_per_epoch(10, 100), Some(1));
        let one = DatasetConfig {
            kind: DatasetKind::Field,
            log2batch: Some(5),
            ..DatasetConfig::default()
        };
        assert_eq!(one.steps_per_epoch(1, 100), Some(4));
    }
}
