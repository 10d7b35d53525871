//! From a configuration to an ensemble: where the data are, what lists the members, how their values
//! are read and scaled.
//!
//! Where members come from is decided by `table` and `reference`; how a field is read, by `field`;
//! how many are in memory, by `room`.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use super::coordinates::Coordinates;
use super::ensemble::{Axis, Ensemble, LoadOptions, names};
use super::field::{self, GivenShape, Layout};
use super::fields::Fields;
use super::formats::Reading;
use super::info::FieldInfo;
use super::member::{Member, Normalization, Parameter, Split};
use super::places::Places;
use super::room::Room;
use super::samples::Field;
use super::share::Sharing;
use super::statistics::Statistics;
use super::subdomain::Subdomain;
use super::{reference, single, table};
use crate::config::{DatasetConfig, DatasetKind, Normalize};

/// What lists the members gives, before any field is read.
pub(super) struct Listing {
    pub parameters: Vec<Parameter>,
    pub members: Vec<Member>,
    pub notes: Vec<String>,
}

/// Told after each field how many are read of how many; its error ends the reading.
pub type Watch<'a> = &'a mut dyn FnMut(usize, usize) -> Result<()>;

/// The files of the fields, and how they are read.
struct Source {
    files: Vec<PathBuf>,
    layout: Layout,
    reading: Reading,
    /// Places of the values in the files, and those that are kept of them.
    full: Places,
    places: Places,
    /// The block that is kept of those.
    subdomain: Option<Arc<Subdomain>>,
    logarithms: bool,
}

impl Ensemble {
    /// Reads an ensemble.
    ///
    /// A single field ([`DatasetKind::Field`]) is the file `config.data`, else `config.data_path`. Else
    /// the folder is `config.data`, else `config.data_dir`. With a `params.csv` in it, that table
    /// lists the members; else `cond.npy` and `cond_split.npy` do, as for the reference.
    ///
    /// # Errors
    /// Anything missing, damaged, inconsistent or not supported; file, row or key are named.
    pub fn load(config: &DatasetConfig, options: &LoadOptions) -> Result<Self> {
        Self::load_shared(config, options, &Sharing::default(), &mut |_, _| Ok(()))
    }

    /// As [`load`](Self::load), which may take long; what this process has of it.
    ///
    /// # Errors
    /// As [`load`](Self::load), those of `watch`, and if the fields cannot be cut up as asked.
    pub fn load_shared(
        config: &DatasetConfig,
        options: &LoadOptions,
        sharing: &Sharing,
        watch: Watch<'_>,
    ) -> Result<Self> {
        let (folder, single) = match config.kind {
            DatasetKind::Field => {
                let file = single::file(config)?;
                (file.parent().unwrap_or(Path::new(".")).to_owned(), Some(file))
            }
            DatasetKind::HdField | DatasetKind::HdCurviField => {
                (find_folder(config)?.to_owned(), None)
            }
        };
        let mut info = FieldInfo::read(&folder)?;
        let coordinates = Coordinates::find(&folder, &info, config)?;
        let mut listing = match &single {
            Some(file) => single::listing(file),
            None if table::exists(&folder) => table::read(&folder, &info)?,
            None => {
                let other = coordinates.as_ref().map(Coordinates::path);
                reference::read(&folder, config, &info, other)?
            }
        };
        distinguish(&mut listing.members, &folder);
        if single.is_none() {
            info.check_names_used(&names(&listing.parameters))?;
        }
        normalize_parameters(&mut listing)?;
        set_aside(&mut listing.members, config.validation)?;
        let Some(first) = listing.members.first() else {
            bail!("the ensemble has no members");
        };
        let (shape, reading) = (GivenShape::new(config, info.dims.take()), info.reading.clone());
        let (axes, full, layout) = match coordinates {
            Some(file) => {
                let (axes, points) =
                    file.read(options.model_dims, &info.axes(options.model_dims)?)?;
                let places = Places::Points(Arc::new(points));
                let layout = Layout::of_points(&first.file, places.count(), shape, &reading)?;
                (axes, places, layout)
            }
            None => {
                let layout = Layout::resolve(&first.file, options.model_dims, shape, &reading)?;
                let pixels = single.as_deref().is_some_and(single::is_picture);
                let axes = match pixels && !info.names_axes() {
                    true => pixel_axes(&layout.dims),
                    false => {
                        let axes = info.axes(layout.dims.len())?;
                        axes.iter().map(|axis| axis.axis((-1.0, 1.0))).collect()
                    }
                };
                (axes, Places::Lattice(layout.dims.clone()), layout)
            }
        };
        layout.check_components(options.components)?;
        let channels = single.as_deref().map(|file| single::channels(file, layout.components));
        let values = info.values(layout.components, channels.unwrap_or_default())?;
        let Listing { parameters, members, mut notes } = listing;
        if !members.iter().any(|member| member.split == Split::Train) {
            bail!("no training members: all {} are held out", members.len());
        }
        let mut source = Source {
            files: members.iter().map(|member| member.file.clone()).collect(),
            places: full.reduced(config.dim_scale_factor)?,
            layout,
            reading,
            full,
            subdomain: None,
            logarithms: config.use_logdata,
        };
        let places = source.places.clone();
        let subdomain = sharing.subdomain(&places)?.map(Arc::new);
        source.subdomain.clone_from(&subdomain);
        if places != source.full {
            let note = format!("{} are reduced to {places} (dim_scale_factor)", source.full);
            notes.push(match places {
                Places::Lattice(_) => format!("fields of {note}"),
                Places::Points(_) => note,
            });
        }
        let bytes = source.bytes()?;
        let room = Room::new(config.cache_gib, bytes, members.len())?;
        notes.extend(room.note(bytes, members.len()));
        let (normalization, fields) =
            read_fields(source, config, &members, room, &mut notes, watch)?;
        let cache_gib = match room {
            Room::All => None,
            Room::Some { gib, .. } => Some(gib),
        };
        Ok(Self {
            axes,
            places,
            parameters,
            values,
            members,
            normalization,
            fields,
            cache_gib,
            subdomain,
            notes,
        })
    }
}

/// Reads all fields, to keep them or to know their range; not if neither is asked for.
fn read_fields(
    source: Source,
    config: &DatasetConfig,
    members: &[Member],
    room: Room,
    notes: &mut Vec<String>,
    watch: Watch<'_>,
) -> Result<(Normalization, Fields)> {
    let (mut statistics, mut fields) = (Statistics::NONE, Vec::new());
    if room == Room::All || !scales_are_given(config) {
        for (n, member) in members.iter().enumerate() {
            let field = source.read(n)?;
            if member.split == Split::Train {
                statistics.add(&field);
            }
            if room == Room::All {
                fields.push(source.own(field));
            }
            watch(n + 1, members.len())?;
        }
    }
    let normalization = normalization(config, &statistics, notes)?;
    let normalize = move |field: Field| field.map(|value| normalization.normalize(value));
    let fields = match room {
        Room::All => Fields::of(fields.into_iter().map(normalize)),
        Room::Some { fields, .. } => {
            let read = move |member| Ok(normalize(source.own(source.read(member)?)));
            Fields::cached(Box::new(read), fields)?
        }
    };
    Ok((normalization, fields))
}

/// Whether nothing has to be known of the values.
pub fn scales_are_given(config: &DatasetConfig) -> bool {
    let range = config.data_min.is_some() && config.data_max.is_some();
    let moments = config.data_mean.is_some() && config.data_std.is_some();
    range && (moments || config.normalize == Normalize::MinMax)
}

impl Source {
    /// The values of a member, not normalised yet.
    fn read(&self, member: usize) -> Result<Field> {
        let path = &self.files[member];
        let mut field = field::read(path, &self.layout, &self.reading)?;
        if self.places != self.full {
            field = Field::Floats(self.full.reduce(field.into_floats(), &self.places));
        }
        match self.logarithms {
            true => field::logarithms(path, field),
            false => Ok(field),
        }
    }

    /// What this process keeps of a member's values.
    fn own(&self, field: Field) -> Field {
        match &self.subdomain {
            Some(subdomain) => field.cut(subdomain, self.layout.components),
            None => field,
        }
    }

    /// Bytes of a member in memory.
    fn bytes(&self) -> Result<u64> {
        let size = match self.places == self.full {
            true => field::value_bytes(&self.files[0], &self.reading)?,
            false => size_of::<f32>(),
        };
        let kept = self.subdomain.as_ref().map(|subdomain| subdomain.count());
        Ok((kept.unwrap_or(self.places.count()) * self.layout.components * size) as u64)
    }
}

/// How values are normalised whose `statistics` are those of the training members; what the user should
/// know is added to `notes`.
///
/// # Errors
/// If they are all the same, or what the configuration says does not fit.
pub fn normalization(
    config: &DatasetConfig,
    statistics: &Statistics,
    notes: &mut Vec<String>,
) -> Result<Normalization> {
    let (low, high) = (statistics.low, statistics.high);
    let min = config.data_min.unwrap_or(low);
    let max = config.data_max.unwrap_or(high);
    if min >= max {
        bail!(
            "values range from {min} to {max}: nothing to learn (training data from {low} to \
             {high}; data_min and data_max of the configuration go before them)"
        );
    }
    // The configured range is usually that of the same data with more digits.
    let slack = 1e-6 * (max - min);
    if low < min - slack || high > max + slack {
        notes.push(format!(
            "training data range from {low} to {high}, beyond data_min and data_max, {min} to {max}"
        ));
    }
    let by_range = Normalization::min_max(min, max, config.use_logdata);
    Ok(match config.normalize {
        Normalize::MinMax => by_range,
        Normalize::Standard => {
            // In single precision, so that the sum of both has all digits and gives them back.
            let short = |number: f64| f64::from(number as f32);
            let mean = config.data_mean.unwrap_or(short(statistics.mean));
            let deviation = config.data_std.unwrap_or(short(statistics.deviation()));
            Normalization { min: mean, max: mean + deviation, ..by_range }
        }
    })
}

/// Makes `count` training members, evenly spread over their list, members for validation.
fn set_aside(members: &mut [Member], count: usize) -> Result<()> {
    let mut train: Vec<_> = members.iter_mut().filter(|m| m.split == Split::Train).collect();
    let available = train.len();
    if count > 0 && count >= available {
        bail!(
            "dataset.param.validation: given {count}, but there are {available} training members"
        );
    }
    for n in 0..count {
        train[(2 * n + 1) * available / (2 * count)].split = Split::Validation;
    }
    Ok(())
}

/// The axes of a picture: where its pixels are, counted from 0.
fn pixel_axes(dims: &[usize]) -> Vec<Axis> {
    let axis = |(name, &size): (&str, &usize)| Axis {
        name: name.to_owned(),
        unit: "px".to_owned(),
        min: 0.0,
        max: (size - 1) as f64,
    };
    ["x", "y", "z"].into_iter().zip(dims.iter().rev()).map(axis).collect()
}

fn find_folder(config: &DatasetConfig) -> Result<&Path> {
    let Some(folder) = config.data.as_ref().or(config.data_dir.as_ref()) else {
        bail!("no data: give --data DIR, or data_dir in the configuration's dataset");
    };
    if !folder.is_dir() {
        bail!("there is no folder {}", folder.display());
    }
    Ok(folder)
}

/// Where simulations have folders of their own, files often have the same name in each: the
/// members go by their paths then.
fn distinguish(members: &mut [Member], folder: &Path) {
    let names: HashSet<&str> = members.iter().map(|member| member.name.as_str()).collect();
    if names.len() == members.len() {
        return;
    }
    for member in members {
        let path = member.file.strip_prefix(folder).unwrap_or(&member.file).with_extension("");
        let parts = path.components().filter_map(|part| match part {
            Component::Normal(part) => Some(part.to_string_lossy()),
            _ => None,
        });
        member.name = parts.collect::<Vec<_>>().join("-");
    }
}

/// Fills [`Member::normalized`] from the physical values.
fn normalize_parameters(listing: &mut Listing) -> Result<()> {
    for parameter in &listing.parameters {
        if parameter.min == parameter.max {
            listing.notes.push(format!(
                "parameter {} is {} for every member: it becomes 0",
                parameter.name, parameter.min
            ));
        }
    }
    for member in &mut listing.members {
        let pairs = listing.parameters.iter().zip(&member.parameters);
        let normalized: Result<Vec<f32>> = pairs.map(|(p, &value)| p.unit(value)).collect();
        member.normalized = normalized.with_context(|| format!("member {}", member.name))?;
    }
    Ok(())
}
