//! How alike members are, learned from their fields: the lengths and the noise of kriging that make the
//! members most likely (Rasmussen and Williams 2006, section 5.4.1).

use anyhow::{Result, bail, ensure};
use tch::nn::{self, OptimizerConfig};
use tch::{Device, Kind, Tensor};

use crate::config::DatasetConfig;
use crate::data::{Ensemble, Groups, Kriging, VirtualMembers, sample};

/// Points whose values tell how alike members are, if there are more.
const POINTS: usize = 1 << 14;

/// Steps in search of the lengths, and their size in logarithms.
const STEPS: usize = 200;
const RATE: f64 = 0.1;

/// Where the search begins: lengths in deviations of the members' places, and the part of the variance
/// that is noise.
const STARTS: [f64; 2] = [1.0, 3.0];
const NOISE: f64 = 0.01;

/// What the configuration asks for, if it does.
///
/// # Errors
/// If groups of parameters are not understood, or the members are too few, or cut up.
pub fn virtual_members(
    config: &DatasetConfig,
    ensemble: &Ensemble,
) -> Result<Option<VirtualMembers>> {
    let Some(share) = config.virtual_members.filter(|&share| share > 0.0) else { return Ok(None) };
    if ensemble.subdomain.is_some() {
        bail!("--decompose: virtual_members are made of whole members: leave one of both out");
    }
    let members: Vec<usize> = ensemble.train().collect();
    ensure!(
        members.len() > 2 && !ensemble.parameters.is_empty(),
        "virtual_members stand between members: there are {} for training, of {} parameters",
        members.len(),
        ensemble.parameters.len()
    );
    let ranges: Vec<(f64, f64)> = ensemble.parameters.iter().map(|p| (p.min, p.max)).collect();
    let groups = Groups::parse(&config.groups, &ensemble.parameters)?;
    let place = |&member: &usize| {
        let normalized = ensemble.members[member].normalized.iter();
        groups.place(&normalized.map(|&x| f64::from(x)).collect::<Vec<_>>(), &ranges)
    };
    let places: Vec<f64> = members.iter().flat_map(place).collect();
    let tensor = Tensor::from_slice(&places).view([members.len() as i64, -1]);
    let products = alike(ensemble, &members)?;
    ensure!(
        products.trace().double_value(&[]) > 0.0,
        "virtual_members: the {} training members have all the same values, whatever their parameters",
        members.len()
    );
    let (lengths, inverse) = fit(&tensor, &products);
    let kriging = Kriging::new((groups, ranges), lengths, members, &places, inverse);
    Ok(Some(VirtualMembers { share, kriging }))
}

/// Scalar products of what members differ by from their mean, `[members, members]`.
fn alike(ensemble: &Ensemble, members: &[usize]) -> Result<Tensor> {
    let (width, points) = (ensemble.values.len(), sample(ensemble.points(), POINTS));
    let mut values = Vec::with_capacity(members.len() * points.len() * width);
    for &member in members {
        let field = ensemble.field(member)?;
        for &point in &points {
            values.extend((point * width..(point + 1) * width).map(|at| field.at(at)));
        }
    }
    let values = Tensor::from_slice(&values).view([members.len() as i64, -1]);
    let values = values.to_kind(Kind::Double);
    let apart = &values - values.mean_dim(0, true, Kind::Double);
    Ok(apart.matmul(&apart.transpose(0, 1)))
}

/// Lengths, and the inverse of the correlations, with which members at `places` are most likely.
fn fit(places: &Tensor, products: &Tensor) -> (Vec<f64>, Vec<f64>) {
    let deviations = places.std_dim(0, true, true).clamp_min(1e-9);
    let best = STARTS.map(|start| {
        let store = nn::VarStore::new(Device::Cpu);
        let first = Tensor::cat(
            &[(&deviations * start).log().view(-1), Tensor::from_slice(&[NOISE.ln()])],
            0,
        );
        let mut logarithms = store.root().var_copy("logarithms", &first);
        // The store makes 32-bit numbers; these need all digits.
        let exact = logarithms.to_kind(Kind::Double).detach();
        logarithms.set_data(&exact);
        let mut search = nn::Adam::default().build(&store, RATE).expect("a CPU");
        let mut likeliest = (f64::INFINITY, exact);
        for _ in 0..STEPS {
            let unlikely = unlikelihood(places, products, &logarithms);
            let value = unlikely.double_value(&[]);
            if value < likeliest.0 {
                likeliest = (value, logarithms.detach().copy());
            }
            search.backward_step(&unlikely);
        }
        likeliest
    });
    let [a, b] = best;
    let logarithms = if a.0 <= b.0 { a.1 } else { b.1 };
    let inverse = tch::no_grad(|| {
        correlations(places, &logarithms).linalg_cholesky(false).cholesky_inverse(false)
    });
    let numbers = |tensor: &Tensor| Vec::<f64>::try_from(tensor.contiguous().view(-1));
    let lengths = logarithms.narrow(0, 0, logarithms.size()[0] - 1).exp();
    (numbers(&lengths).unwrap_or_default(), numbers(&inverse).unwrap_or_default())
}

/// Correlations of members, noise included; `logarithms` of lengths, then of the noise.
fn correlations(places: &Tensor, logarithms: &Tensor) -> Tensor {
    let count = logarithms.size()[0] - 1;
    let scaled = places / logarithms.narrow(0, 0, count).exp();
    let apart = scaled.unsqueeze(1) - scaled.unsqueeze(0);
    // The root of 0 has no slope.
    let distance =
        (apart.square().sum_dim_intlist(&[2i64][..], false, Kind::Double) + 1e-12).sqrt();
    let d = distance * 5f64.sqrt();
    let alike = (&d + &d * &d / 3.0 + 1.0) * (-&d).exp();
    let noise = logarithms.select(0, count).exp().clamp_min(1e-8);
    alike + Tensor::eye(places.size()[0], (Kind::Double, Device::Cpu)) * noise
}

/// Negative logarithm of the likelihood of a value, but for what does not change; the variance is the
/// likeliest.
fn unlikelihood(places: &Tensor, products: &Tensor, logarithms: &Tensor) -> Tensor {
    let factor = correlations(places, logarithms).linalg_cholesky(false);
    let inverse = factor.cholesky_inverse(false);
    let members = places.size()[0] as f64;
    let variance = (inverse * products).sum(Kind::Double) / members;
    variance.log() * (0.5 * members) + factor.diagonal(0, 0, 1).log().sum(Kind::Double)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Members whose values change with the first coordinate, and not with the second.
    #[test]
    fn lengths_say_what_members_depend_on() {
        tch::manual_seed(1);
        let places = Tensor::rand([40, 2], (Kind::Double, Device::Cpu));
        let waves = Tensor::linspace(0.0, 3.0, 50, (Kind::Double, Device::Cpu));
        let values = (places.select(1, 0).unsqueeze(1) * 4.0 + waves.unsqueeze(0)).sin();
        let apart = &values - values.mean_dim(0, true, Kind::Double);
        let products = apart.matmul(&apart.transpose(0, 1));
        let (lengths, inverse) = fit(&places, &products);
        assert!(lengths[0] < 1.5 && lengths[1] > 4.0 * lengths[0], "{lengths:?}");
        assert_eq!(inverse.len(), 1600);
        assert!(inverse.iter().all(|x| x.is_finite()));
    }
}
