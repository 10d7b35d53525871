//! Radiance fields: density and colour inside a box, seen along a direction.

use anyhow::{Result, bail};

use super::encoded::HashConfig;
use super::encoder::EncoderConfig;
use super::inr::{check_layers, fused_widths};
use super::section::{Section, positive};
use super::spatial::SpatialConfig;

/// A radiance field.
#[derive(Debug, Clone, PartialEq)]
pub struct RadianceConfig {
    /// The box, a cube: lower corner, then upper corner.
    pub aabb: [f64; 6],
    /// What is inside it.
    pub field: RadianceFieldConfig,
}

/// The network of a [`RadianceConfig`].
#[derive(Debug, Clone, PartialEq)]
pub enum RadianceFieldConfig {
    /// `DRRGridRadianceField` and `NGPRadianceField`: grids, and two small networks for density and
    /// colour.
    Grid(RadianceGridConfig),
    /// `VanillaNeRFRadianceField`: a deep network of sines and cosines of the position (Mildenhall et
    /// al. 2020).
    Vanilla(VanillaConfig),
}

/// Grids, and two small networks for density and colour.
#[derive(Debug, Clone, PartialEq)]
pub struct RadianceGridConfig {
    /// The grids and their refiner.
    pub spatial: SpatialConfig,
    /// Features, besides density, that the colour is made of.
    pub geo_features: usize,
    /// Whether colour depends on the direction.
    pub uses_directions: bool,
}

/// A deep network.
#[derive(Debug, Clone, PartialEq)]
pub struct VanillaConfig {
    /// Layers before density.
    pub depth: usize,
    /// Their width.
    pub width: usize,
    /// The input joins again behind every so many layers.
    pub skip: usize,
    /// Layers between density and colour.
    pub colour_depth: usize,
    /// Their width.
    pub colour_width: usize,
}

/// Types of the reference.
pub(super) const TYPES: [&str; 3] =
    ["DRRGridRadianceField", "NGPRadianceField", "VanillaNeRFRadianceField"];

/// The box of the reference's scenes.
const AABB: [f64; 6] = [-1.5, -1.5, -1.5, 1.5, 1.5, 1.5];

/// Width of the hidden layers of the small networks.
const HIDDEN: usize = 64;

impl RadianceConfig {
    pub(super) fn read(kind: &str, mut s: Section) -> Result<Self> {
        let dims = s.take_or("num_dim", 3_usize)?;
        if dims != 3 {
            bail!("{}: given {dims}, expected 3", s.at("num_dim"));
        }
        let aabb = read_box(&mut s)?;
        let field = match kind {
            "VanillaNeRFRadianceField" => {
                RadianceFieldConfig::Vanilla(VanillaConfig::read(&mut s)?)
            }
            _ => RadianceFieldConfig::Grid(RadianceGridConfig::read(kind, &mut s)?),
        };
        s.finish()?;
        Ok(Self { aabb, field })
    }

    /// The grids, if it has any.
    pub fn spatial(&self) -> Option<&SpatialConfig> {
        match &self.field {
            RadianceFieldConfig::Grid(config) => Some(&config.spatial),
            RadianceFieldConfig::Vanilla(_) => None,
        }
    }

    /// Edge of the box.
    pub fn edge(&self) -> f64 {
        self.aabb[3] - self.aabb[0]
    }
}

impl RadianceGridConfig {
    /// Bands of the spherical harmonics of the direction, 4 of which are 16 numbers.
    pub const BANDS: usize = 4;

    fn read(kind: &str, s: &mut Section) -> Result<Self> {
        let spatial = match kind {
            "NGPRadianceField" => {
                let hash = HashConfig::read_ngp(s)?;
                let (features, encoder) = (hash.width(), EncoderConfig::Hash(hash));
                SpatialConfig { features, encoder, if_refine: false, refiner: None }
            }
            _ => SpatialConfig::read(s)?,
        };
        if spatial.encoder.dims() != 3 {
            bail!(
                "{}: grids of {} dimensions, expected 3",
                s.at("encoder_kwargs"),
                spatial.encoder.dims()
            );
        }
        if s.take_or("unbounded", false)? {
            bail!("{}: scenes without bounds are not supported", s.at("unbounded"));
        }
        let geo_features = match s.peek("geo_feat_dim") {
            Some(_) => positive(s, "geo_feat_dim")?,
            None => 15,
        };
        Ok(Self { spatial, geo_features, uses_directions: s.take_or("use_viewdirs", true)? })
    }

    /// Numbers between the layers of the network that gives density (first) and features.
    pub fn density_widths(&self) -> Vec<usize> {
        fused_widths(self.spatial.features, (1, HIDDEN), 1 + self.geo_features)
    }

    /// Numbers between the layers of the network that gives colours from directions (first) and
    /// features.
    pub fn colour_widths(&self) -> Vec<usize> {
        fused_widths(self.bands() * self.bands() + self.geo_features, (2, HIDDEN), 3)
    }

    /// Bands of the spherical harmonics of the direction.
    pub fn bands(&self) -> usize {
        if self.uses_directions { Self::BANDS } else { 0 }
    }
}

impl VanillaConfig {
    /// Frequencies of the position and of the direction; both stand for themselves, too.
    pub const FREQUENCIES: [usize; 2] = [10, 4];

    fn read(s: &mut Section) -> Result<Self> {
        let mut size = |key: &'static str, default: usize| match s.peek(key) {
            Some(_) => positive(s, key),
            None => Ok(default),
        };
        let config = Self {
            depth: size("net_depth", 8)?,
            width: size("net_width", 256)?,
            skip: size("skip_layer", 4)?,
            colour_depth: size("net_depth_condition", 1)?,
            colour_width: size("net_width_condition", 128)?,
        };
        check_layers(s, config.depth.max(config.colour_depth))?;
        Ok(config)
    }

    /// Numbers that three coordinates become with so many frequencies.
    pub fn encoded(frequencies: usize) -> usize {
        3 * (1 + 2 * frequencies)
    }
}

/// `aabb`, made a cube around its centre as the reference does.
fn read_box(s: &mut Section) -> Result<[f64; 6]> {
    let Some(given) = s.take::<Vec<f64>>("aabb")? else { return Ok(AABB) };
    let Ok(corners) = <[f64; 6]>::try_from(given.as_slice()) else {
        bail!(
            "{}: given {} numbers, expected 6: lower, then upper corner",
            s.at("aabb"),
            given.len()
        );
    };
    let (low, high) = corners.split_at(3);
    if let Some(axis) = (0..3).find(|&axis| low[axis] >= high[axis]) {
        bail!("{}: the box is empty along axis {axis}", s.at("aabb"));
    }
    let edge = (0..3).map(|axis| high[axis] - low[axis]).fold(0.0, f64::max);
    if !(edge.is_finite() && corners.iter().all(|corner| corner.abs() < 1e30)) {
        bail!("{}: given {corners:?}, expected numbers within 1e30", s.at("aabb"));
    }
    Ok(std::array::from_fn(|n| {
        let centre = (low[n % 3] + high[n % 3]) / 2.0;
        if n < 3 { centre - edge / 2.0 } else { centre + edge / 2.0 }
    }))
}
