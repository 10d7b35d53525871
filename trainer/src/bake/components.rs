//! Compression: principal components of the baked grids in place of their features, with the
//! basis as the first layer.
//!
//! A point sees the features g of a grid through the first layer alone, as `W g`. Of all r linear
//! combinations of features, the best are those from which `W g` is predicted with the least effect
//! on the result: with S = E[J^T J], J the derivatives of the result by the first layer's sums, the
//! effect of an error e is `e^T S e` to first order. So the eigenvectors U of
//! `S^1/2 W Cov(g) W^T S^1/2` are taken, `z = U_r^T S^1/2 W (g - mean)` is stored and
//! `S^-1/2 U_r z + W mean` stands in for `W g`.
//!
//! Stored components are shifted and scaled to [-1, 1], so that every precision resolves all of
//! them alike.

use anyhow::{Result, bail, ensure};
use drr::model::spec::Activation;
use tch::{Device, Kind, Tensor};

use super::fold::fold_lines;
use super::form::{Affine, Dense, Form};
use super::passes::{Bars, Moments, moments, ranges};
use super::sample::Observed;
use super::source::Source;
use crate::models::layers::activate;

/// The metric gets this part of its mean eigenvalue everywhere: what the sample of points never
/// showed to matter must not be thrown away altogether.
const FLOOR: f64 = 1e-2;

/// The principal components of a model's grids, the most important first.
pub struct Components {
    groups: Vec<Group>,
}

/// Grids that add up at the same place of the input vector and share their components.
struct Group {
    /// Where their features were added.
    offset: usize,
    grids: Vec<Member>,
    /// First-layer sums from scaled components, `[outputs, components]`.
    decode: Tensor,
    /// Sums at the mean features, `[outputs]`.
    mean: Tensor,
    /// Sums that the shift of each scaled component stands for, `[outputs, components]`. Components
    /// that are dropped count as their mean, not as the middle of their range.
    shifts: Tensor,
}

struct Member {
    grid: usize,
    /// Scaled components of features.
    encode: Affine,
}

/// Why a model cannot be compressed, if so.
pub fn obstacle(form: &Form) -> Option<&'static str> {
    let spec = &form.spec;
    if spec.layers.is_empty() {
        return Some("the model has no layers that could take a basis");
    }
    if spec.input.activation != Activation::Identity {
        return Some("its first layer is folded already");
    }
    if spec.version() > 1 {
        return Some("only grids over coordinates, neither hashed nor multiplied, have components");
    }
    let spans = || spec.grids.iter().map(|grid| (grid.offset, grid.offset + grid.channels));
    let overlap = |a: (usize, usize)| spans().any(|b| a != b && a.0 < b.1 && b.0 < a.1);
    spans().any(overlap).then_some("its grids overlap in part")
}

impl Components {
    /// Finds the components of an unfolded model without an [`obstacle`]; two passes over all
    /// vertices.
    ///
    /// # Errors
    /// If the user interrupts, or features are not finite.
    pub fn find(
        source: &dyn Source,
        form: &Form,
        observed: &Observed,
        bars: Bars<'_>,
    ) -> Result<Self> {
        let moments = moments(source, form, bars)?;
        let (root, inverse) = roots(&sensitivity(form, observed))?;
        let mut groups: Vec<Group> = Vec::new();
        for (n, grid) in form.spec.grids.iter().enumerate() {
            if groups.iter().any(|group| group.offset == grid.offset) {
                continue;
            }
            let members: Vec<_> = (n..form.spec.grids.len())
                .filter(|&n| form.spec.grids[n].offset == grid.offset)
                .collect();
            let columns = form.layers[0].weight.narrow(1, grid.offset as i64, grid.channels as i64);
            groups.push(group(
                &members,
                (grid.offset, grid.channels),
                &moments,
                &columns,
                &root,
                &inverse,
            )?);
        }
        let mut components = Self { groups };
        components.scale(source, form, bars)?;
        Ok(components)
    }

    /// The largest rank that can be asked for: with it nothing is lost.
    pub fn full_rank(&self) -> usize {
        self.groups.iter().map(Group::components).max().unwrap_or(0)
    }

    /// The model with the first `rank` components of each grid, at most as many as it has.
    pub fn keep(&self, form: &Form, rank: usize) -> Form {
        let mut kept = form.clone();
        let first = &form.layers[0];
        let layer = &mut kept.spec.layers[0];
        let mut columns = Vec::new();
        let mut bias = first.bias.copy();
        let mut width = 0;
        for group in &self.groups {
            let components = rank.min(group.components());
            for Member { grid, encode } in &group.grids {
                kept.maps[*grid] = Some(Affine {
                    weight: encode.weight.narrow(0, 0, components as i64),
                    bias: encode.bias.narrow(0, 0, components as i64),
                });
                let grid = &mut kept.spec.grids[*grid];
                (grid.channels, grid.offset) = (components, width);
            }
            columns.push(group.decode.narrow(1, 0, components as i64));
            bias += &group.mean;
            bias += group.shifts.narrow(1, 0, components as i64).sum_dim_intlist(
                1i64,
                false,
                Kind::Double,
            );
            width += components;
        }
        if let Some(start) = kept.input_bias.take() {
            bias += first.weight.mv(&start);
        }
        let outputs = layer.outputs;
        if !kept.lines.is_empty() {
            // Lines are folded, and enter with weights that every precision holds exactly: the
            // largest of each row.
            let rows = Tensor::cat(&columns, 1).abs().amax([1i64], false);
            let diagonal = rows.where_self(&rows.gt(0.0), &rows.ones_like());
            let folded = &first.weight / diagonal.unsqueeze(1);
            columns.push(diagonal.diag(0));
            fold_lines(&mut kept, &folded, width, outputs);
            width += outputs;
        }
        kept.spec.layers[0].inputs = width;
        kept.layers[0] = Dense { weight: Tensor::cat(&columns, 1), bias };
        kept.spec.input.width = width;
        kept.spec.input.bias = false;
        kept
    }

    /// Shifts and scales components so that they fill [-1, 1].
    fn scale(&mut self, source: &dyn Source, form: &Form, bars: Bars<'_>) -> Result<()> {
        let ranges = ranges(source, &self.keep(form, usize::MAX), bars)?;
        for group in &mut self.groups {
            let mut half = Tensor::zeros_like(&group.decode.get(0));
            let mut middle = half.copy();
            for member in &mut group.grids {
                let (least, most): (Vec<f64>, Vec<f64>) =
                    ranges[member.grid].iter().copied().unzip();
                let (least, most) = (Tensor::from_slice(&least), Tensor::from_slice(&most));
                let centre = (&most + &least) * 0.5;
                half += (&most - &least) * 0.5;
                member.encode.bias -= &centre;
                middle += centre;
            }
            let half = half.where_self(&half.gt(0.0), &half.ones_like());
            ensure!(
                bool::try_from(half.isfinite().all())?,
                "the features of the model are not finite"
            );
            for member in &mut group.grids {
                member.encode.weight /= half.unsqueeze(1);
                member.encode.bias /= &half;
            }
            group.shifts = &group.decode * middle;
            group.decode *= &half;
        }
        Ok(())
    }
}

impl Group {
    fn components(&self) -> usize {
        self.decode.size()[1] as usize
    }
}

/// The group of the grids `members`, unscaled; `root` and `inverse` are those of the metric.
fn group(
    members: &[usize],
    (offset, channels): (usize, usize),
    moments: &[Moments],
    weight: &Tensor,
    root: &Tensor,
    inverse: &Tensor,
) -> Result<Group> {
    let covariances = members.iter().map(|&n| moments[n].covariance.shallow_clone());
    let Some(covariance) = covariances.reduce(|a, b| a + b) else { bail!("a group of no grids") };
    let seen = root.matmul(weight);
    let (values, vectors) = seen.matmul(&covariance).matmul(&seen.transpose(0, 1)).linalg_eigh("L");
    ensure!(bool::try_from(values.isfinite().all())?, "the features of the model are not finite");
    let components = values.size()[0].min(channels as i64);
    // Eigenvalues come smallest first.
    let vectors = vectors.flip([1]).narrow(1, 0, components);
    let encode = vectors.transpose(0, 1).matmul(&seen);
    let means = members.iter().map(|&n| weight.mv(&moments[n].mean)).reduce(|a, b| a + b);
    let grids = (members.iter())
        .map(|&n| Member {
            grid: n,
            encode: Affine { weight: encode.copy(), bias: -encode.mv(&moments[n].mean) },
        })
        .collect();
    let decode = inverse.matmul(&vectors);
    let mean = means.unwrap_or_else(|| Tensor::zeros_like(&decode.select(1, 0)));
    Ok(Group { offset, grids, shifts: Tensor::zeros_like(&decode), decode, mean })
}

/// E[J^T J] over the sample, J the derivatives of the results by the sums of the first layer,
/// `[outputs, outputs]` of that layer.
fn sensitivity(form: &Form, observed: &Observed) -> Tensor {
    let sums = form.product(0, &observed.inputs(form));
    let width = sums.size()[1];
    let mut metric = Tensor::zeros([width, width], (Kind::Double, Device::Cpu));
    let gradients = tch::with_grad(|| {
        let sums = sums.set_requires_grad(true);
        let results = form.decode(1, &activate(form.activation(0), &sums));
        let gradient = |k: i64| {
            let total = results.select(1, k).sum(Kind::Double);
            let mut gradients = Tensor::run_backward(&[total], &[&sums], true, false);
            gradients.remove(0)
        };
        (0..results.size()[1]).map(gradient).collect::<Vec<_>>()
    });
    for gradient in gradients {
        metric += gradient.transpose(0, 1).matmul(&gradient);
    }
    metric / observed.len() as f64
}

/// Square root and its inverse of a symmetric matrix, [`FLOOR`] added.
fn roots(matrix: &Tensor) -> Result<(Tensor, Tensor)> {
    let (values, vectors) = matrix.linalg_eigh("L");
    ensure!(bool::try_from(values.isfinite().all())?, "the model's values are not finite");
    let floor = values.mean(Kind::Double).clamp_min(f64::MIN_POSITIVE.sqrt()) * FLOOR;
    let values = (values.clamp_min(0.0) + floor).sqrt();
    let root = (&vectors * &values).matmul(&vectors.transpose(0, 1));
    let inverse = (&vectors / &values).matmul(&vectors.transpose(0, 1));
    Ok((root, inverse))
}
