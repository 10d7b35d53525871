//! A baked model bound to one set of parameters and asked for values: units, policies, threads.
//! The arithmetic is in [`cpu`](crate::cpu).

pub mod gradient;
mod lattice;
pub mod points;
mod policy;
mod pool;

use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rayon::prelude::*;

use crate::cpu::gradient::ParameterSlopes;
use crate::cpu::{Binding, Engine, Kernel, Padding, Positions, Run, Scratch, TILE};
use crate::model::spec::Transform;
use crate::model::{Checksums, Model, Storage};
use crate::{Error, ErrorKind, Result};
pub use lattice::Lattice;
use points::{Points, ValuesMut};
use policy::{Location, Normalizer};
use pool::Pool;

/// Tiles that a thread takes at a time.
const TILES_PER_TASK: usize = 64;

/// How a baked file is opened.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenOptions {
    /// Mapped or copied.
    pub storage: Storage,
    /// Whether the numbers are compared with their checksums.
    pub checksums: Checksums,
    /// Threads that a query may use: 0 or 1 for the caller's alone, more for a private pool.
    pub threads: usize,
}

/// What coordinates, parameters and results are measured in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Units {
    /// The file's physical units.
    #[default]
    Physical,
    /// Coordinates in [-1, 1], parameters in [0, 1], results before de-normalisation.
    Normalized,
}

/// What a point or parameter outside its range gives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Outside {
    /// The value at the nearest point of the border.
    #[default]
    Clamp,
    /// Vertex features outside are zero, so that they fade out within one cell (what PyTorch's
    /// `grid_sample` does by default). For points only.
    Zeros,
    /// NaN.
    Nan,
    /// The whole query fails and writes nothing.
    Error,
}

/// How a sampler answers.
#[derive(Debug, Clone, Copy, Default)]
pub struct SamplerOptions {
    /// Units of points, parameters and values.
    pub units: Units,
    /// Points outside the domain.
    pub outside: Outside,
    /// Parameters outside their ranges.
    pub outside_parameters: Outside,
}

/// An open model ready for queries: the file, the kernel and the threads. Shared by its samplers.
pub struct Runtime {
    model: Model,
    engine: Engine,
    pool: Option<Pool>,
}

/// A model bound to one set of parameters. Immutable; queries from several threads may overlap.
pub struct Sampler {
    runtime: Arc<Runtime>,
    options: SamplerOptions,
    /// Normalised to [0, 1]; those to be clamped are still outside.
    parameters: Vec<f64>,
    binding: Binding,
    /// Made when derivatives are first asked for.
    slopes: OnceLock<ParameterSlopes>,
    normalizer: Normalizer,
    /// All results are NaN because of a parameter.
    is_nan: bool,
}

impl Runtime {
    /// Opens a baked file and prepares it for the kernel that `DRR_CPU` names, or the best one.
    ///
    /// # Errors
    /// Those of [`Model::open`] and [`Kernel::choose`].
    pub fn open(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Arc<Self>> {
        let model = Model::open(path, options.storage, options.checksums)?;
        Self::new(model, Kernel::choose()?, options.threads)
    }

    /// Opens a baked file that is in memory already; the bytes are copied.
    ///
    /// # Errors
    /// As [`Runtime::open`].
    pub fn from_bytes(bytes: &[u8], options: &OpenOptions) -> Result<Arc<Self>> {
        let model = Model::from_bytes(bytes, options.checksums)?;
        Self::new(model, Kernel::choose()?, options.threads)
    }

    /// Prepares an open model for `kernel` and `threads`.
    ///
    /// # Errors
    /// `Unsupported` if the machine cannot run the kernel or start the threads.
    pub fn new(model: Model, kernel: Kernel, threads: usize) -> Result<Arc<Self>> {
        let engine = Engine::new(&model, kernel)?;
        let pool = (threads > 1).then(|| Pool::new(threads)).transpose()?;
        Ok(Arc::new(Self { model, engine, pool }))
    }

    /// The open model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The kernel in use.
    pub fn kernel(&self) -> Kernel {
        self.engine.kernel()
    }

    /// Bytes of memory that the model takes, the file included (mapped pages are shared).
    pub fn memory_bytes(&self) -> usize {
        self.model.file_bytes() + self.engine.memory_bytes()
    }
}

impl Sampler {
    /// Binds `runtime` to `parameters`, one per parameter of the model, in the file's order.
    ///
    /// # Errors
    /// `InvalidArgument` for a wrong number of parameters, `OutsideDomain` by policy.
    pub fn new(
        runtime: &Arc<Runtime>,
        parameters: &[f64],
        options: &SamplerOptions,
    ) -> Result<Self> {
        let spec = runtime.model.spec();
        if options.outside_parameters == Outside::Zeros {
            return Err(Error::argument("outside_parameters: expected clamp, nan or error"));
        }
        if parameters.len() != spec.parameters.len() {
            let names: Vec<_> = spec.parameters.iter().map(|p| p.name.as_str()).collect();
            return Err(Error::argument(format!(
                "{} parameters given, the model has {}: {}",
                parameters.len(),
                names.len(),
                names.join(", ")
            )));
        }
        let (parameters, is_nan) = policy::parameters(spec, parameters, options)?;
        let binding = runtime.engine.bind(&runtime.model, &parameters);
        Ok(Self {
            runtime: runtime.clone(),
            options: *options,
            parameters,
            binding,
            slopes: OnceLock::new(),
            normalizer: Normalizer::new(spec, options),
            is_nan,
        })
    }

    /// The open model.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Values at `points`. A point with a NaN coordinate gives NaN.
    ///
    /// # Errors
    /// `InvalidArgument` if sizes do not fit the model or each other; `OutsideDomain` by policy,
    /// naming the first such point. Nothing is written then.
    pub fn query(&self, points: &Points<'_>, values: &mut ValuesMut<'_>) -> Result<()> {
        self.check_dims(points)?;
        self.answer(&Source::Points(points), values)
    }

    /// Values at the points of `source`, which has as many coordinates as the model.
    fn answer(&self, source: &Source<'_>, values: &mut ValuesMut<'_>) -> Result<()> {
        self.check_room(source.len(), values)?;
        if self.options.outside == Outside::Error {
            self.check_inside(source)?;
        }
        let values = &*values;
        self.run(source.len(), |range| {
            let mut worker = Worker::new(self);
            // SAFETY: ranges of different tasks are disjoint and each is visited once.
            unsafe { worker.run(self, source, values, range) };
            Ok(())
        })
    }

    /// Runs `task` for ranges that together are all of `len` points, on the pool if there is one.
    fn run(&self, len: usize, task: impl Fn(Range<usize>) -> Result<()> + Sync) -> Result<()> {
        match self.runtime.pool.as_ref().and_then(Pool::get) {
            Some(pool) if len > TILE => pool.install(|| {
                let size =
                    TILE * TILES_PER_TASK.min(len.div_ceil(TILE * pool.current_num_threads()));
                (0..len.div_ceil(size))
                    .into_par_iter()
                    .try_for_each(|n| task(n * size..len.min((n + 1) * size)))
            }),
            _ => task(0..len),
        }
    }

    /// What is assumed of the grids outside.
    fn padding(&self) -> Padding {
        match self.options.outside {
            Outside::Zeros => Padding::Zeros,
            Outside::Clamp | Outside::Nan | Outside::Error => Padding::Border,
        }
    }

    fn parameter_slopes(&self) -> &ParameterSlopes {
        self.slopes.get_or_init(|| ParameterSlopes::new(&self.runtime.model, &self.parameters))
    }

    fn check_dims(&self, points: &Points<'_>) -> Result<()> {
        let axes = self.runtime.model.spec().axes.len();
        if points.dims() != axes {
            return Err(Error::argument(format!(
                "points of {} coordinates, the model has {axes} axes",
                points.dims(),
            )));
        }
        Ok(())
    }

    fn check_room(&self, points: usize, values: &ValuesMut<'_>) -> Result<()> {
        let outputs = self.runtime.model.spec().outputs();
        if values.outputs() != outputs || values.len() != points {
            return Err(Error::argument(format!(
                "room for {} points with {} values, expected {points} with {outputs}",
                values.len(),
                values.outputs(),
            )));
        }
        Ok(())
    }

    fn check_inside(&self, source: &Source<'_>) -> Result<()> {
        let axes = self.runtime.model.spec().axes.len();
        let mut positions = Positions { len: 0, axes: [[0.0; TILE]; 3] };
        let mut locations = [Location::Nan; TILE];
        for start in (0..source.len()).step_by(TILE) {
            source.read(start, &mut positions);
            let given = positions.axes;
            self.normalizer.locate(&mut positions, &mut locations);
            let mut found = locations[..positions.len].iter();
            if let Some(i) = found.position(|&location| location == Location::Outside) {
                let point: Vec<f64> = given[..axes].iter().map(|x| x[i]).collect();
                return Err(Error::new(
                    ErrorKind::OutsideDomain,
                    format!(
                        "point {} at {point:?} lies outside the domain {}",
                        start + i,
                        self.normalizer.describe()
                    ),
                ));
            }
        }
        Ok(())
    }
}

/// Where the points of a query come from.
enum Source<'a> {
    Points(&'a Points<'a>),
    Lattice(&'a Lattice),
}

impl Source<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Points(points) => points.len(),
            Self::Lattice(lattice) => lattice.points().unwrap_or(0),
        }
    }

    fn read(&self, start: usize, positions: &mut Positions) {
        match self {
            Self::Points(points) => points.read(start, positions),
            Self::Lattice(lattice) => lattice.read(start, positions),
        }
    }

    fn run(&self, start: usize) -> Option<Run> {
        match self {
            Self::Points(_) => None,
            Self::Lattice(lattice) => Some(lattice.run(start)),
        }
    }
}

/// Buffers of one thread.
struct Worker {
    scratch: Scratch,
    positions: Positions,
    /// Of the tile in evaluation and of the next.
    locations: [[Location; TILE]; 2],
    values: Vec<f64>,
}

impl Worker {
    fn new(sampler: &Sampler) -> Self {
        let Runtime { model, engine, .. } = &*sampler.runtime;
        Self {
            scratch: engine.scratch(model),
            positions: Positions { len: 0, axes: [[0.0; TILE]; 3] },
            locations: [[Location::Nan; TILE]; 2],
            values: vec![0.0; TILE * model.spec().outputs()],
        }
    }

    /// Evaluates the points of a range; while a tile is computed, the vertices of the next one are
    /// fetched.
    ///
    /// # Safety
    /// No other thread may write the same points.
    unsafe fn run(
        &mut self,
        sampler: &Sampler,
        source: &Source<'_>,
        out: &ValuesMut<'_>,
        range: Range<usize>,
    ) {
        if !range.is_empty() {
            self.stage(sampler, source, &range);
        }
        for start in range.clone().step_by(TILE) {
            self.locations.swap(0, 1);
            let next = start + TILE;
            if next < range.end {
                self.stage(sampler, source, &(next..range.end));
            }
            // SAFETY: the caller's promise.
            unsafe { self.evaluate(sampler, out, start..next.min(range.end)) };
        }
    }

    /// Prepares the first tile of `range`.
    fn stage(&mut self, sampler: &Sampler, source: &Source<'_>, range: &Range<usize>) {
        let Runtime { model, engine, .. } = &*sampler.runtime;
        source.read(range.start, &mut self.positions);
        self.positions.len = self.positions.len.min(range.len());
        sampler.normalizer.locate(&mut self.positions, &mut self.locations[1]);
        let (padding, run) = (sampler.padding(), source.run(range.start));
        engine.stage(model, &self.positions, padding, run, &mut self.scratch);
    }

    /// Evaluates the tile that was staged first and writes its values.
    ///
    /// # Safety
    /// No other thread may write the same points.
    unsafe fn evaluate(&mut self, sampler: &Sampler, out: &ValuesMut<'_>, range: Range<usize>) {
        let Runtime { model, engine, .. } = &*sampler.runtime;
        let outputs = model.spec().outputs();
        let values = &mut self.values[..range.len() * outputs];
        engine.evaluate(model, &sampler.binding, &mut self.scratch, values);
        if sampler.options.units == Units::Physical {
            denormalize(model, values);
        }
        let tile = range.zip(values.chunks_exact_mut(outputs)).zip(&self.locations[0]);
        for ((i, values), &location) in tile {
            if sampler.is_nan || location != Location::Inside {
                values.fill(f64::NAN);
            }
            // SAFETY: the caller's promise.
            unsafe { out.set(i, values) };
        }
    }
}

/// From normalised results to physical ones, `[points, outputs]`.
fn denormalize(model: &Model, values: &mut [f64]) {
    let outputs = model.spec().values.len();
    for (k, spec) in model.spec().values.iter().enumerate() {
        let values = values[k..].iter_mut().step_by(outputs);
        let range = spec.max - spec.min;
        match spec.transform {
            Transform::Linear => values.for_each(|v| *v = *v * range + spec.min),
            Transform::Log => values.for_each(|v| *v = (*v * range + spec.min).exp()),
        }
    }
}
