//! What kernels are told of units, policies, points and results: the sampler's words in those of
//! `arguments.h`.

use super::parameters::{Parameters, Ranges};
use super::points::Points;
use super::policy::Normalizer;
use super::results::{GradientsMut, Places, PointStride, ValuesMut};
use super::scalar::Scalar;
use super::{Lattice, Outside, SamplerOptions, Units};
use crate::cuda::arguments::{self as raw, MAX_SEPARATE};
use crate::model::spec::Spec;
use crate::{Error, ErrorKind, Result};

/// How a device answers.
pub(super) fn frame(spec: &Spec, options: &SamplerOptions) -> Result<raw::Frame> {
    for (name, outside) in
        [("outside", options.outside), ("outside_parameters", options.outside_parameters)]
    {
        if outside == Outside::Error {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("{name}: error, which a queue of work cannot answer: ask for nan or clamp"),
            ));
        }
    }
    let mut axes = [raw::Axis { min: -1.0, range: 2.0, limit: 1.0 }; 3];
    for (axis, (min, max, limit)) in axes.iter_mut().zip(Normalizer::new(spec, options).axes()) {
        *axis = raw::Axis { min, range: max - min, limit };
    }
    Ok(raw::Frame {
        axes,
        fades: (options.outside == Outside::Zeros).into(),
        evaluates_outside: matches!(options.outside, Outside::Clamp | Outside::Zeros).into(),
        is_physical: (options.units == Units::Physical).into(),
        evaluates_parameters: (options.outside_parameters == Outside::Clamp).into(),
    })
}

/// Number of a type in `arguments.h`.
pub(super) fn scalar(scalar: Scalar) -> u32 {
    match scalar {
        Scalar::F32 => raw::F32,
        Scalar::F64 => raw::F64,
        Scalar::F16 => raw::F16,
    }
}

/// The points of a lattice.
pub(super) fn lattice(lattice: &Lattice) -> raw::Points {
    raw::Points {
        origin: lattice.origin,
        spacing: lattice.spacing,
        lattice: lattice.dims.map(|size| size as u64),
        is_lattice: 1,
        ..Default::default()
    }
}

/// Points in arrays.
pub(super) fn points(points: &Points<'_>) -> raw::Points {
    let axes = points.axes();
    raw::Points {
        axes: axes.map(|(base, _)| base as u64),
        strides: axes.map(|(_, stride)| stride as i64),
        scalar: scalar(points.scalar()),
        ..Default::default()
    }
}

/// Where values go.
///
/// # Errors
/// `Unsupported` for more arrays than kernels take.
pub(super) fn results(values: &ValuesMut<'_>) -> Result<raw::Results> {
    places(values.layout(), 1)
}

/// Where derivatives go.
///
/// # Errors
/// `Unsupported` for more arrays than kernels take.
pub(super) fn derivatives(gradients: &GradientsMut<'_>) -> Result<raw::Results> {
    places(gradients.layout(), gradients.components())
}

fn places(
    (kind, places, by_point): (Scalar, &Places<'_>, PointStride),
    components: usize,
) -> Result<raw::Results> {
    // Not more than parameters, of which there are few.
    let components = components as u32;
    let mut results = raw::Results { scalar: scalar(kind), components, ..Default::default() };
    match places {
        Places::Strided(first, [by_value, by_component]) => {
            results.data = *first as u64;
            (results.value_stride, results.component_stride) =
                (*by_value as i64, *by_component as i64);
        }
        Places::Separate(firsts) if firsts.len() <= MAX_SEPARATE => {
            results.is_separate = 1;
            for (to, &first) in results.separate.iter_mut().zip(firsts.iter()) {
                *to = first as u64;
            }
        }
        Places::Separate(firsts) => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "{} results in arrays of their own, a device takes up to {MAX_SEPARATE}: put \
                     them into one",
                    firsts.len()
                ),
            ));
        }
    }
    match by_point {
        PointStride::Each(stride) => results.strides[0] = stride as i64,
        PointStride::Lattice { strides, .. } => {
            results.is_lattice = 1;
            results.strides = strides.map(|stride| stride as i64);
        }
    }
    Ok(results)
}

/// The parameters of each point.
pub(super) fn table(parameters: &Parameters<'_>) -> raw::Table {
    let (base, row_stride, column_stride) = parameters.layout();
    raw::Table {
        data: base as u64,
        row_stride: row_stride as i64,
        column_stride: column_stride as i64,
        scalar: scalar(parameters.scalar()),
        is_given: 1,
    }
}

/// The ranges of a model's parameters.
pub(super) fn ranges(ranges: &Ranges<'_>) -> Vec<raw::Range> {
    let rows = ranges.limits();
    rows.map(|(min, max, slack)| raw::Range { min, range: max - min, slack }).collect()
}
