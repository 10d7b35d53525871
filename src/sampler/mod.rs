//! A baked model bound to one set of parameters and asked for values: units, policies, threads.
//! The arithmetic is in [`cpu`](crate::cpu).

pub mod device;
mod device_arguments;
mod device_check;
mod device_gradient;
mod device_host;
mod device_radiance;
pub mod gradient;
mod lattice;
mod parameters;
pub mod points;
mod policy;
mod pool;
mod radiance;
pub mod results;
pub mod scalar;
mod sets;
mod worker;

use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::cpu::gradient::ParameterSlopes;
use crate::cpu::{Engine, Kernel, Padding};
use crate::model::{Checksums, Model, Storage};
use crate::{Error, Result};
pub use lattice::Lattice;
pub use parameters::Parameters;
use parameters::{Ranges, check_count};
use points::Points;
use policy::Normalizer;
use pool::Pool;
use radiance::Blocks;
pub use radiance::{Camera, DepthKind, RenderOptions, RenderOutput};
use results::ValuesMut;
pub use sets::SetValuesMut;
use worker::{Asked, Bound, Frame, Source, Workers};

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

impl SamplerOptions {
    /// What is assumed of the grids outside.
    fn padding(&self) -> Padding {
        match self.outside {
            Outside::Zeros => Padding::Zeros,
            Outside::Clamp | Outside::Nan | Outside::Error => Padding::Border,
        }
    }
}

/// An open model ready for queries: the file, the kernel and the threads. Shared by its samplers.
pub struct Runtime {
    model: Model,
    engine: Engine,
    pool: Option<Pool>,
    workers: Workers,
    /// Of a radiance field: made when a picture is first asked for.
    blocks: OnceLock<Blocks>,
}

/// A model bound to one set of parameters. Immutable; queries from several threads may overlap.
pub struct Sampler {
    runtime: Arc<Runtime>,
    options: SamplerOptions,
    /// Normalised to [0, 1]; those to be clamped are still outside.
    parameters: Vec<f64>,
    bound: Bound,
    /// Made when derivatives are first asked for.
    slopes: OnceLock<ParameterSlopes>,
    normalizer: Normalizer,
}

impl Runtime {
    /// Opens a baked file and prepares it for the kernel that `DRR_CPU` names, or the best one.
    ///
    /// # Errors
    /// Those of [`Model::open`] and [`Kernel::choose`].
    pub fn open(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Arc<Self>> {
        let path = path.as_ref();
        let model = Model::open(path, options.storage, options.checksums)?;
        let runtime = Self::new(model, Kernel::choose()?, options.threads)?;
        log::info!(
            "opened {}: {} bytes, {:?}, kernel {}, threads {}",
            path.display(),
            runtime.model.file_bytes(),
            options.storage,
            runtime.kernel().name(),
            options.threads.max(1),
        );
        Ok(runtime)
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
        let (workers, blocks) = (Workers::default(), OnceLock::new());
        Ok(Arc::new(Self { model, engine, pool, workers, blocks }))
    }

    /// The open model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The kernel in use.
    pub fn kernel(&self) -> Kernel {
        self.engine.kernel()
    }

    /// Bytes of memory that the model takes, the file included (mapped pages are shared), without
    /// the buffers of queries, which are kept: those of up to 32 threads.
    pub fn memory_bytes(&self) -> usize {
        self.model.file_bytes() + self.engine.memory_bytes()
    }

    fn blocks(&self) -> &Blocks {
        self.blocks.get_or_init(|| Blocks::new(&self.model))
    }

    /// # Errors
    /// `InvalidArgument` unless points fit the model.
    fn check_points(&self, points: &Points<'_>) -> Result<()> {
        points.scalar().check_input("coordinates")?;
        let axes = self.model.spec().axes.len();
        if points.dims() != axes {
            return Err(Error::argument(format!(
                "points of {} coordinates, the model has {axes} axes",
                points.dims(),
            )));
        }
        Ok(())
    }

    /// # Errors
    /// `InvalidArgument` unless there is room for the values of so many points.
    fn check_room(&self, points: usize, values: &ValuesMut<'_>) -> Result<()> {
        let outputs = self.model.spec().outputs();
        if values.outputs() != outputs || values.len() != points {
            return Err(Error::argument(format!(
                "room for {} points with {} values, expected {points} with {outputs}",
                values.len(),
                values.outputs(),
            )));
        }
        Ok(())
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
        let ranges = Ranges::new(spec, options)?;
        check_count(spec, parameters.len())?;
        let (parameters, is_nan) = ranges.normalize(parameters)?;
        let binding = runtime.engine.bind(&runtime.model, &parameters);
        Ok(Self {
            runtime: runtime.clone(),
            options: *options,
            parameters,
            bound: Bound { binding, is_nan },
            slopes: OnceLock::new(),
            normalizer: Normalizer::new(spec, options),
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
        self.runtime.check_points(points)?;
        self.answer(&Source::Points(points), values)
    }

    /// Values at the points of `source`, which has as many coordinates as the model.
    fn answer(&self, source: &Source<'_>, values: &mut ValuesMut<'_>) -> Result<()> {
        self.runtime.check_room(source.len(), values)?;
        let frame = self.frame();
        frame.check_inside(source, None)?;
        let (asked, values) = (Asked::Bound(&self.bound), &*values);
        self.runtime.each_range(source.len(), |worker, range| {
            // SAFETY: the ranges are disjoint and each is visited once.
            unsafe { worker.run(&frame, asked, source, values, range) };
        });
        Ok(())
    }

    fn frame(&self) -> Frame<'_> {
        Frame { runtime: &self.runtime, options: &self.options, normalizer: &self.normalizer }
    }

    fn parameter_slopes(&self) -> &ParameterSlopes {
        self.slopes.get_or_init(|| ParameterSlopes::new(&self.runtime.model, &self.parameters))
    }
}
