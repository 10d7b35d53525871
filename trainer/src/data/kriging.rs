//! Members at parameters that no simulation had: what the ones that there are let expect, by kriging
//! (regression by a Gaussian process; Rasmussen and Williams 2006, chapter 2), as weights of members.
//!
//! Members are near to each other if the groups of parameters that they depend on are. Where physics
//! says what those are (dimensionless numbers, say), fewer simulations tell more.

use anyhow::{Context, Result, bail, ensure};

use super::draws::Draws;
use super::member::Parameter;
use super::pairs::Blend;

/// Weights below this part of the largest are left out.
const LEAST: f64 = 1e-4;

/// What members depend on: coordinates in which they are near or far.
#[derive(Debug, Clone, PartialEq)]
pub enum Groups {
    /// The parameters themselves, in `[0, 1]`.
    Parameters,
    /// Logarithms of products of powers of parameters: which ones, and their exponents.
    Products(Vec<Vec<(usize, f64)>>),
}

/// Kriging between members.
#[derive(Debug, Clone, PartialEq)]
pub struct Kriging {
    groups: Groups,
    /// Ranges of the parameters.
    parameters: Vec<(f64, f64)>,
    /// Distances along each coordinate within which members are alike.
    lengths: Vec<f64>,
    members: Vec<usize>,
    /// `[members, coordinates]`, in lengths.
    places: Vec<f64>,
    /// Inverse of the members' correlations, `[members, members]`.
    inverse: Vec<f64>,
}

/// Which part of a batch stands at any parameters, with the values that are expected there.
#[derive(Debug, Clone, PartialEq)]
pub struct VirtualMembers {
    /// From 0 to 1.
    pub share: f64,
    /// Gives the values.
    pub kriging: Kriging,
}

impl Groups {
    /// Of texts such as `density_2 / density_1` or `speed * length / viscosity`, `length^3`; none:
    /// the parameters themselves.
    ///
    /// # Errors
    /// For names that are no parameter's, and parameters that have no logarithm.
    pub fn parse(texts: &[String], parameters: &[Parameter]) -> Result<Self> {
        if texts.is_empty() {
            return Ok(Self::Parameters);
        }
        let products = texts.iter().map(|text| {
            product(text, parameters).with_context(|| format!("dataset.param.groups: `{text}`"))
        });
        Ok(Self::Products(products.collect::<Result<_>>()?))
    }

    /// Coordinates of parameters in `[0, 1]`, with the ranges that these have.
    pub fn place(&self, normalized: &[f64], ranges: &[(f64, f64)]) -> Vec<f64> {
        match self {
            Self::Parameters => normalized.to_vec(),
            Self::Products(products) => {
                let logarithm = |&(parameter, power): &(usize, f64)| {
                    let (min, max) = ranges[parameter];
                    power * (min + normalized[parameter] * (max - min)).ln()
                };
                products.iter().map(|product| product.iter().map(logarithm).sum()).collect()
            }
        }
    }
}

/// Parameters and exponents of a product.
fn product(text: &str, parameters: &[Parameter]) -> Result<Vec<(usize, f64)>> {
    let mut factors: Vec<(usize, f64)> = Vec::new();
    let mut sign = 1.0;
    ensure!(
        !text.trim().is_empty() && !text.trim_end().ends_with(['*', '/']),
        "a parameter is missing at the end; expected something like `density_2 / density_1`"
    );
    for part in text.split_inclusive(['*', '/']) {
        let factor = part.trim_end_matches(['*', '/']);
        let (name, power) = match factor.split_once('^') {
            Some((name, power)) => {
                let power: f64 = (power.trim().parse())
                    .with_context(|| format!("`{}` is no exponent", power.trim()))?;
                (name.trim(), power)
            }
            None => (factor.trim(), 1.0),
        };
        let Some(index) = parameters.iter().position(|parameter| parameter.name == name) else {
            let names: Vec<&str> = parameters.iter().map(|p| p.name.as_str()).collect();
            bail!("`{name}` is no parameter of the data: they are {}", names.join(", "));
        };
        ensure!(
            parameters[index].min > 0.0,
            "{name} ranges from {}, which has no logarithm: products are of parameters above 0",
            parameters[index].min
        );
        ensure!(power.is_finite(), "the exponent of {name} is {power}");
        match factors.iter_mut().find(|(other, _)| *other == index) {
            Some((_, of)) => *of += sign * power,
            None => factors.push((index, sign * power)),
        }
        sign = if part.ends_with('/') { -1.0 } else { 1.0 };
    }
    Ok(factors)
}

/// Correlation of members that are so many lengths apart: Matern's of order 5/2.
pub fn correlation(distance: f64) -> f64 {
    let d = 5f64.sqrt() * distance;
    (1.0 + d + d * d / 3.0) * (-d).exp()
}

impl Kriging {
    /// Between `members` at `places` (`[members, coordinates]`), whose correlations have the
    /// `inverse`.
    pub fn new(
        (groups, parameters): (Groups, Vec<(f64, f64)>),
        lengths: Vec<f64>,
        members: Vec<usize>,
        places: &[f64],
        inverse: Vec<f64>,
    ) -> Self {
        let scaled = places.iter().zip(lengths.iter().cycle()).map(|(x, length)| x / length);
        let places = scaled.collect();
        Self { groups, parameters, lengths, members, places, inverse }
    }

    /// Distances along each coordinate within which members are alike.
    pub fn lengths(&self) -> &[f64] {
        &self.lengths
    }

    /// What is expected at parameters in `[0, 1]`: members with weights that sum to 1.
    pub(super) fn blend(&self, normalized: &[f64]) -> Blend {
        let place = self.groups.place(normalized, &self.parameters);
        let scaled: Vec<f64> = place.iter().zip(&self.lengths).map(|(x, l)| x / l).collect();
        let distance = |other: &[f64]| {
            other.iter().zip(&scaled).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
        };
        let near: Vec<f64> =
            self.places.chunks(scaled.len()).map(|other| correlation(distance(other))).collect();
        let count = near.len();
        let row = |n: usize| &self.inverse[n * count..(n + 1) * count];
        let weights: Vec<f64> =
            (0..count).map(|n| row(n).iter().zip(&near).map(|(a, b)| a * b).sum()).collect();
        // What they do not explain is the mean of all.
        let rest = (1.0 - weights.iter().sum::<f64>()) / count as f64;
        let weights: Vec<f64> = weights.into_iter().map(|weight| weight + rest).collect();
        let least = LEAST * weights.iter().fold(0.0f64, |a, b| a.max(b.abs()));
        let members = self.members.iter().copied().zip(weights);
        let mut blend: Blend = members.filter(|(_, weight)| weight.abs() >= least).collect();
        let sum: f64 = blend.iter().map(|(_, weight)| weight).sum();
        blend.iter_mut().for_each(|(_, weight)| *weight /= sum);
        blend
    }
}

impl VirtualMembers {
    /// Parameters anywhere in their ranges, in `[0, 1]`, and what is expected there; `None` if it is
    /// another one's turn.
    pub(super) fn draw(&self, draws: &mut Draws) -> Option<(Vec<f32>, Blend)> {
        if draws.unit() >= self.share {
            return None;
        }
        let count = self.kriging.parameters.len();
        let normalized: Vec<f32> = (0..count).map(|_| draws.unit() as f32).collect();
        let exact: Vec<f64> = normalized.iter().map(|&x| f64::from(x)).collect();
        Some((normalized, self.kriging.blend(&exact)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters() -> Vec<Parameter> {
        [("a", 1.0, 3.0), ("b b", 0.5, 2.0), ("c", -1.0, 1.0)]
            .map(|(name, min, max)| Parameter { name: name.into(), unit: String::new(), min, max })
            .to_vec()
    }

    fn parsed(text: &str) -> Result<Groups> {
        Groups::parse(&[text.to_owned()], &parameters())
    }

    #[test]
    fn groups_are_products_of_powers() {
        let Groups::Products(products) = parsed("a / b b^2*a^ 0.5").unwrap() else { panic!() };
        assert_eq!(products, [vec![(0, 1.5), (1, -2.0)]]);
        let groups = parsed("a/b b").unwrap();
        let ranges: Vec<_> = parameters().iter().map(|p| (p.min, p.max)).collect();
        // a = 2, b b = 1.25
        let place = groups.place(&[0.5, 0.5, 0.3], &ranges);
        assert!((place[0] - (2f64 / 1.25).ln()).abs() < 1e-12);
        assert_eq!(Groups::parse(&[], &parameters()).unwrap(), Groups::Parameters);
        assert_eq!(Groups::Parameters.place(&[0.2, 0.4, 0.6], &ranges), [0.2, 0.4, 0.6]);
        let refused = |text: &str| format!("{:#}", parsed(text).unwrap_err());
        assert!(refused("d").contains("`d` is no parameter of the data: they are a, b b, c"));
        assert!(refused("a / c").contains("c ranges from -1"));
        assert!(refused("a^x").contains("`x` is no exponent"));
        assert!(refused("a *").contains("missing at the end") && refused("").contains("missing"));
        assert!(refused("* a").contains("`` is no parameter"));
    }

    #[test]
    fn members_are_expected_where_they_are() {
        // Three members along one parameter; correlations inverted by hand.
        let places = [0.0, 0.5, 1.0];
        let k = |a: f64, b: f64| correlation((a - b).abs() / 0.7);
        let (p, q) = (k(0.0, 0.5), k(0.0, 1.0));
        let determinant = 1.0 + 2.0 * p * p * q - 2.0 * p * p - q * q;
        let inverse = [
            [1.0 - p * p, p * q - p, p * p - q],
            [p * q - p, 1.0 - q * q, p * q - p],
            [p * p - q, p * q - p, 1.0 - p * p],
        ];
        let inverse = inverse.concat().into_iter().map(|x| x / determinant).collect();
        let members = vec![4, 7, 9];
        let kriging = Kriging::new(
            (Groups::Parameters, vec![(0.0, 1.0)]),
            vec![0.7],
            members.clone(),
            &places,
            inverse,
        );
        for (n, &place) in places.iter().enumerate() {
            let blend = kriging.blend(&[place]);
            assert_eq!(blend.len(), 1, "{blend:?}");
            assert!(blend[0].0 == members[n] && (blend[0].1 - 1.0).abs() < 1e-12);
        }
        let between = kriging.blend(&[0.25]);
        assert!((between.iter().map(|(_, weight)| weight).sum::<f64>() - 1.0).abs() < 1e-12);
        // A straight line bends a little towards the mean.
        let at = |member: usize| places[members.iter().position(|&m| m == member).unwrap()];
        let value: f64 = between.iter().map(|&(member, weight)| weight * at(member)).sum();
        assert!((value - 0.25).abs() < 0.08, "{value}");
    }
}
