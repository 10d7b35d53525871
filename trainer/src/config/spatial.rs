//! A grid encoder with its own refiner, as models without simulation parameters have it.

use anyhow::{Result, bail};

use super::encoder::EncoderConfig;
use super::layers::RefinerConfig;
use super::section::{Section, hint, positive};

/// What stands under `encoder_kwargs` of `DRRINR` and `DRRGridRadianceField`.
#[derive(Debug, Clone, PartialEq)]
pub struct SpatialConfig {
    /// Channels that come out.
    pub features: usize,
    /// The grids.
    pub encoder: EncoderConfig,
    /// Whether the refiner is used.
    pub if_refine: bool,
    /// The refiner, used if `if_refine`.
    pub refiner: Option<RefinerConfig>,
}

impl SpatialConfig {
    /// Reads `encoder_kwargs` and `spatial_fdim` of a model.
    pub(super) fn read(s: &mut Section) -> Result<Self> {
        let Some((kind, mut encoder)) = s.typed("encoder_kwargs")? else {
            return Err(s.missing("encoder_kwargs", "{type: ..., param: {...}}"));
        };
        let features = positive(s, "spatial_fdim")?;
        let (encoder, if_refine, refiner) = match kind.as_str() {
            "HashGrid" => (EncoderConfig::read("HashGrid", encoder)?, false, None),
            "DRRGrid" => {
                let grid_kind: String = encoder.require("grid_type")?;
                let grid = encoder.section("grid_kwargs")?;
                let grid = grid.unwrap_or_else(|| Section::empty(encoder.at("grid_kwargs")));
                let grids = EncoderConfig::read(&grid_kind, grid)?;
                let if_refine = encoder.take_or("if_refine", false)?;
                let refiner =
                    encoder.typed("refiner_kwargs")?.map(RefinerConfig::read).transpose()?;
                encoder.finish()?;
                (grids, if_refine, refiner)
            }
            other => {
                let advice = hint(other, &["DRRGrid", "HashGrid"]);
                bail!("{}: unknown encoder type `{other}`; {advice}", encoder.path())
            }
        };
        let config = Self { features, encoder, if_refine, refiner };
        config.encoder.check_widths(features, config.used_refiner(), s.path())?;
        Ok(config)
    }

    /// Whether the grid is refined; without it there is no positional encoding either.
    pub fn refines_grid(&self) -> bool {
        self.used_refiner().is_some()
    }

    /// The refiner, if it is used.
    pub fn used_refiner(&self) -> Option<&RefinerConfig> {
        self.refiner.as_ref().filter(|_| self.if_refine)
    }
}
