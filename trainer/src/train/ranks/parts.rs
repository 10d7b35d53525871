//! What of gradients is sent: of large ones, the cells that any process touched.

use tch::{Device, Kind, Tensor};

use super::link::Link;

/// From so many numbers on, a gradient is looked at for cells that no process touched.
const LARGE: usize = 1 << 18;

/// Part of a gradient's cells above which all of them are sent.
const SPARSE: f64 = 0.5;

/// For all: what of each gradient is sent: of large ones, the cells that any process touched.
pub fn parts(link: &dyn Link, gradients: &[Tensor]) -> Vec<Part> {
    let cells: Vec<Option<Cells>> = gradients.iter().map(Cells::of).collect();
    let mut touched = Vec::new();
    for (gradient, cells) in gradients.iter().zip(&cells) {
        if let Some(cells) = cells {
            touched.extend(cells.touched(gradient));
        }
    }
    let touched = link.max(touched);
    let mut rest = &touched[..];
    let mut part = |cells: Option<Cells>| {
        let Some(cells) = cells else { return Part::All };
        let (own, others) = rest.split_at(cells.count);
        rest = others;
        let indices: Vec<i64> =
            (0..).zip(own).filter(|(_, touched)| **touched != 0).map(|(n, _)| n).collect();
        match indices.len() as f64 > SPARSE * cells.count as f64 {
            true => Part::All,
            false => Part::Some(cells, Tensor::from_slice(&indices)),
        }
    };
    cells.into_iter().map(&mut part).collect()
}

/// What of a gradient is sent.
pub enum Part {
    All,
    /// The cells of these numbers.
    Some(Cells, Tensor),
}

impl Part {
    /// Puts it behind other numbers; how many it has.
    pub fn append(&self, gradient: &Tensor, numbers: &mut Vec<f32>) -> usize {
        match self {
            Self::All => append(gradient, numbers),
            Self::Some(cells, indices) => {
                let indices = indices.to_device(gradient.device());
                let some = gradient.reshape(cells.shape).index_select(cells.axis, &indices);
                append(&some, numbers)
            }
        }
    }

    /// Puts what others made of these numbers in their place.
    pub fn put(&self, gradient: &Tensor, numbers: &[f32]) {
        match self {
            Self::All => put(gradient, numbers),
            Self::Some(cells, indices) => {
                let indices = indices.to_device(gradient.device());
                let mut shape = cells.shape;
                shape[cells.axis as usize] = indices.numel() as i64;
                let values = Tensor::from_slice(numbers).view(shape).to_device(gradient.device());
                let whole = gradient.reshape(cells.shape).zeros_like();
                let whole = whole.index_copy(cells.axis, &indices, &values);
                gradient.shallow_clone().copy_(&whole.view(&gradient.size()[..]));
            }
        }
    }
}

/// How a gradient falls into cells of which a batch touches few: the vertices of a grid,
/// `[1, channels, depth, height, width]`, or the entries of a hash table, `[entries, features]`.
#[derive(Clone, Copy)]
pub struct Cells {
    /// As a matrix.
    shape: [i64; 2],
    /// Along which of its two axes the cells are.
    axis: i64,
    count: usize,
}

impl Cells {
    /// Of large gradients.
    fn of(gradient: &Tensor) -> Option<Self> {
        let size = gradient.size();
        if gradient.numel() < LARGE {
            return None;
        }
        match size[..] {
            [rows, columns] => {
                Some(Self { shape: [rows, columns], axis: 0, count: rows.try_into().ok()? })
            }
            [one, channels, ref along @ ..] if along.len() >= 2 => {
                let count: i64 = along.iter().product();
                let shape = [one * channels, count];
                Some(Self { shape, axis: 1, count: count.try_into().ok()? })
            }
            _ => None,
        }
    }

    /// A byte for each that is not 0 where the gradient is not.
    fn touched(&self, gradient: &Tensor) -> Vec<u8> {
        let across = [1 - self.axis];
        let touched = gradient.reshape(self.shape).ne(0.0).any_dims(&across[..], false);
        let mut bytes = vec![0; self.count];
        touched.to_kind(Kind::Uint8).to_device(Device::Cpu).copy_data(&mut bytes, self.count);
        bytes
    }
}

/// Puts the numbers of a tensor behind others; how many these are.
pub fn append(tensor: &Tensor, numbers: &mut Vec<f32>) -> usize {
    let (begin, count) = (numbers.len(), tensor.numel());
    numbers.resize(begin + count, 0.0);
    let flat = tensor.detach().to_device(Device::Cpu).to_kind(Kind::Float).contiguous();
    flat.copy_data(&mut numbers[begin..], count);
    count
}

/// Puts numbers in the place of a tensor's.
pub fn put(tensor: &Tensor, numbers: &[f32]) {
    let values = Tensor::from_slice(numbers).view(&tensor.size()[..]);
    tensor.shallow_clone().copy_(&values);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A gradient of a shape in which only these cells are not 0.
    fn gradient(shape: &[i64], axis: i64, cells: &[i64]) -> Tensor {
        let all = Tensor::randn(shape, (Kind::Float, Device::Cpu));
        let gradient = all.zeros_like();
        for &cell in cells {
            gradient.narrow(axis, cell, 1).copy_(&all.narrow(axis, cell, 1));
        }
        gradient
    }

    #[test]
    fn touched_cells_are_all_that_is_sent() {
        let cells = [0, 17, 4095];
        let table = gradient(&[4096, 64], 0, &cells);
        let grid = gradient(&[1, 64, 4096], 2, &cells).view([1, 64, 16, 16, 16]);
        for gradient in [table, grid] {
            let found = Cells::of(&gradient).expect("a large one");
            let touched = found.touched(&gradient);
            let numbers: Vec<i64> =
                (0..).zip(&touched).filter(|(_, x)| **x != 0).map(|(n, _)| n).collect();
            assert_eq!(numbers, cells);
            // As if another process had touched one more.
            let part = Part::Some(found, Tensor::from_slice(&[0i64, 17, 18, 4095]));
            let mut sent = Vec::new();
            assert_eq!(part.append(&gradient, &mut sent), 4 * 64);
            sent.iter_mut().for_each(|x| *x *= 2.0);
            let twice = &gradient * 2.0;
            part.put(&gradient, &sent);
            assert!(gradient == twice, "and 0 elsewhere");
        }
    }

    #[test]
    fn small_gradients_are_sent_whole() {
        let gradient = Tensor::randn([3, 5], (Kind::Float, Device::Cpu));
        assert!(Cells::of(&gradient).is_none());
        let twice = &gradient * 2.0;
        let mut sent = vec![7.0];
        assert_eq!(Part::All.append(&gradient, &mut sent), 15);
        sent.iter_mut().for_each(|x| *x *= 2.0);
        Part::All.put(&gradient, &sent[1..]);
        assert!(gradient == twice);
    }
}
