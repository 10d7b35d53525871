//! What a run remembers of its data (`data.json`): enough to bake without them, and to notice when
//! others are given in their place.

use anyhow::{Result, bail, ensure};
use drr::model::spec::check_ranges;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::bake::Description;
use crate::config::DatasetConfig;
use crate::data::{Ensemble, Places};

/// The data of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataRecord {
    /// What a baked file says about them.
    pub description: Description,
    /// Shape of the fields.
    pub dims: Vec<usize>,
    /// CRC-32 of the coordinates, of data at scattered points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<u32>,
    /// Training members, in the order from which batches are drawn.
    pub training: Vec<Member>,
}

/// A training member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Name of its file.
    pub name: String,
    /// Its parameters in physical units.
    pub parameters: Vec<f64>,
}

impl DataRecord {
    /// # Errors
    /// If the data's axes, parameters or values could not be described by a baked file: found
    /// before training rather than after.
    pub fn new(ensemble: &Ensemble, config: &DatasetConfig) -> Result<Self> {
        let mut description = Description::of(ensemble);
        check_ranges(&description.axes, &description.parameters, &description.values)?;
        let training: Vec<_> = (ensemble.train())
            .map(|member| &ensemble.members[member])
            .map(|m| Member { name: m.name.clone(), parameters: m.parameters.clone() })
            .collect();
        let folder = config.data.as_ref().or(config.data_dir.as_ref());
        let name = folder.and_then(|folder| folder.file_name()).unwrap_or_default();
        let mut data = json!({
            "name": name.to_string_lossy(), "training_members": training.len(),
            "held_out_members": ensemble.test().count(), "dims": ensemble.places.shape(),
        });
        if ensemble.normalization.describe().is_some() {
            data["range"] = json!(ensemble.normalization.range);
        }
        let points = match &ensemble.places {
            Places::Lattice(_) => None,
            Places::Points(points) => {
                data["places"] = json!("scattered points");
                Some(points.checksum())
            }
        };
        description.provenance.insert("data".into(), data);
        Ok(Self { description, dims: ensemble.places.shape(), points, training })
    }

    /// Checks that `other` data are these: same scales, shape and training members. Held-out
    /// members may differ.
    ///
    /// # Errors
    /// The first difference.
    pub fn check(&self, other: &Self) -> Result<()> {
        self.description.check_scales(&other.description)?;
        ensure!(
            self.dims == other.dims,
            "given fields of {:?}, expected {:?}",
            other.dims,
            self.dims
        );
        ensure!(self.points == other.points, "given other points: their coordinates differ");
        let pairs = self.training.iter().zip(&other.training);
        if let Some((own, given)) = pairs.into_iter().find(|(own, given)| own != given) {
            bail!(
                "given training member {} {:?}, expected {} {:?}",
                given.name,
                given.parameters,
                own.name,
                own.parameters
            );
        }
        let (own, given) = (self.training.len(), other.training.len());
        ensure!(own == given, "given {given} training members, expected {own}");
        Ok(())
    }
}
