//! The encoders: which grids there are, how they are refined, and how many channels come out.
//!
//! Checks that the sizes fit each other; does not allocate anything.

use anyhow::{Result, anyhow, bail};

use super::encoded::HashConfig;
use super::layers::RefinerConfig;
use super::section::{Section, hint, positive};

/// The trainable grids of a model. Shapes are in tensor order, `[D, H, W]` or `[H, W]`.
#[derive(Debug, Clone, PartialEq)]
pub enum EncoderConfig {
    /// `MultiDenseFeatGrid`: grids of several resolutions, concatenated, the first grid first.
    MultiDense {
        /// Shape of each grid.
        grid_shapes: Vec<Vec<usize>>,
        /// Channels of each grid.
        num_feat: usize,
        /// Resolution of the refined grid; the shape of the last grid if absent.
        refine_res: Option<Vec<usize>>,
        /// Frequencies of the positional encoding of the features before refinement.
        pe: Option<usize>,
        /// Whether what is refined is added to the result.
        residual: bool,
    },
    /// `DenseFeatGrid`: one grid.
    Dense {
        /// Shape of the grid.
        grid_shape: Vec<usize>,
        /// Channels of the grid.
        num_feat: usize,
        /// Resolution of the refined grid; the grid is refined as it is if absent.
        refine_res: Option<Vec<usize>>,
        /// Frequencies of the positional encoding of the features before refinement.
        pe: Option<usize>,
        /// Whether what is refined is added to the result.
        residual: bool,
    },
    /// `TriPlane`: three planes through a 3-D domain, summed.
    TriPlane {
        /// Shape of each plane.
        plane_res: [usize; 2],
        /// Channels of each plane.
        num_feat: usize,
        /// Frequencies of the positional encoding of the features before refinement.
        pe: Option<usize>,
        /// Whether what is refined is added to the result.
        residual: bool,
    },
    /// `HashGrid`: tables of several resolutions whose vertices share entries, concatenated, the
    /// coarsest first. Never refined: its entries stand for no place.
    Hash(HashConfig),
}

/// What an encoder kind is known as.
const KINDS: [&str; 4] = ["MultiDenseFeatGrid", "DenseFeatGrid", "TriPlane", "HashGrid"];

/// Options of the reference that all its configurations set to the same value, if at all.
const SINGLE_CHOICES: [(&str, &str); 3] =
    [("fuse", "concat"), ("refine_method", "combined"), ("prerefine_feat_up_method", "pe")];

impl EncoderConfig {
    /// Reads the parameters of the encoder `kind`.
    pub(super) fn read(kind: &str, mut s: Section) -> Result<Self> {
        let config = match kind {
            "MultiDenseFeatGrid" => Self::MultiDense {
                grid_shapes: s.require("grid_shapes")?,
                num_feat: positive(&mut s, "num_feat")?,
                refine_res: s.take("refine_highest_res")?,
                pe: read_pe(&mut s)?,
                residual: s.take_or("refiner_residual", true)?,
            },
            "DenseFeatGrid" => Self::Dense {
                grid_shape: s.require("grid_shape")?,
                num_feat: positive(&mut s, "num_feat")?,
                refine_res: s.take("refine_highest_res")?,
                pe: read_pe(&mut s)?,
                residual: s.take_or("refiner_residual", true)?,
            },
            "TriPlane" => {
                // The reference fails for any value but plane_res.
                s.refuse(&["refine_highest_res"])?;
                Self::TriPlane {
                    plane_res: s.require("plane_res")?,
                    num_feat: positive(&mut s, "num_feat")?,
                    pe: read_pe(&mut s)?,
                    residual: s.take_or("refiner_residual", true)?,
                }
            }
            "HashGrid" => Self::Hash(HashConfig::read(&mut s, None)?),
            other => {
                let advice = hint(other, &KINDS);
                bail!("{}: unknown encoder type `{other}`; {advice}", s.path())
            }
        };
        if !matches!(config, Self::Hash(_)) {
            for (key, supported) in SINGLE_CHOICES {
                only(&mut s, key, supported)?;
            }
        }
        config.check_shapes(s.path())?;
        s.finish()?;
        Ok(config)
    }

    /// Number of spatial dimensions, 2 or 3.
    pub fn dims(&self) -> usize {
        match self {
            Self::TriPlane { .. } => 3,
            Self::MultiDense { .. } | Self::Dense { .. } => {
                self.shapes().first().map_or(0, |shape| shape.len())
            }
            Self::Hash(hash) => hash.dims,
        }
    }

    /// Channels that the encoder gives, with refinement or without.
    ///
    /// Positional encoding belongs to refinement: without it, the raw features come out.
    /// `None` if the number overflows.
    pub fn channels(&self, refined: bool) -> Option<usize> {
        let (grids, num_feat, pe) = match self {
            Self::MultiDense { grid_shapes, num_feat, pe, .. } => (grid_shapes.len(), num_feat, pe),
            Self::Dense { num_feat, pe, .. } | Self::TriPlane { num_feat, pe, .. } => {
                (1, num_feat, pe)
            }
            Self::Hash(hash) => (hash.levels, &hash.features, &None),
        };
        let widening = match pe {
            Some(g) if refined => g.checked_mul(2)?,
            _ => 1,
        };
        grids.checked_mul(*num_feat)?.checked_mul(widening)
    }

    /// Whether what is refined is added to the refiner's result.
    pub fn residual(&self) -> bool {
        match self {
            Self::MultiDense { residual, .. }
            | Self::Dense { residual, .. }
            | Self::TriPlane { residual, .. } => *residual,
            Self::Hash(_) => false,
        }
    }

    /// Resolution of the refined grid (of each plane, for tri-planes); a hash grid has none.
    pub fn refined_res(&self) -> &[usize] {
        match self {
            Self::MultiDense { grid_shapes, refine_res, .. } => {
                match (refine_res, grid_shapes.last()) {
                    (Some(res), _) | (None, Some(res)) => res,
                    (None, None) => &[],
                }
            }
            Self::Dense { grid_shape, refine_res, .. } => refine_res.as_ref().unwrap_or(grid_shape),
            Self::TriPlane { plane_res, .. } => plane_res,
            Self::Hash(_) => &[],
        }
    }

    /// Checks that a model can take `spatial_fdim` channels from this encoder, and its refiner too.
    pub(super) fn check_widths(
        &self,
        spatial_fdim: usize,
        refiner: Option<&RefinerConfig>,
        path: &str,
    ) -> Result<()> {
        let channels = self
            .channels(refiner.is_some())
            .ok_or_else(|| anyhow!("{path}: the number of channels overflows"))?;
        if channels != spatial_fdim {
            bail!(
                "{path}.spatial_fdim: given {spatial_fdim}, but the encoder gives {channels} \
                 channels: num_feat x grids{}",
                match refiner {
                    Some(_) => " x 2g of the positional encoding",
                    None => " (no positional encoding without refinement)",
                }
            );
        }
        self.check_memory(channels, path)?;
        let Some(refiner) = refiner else {
            return Ok(());
        };
        match (self, refiner) {
            (Self::Hash(_), _) => {
                bail!(
                    "{path}: the entries of a HashGrid belong to no vertex: they cannot be refined"
                )
            }
            (Self::TriPlane { .. }, RefinerConfig::One(_)) => {
                bail!("{path}: a TriPlane needs a ModelList of 3 refiners, given one GLUFeatMLP")
            }
            (Self::MultiDense { .. } | Self::Dense { .. }, RefinerConfig::PerPlane(_)) => {
                bail!("{path}: a ModelList of refiners goes with TriPlane, this is one grid")
            }
            _ => check_residual(refiner.glu(), channels, "the encoder", path),
        }
    }

    /// Refuses grids that no address space holds, so that sizes can be multiplied freely later.
    fn check_memory(&self, channels: usize, path: &str) -> Result<()> {
        let refined = std::iter::once(self.refined_res());
        for shape in self.shapes().into_iter().chain(refined) {
            let bytes = shape
                .iter()
                .try_fold(channels, |product, &n| product.checked_mul(n))
                .and_then(|values| values.checked_mul(size_of::<f64>()));
            if bytes.is_none_or(|bytes| bytes > isize::MAX as usize) {
                bail!("{path}: a grid of {shape:?} x {channels} channels fits no memory");
            }
        }
        Ok(())
    }

    /// The shape of each grid (of one plane, for tri-planes).
    fn shapes(&self) -> Vec<&[usize]> {
        match self {
            Self::MultiDense { grid_shapes, .. } => grid_shapes.iter().map(Vec::as_slice).collect(),
            Self::Dense { grid_shape, .. } => vec![grid_shape],
            Self::TriPlane { plane_res, .. } => vec![plane_res],
            Self::Hash(_) => Vec::new(),
        }
    }

    fn check_shapes(&self, path: &str) -> Result<()> {
        let dims = self.dims();
        let plane = matches!(self, Self::TriPlane { .. });
        if matches!(self, Self::Hash(_)) && matches!(dims, 2 | 3) {
            return Ok(());
        }
        if !matches!(dims, 2 | 3) {
            bail!("{path}: grids of {dims} dimensions, expected [D, H, W] or [H, W]");
        }
        let refined = std::iter::once(self.refined_res());
        for shape in self.shapes().into_iter().chain(refined) {
            if !plane && shape.len() != dims {
                bail!("{path}: shape {shape:?} among grids of {dims} dimensions");
            }
            if shape.iter().any(|&n| n < 2) {
                bail!("{path}: shape {shape:?}: an axis needs at least 2 vertices");
            }
        }
        Ok(())
    }
}

/// A refiner is added to its input, or takes its place, so both its widths must be those of the input.
pub(super) fn check_residual(
    glu: &super::GluConfig,
    width: usize,
    input: &str,
    path: &str,
) -> Result<()> {
    if (glu.feat_dim, glu.out_dim) == (width, width) {
        return Ok(());
    }
    bail!(
        "{path}: the refiner has feat_dim {} and out_dim {}, but {input} gives {width} channels, \
         and the result is added to its input or takes its place",
        glu.feat_dim,
        glu.out_dim
    )
}

/// Checks that the option `key` is `supported` where it is given.
fn only(s: &mut Section, key: &'static str, supported: &str) -> Result<()> {
    match s.take::<String>(key)? {
        Some(given) if given != supported => {
            bail!("{}: given {given}, only {supported} is supported", s.at(key))
        }
        _ => Ok(()),
    }
}

fn read_pe(s: &mut Section) -> Result<Option<usize>> {
    let Some(mut pe) = s.section("prerefine_feat_up_kwargs")? else {
        return Ok(None);
    };
    let frequencies = positive(&mut pe, "g")?;
    if frequencies > 64 {
        bail!("{}: given {frequencies}, expected 1 to 64 frequencies", pe.at("g"));
    }
    pe.finish()?;
    Ok(Some(frequencies))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(kind: &str, value: Value) -> Result<EncoderConfig> {
        EncoderConfig::read(kind, Section::new("enc", value)?)
    }

    fn refused(kind: &str, value: Value) -> String {
        read(kind, value).expect_err(kind).to_string()
    }

    #[test]
    fn channels_count_the_encoding_only_when_refined() {
        let config = json!({
            "grid_shapes": [[4, 4, 4], [5, 6, 7]], "num_feat": 3, "fuse": "concat",
            "prerefine_feat_up_kwargs": {"g": 2},
        });
        let encoder = read("MultiDenseFeatGrid", config).unwrap();
        assert_eq!((encoder.channels(false), encoder.channels(true)), (Some(6), Some(24)));
        assert_eq!((encoder.dims(), encoder.refined_res()), (3, &[5, 6, 7][..]));
        encoder.check_widths(6, None, "model.param").unwrap();
        let error = encoder.check_widths(24, None, "model.param").unwrap_err().to_string();
        assert!(error.contains("given 24, but the encoder gives 6"), "{error}");
    }

    #[test]
    fn tri_planes_are_three_dimensional() {
        let encoder = read("TriPlane", json!({"plane_res": [8, 9], "num_feat": 4})).unwrap();
        assert_eq!((encoder.dims(), encoder.channels(true)), (3, Some(4)));
        let error = refused(
            "TriPlane",
            json!({"plane_res": [8, 9], "num_feat": 4, "refine_highest_res": [16, 16]}),
        );
        assert!(error.contains("not supported yet"), "{error}");
    }

    #[test]
    fn shapes_must_agree() {
        let multi = |shapes: Value| {
            refused("MultiDenseFeatGrid", json!({"grid_shapes": shapes, "num_feat": 1}))
        };
        assert!(multi(json!([])).contains("grids of 0 dimensions"));
        assert!(multi(json!([[4, 4], [4, 4, 4]])).contains("[4, 4, 4] among grids of 2"));
        assert!(multi(json!([[4, 1]])).contains("at least 2 vertices"));
        assert!(multi(json!([4, 4])).contains("expected a list, each item a list"));
        let error = refused(
            "DenseFeatGrid",
            json!({"grid_shape": [4, 4], "num_feat": 1, "refine_highest_res": [4, 4, 4]}),
        );
        assert!(error.contains("[4, 4, 4] among grids of 2"), "{error}");
    }

    #[test]
    fn absurd_sizes_are_errors() {
        let huge = 1_usize << 40;
        let encoder = read("DenseFeatGrid", json!({"grid_shape": [huge, huge], "num_feat": 1}));
        let error = encoder.unwrap().check_widths(1, None, "m").unwrap_err().to_string();
        assert!(error.contains("fits no memory"), "{error}");
    }

    #[test]
    fn other_kinds_are_named() {
        assert!(refused("HashGrid", json!({})).contains("n_input_dims"));
        assert!(refused("HashGrid", json!({"n_input_dims": 5})).contains("grids of 5 dim"));
        assert!(refused("DenseGrid", json!({})).contains("did you mean `DenseFeatGrid`?"));
        let summed = json!({"grid_shape": [4, 4], "num_feat": 1, "fuse": "sum"});
        assert!(refused("DenseFeatGrid", summed).contains("only concat is supported"));
    }
}
