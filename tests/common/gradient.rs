//! Derivatives asked for, and the same by finite differences.

use drr::{Gradients, GradientsMut, Kernel, Points, Result, Sampler, SamplerOptions, ValuesMut};

use super::{Baked, query};

/// What arrays hold before something is written.
pub const UNTOUCHED: f64 = -7.25e77;

/// What a query gives, all without gaps.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer<T = f64> {
    pub values: Vec<f64>,
    pub position: Vec<T>,
    pub parameters: Vec<T>,
}

/// Values and all derivatives at packed points.
pub fn ask(sampler: &Sampler, points: &[f64]) -> Answer {
    let (result, answer) = try_ask(sampler, points);
    result.expect("a query that fits the model");
    answer
}

/// As [`ask`], whatever comes of it.
pub fn try_ask(sampler: &Sampler, points: &[f64]) -> (Result<()>, Answer) {
    let spec = sampler.runtime().model().spec();
    let (dims, outputs, parameters) = (spec.axes.len(), spec.outputs(), spec.parameters.len());
    let count = points.len() / dims;
    let room = |components: usize| vec![UNTOUCHED; count * outputs * components];
    let mut answer = Answer { values: room(1), position: room(dims), parameters: room(parameters) };
    let Answer { values, position, parameters: by_parameters } = &mut answer;
    let mut gradients = Gradients {
        position: Some(GradientsMut::packed(position, outputs, dims).expect("whole points")),
        parameters: Some(
            GradientsMut::packed(by_parameters, outputs, parameters).expect("whole points"),
        ),
    };
    let mut values = ValuesMut::packed(values, outputs).expect("whole points");
    let points = Points::packed(points, dims).expect("whole points");
    let result = sampler.query_gradient(&points, Some(&mut values), &mut gradients);
    (result, answer)
}

/// Derivatives at one point by central differences of the reference's values; None where they
/// depend on the step, so that there must be a kink.
pub fn differences(
    baked: &Baked,
    options: &SamplerOptions,
    point: &[f64],
    parameters: &[f64],
) -> Answer<Option<f64>> {
    let runtime = baked.runtime(Kernel::Reference, 1);
    let values = |point: &[f64], parameters: &[f64]| {
        query(&Sampler::new(&runtime, parameters, options).expect("valid parameters"), point)
    };
    let physical = options.units == drr::Units::Physical;
    let axes: Vec<f64> = baked.spec.axes.iter().map(|a| a.max - a.min).collect();
    let ranges: Vec<f64> = baked.spec.parameters.iter().map(|p| p.max - p.min).collect();
    let outputs = baked.spec.outputs();
    let by = |ranges: &[f64], at: &dyn Fn(usize, f64) -> Vec<f64>| {
        let mut all = vec![None; outputs * ranges.len()];
        for (n, range) in ranges.iter().enumerate() {
            let unit = if physical { *range } else { 1.0 };
            // [`Sampler`] takes what is less than 1e-6 beyond the end for the end.
            let central = |h: f64| -> Vec<f64> {
                let (upper, lower) = (at(n, h * unit), at(n, -h * unit));
                upper.iter().zip(lower).map(|(u, l)| (u - l) / (2.0 * h * unit)).collect()
            };
            let (wide, narrow) = (central(2e-5), central(1e-5));
            for (k, (wide, narrow)) in wide.iter().zip(narrow).enumerate() {
                // The error of either is as the square of its step.
                let extrapolated = narrow + (narrow - wide) / 3.0;
                let is_smooth = (wide - narrow).abs() <= 1e-6 * narrow.abs().max(1.0);
                all[k * ranges.len() + n] = is_smooth.then_some(extrapolated);
            }
        }
        all
    };
    let moved = |from: &[f64], n: usize, by: f64| {
        let mut moved = from.to_vec();
        moved[n] += by;
        moved
    };
    Answer {
        values: values(point, parameters),
        position: by(&axes, &|n, by| values(&moved(point, n, by), parameters)),
        parameters: by(&ranges, &|n, by| values(point, &moved(parameters, n, by))),
    }
}
