//! Coordinates of scattered points: read from a file, brought into `[-1, 1]`, x first.
//!
//! Two kinds of files: the reference's have the last axis first and are in `[-1, 1]` already;
//! those that `field.yaml` names are physical.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::ensemble::Axis;
use super::formats::{Format, volume};
use super::info::{AxisInfo, FieldInfo};
use super::npy::Array;
use super::places::Points;
use crate::config::{DatasetConfig, DatasetKind};

/// What the numbers of a file mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum System {
    /// x, y (, z) in physical units.
    Cartesian,
    /// Radius, longitude and latitude in degrees; they become Cartesian.
    Spherical,
    /// z, y, x or y, x in `[-1, 1]`, as for the reference.
    Normalized,
}

/// A file of coordinates, of which nothing is read yet.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Coordinates {
    path: PathBuf,
    variable: Option<String>,
    system: System,
}

/// How far beyond the box a point may be that counts as one on its face, of its extent: files are
/// often rounded to single precision.
const SLACK: f64 = 1e-6;

impl Coordinates {
    /// The file that `field.yaml` in `folder` names, else the configuration; `None` for data on a
    /// lattice.
    ///
    /// # Errors
    /// If there must be one and none is named, or the other way round.
    pub fn find(folder: &Path, info: &FieldInfo, config: &DatasetConfig) -> Result<Option<Self>> {
        if let Some(file) = &info.coords {
            return Ok(Some(Self {
                path: folder.join(file),
                variable: info.coords_variable.clone(),
                system: info.system.unwrap_or(System::Cartesian),
            }));
        }
        match (config.kind, &config.coord_path) {
            (DatasetKind::HdCurviField, Some(path)) => {
                let (path, variable) = (path.clone(), None);
                Ok(Some(Self { path, variable, system: System::Normalized }))
            }
            (DatasetKind::HdCurviField, None) => bail!(
                "{} needs the coordinates of its points: give coord_path in the configuration's \
                 dataset (as for the reference, in [-1, 1], last axis first), or `coords: FILE` in \
                 field.yaml (physical, x first)",
                config.kind
            ),
            (_, Some(path)) => bail!(
                "dataset.param.coord_path: {} has no place in a {}; set dataset.type={} for data at \
                 scattered points",
                path.display(),
                config.kind,
                DatasetKind::HdCurviField
            ),
            (_, None) => Ok(None),
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The points of a space of `axes` dimensions, and the box that they are normalised by: its
    /// sides where `given` says them, else the least and greatest coordinates.
    ///
    /// # Errors
    /// The file is missing or damaged, has another number of columns, coordinates that are not
    /// finite or outside the box, or all points in a plane. File and point are named.
    pub fn read(&self, axes: usize, given: &[AxisInfo]) -> Result<(Vec<Axis>, Points)> {
        let array = self.read_columns(axes)?;
        let read = || -> Result<_> {
            let mut coords = array.data;
            check_finite(&coords, axes)?;
            match self.system {
                System::Cartesian => {}
                System::Spherical => coords.chunks_exact_mut(3).for_each(to_cartesian),
                System::Normalized => coords.chunks_exact_mut(axes).for_each(<[f64]>::reverse),
            }
            let sides = (0..axes)
                .map(|axis| self.side(&given[axis], coords.iter().skip(axis).step_by(axes)))
                .collect::<Result<Vec<_>>>()?;
            let unit = |(n, x): (usize, &f64)| {
                let (min, max) = sides[n % axes];
                (2.0 * (x - min) / (max - min) - 1.0).clamp(-1.0, 1.0) as f32
            };
            let points = Points::new(axes, coords.iter().enumerate().map(unit).collect());
            let axes = given.iter().zip(&sides).map(|(info, &side)| match self.system {
                System::Normalized => info.axis((-1.0, 1.0)),
                _ => info.axis(side),
            });
            Ok((axes.collect(), points))
        };
        read().with_context(|| format!("the coordinates in {} cannot be used", self.path.display()))
    }

    /// The numbers of the file, `[points, axes]` in the end.
    fn read_columns(&self, axes: usize) -> Result<Array<f64>> {
        let shown = self.path.display();
        if !self.path.is_file() {
            bail!(
                "there is no file of coordinates {shown} (coords in field.yaml, or coord_path in \
                 the configuration's dataset)"
            );
        }
        let Some(format) = Format::of(&self.path) else {
            bail!(
                "{shown}: coordinates must be in a file that knows its shape: .{}",
                Format::extensions().collect::<Vec<_>>().join(", .")
            );
        };
        let array = format.read_doubles(&self.path, self.variable.as_deref()).context(
            "the coordinates cannot be read (coords_variable in field.yaml names an array)",
        )?;
        let columns = match self.system {
            System::Spherical => 3,
            _ => axes,
        };
        if axes != columns {
            bail!(
                "spherical coordinates are points in space, the model's grid has {axes} dimensions"
            );
        }
        if array.shape.len() < 2 || array.shape.last() != Some(&columns) {
            bail!(
                "{shown}: given an array of shape {:?}, expected [points, {columns}] (or more axes \
                 in front): one row for each point, as the model's grid has {axes} dimensions",
                array.shape
            );
        }
        if volume(&array.shape)? == 0 {
            bail!("{shown} has no points");
        }
        Ok(array)
    }

    /// From where to where the box reaches along an axis.
    fn side<'a>(
        &self,
        info: &AxisInfo,
        coords: impl Iterator<Item = &'a f64> + Clone,
    ) -> Result<(f64, f64)> {
        let spread = coords
            .clone()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &x| (low.min(x), high.max(x)));
        let (min, max) = match self.system {
            System::Normalized => (-1.0, 1.0),
            _ => (info.range.0.unwrap_or(spread.0), info.range.1.unwrap_or(spread.1)),
        };
        if min >= max {
            bail!(
                "axis {}: all points lie between {} and {}: give min and max of axes in field.yaml, or \
                 leave the axis out (a model in the plane)",
                info.name,
                spread.0,
                spread.1
            );
        }
        let slack = SLACK * (max - min);
        let outside = |x: &f64| *x < min - slack || *x > max + slack;
        if let Some((point, x)) = coords.clone().enumerate().find(|(_, x)| outside(x)) {
            let count = coords.filter(|x| outside(x)).count();
            let advice = match self.system {
                System::Normalized => {
                    "coord_path is of coordinates in [-1, 1], last axis first; physical ones go by \
                     `coords` in field.yaml"
                }
                _ => {
                    "correct min and max of axes in field.yaml, or leave them out: then they are \
                     those of the points"
                }
            };
            bail!(
                "{count} points are outside the box, the first is point {point}: {} = {x}, expected \
                 {min} to {max}; {advice}",
                info.name
            );
        }
        Ok((min, max))
    }
}

fn check_finite(coords: &[f64], axes: usize) -> Result<()> {
    let Some(first) = coords.iter().position(|x| !x.is_finite()) else { return Ok(()) };
    bail!(
        "{} of {} numbers are not finite, the first ({}) is column {} of point {}",
        coords.iter().filter(|x| !x.is_finite()).count(),
        coords.len(),
        coords[first],
        first % axes,
        first / axes
    )
}

/// From radius, longitude and latitude to x, y, z: the equator is at z = 0, longitude 0 at y = 0.
fn to_cartesian(point: &mut [f64]) {
    let [radius, longitude, latitude] = point else { return };
    let (sin_longitude, cos_longitude) = longitude.to_radians().sin_cos();
    let (sin_latitude, cos_latitude) = latitude.to_radians().sin_cos();
    let ring = *radius * cos_latitude;
    let place = [ring * cos_longitude, ring * sin_longitude, *radius * sin_latitude];
    point.copy_from_slice(&place);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::npy;

    fn named(ranges: &[(Option<f64>, Option<f64>)]) -> Vec<AxisInfo> {
        let names = ["x", "y", "z"].into_iter().zip(ranges);
        names
            .map(|(name, &range)| AxisInfo { name: name.into(), unit: String::new(), range })
            .collect()
    }

    fn read(
        system: System,
        given: &[AxisInfo],
        shape: &[usize],
        data: &[f64],
    ) -> Result<(Vec<Axis>, Vec<f32>)> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("c.npy");
        npy::write(&path, shape, data)?;
        let file = Coordinates { path, variable: None, system };
        let (axes, points) = file.read(given.len(), given)?;
        let places = crate::data::Places::Points(points.into());
        let mut coords = Vec::new();
        (0..places.count()).for_each(|n| places.push(n, &mut coords));
        Ok((axes, coords.iter().map(|&x| x as f32).collect()))
    }

    #[test]
    fn physical_coordinates_are_scaled_by_their_box() {
        let data = [0.0, 10.0, 4.0, 30.0, 1.0, 20.0];
        let (axes, coords) =
            read(System::Cartesian, &named(&[(None, None); 2]), &[3, 2], &data).unwrap();
        assert_eq!(coords, [-1.0, -1.0, 1.0, 1.0, -0.5, 0.0]);
        assert_eq!((axes[0].min, axes[0].max, axes[1].min, axes[1].max), (0.0, 4.0, 10.0, 30.0));
        let given = named(&[(None, Some(8.0)), (Some(0.0), Some(40.0))]);
        let (axes, coords) = read(System::Cartesian, &given, &[3, 2], &data).unwrap();
        assert_eq!(coords, [-1.0, -0.5, 0.0, 0.5, -0.75, 0.0]);
        assert_eq!((axes[0].min, axes[0].max), (0.0, 8.0));
    }

    #[test]
    fn the_reference_has_the_last_axis_first() {
        let data = [-1.0, 0.5, 0.25, 0.0, 0.125, 1.0];
        let infos = named(&[(Some(5.0), Some(6.0)), (None, None), (None, None)]);
        let (axes, coords) = read(System::Normalized, &infos, &[1, 2, 3], &data).unwrap();
        assert_eq!(coords, [0.25, 0.5, -1.0, 1.0, 0.125, 0.0]);
        // Physical sides may be named for what the files have normalised.
        assert_eq!((axes[0].min, axes[0].max, axes[1].min, axes[2].max), (5.0, 6.0, -1.0, 1.0));
    }

    #[test]
    fn points_on_a_sphere_become_cartesian() {
        let data = [
            2.0, 0.0, 0.0, 2.0, 90.0, 0.0, 2.0, 180.0, 0.0, 2.0, 270.0, 0.0, 2.0, 45.0, 90.0, 2.0,
            0.0, -90.0,
        ];
        let (axes, coords) =
            read(System::Spherical, &named(&[(None, None); 3]), &[6, 3], &data).unwrap();
        let expected = [
            1.0, 0.0, 0.0, 0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0,
            -1.0,
        ];
        for (a, b) in coords.iter().zip(expected) {
            assert!((a - b).abs() < 1e-6, "{coords:?}");
        }
        assert!(
            axes.iter()
                .all(|axis| (axis.min + 2.0).abs() < 1e-12 && (axis.max - 2.0).abs() < 1e-12)
        );
    }

    #[test]
    fn mistakes_are_named() {
        let refused =
            |system, ranges: &[(Option<f64>, Option<f64>)], shape: &[usize], data: &[f64]| {
                format!("{:#}", read(system, &named(ranges), shape, data).expect_err("an error"))
            };
        let free = [(None, None); 2];
        let error = refused(System::Cartesian, &free, &[2, 2], &[0.0, 1.0, f64::NAN, 2.0]);
        assert!(
            error.contains("c.npy") && error.contains("(NaN) is column 0 of point 1"),
            "{error}"
        );
        let error = refused(System::Cartesian, &free, &[4], &[0.0; 4]);
        assert!(error.contains("shape [4], expected [points, 2]"), "{error}");
        let error = refused(System::Cartesian, &free, &[2, 3], &[0.0; 6]);
        assert!(error.contains("shape [2, 3], expected [points, 2]"), "{error}");
        let error = refused(System::Cartesian, &free, &[0, 2], &[]);
        assert!(error.contains("has no points"), "{error}");
        let error = refused(System::Cartesian, &free, &[2, 2], &[0.0, 5.0, 1.0, 5.0]);
        assert!(error.contains("axis y: all points lie between 5 and 5"), "{error}");
        let sides = [(Some(0.0), Some(1.0)), (None, None)];
        let error = refused(System::Cartesian, &sides, &[3, 2], &[0.0, 1.0, 1.5, 2.0, -3.0, 3.0]);
        assert!(
            error.contains("2 points") && error.contains("point 1: x = 1.5, expected 0 to 1"),
            "{error}"
        );
        let error = refused(System::Normalized, &free, &[2, 2], &[0.0, 1.0, 360.0, 0.0]);
        assert!(
            error.contains("point 1: y = 360, expected -1 to 1") && error.contains("`coords` in"),
            "{error}"
        );
        let error = refused(System::Spherical, &free, &[2, 3], &[0.0; 6]);
        assert!(error.contains("spherical coordinates are points in space"), "{error}");
    }
}
