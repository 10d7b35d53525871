//! A feature grid in the description of a model: its dimensions, its rows, its hash.

use serde::{Deserialize, Deserializer, Serialize};

use crate::{Error, Result};

/// A feature grid of one to three dimensions, tensor `grid.N` of shape `[shape..., row]` with
/// `row >= channels`, or `[entries, row]` if its vertices are hashed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grid {
    /// What indexes it, all different: coordinates by their number, and parameter k as the number
    /// of the model's axes plus k. The first moves along the *last* dimension of `shape`:
    /// `[0, 1, 2]` is a volume `[D, H, W]` indexed by x, y, z.
    pub axes: Vec<usize>,
    /// Vertices per dimension, slowest first (`[D, H, W]`).
    pub shape: Vec<usize>,
    /// Features per vertex.
    pub channels: usize,
    /// Where in the input vector its features are added.
    pub offset: usize,
    /// Rows that the vertices share by their hash ([`Grid::hash`]): a power of two below their
    /// number. None: each vertex has its own row.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub entries: Option<usize>,
    /// Grids of the same number here, and of the same offset and channels, are multiplied feature
    /// by feature, and their product is added. None: the grid is added by itself.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub product: Option<usize>,
}

/// What the index of a vertex along each dimension is multiplied by before it is hashed (Mueller,
/// Evans, Schied, Keller 2022).
pub const HASH_FACTORS: [u32; 3] = [1, 2_654_435_761, 805_459_861];

impl Grid {
    /// Number of vertices, unless it cannot be counted (that of a hashed grid need not be).
    pub fn vertices(&self) -> Option<usize> {
        self.shape.iter().try_fold(1usize, |n, &size| n.checked_mul(size))
    }

    /// Rows of its tensor: one per vertex, or [`Grid::entries`]. None if their features cannot be
    /// addressed with 48 bits (twice what any machine maps, so that later products of sizes cannot
    /// overflow).
    pub fn rows(&self) -> Option<usize> {
        let rows = self.entries.or_else(|| self.vertices())?;
        let features = rows.checked_mul(self.channels.checked_add(64)?)?;
        (features < 1 << 48).then_some(rows)
    }

    /// Dimensions of its tensor before the row.
    pub fn tensor_shape(&self) -> Vec<usize> {
        self.entries.map_or_else(|| self.shape.clone(), |entries| vec![entries])
    }

    /// What a vertex' index along dimension `k` of [`Grid::axes`] contributes to the hash of the
    /// vertex: the contributions of all dimensions are combined by exclusive or, and the row is
    /// the rest of that divided by [`Grid::entries`].
    #[inline]
    pub fn hash(k: usize, index: u32) -> u32 {
        index.wrapping_mul(HASH_FACTORS[k])
    }

    /// # Errors
    /// `Format` unless it has none, or some that its vertices can share.
    pub(super) fn check_entries(&self) -> Result<()> {
        let Some(entries) = self.entries else { return Ok(()) };
        let shares = self.vertices().is_none_or(|vertices| entries < vertices);
        if entries.is_power_of_two() && entries <= 1 << 31 && shares {
            return Ok(());
        }
        Err(Error::format(format!(
            "{entries} entries for the vertices of shape {:?}, expected a power of two up to 2^31, \
             and fewer than there are vertices (all of them without `entries`)",
            self.shape
        )))
    }
}

/// A field that may be absent, but not null.
fn present<'de, D: Deserializer<'de>>(value: D) -> std::result::Result<Option<usize>, D::Error> {
    usize::deserialize(value).map(Some)
}
