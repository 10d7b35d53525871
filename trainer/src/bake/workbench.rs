//! Makes files from one model in several forms and compares them with it. Works from an unfolded
//! 32-bit file of it, since that takes several passes over all vertices.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use drr::Checksums;
use drr::model::GridPrecision;
use tempfile::TempDir;

use super::calibrate::{Decoder, round_decoder};
use super::components::Components;
use super::fold::fold;
use super::form::Form;
use super::judge::Judge;
use super::measure::{Loss, Meter};
use super::passes::{self, Bars};
use super::sample::{Observed, Sample};
use super::source::{Baked, Source};

/// Sets of parameters, and points of each, at which layers are looked at: few enough that all
/// their inputs fit into memory.
const SETS: usize = 64;
const POINTS: usize = 256;

/// Numbers that the inputs of one layer may take at the sample.
const SAMPLE_NUMBERS: usize = 1 << 24;

/// What is done to a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    Nothing,
    /// Its first layer is folded.
    Fold,
    /// So many principal components take the place of each grid's features.
    Rank(usize),
}

/// A file to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipe {
    /// What is done to the model.
    pub change: Change,
    /// Precision of the grids.
    pub grid: GridPrecision,
    /// Precision of the layers.
    pub decoder: Decoder,
}

/// The model, its temporary files and what is known about it.
pub struct Workbench<'a> {
    folder: TempDir,
    baked: Baked,
    form: Form,
    observed: OnceCell<Observed>,
    components: OnceCell<Components>,
    meter: Meter,
    bars: Bars<'a>,
}

impl<'a> Workbench<'a> {
    /// Temporary files are made in a folder beside `output` that goes away with the result. A
    /// source that is no file is written to one first.
    ///
    /// # Errors
    /// If there is no room, the data of `judge` do not fit, or the user interrupts.
    pub fn new(
        source: &dyn Source,
        judge: Option<Judge>,
        output: &Path,
        bars: Bars<'a>,
    ) -> Result<Self> {
        let beside = output.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = tempfile::Builder::new()
            .prefix(".drr-bake-")
            .tempdir_in(beside.unwrap_or(Path::new(".")))
            .with_context(|| format!("cannot write {}", output.display()))?;
        let baked = match source.as_file() {
            Some(file) => file.clone(),
            None => unfolded(source, folder.path(), bars)
                .with_context(|| format!("cannot write {}", output.display()))?,
        };
        let progress = bars("measuring", 0);
        let meter = Meter::new(baked.runtime(), judge, &progress)?;
        progress.finish();
        let form = baked.form()?;
        let (observed, components) = (OnceCell::new(), OnceCell::new());
        Ok(Self { folder, baked, form, observed, components, meter, bars })
    }

    /// The model as it is.
    pub fn form(&self) -> &Form {
        &self.form
    }

    /// Size of a file with the model as it is and 32-bit grids.
    pub fn f32_bytes(&self) -> u64 {
        let model = self.baked.model();
        let bytes = |precision: GridPrecision, row: usize| (precision.bytes() * row) as u64;
        let grid = |(n, grid): (usize, &drr::model::spec::Grid)| {
            let vertices = grid.rows().unwrap_or(0) as u64;
            let full = bytes(GridPrecision::F32, GridPrecision::F32.row(grid.channels));
            let stored = bytes(model.grid_precision(n), model.grid(n).row);
            vertices * full - vertices * stored
        };
        let more: u64 = model.spec().grids.iter().enumerate().map(grid).sum();
        model.file_bytes() as u64 + more
    }

    /// Makes a file under a temporary name that lasts as long as the workbench.
    ///
    /// # Errors
    /// If there is no room, or the user interrupts.
    pub fn make(&self, recipe: &Recipe, name: &str) -> Result<PathBuf> {
        let mut form = match recipe.change {
            Change::Nothing => self.form.clone(),
            Change::Fold => fold(&self.form),
            Change::Rank(rank) => self.components()?.keep(&self.form, rank),
        };
        if recipe.decoder != Decoder::F32 {
            round_decoder(&mut form, recipe.decoder, self.observed());
        }
        let path = self.folder.path().join(name);
        passes::write(&self.baked, &form, recipe.grid, &path, self.bars)?;
        Ok(path)
    }

    /// The smallest rank whose largest error is at most `limit`, and its file.
    ///
    /// # Errors
    /// If there is none; as [`Workbench::make`].
    pub fn smallest_rank(
        &self,
        limit: f64,
        grid: GridPrecision,
        decoder: Decoder,
    ) -> Result<(Recipe, PathBuf)> {
        let recipe = |rank| Recipe { change: Change::Rank(rank), grid, decoder };
        let attempt = |rank: usize| -> Result<(f64, PathBuf)> {
            let path = self.make(&recipe(rank), &format!("rank-{rank}"))?;
            let progress = (self.bars)("measuring", 0);
            Ok((self.meter.errors(&path, &progress)?.max_error, path))
        };
        let full = self.components()?.full_rank();
        let (error, mut best) = attempt(full)?;
        if error > limit {
            bail!(
                "--max-error {limit}: with all {full} components the largest error is {error:.2e} \
                 already, from {} grids and a {} decoder; allow more, or choose finer precisions",
                grid.name().to_lowercase(),
                decoder.name()
            );
        }
        let (mut too_few, mut enough) = (0, full);
        while enough - too_few > 1 {
            let rank = (too_few + enough) / 2;
            let (error, path) = attempt(rank)?;
            let loser = if error <= limit {
                enough = rank;
                std::mem::replace(&mut best, path)
            } else {
                too_few = rank;
                path
            };
            // What cannot be removed now goes with the folder.
            let _ = std::fs::remove_file(loser);
        }
        Ok((recipe(enough), best))
    }

    /// What a file lost.
    ///
    /// # Errors
    /// If it cannot be read, or the user interrupts.
    pub fn loss(&self, path: &Path) -> Result<Loss> {
        let progress = (self.bars)("measuring", 0);
        let loss = self.meter.loss(path, &progress)?;
        progress.finish();
        Ok(loss)
    }

    /// Points per second of a file on one thread.
    ///
    /// # Errors
    /// As [`Workbench::loss`].
    pub fn speed(&self, path: &Path) -> Result<f64> {
        let progress = (self.bars)("timing", 0);
        let speed = self.meter.speed(path, &progress)?;
        progress.finish();
        Ok(speed)
    }

    /// The principal components of the grids.
    ///
    /// # Errors
    /// If the user interrupts, or features are not finite.
    pub fn components(&self) -> Result<&Components> {
        if self.components.get().is_none() {
            let found = Components::find(&self.baked, &self.form, self.observed(), self.bars)?;
            let _ = self.components.set(found);
        }
        Ok(self.components.get().unwrap_or_else(|| unreachable!("set above")))
    }

    fn observed(&self) -> &Observed {
        self.observed.get_or_init(|| {
            let spec = &self.form.spec;
            let widths = spec.layers.iter().map(|layer| layer.inputs.max(layer.outputs));
            let widest = widths.max().unwrap_or(spec.input.width);
            let points = (SAMPLE_NUMBERS / widest / SETS).clamp(1, POINTS);
            Observed::new(&self.baked, &Sample::new(spec, SETS, points))
        })
    }
}

/// Writes a model as it is, with 32-bit grids, and opens it.
fn unfolded(source: &dyn Source, folder: &Path, bars: Bars<'_>) -> Result<Baked> {
    let path = folder.join("unfolded");
    passes::write(source, &source.form()?, GridPrecision::F32, &path, bars)
        .context("first, the model as it is goes to a temporary file beside it")?;
    Baked::open(&path, Checksums::Skip)
}
