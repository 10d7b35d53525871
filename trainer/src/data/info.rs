//! `field.yaml`: optional names, units, ranges and the shape of an ensemble, and how its files are
//! to be read where they do not say so themselves.
//!
//! Says what the numbers mean; holds no data.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::coordinates::System;
use super::dtype::{ByteOrder, Dtype};
use super::ensemble::Axis;
use super::formats::Reading;
use super::member::{Parameter, Value};
use crate::config::{Section, hint, parse_yaml};

/// What `field.yaml` says; empty where there is none.
#[derive(Debug, Default)]
pub(super) struct FieldInfo {
    pub dims: Option<Vec<usize>>,
    pub reading: Reading,
    /// File of the points' coordinates; absent for data on a lattice.
    pub coords: Option<PathBuf>,
    pub coords_variable: Option<String>,
    pub system: Option<System>,
    axes: Option<Vec<AxisInfo>>,
    values: Option<Vec<Value>>,
    parameters: Vec<ParameterInfo>,
}

/// An axis, whose ends are perhaps those of the data.
#[derive(Debug, Clone)]
pub(super) struct AxisInfo {
    pub name: String,
    pub unit: String,
    pub range: (Option<f64>, Option<f64>),
}

#[derive(Debug)]
struct ParameterInfo {
    name: String,
    unit: String,
    range: (Option<f64>, Option<f64>),
}

const FILE: &str = "field.yaml";

impl FieldInfo {
    /// Reads `field.yaml` in `folder`, if it is there.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        if !path.is_file() {
            return Ok(Self::default());
        }
        let shown = path.display();
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {shown}"))?;
        Self::parse(&text).with_context(|| format!("{shown} is not as expected"))
    }

    fn parse(text: &str) -> Result<Self> {
        let mut s = match parse_yaml(text)? {
            // Nothing but comments, perhaps.
            serde_json::Value::Null => Section::empty(""),
            document => Section::new("", document)?,
        };
        let coords = s.take("coords")?;
        // The ends of a lattice are not in its files.
        let ends = if coords.is_some() { None } else { Some((-1.0, 1.0)) };
        let info = Self {
            dims: s.take("dims")?,
            reading: read_reading(&mut s)?,
            coords_variable: only_with(&coords, &mut s, "coords_variable")?,
            system: read_system(&coords, &mut s)?,
            coords,
            axes: list(&mut s, "axes", |axis| read_axis(axis, ends))?,
            values: list(&mut s, "values", read_value)?,
            parameters: read_parameters(&mut s)?,
        };
        s.finish()?;
        Ok(info)
    }

    /// The axes of a space of `rank` dimensions, x first.
    pub fn axes(&mut self, rank: usize) -> Result<Vec<AxisInfo>> {
        let axes = self.axes.take().unwrap_or_else(|| {
            let names = ["x", "y", "z"].into_iter().take(rank);
            names.map(default_axis).collect()
        });
        if axes.len() != rank {
            bail!("{FILE} names {} axes, the data have {rank}", axes.len());
        }
        Ok(axes)
    }

    /// Whether it names axes.
    pub fn names_axes(&self) -> bool {
        self.axes.is_some()
    }

    /// The components of the field; `names` is what they are called if nothing else is said and there
    /// are as many.
    pub fn values(&mut self, count: usize, names: &[&str]) -> Result<Vec<Value>> {
        let values = self.values.take().unwrap_or_else(|| match count {
            _ if count == names.len() => {
                names.iter().map(|&name| named_value(name.to_owned())).collect()
            }
            1 => vec![named_value("value".to_owned())],
            _ => (0..count).map(|i| named_value(format!("value{i}"))).collect(),
        });
        if values.len() != count {
            bail!(
                "{FILE} names {} values, the data have {count} a point (raw files have one, others as \
                 many as their last axis is long)",
                values.len()
            );
        }
        Ok(values)
    }

    /// The parameter `name`, whose values span `span` where the file gives no bound.
    pub fn parameter(&self, name: &str, span: (f64, f64)) -> Result<Parameter> {
        let info = self.parameters.iter().find(|info| info.name == name);
        let (min, max) = info.map_or((None, None), |info| info.range);
        let parameter = Parameter {
            name: name.to_owned(),
            unit: info.map_or(String::new(), |info| info.unit.clone()),
            min: min.unwrap_or(span.0),
            max: max.unwrap_or(span.1),
        };
        if parameter.min > parameter.max || (parameter.min == parameter.max && span.0 != span.1) {
            bail!(
                "{FILE}: parameters.{name}: its range {} to {} is empty",
                parameter.min,
                parameter.max
            );
        }
        Ok(parameter)
    }

    /// Refuses parameters that no column of the data goes by.
    pub fn check_names_used(&self, names: &[&str]) -> Result<()> {
        match self.parameters.iter().find(|info| !names.contains(&info.name.as_str())) {
            Some(info) => bail!(
                "{FILE}: parameters.{}: the data have no such parameter; {}",
                info.name,
                hint(&info.name, names)
            ),
            None => Ok(()),
        }
    }
}

impl AxisInfo {
    /// The axis; its ends are those of `range` where they are not said.
    pub fn axis(&self, range: (f64, f64)) -> Axis {
        let (min, max) = (self.range.0.unwrap_or(range.0), self.range.1.unwrap_or(range.1));
        Axis { name: self.name.clone(), unit: self.unit.clone(), min, max }
    }
}

fn default_axis(name: &str) -> AxisInfo {
    AxisInfo { name: name.to_owned(), unit: String::new(), range: (None, None) }
}

fn named_value(name: String) -> Value {
    Value { name, unit: String::new() }
}

/// The list of mappings under `key`, each read by `item`.
fn list<T>(
    s: &mut Section,
    key: &'static str,
    item: impl Fn(Section) -> Result<T>,
) -> Result<Option<Vec<T>>> {
    let Some(value) = s.take_value(key) else {
        return Ok(None);
    };
    let serde_json::Value::Array(items) = value else {
        bail!("{}: given {value}, expected a list of mappings", s.at(key));
    };
    let items = items.into_iter().enumerate();
    items
        .map(|(i, value)| item(Section::new(s.at(&format!("{key}.{i}")), value)?))
        .collect::<Result<_>>()
        .map(Some)
}

fn read_reading(s: &mut Section) -> Result<Reading> {
    let mut reading = Reading { variable: s.take("variable")?, ..Reading::default() };
    if let Some(name) = s.take::<String>("dtype")? {
        reading.dtype = Dtype::named(&name).with_context(|| s.at("dtype"))?;
    }
    if let Some(name) = s.take::<String>("byte_order")? {
        reading.order = match name.as_str() {
            "little" => ByteOrder::Little,
            "big" => ByteOrder::Big,
            _ => bail!("{}: given {name}, expected little or big", s.at("byte_order")),
        };
    }
    Ok(reading)
}

/// A key that says more about the coordinates.
fn only_with(
    coords: &Option<PathBuf>,
    s: &mut Section,
    key: &'static str,
) -> Result<Option<String>> {
    let value = s.take(key)?;
    if value.is_some() && coords.is_none() {
        bail!("{}: there is no `coords: FILE` that it could say something about", s.at(key));
    }
    Ok(value)
}

fn read_system(coords: &Option<PathBuf>, s: &mut Section) -> Result<Option<System>> {
    const KEY: &str = "coordinate_system";
    match only_with(coords, s, KEY)?.as_deref() {
        None => Ok(None),
        Some("cartesian") => Ok(Some(System::Cartesian)),
        Some("spherical") => Ok(Some(System::Spherical)),
        Some(other) => bail!(
            "{}: given `{other}`, expected cartesian (x, y, z) or spherical (radius, longitude, \
             latitude in degrees)",
            s.at(KEY)
        ),
    }
}

fn read_axis(mut s: Section, ends: Option<(f64, f64)>) -> Result<AxisInfo> {
    let (min, max) = (s.take("min")?, s.take("max")?);
    let range = (min.or(ends.map(|ends| ends.0)), max.or(ends.map(|ends| ends.1)));
    let axis =
        AxisInfo { name: s.require("name")?, unit: s.take_or("unit", String::new())?, range };
    if let (Some(min), Some(max)) = range {
        if min == max {
            bail!("{}: min and max are the same, {min}", s.path());
        }
        if min > max {
            bail!(
                "{}: given min {min} and max {max}, expected them in order: the first sample along \
                 an axis is at its min",
                s.path()
            );
        }
    }
    s.finish()?;
    Ok(axis)
}

fn read_value(mut s: Section) -> Result<Value> {
    let value = Value { name: s.require("name")?, unit: s.take_or("unit", String::new())? };
    s.finish()?;
    Ok(value)
}

fn read_parameters(s: &mut Section) -> Result<Vec<ParameterInfo>> {
    let Some(value) = s.take_value("parameters") else {
        return Ok(Vec::new());
    };
    let serde_json::Value::Object(entries) = value else {
        bail!("parameters: given {value}, expected a mapping from names");
    };
    let read = |(name, value): (String, serde_json::Value)| {
        let mut s = Section::new(format!("parameters.{name}"), value)?;
        let info = ParameterInfo {
            name,
            unit: s.take_or("unit", String::new())?,
            range: (s.take("min")?, s.take("max")?),
        };
        s.finish()?;
        Ok(info)
    };
    entries.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        format!("{:#}", FieldInfo::parse(text).expect_err(text))
    }

    #[test]
    fn everything_is_optional() {
        let mut info = FieldInfo::parse("dims: [2, 3]").unwrap();
        assert_eq!(info.dims, Some(vec![2, 3]));
        let axes = info.axes(2).unwrap();
        assert_eq!((axes[0].name.as_str(), axes[1].name.as_str()), ("x", "y"));
        let axis = axes[0].axis((-1.0, 1.0));
        assert_eq!((axis.min, axis.max), (-1.0, 1.0));
        assert_eq!(info.values(1, &[]).unwrap()[0].name, "value");
        assert_eq!(info.values(2, &[]).unwrap()[1].name, "value1");
        let parameter = info.parameter("p", (2.0, 3.0)).unwrap();
        assert_eq!((parameter.min, parameter.max), (2.0, 3.0));
    }

    #[test]
    fn what_is_said_is_kept() {
        let text = "
variable: fields/energy
dtype: int16
byte_order: big
values: [{name: energy, unit: J}]
axes: [{name: lon, unit: deg, min: 0, max: 360}, {name: y}]
parameters: {a b: {unit: m, min: -1}, c: {max: 9}}
";
        let mut info = FieldInfo::parse(text).unwrap();
        assert_eq!(info.reading.variable.as_deref(), Some("fields/energy"));
        assert_eq!((info.reading.dtype, info.reading.order), (Dtype::I16, ByteOrder::Big));
        let axes = info.axes(2).unwrap();
        assert_eq!(
            (axes[0].unit.as_str(), axes[0].range.1, axes[1].name.as_str()),
            ("deg", Some(360.0), "y")
        );
        assert_eq!(axes[1].range, (Some(-1.0), Some(1.0)), "a lattice has ends");
        assert_eq!(info.values(1, &[]).unwrap()[0].unit, "J");
        let parameter = info.parameter("a b", (0.0, 1.0)).unwrap();
        assert_eq!((parameter.unit.as_str(), parameter.min, parameter.max), ("m", -1.0, 1.0));
        assert!(info.check_names_used(&["a b", "c"]).is_ok());
        let unused = info.check_names_used(&["a b", "cc"]).unwrap_err().to_string();
        assert!(unused.contains("parameters.c:"), "{unused}");
        let empty = info.parameter("c", (10.0, 11.0)).unwrap_err().to_string();
        assert!(empty.contains("its range 10 to 9 is empty"), "{empty}");
    }

    #[test]
    fn points_have_the_ends_that_are_said() {
        let text = "{coords: mesh.nc, coords_variable: places, coordinate_system: spherical, \
                    axes: [{name: x, min: 1}, {name: y}, {name: z}]}";
        let mut info = FieldInfo::parse(text).unwrap();
        assert_eq!(info.coords.as_deref(), Some(Path::new("mesh.nc")));
        assert_eq!(info.system, Some(System::Spherical));
        assert_eq!(info.axes(3).unwrap()[0].range, (Some(1.0), None));
    }

    #[test]
    fn mistakes_are_named() {
        assert!(refused("{coords: c.npy, coordinate_system: polar}").contains("given `polar`"));
        let alone = refused("coordinate_system: cartesian");
        assert!(alone.contains("coordinate_system: there is no `coords: FILE`"), "{alone}");
        assert!(refused("dim: [2]").contains("did you mean `dims`?"));
        assert!(refused("dtype: float23").contains("dtype: unknown type of numbers `float23`"));
        assert!(refused("byte_order: up").contains("given up, expected little or big"));
        assert!(
            refused("axes: [{nam: x}]").contains("axes.0.nam: unknown key; did you mean `name`")
        );
        assert!(refused("axes: [{name: x, min: 1}]").contains("axes.0: min and max are the same"));
        assert!(refused("axes: [{name: x, min: 6, max: 0}]").contains("given min 6 and max 0"));
        assert!(refused("values: energy").contains("expected a list of mappings"));
        assert!(refused("parameters: [a]").contains("expected a mapping from names"));
        assert!(refused("parameters: {a: {mn: 1}}").contains("did you mean `min`?"));
        let mut info = FieldInfo::parse("axes: [{name: x}]\nvalues: []").unwrap();
        assert!(info.axes(3).unwrap_err().to_string().contains("names 1 axes, the data have 3"));
        assert!(info.values(1, &[]).unwrap_err().to_string().contains("names 0 values"));
    }
}
