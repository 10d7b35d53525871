//! The values of one member, as small as they were in its file: samples of 8 and 16 bits stay what
//! they are, with a table of what each of them means.

use std::sync::Arc;

use super::given::Given;
use super::subdomain::Subdomain;

/// The values of one member, `[places, values]`.
#[derive(Debug, Clone, PartialEq)]
pub enum Field {
    /// Numbers.
    Floats(Vec<f32>),
    /// Samples of 8 bits, and the number that each stands for.
    Bytes(Vec<u8>, Box<[f32]>),
    /// Samples of 16 bits, and the number that each stands for.
    Words(Vec<u16>, Box<[f32]>),
    /// Numbers that a running simulation gave.
    Given(Given),
    /// The values of a block of the lattice.
    Part(Box<Part>),
}

/// The values of a block, which are asked for by where they are in the whole field.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// `[samples that are held, values]`
    held: Field,
    of: Arc<Subdomain>,
    /// Values of each sample.
    width: usize,
}

impl Field {
    /// Of samples that stand for themselves.
    pub(super) fn of_bytes(samples: Vec<u8>) -> Self {
        Self::Bytes(samples, (0..=u8::MAX).map(f32::from).collect())
    }

    /// Of samples that stand for themselves.
    pub(super) fn of_words(samples: Vec<u16>) -> Self {
        Self::Words(samples, (0..=u16::MAX).map(f32::from).collect())
    }

    /// Of a field, the values of a block, `width` of each sample.
    pub(super) fn cut(self, of: &Arc<Subdomain>, width: usize) -> Self {
        fn held<T: Copy>(all: &[T], of: &Subdomain, width: usize) -> Vec<T> {
            let mut held = Vec::with_capacity(of.count() * width);
            of.runs(|start, count| held.extend(&all[start * width..(start + count) * width]));
            held
        }
        let held = match self {
            Self::Floats(values) => Self::Floats(held(&values, of, width)),
            Self::Bytes(samples, table) => Self::Bytes(held(&samples, of, width), table),
            Self::Words(samples, table) => Self::Words(held(&samples, of, width), table),
            other => Self::Floats(held(&other.floats(), of, width)),
        };
        held.part(of, width)
    }

    /// Of the values of a block, those of a field of which nothing else is there.
    pub fn part(self, of: &Arc<Subdomain>, width: usize) -> Self {
        Self::Part(Box::new(Part { held: self, of: of.clone(), width }))
    }

    /// What a running simulation gave, where that is what it is made of.
    pub fn given(&self) -> Option<&Given> {
        match self.there() {
            Self::Given(given) => Some(given),
            _ => None,
        }
    }

    /// Number of values that are there.
    pub fn len(&self) -> usize {
        match self {
            Self::Floats(values) => values.len(),
            Self::Bytes(samples, _) => samples.len(),
            Self::Words(samples, _) => samples.len(),
            Self::Given(given) => given.values().len(),
            Self::Part(part) => part.held.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One value.
    #[inline]
    pub fn at(&self, index: usize) -> f32 {
        match self {
            Self::Floats(values) => values[index],
            Self::Bytes(samples, table) => table[usize::from(samples[index])],
            Self::Words(samples, table) => table[usize::from(samples[index])],
            Self::Given(given) => given.at(index),
            Self::Part(part) => part.at(index),
        }
    }

    /// All values that are there, in order.
    pub fn iter(&self) -> impl Iterator<Item = f32> + Clone + '_ {
        let there = self.there();
        (0..there.len()).map(|index| there.at(index))
    }

    /// What is there of it, by itself.
    fn there(&self) -> &Self {
        match self {
            Self::Part(part) => part.held.there(),
            all => all,
        }
    }

    /// Calls `see` with all values and how often there is each: one by one, or, of samples, with
    /// each sample that occurs.
    pub(super) fn each(&self, mut see: impl FnMut(f32, f64)) {
        let mut counted = |samples: &mut dyn Iterator<Item = usize>, table: &[f32]| {
            let mut counts = vec![0u64; table.len()];
            samples.for_each(|sample| counts[sample] += 1);
            let occurring = table.iter().zip(counts).filter(|(_, count)| *count > 0);
            occurring.for_each(|(&value, count)| see(value, count as f64));
        };
        match self {
            Self::Floats(values) => values.iter().for_each(|&value| see(value, 1.0)),
            Self::Bytes(samples, table) => counted(&mut samples.iter().map(|&s| s.into()), table),
            Self::Words(samples, table) => counted(&mut samples.iter().map(|&s| s.into()), table),
            Self::Given(given) => given.each(|value| see(value, 1.0)),
            Self::Part(part) => part.held.each(see),
        }
    }

    /// What `change` makes of each value.
    pub(super) fn map(mut self, change: impl Fn(f32) -> f32) -> Self {
        if let Self::Part(part) = self {
            let Part { held, of, width } = *part;
            return held.map(change).part(&of, width);
        }
        let values = match &mut self {
            Self::Floats(values) => values.as_mut_slice(),
            Self::Bytes(_, table) | Self::Words(_, table) => table,
            Self::Given(_) | Self::Part(_) => {
                return Self::Floats(self.iter().map(change).collect());
            }
        };
        values.iter_mut().for_each(|value| *value = change(*value));
        self
    }

    /// As numbers.
    pub fn into_floats(self) -> Vec<f32> {
        match self {
            Self::Floats(values) => values,
            samples => samples.iter().collect(),
        }
    }

    /// As numbers, where they are not already.
    pub fn floats(&self) -> std::borrow::Cow<'_, [f32]> {
        match self {
            Self::Floats(values) => values.into(),
            samples => samples.iter().collect::<Vec<_>>().into(),
        }
    }
}

impl Part {
    #[inline]
    fn at(&self, index: usize) -> f32 {
        let sample = self.of.local(index / self.width);
        self.held.at(sample * self.width + index % self.width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_the_numbers_that_they_stand_for() {
        let floats = Field::Floats(vec![3.0, 200.0, 3.0]);
        for field in [Field::of_bytes(vec![3, 200, 3]), Field::of_words(vec![3, 200, 3])] {
            let halves = field.map(|value| value / 2.0);
            assert_eq!((halves.len(), halves.is_empty(), halves.at(1)), (3, false, 100.0));
            assert_eq!(halves.iter().collect::<Vec<_>>(), [1.5, 100.0, 1.5]);
            let mut seen = Vec::new();
            halves.each(|value, count| seen.push((value, count)));
            assert_eq!(seen, [(1.5, 2.0), (100.0, 1.0)]);
            assert_eq!(halves.floats(), floats.clone().map(|value| value / 2.0).floats());
            assert_eq!(halves.into_floats(), [1.5, 100.0, 1.5]);
        }
    }

    #[test]
    fn parts_are_asked_as_the_whole() {
        let whole: Vec<u8> = (0..2 * 4 * 6 * 5).map(|n| n as u8).collect();
        let of = Arc::new(Subdomain::new(&[4, 6, 5], vec![1..3, 0..4, 3..5]));
        let floats = Field::Floats(whole.iter().copied().map(f32::from).collect());
        let words = Field::of_words(whole.iter().copied().map(u16::from).collect());
        for field in [floats.clone(), Field::of_bytes(whole), words] {
            let part = field.clone().cut(&of, 2);
            assert_eq!(part.len(), 4 * 5 * 3 * 2, "with a halo");
            assert_eq!(part.iter().count(), part.len());
            let halves = part.map(|value| value / 2.0);
            for sample in (0..4 * 6 * 5).filter(|&sample| of.owns(sample)) {
                for at in [2 * sample, 2 * sample + 1] {
                    assert_eq!(halves.at(at), floats.at(at) / 2.0);
                }
            }
            let mut seen = 0.0;
            halves.each(|_, count| seen += count);
            assert_eq!((seen, halves.into_floats().len()), (120.0, 120));
        }
    }
}
