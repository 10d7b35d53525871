//! Radiance fields seen along rays: which samples a ray has (`march`, `occupancy`), and what colour
//! they add up to. The definition is that of libdrr's rendering (docs/format.md).

pub mod march;
pub mod occupancy;

use anyhow::Result;
use tch::{Device, Kind, Tensor};

use crate::data::Ray;
use crate::models::Radiance;
use march::{March, Samples};

/// Rays end where less light than this comes through.
pub const STOP: f64 = 1e-4;

/// Samples that are computed at a time where no gradients are kept.
const TOGETHER: usize = 1 << 15;

/// What rays see, `[rays, ...]`.
pub struct Seen {
    /// `[rays, 3]`, over black.
    pub colours: Tensor,
    /// `[rays]`
    pub opacity: Tensor,
    /// Samples that were computed.
    pub samples: usize,
}

impl Seen {
    /// Colours in front of `background`, `[rays, 3]`.
    pub fn over(&self, background: [f32; 3]) -> Tensor {
        let background = Tensor::from_slice(&background).to_device(self.colours.device());
        &self.colours + (self.opacity.neg() + 1.0).unsqueeze(1) * background
    }
}

/// What `rays` see of `model`, with gradients where they are kept. `offsets` say where in a step each
/// ray's first sample is, from 0 to 1.
pub fn look(
    model: &Radiance,
    march: &March<'_>,
    rays: &[Ray],
    offsets: &[f64],
    device: Device,
) -> Seen {
    let samples = march.samples(rays, offsets);
    composite(model, march, &samples, rays, device)
}

/// As [`look`] from the middle of each step, a few rays at a time and without gradients:
/// `[rays, 4]`, colours over black and opacity.
///
/// # Errors
/// Those of `watch`, which is told how many rays are done.
pub fn render(
    model: &Radiance,
    march: &March<'_>,
    rays: &[Ray],
    device: Device,
    watch: &mut dyn FnMut(usize) -> Result<()>,
) -> Result<Vec<[f32; 4]>> {
    let most = march.most_samples().max(1);
    let together = (TOGETHER / most).max(64);
    let mut pixels = Vec::with_capacity(rays.len());
    for rays in rays.chunks(together) {
        let seen = tch::no_grad(|| look(model, march, rays, &vec![0.5; rays.len()], device));
        let values = Tensor::cat(&[seen.colours, seen.opacity.unsqueeze(1)], 1);
        let mut numbers = vec![0.0f32; rays.len() * 4];
        let values = values.to_kind(Kind::Float).to_device(Device::Cpu).contiguous();
        values.copy_data(&mut numbers, rays.len() * 4);
        pixels.extend(numbers.as_chunks::<4>().0);
        watch(pixels.len())?;
    }
    Ok(pixels)
}

fn composite(
    model: &Radiance,
    march: &March<'_>,
    samples: &Samples,
    rays: &[Ray],
    device: Device,
) -> Seen {
    let kind = model.parameters.kind();
    let count = rays.len() as i64;
    if samples.distances.is_empty() {
        let options = (kind, device);
        let (colours, opacity) =
            (Tensor::zeros([count, 3], options), Tensor::zeros([count], options));
        return Seen { colours, opacity, samples: 0 };
    }
    let of_ray = Tensor::from_slice(&samples.rays).to_device(device);
    let (origins, directions): (Vec<_>, Vec<_>) =
        rays.iter().map(|ray| (ray.origin, ray.direction)).unzip();
    let table =
        |rows: &[[f64; 3]]| Tensor::from_slice(rows.as_flattened()).view([-1, 3]).to_device(device);
    let distances = Tensor::from_slice(&samples.distances).to_device(device).unsqueeze(1);
    let along = table(&directions).index_select(0, &of_ray) * distances;
    let positions = table(&origins).index_select(0, &of_ray) + along;

    let (density, features) = model.density_and_features(&positions);
    // In 64 bits: sums over all samples, of which differences are taken.
    let depth = density.to_kind(Kind::Double) * march.step;
    let before = depth.cumsum(0, Kind::Double) - &depth;
    let starts = Tensor::from_slice(&samples.starts).to_device(device);
    let own = &before - before.index_select(0, &starts.index_select(0, &of_ray));
    let light = own.neg().exp();
    let weights = &light * (depth.neg().expm1().neg());
    // What is behind the end of a ray has no colour, and none has to be computed for it.
    let visible = light.ge(STOP).nonzero().view(-1);
    let (weights, of_ray) = (weights.index_select(0, &visible), of_ray.index_select(0, &visible));
    let directions = model.encoded(&directions).to_device(device).index_select(0, &of_ray);
    let colours = model.colours(&features.index_select(0, &visible), &directions);
    let weights = weights.to_kind(kind);
    let opacity = Tensor::zeros([count], (kind, device)).index_add(0, &of_ray, &weights);
    let colours = Tensor::zeros([count, 3], (kind, device)).index_add(
        0,
        &of_ray,
        &(weights.unsqueeze(1) * colours),
    );
    Seen { colours, opacity, samples: samples.distances.len() }
}
