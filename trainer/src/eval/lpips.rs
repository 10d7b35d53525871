//! Learned perceptual similarity of pictures (LPIPS, version 0.1; Zhang et al. 2018): how far the
//! features of a network that tells objects apart are from each other, with weights that the user has.

use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use tch::{Kind, Tensor};

use crate::models::checkpoint::Checkpoint;

/// Edge of the pieces that larger pictures are divided into, in pixels.
const PIECE: usize = 2048;

/// Least edge of a picture: smaller ones leave nothing for the last layers.
const LEAST: usize = 32;

/// Mean and deviation of the colours, between -1 and 1, that the networks were trained with.
const SHIFT: [f32; 3] = [-0.030, -0.088, -0.188];
const SCALE: [f32; 3] = [0.458, 0.448, 0.450];

/// Keeps features that are all 0 from being divided by their length.
const TINY: f64 = 1e-10;

/// A convolution: number in torchvision's list of layers, features, edge of the window, stride, padding.
type Layer = (usize, i64, i64, i64, i64);

/// One of the networks that there are weights for.
struct Plan {
    name: &'static str,
    /// Edge of the windows of which the largest feature is kept, every other one.
    pool: i64,
    /// Whether features are pooled before the convolutions of a stage.
    pooled: [bool; 5],
    /// Convolutions of each stage, whose results are compared.
    stages: [&'static [Layer]; 5],
}

const PLANS: [Plan; 2] = [
    Plan {
        name: "AlexNet",
        pool: 3,
        pooled: [false, true, true, false, false],
        stages: [
            &[(0, 64, 11, 4, 2)],
            &[(3, 192, 5, 1, 2)],
            &[(6, 384, 3, 1, 1)],
            &[(8, 256, 3, 1, 1)],
            &[(10, 256, 3, 1, 1)],
        ],
    },
    Plan {
        name: "VGG16",
        pool: 2,
        pooled: [false, true, true, true, true],
        stages: [
            &[(0, 64, 3, 1, 1), (2, 64, 3, 1, 1)],
            &[(5, 128, 3, 1, 1), (7, 128, 3, 1, 1)],
            &[(10, 256, 3, 1, 1), (12, 256, 3, 1, 1), (14, 256, 3, 1, 1)],
            &[(17, 512, 3, 1, 1), (19, 512, 3, 1, 1), (21, 512, 3, 1, 1)],
            &[(24, 512, 3, 1, 1), (26, 512, 3, 1, 1), (28, 512, 3, 1, 1)],
        ],
    },
];

/// The network and the weights of its features' differences.
pub struct Lpips {
    pool: i64,
    stages: Vec<Stage>,
}

struct Stage {
    pooled: bool,
    convolutions: Vec<Convolution>,
    /// Of each feature, `[1, features, 1, 1]`.
    weight: Tensor,
}

struct Convolution {
    weight: Tensor,
    bias: Tensor,
    stride: i64,
    padding: i64,
}

impl Lpips {
    /// Reads the state of `lpips.LPIPS(net="alex")` or `"vgg"`, stored as safetensors.
    ///
    /// # Errors
    /// If the file cannot be read or holds other tensors.
    pub fn load(path: &Path) -> Result<Self> {
        Self::read(&mut Checkpoint::open(path)?).with_context(|| {
            format!(
                "{}: expected the state of lpips.LPIPS(net=\"alex\") or net=\"vgg\" (Python's lpips \
                 0.1), stored by safetensors",
                path.display()
            )
        })
    }

    fn read(file: &mut Checkpoint) -> Result<Self> {
        let first = take(file, "net.slice1.0.weight")?;
        let plan = PLANS.iter().find(|plan| {
            let (_, features, edge, ..) = plan.stages[0][0];
            first.size() == [features, 3, edge, edge]
        });
        let names = PLANS.each_ref().map(|plan| plan.name);
        let plan = plan.with_context(|| {
            format!(
                "net.slice1.0.weight is {:?}, that of neither {}",
                first.size(),
                names.join(" nor ")
            )
        })?;
        let (mut first, mut inputs, mut stages) = (Some(first), 3, Vec::new());
        for (number, (layers, &pooled)) in plan.stages.iter().zip(&plan.pooled).enumerate() {
            let mut convolutions = Vec::new();
            for &(layer, features, edge, stride, padding) in *layers {
                let name = format!("net.slice{}.{layer}", number + 1);
                let weight = match first.take() {
                    Some(first) => first,
                    None => take(file, &format!("{name}.weight"))?,
                };
                let bias = take(file, &format!("{name}.bias"))?;
                check(&weight, &[features, inputs, edge, edge], &name)?;
                check(&bias, &[features], &name)?;
                convolutions.push(Convolution { weight, bias, stride, padding });
                inputs = features;
            }
            let name = format!("lin{number}.model.1.weight");
            let weight = take(file, &name)?;
            check(&weight, &[1, inputs, 1, 1], &name)?;
            stages.push(Stage { pooled, convolutions, weight });
        }
        Ok(Self { pool: plan.pool, stages })
    }

    /// Distance of two pictures of `[width, height]` pixels, whose colours, from 0 to 1, are asked for
    /// by number, row by row; 0 if they are the same.
    ///
    /// Pictures of more than 2048 pixels along an edge are divided into pieces of about the same size,
    /// no larger than that, and the mean over them is taken: each sees nothing of its neighbours.
    ///
    /// # Errors
    /// If an edge has less than 32 pixels.
    pub fn distance(
        &self,
        [width, height]: [usize; 2],
        first: &dyn Fn(usize) -> [f32; 3],
        second: &dyn Fn(usize) -> [f32; 3],
    ) -> Result<f64> {
        ensure!(
            width.min(height) >= LEAST,
            "LPIPS is of pictures of {LEAST} x {LEAST} pixels and more, this one has {width} x {height}"
        );
        let mut sum = 0.0;
        for rows in pieces(height) {
            for columns in pieces(width) {
                let input = |pixel: &dyn Fn(usize) -> [f32; 3]| {
                    prepared(rows.clone(), columns.clone(), width, pixel)
                };
                let distance = tch::no_grad(|| self.of_piece(input(first)?, input(second)?))?;
                sum += distance * (rows.len() * columns.len()) as f64;
            }
        }
        Ok(sum / (width * height) as f64)
    }

    /// Distance of two pictures as the network takes them, `[1, 3, height, width]`.
    fn of_piece(&self, mut first: Tensor, mut second: Tensor) -> Result<f64> {
        let mut distance = 0.0;
        for stage in &self.stages {
            (first, second) =
                (stage.forward(&first, self.pool)?, stage.forward(&second, self.pool)?);
            let squares = (unit(&first) - unit(&second)).square();
            distance += (squares * &stage.weight)
                .sum_dim_intlist([1i64].as_slice(), false, Kind::Float)
                .mean(Kind::Double)
                .double_value(&[]);
        }
        Ok(distance)
    }
}

impl Stage {
    fn forward(&self, input: &Tensor, pool: i64) -> Result<Tensor> {
        let mut values = match self.pooled {
            true => input.f_max_pool2d([pool, pool], [2, 2], [0, 0], [1, 1], false)?,
            false => input.shallow_clone(),
        };
        for Convolution { weight, bias, stride, padding } in &self.convolutions {
            let (stride, padding) = ([*stride; 2], [*padding; 2]);
            values = values.f_conv2d(weight, Some(bias), stride, padding, [1, 1], 1)?.relu();
        }
        Ok(values)
    }
}

/// Features of each place, divided by their length.
fn unit(features: &Tensor) -> Tensor {
    let length = features.square().sum_dim_intlist([1i64].as_slice(), true, Kind::Float).sqrt();
    features / (length + TINY)
}

/// Divides `0..size` evenly into as few ranges as have no more than [`PIECE`] numbers.
fn pieces(size: usize) -> impl Iterator<Item = Range<usize>> {
    let count = size.div_ceil(PIECE);
    (0..count).map(move |k| k * size / count..(k + 1) * size / count)
}

/// A piece of a picture as the network takes it, `[1, 3, rows, columns]`.
fn prepared(
    rows: Range<usize>,
    columns: Range<usize>,
    width: usize,
    pixel: &dyn Fn(usize) -> [f32; 3],
) -> Result<Tensor> {
    let count = rows.len() * columns.len();
    let mut values = vec![0.0f32; 3 * count];
    let places = rows.clone().flat_map(|row| columns.clone().map(move |column| (row, column)));
    for (n, (row, column)) in places.enumerate() {
        for (k, colour) in pixel(row * width + column).into_iter().enumerate() {
            values[k * count + n] = (2.0 * colour - 1.0 - SHIFT[k]) / SCALE[k];
        }
    }
    Ok(Tensor::from_slice(&values).f_view([1, 3, rows.len() as i64, columns.len() as i64])?)
}

fn take(file: &mut Checkpoint, name: &str) -> Result<Tensor> {
    let tensor = file.take(name)?.with_context(|| format!("{name} is missing"))?;
    Ok(tensor.to_kind(Kind::Float))
}

fn check(tensor: &Tensor, expected: &[i64], name: &str) -> Result<()> {
    ensure!(tensor.size() == expected, "{name}: {:?} instead of {expected:?}", tensor.size());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look random, between -1 and 1.
    fn noise(seed: usize) -> impl Fn(usize) -> f64 {
        move |n| {
            let mut x = (n as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (seed as u64) << 40;
            x = (x ^ (x >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            ((x ^ (x >> 32)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        }
    }

    fn tensor(shape: &[i64], seed: usize, scale: f64) -> Tensor {
        let count = shape.iter().product::<i64>() as usize;
        let values: Vec<f32> = (0..count).map(|n| (noise(seed)(n) * scale) as f32).collect();
        Tensor::from_slice(&values).view(shape)
    }

    /// Random weights of a network, under the names of its file.
    fn weights(plan: &Plan) -> Vec<(String, Tensor)> {
        let (mut all, mut inputs) = (Vec::new(), 3);
        for (number, layers) in plan.stages.iter().enumerate() {
            for &(layer, features, edge, ..) in *layers {
                let name = format!("net.slice{}.{layer}", number + 1);
                let scale = (6.0 / (inputs * edge * edge) as f64).sqrt();
                let weight = tensor(&[features, inputs, edge, edge], layer, scale);
                all.push((format!("{name}.weight"), weight));
                all.push((format!("{name}.bias"), tensor(&[features], layer + 50, 0.1)));
                inputs = features;
            }
            let weight = tensor(&[1, inputs, 1, 1], number + 90, 1.0).abs();
            all.push((format!("lin{number}.model.1.weight"), weight));
        }
        all
    }

    fn stored(named: &[(String, Tensor)], path: &Path) {
        Tensor::write_safetensors(named, path).unwrap();
    }

    /// Features of a picture, `[features][height][width]`.
    struct Features {
        size: [usize; 3],
        values: Vec<f64>,
    }

    impl Features {
        fn at(&self, feature: usize, row: i64, column: i64) -> Option<f64> {
            let [_, height, width] = self.size;
            let inside = (0..height as i64).contains(&row) && (0..width as i64).contains(&column);
            inside.then(|| self.values[(feature * height + row as usize) * width + column as usize])
        }

        /// What `value(feature, row, column)` says of every place.
        fn made(size: [usize; 3], value: impl Fn(usize, i64, i64) -> f64) -> Self {
            let [_, height, width] = size;
            let of = |n: usize| {
                let (row, column) = (n / width % height, n % width);
                value(n / (height * width), row as i64, column as i64)
            };
            Self { size, values: (0..size.iter().product()).map(of).collect() }
        }

        fn pooled(&self, edge: usize) -> Self {
            let [features, height, width] = self.size;
            let size = [features, (height - edge) / 2 + 1, (width - edge) / 2 + 1];
            Self::made(size, |feature, row, column| {
                let edge = edge as i64;
                let window = (0..edge * edge).map(|n| (2 * row + n / edge, 2 * column + n % edge));
                let values = window.map(|(row, column)| self.at(feature, row, column).unwrap());
                values.fold(f64::NEG_INFINITY, f64::max)
            })
        }

        fn convolved(&self, weight: &Tensor, bias: &Tensor, stride: i64, padding: i64) -> Self {
            let [inputs, height, width] = self.size;
            let edge = weight.size()[2];
            let weights = Vec::<f32>::try_from(weight.view(-1)).unwrap();
            let bias = Vec::<f32>::try_from(bias).unwrap();
            let out = |n: usize| ((n as i64 + 2 * padding - edge) / stride + 1) as usize;
            Self::made([bias.len(), out(height), out(width)], |feature, row, column| {
                let mut sum = f64::from(bias[feature]);
                for input in 0..inputs {
                    for n in 0..edge * edge {
                        let row = row * stride - padding + n / edge;
                        let column = column * stride - padding + n % edge;
                        let at = (feature * inputs + input) as i64 * edge * edge + n;
                        let weight = f64::from(weights[at as usize]);
                        sum += weight * self.at(input, row, column).unwrap_or(0.0);
                    }
                }
                sum.max(0.0)
            })
        }
    }

    /// The distance by its definition, in 64 bits.
    fn reference(
        plan: &Plan,
        named: &[(String, Tensor)],
        pictures: [&dyn Fn(usize) -> [f32; 3]; 2],
        [width, height]: [usize; 2],
    ) -> f64 {
        let find = |name: &str| &named.iter().find(|(known, _)| known == name).unwrap().1;
        let mut sides = pictures.map(|pixel| {
            Features::made([3, height, width], |k, row, column| {
                let colour = pixel(row as usize * width + column as usize)[k];
                (2.0 * f64::from(colour) - 1.0 - f64::from(SHIFT[k])) / f64::from(SCALE[k])
            })
        });
        let mut distance = 0.0;
        for (number, layers) in plan.stages.iter().enumerate() {
            if plan.pooled[number] {
                sides = sides.map(|side| side.pooled(plan.pool as usize));
            }
            for &(layer, _, _, stride, padding) in *layers {
                let name = format!("net.slice{}.{layer}", number + 1);
                let (weight, bias) =
                    (find(&format!("{name}.weight")), find(&format!("{name}.bias")));
                sides = sides.map(|side| side.convolved(weight, bias, stride, padding));
            }
            let weight = find(&format!("lin{number}.model.1.weight"));
            let weight = Vec::<f32>::try_from(weight.view(-1)).unwrap();
            let [features, height, width] = sides[0].size;
            for place in 0..height * width {
                let of = |side: &Features| -> Vec<f64> {
                    (0..features).map(|k| side.values[k * height * width + place]).collect()
                };
                let [a, b] = sides.each_ref().map(|side| {
                    let values = of(side);
                    let length = values.iter().map(|v| v * v).sum::<f64>().sqrt() + TINY;
                    values.into_iter().map(|v| v / length).collect::<Vec<_>>()
                });
                let terms = a.iter().zip(&b).zip(&weight);
                distance += terms.map(|((a, b), w)| f64::from(*w) * (a - b).powi(2)).sum::<f64>()
                    / (height * width) as f64;
            }
        }
        distance
    }

    #[test]
    fn distances_are_those_of_the_definition() {
        let folder = tempfile::tempdir().unwrap();
        for plan in &PLANS {
            let named = weights(plan);
            let path = folder.path().join(format!("{}.safetensors", plan.name));
            stored(&named, &path);
            let lpips = Lpips::load(&path).unwrap();
            let size = [37, 33];
            let first = |n: usize| [0, 1, 2].map(|k| (noise(1)(3 * n + k) / 2.0 + 0.5) as f32);
            let second = |n: usize| first(n).map(|v| 0.7 * v + 0.1);
            let expected = reference(plan, &named, [&first, &second], size);
            let found = lpips.distance(size, &first, &second).unwrap();
            assert!(expected > 1e-3, "{}: {expected}", plan.name);
            assert!(
                (found - expected).abs() < 1e-4 * expected,
                "{}: {found} {expected}",
                plan.name
            );
            assert_eq!(lpips.distance(size, &first, &first).unwrap(), 0.0);
            let lost = |n: usize| if n == 70 { [f32::NAN; 3] } else { first(n) };
            assert!(lpips.distance(size, &first, &lost).unwrap().is_nan());
            let small = lpips.distance([31, 40], &first, &second).unwrap_err();
            assert!(small.to_string().contains("31 x 40"), "{small}");
        }
    }

    #[test]
    fn other_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.safetensors");
        let named = weights(&PLANS[0]);
        let refusal = |named: &[(String, Tensor)]| {
            stored(named, &path);
            format!("{:#}", Lpips::load(&path).err().unwrap())
        };
        let message = refusal(&named[1..]);
        assert!(message.contains("net.slice1.0.weight is missing"), "{message}");
        assert!(message.contains("lpips.LPIPS"), "{message}");
        let mut other = weights(&PLANS[0]);
        other[0].1 = tensor(&[64, 3, 7, 7], 0, 1.0);
        assert!(refusal(&other).contains("neither AlexNet nor VGG16"), "{}", refusal(&other));
        let mut other = weights(&PLANS[0]);
        other[3].1 = tensor(&[192], 0, 1.0);
        assert!(refusal(&other).contains("[192] instead of"), "{}", refusal(&other));
    }

    #[test]
    fn pieces_cover_everything_once() {
        for size in [32, 2048, 2049, 5000, 23466] {
            let all: Vec<_> = pieces(size).collect();
            assert!(
                all.iter()
                    .all(|piece| piece.len() <= PIECE && piece.len() >= PIECE / 2 || size < PIECE)
            );
            assert_eq!(
                all.into_iter().flatten().collect::<Vec<_>>(),
                (0..size).collect::<Vec<_>>()
            );
        }
    }
}
