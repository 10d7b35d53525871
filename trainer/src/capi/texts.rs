//! Names and paths that C callers hand over.

use std::ffi::{CStr, OsStr, c_char};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use drr::model::spec::Axis;

use super::structs::{drr_train_data, drr_train_range};
use crate::data::{Parameter, Value};
use crate::train::insitu::Data;
use crate::train::insitu::failure::{Failure, Outcome};

/// A text; `None` for NULL.
///
/// # Safety
/// `text` must be NULL or NUL-terminated.
pub(super) unsafe fn text<'a>(text: *const c_char, name: &str) -> Outcome<Option<&'a str>> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    let text = unsafe { CStr::from_ptr(text) };
    let text = text.to_str().map_err(|_| Failure::argument(format!("{name} is not UTF-8")))?;
    Ok(Some(text))
}

/// A path in the system's encoding.
///
/// # Safety
/// `path` must be NULL or NUL-terminated.
pub(super) unsafe fn path<'a>(path: *const c_char, name: &str) -> Outcome<&'a Path> {
    if path.is_null() {
        return Err(Failure::argument(format!("{name} is NULL")));
    }
    // SAFETY: the caller's promise.
    let bytes = unsafe { CStr::from_ptr(path) }.to_bytes();
    if bytes.is_empty() {
        return Err(Failure::argument(format!("{name} is empty")));
    }
    Ok(Path::new(OsStr::from_bytes(bytes)))
}

/// What is said of the fields.
///
/// # Safety
/// The struct must say the truth.
pub(super) unsafe fn data(given: &drr_train_data) -> Outcome<Data> {
    let dims = given.dims as usize;
    if !(2..=3).contains(&dims) {
        return Err(Failure::argument(format!("data.dims is {dims}, expected 2 or 3")));
    }
    let points = match given.points[..dims].iter().all(|&n| n == 0) {
        true => Vec::new(),
        false => (given.points[..dims].iter().rev())
            .map(|&n| usize::try_from(n).unwrap_or(usize::MAX))
            .collect(),
    };
    if points.iter().try_fold(1usize, |all, &n| all.checked_mul(n)).is_none_or(|n| n > 1 << 40) {
        return Err(Failure::argument(format!("data.points is {:?}: too many", given.points)));
    }
    let (parameters, values) = (given.parameter_count as usize, given.value_count as usize);
    if parameters > 1 << 16 || values > 1 << 16 {
        return Err(Failure::argument(format!(
            "data has {parameters} parameters and {values} values, expected 65536 at most"
        )));
    }
    // SAFETY: the caller's promise.
    let (axes, parameters, values) = unsafe {
        (
            ranges(given.axes, dims, "axes", |n| ["x", "y", "z"][n].to_owned(), -1.0)?,
            ranges(given.parameters, parameters, "parameters", |n| format!("p{n}"), 0.0)?,
            ranges(given.values, values, "values", |n| value_name(n, values), 0.0)?,
        )
    };
    let range = (given.value_min, given.value_max);
    if range != (0.0, 0.0) && !(range.0 < range.1 && (range.1 - range.0).is_finite()) {
        return Err(Failure::argument(format!(
            "data.value_min and data.value_max are {} and {}, expected numbers in order, or both 0",
            range.0, range.1
        )));
    }
    Ok(Data {
        points,
        axes: axes
            .into_iter()
            .map(|(name, unit, [min, max])| Axis { name, unit, min, max })
            .collect(),
        parameters: (parameters.into_iter())
            .map(|(name, unit, [min, max])| Parameter { name, unit, min, max })
            .collect(),
        values: values.into_iter().map(|(name, unit, _)| Value { name, unit }).collect(),
        range: (range != (0.0, 0.0)).then_some(range),
    })
}

fn value_name(n: usize, count: usize) -> String {
    if count == 1 { "value".to_owned() } else { format!("value{n}") }
}

/// Names, units and ends; what is not said is filled in, ranges from `least` to 1.
///
/// # Safety
/// `given` must be NULL or readable for `count` elements, and they must say the truth.
unsafe fn ranges(
    given: *const drr_train_range,
    count: usize,
    what: &str,
    default: impl Fn(usize) -> String,
    least: f64,
) -> Outcome<Vec<(String, String, [f64; 2])>> {
    if !given.is_aligned() {
        return Err(Failure::argument(format!("data.{what} is {given:p}, which is not aligned")));
    }
    let one = |n: usize| {
        if given.is_null() {
            return Ok((default(n), String::new(), [least, 1.0]));
        }
        // SAFETY: the caller's promise; not NULL and aligned.
        let range = unsafe { given.add(n).read() };
        // SAFETY: the caller's promise.
        let (name, unit) = unsafe {
            (
                text(range.name, &format!("data.{what}[{n}].name"))?,
                text(range.unit, &format!("data.{what}[{n}].unit"))?,
            )
        };
        let ends = match [range.min, range.max] {
            [0.0, 0.0] => [least, 1.0],
            ends => ends,
        };
        let name = name.map_or_else(|| default(n), str::to_owned);
        Ok((name, unit.unwrap_or_default().to_owned(), ends))
    };
    (0..count).map(one).collect()
}
