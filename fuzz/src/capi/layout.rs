//! Layouts of the caller's arrays as `include/drr.h` describes them, written from that description
//! alone: where each number is, and the strides that say so.

use std::ptr::null_mut;

use arbitrary::Arbitrary;

use super::memory::{Block, Scalar};

/// Points along x, y, z, values, components, sets: the axes of an array, inner ones first when
/// there are no gaps.
pub type Shape = [usize; 6];

const VALUE: usize = 3;
const COMPONENT: usize = 4;
const SET: usize = 5;

/// Innermost first where there are no gaps.
const NATURAL: [usize; 6] = [COMPONENT, VALUE, 0, 1, 2, SET];

/// How an input wants an array to be.
#[derive(Arbitrary, Debug, Clone)]
pub struct Place {
    scalar: u8,
    form: Form,
    gaps: [u8; 6],
    /// Axes that are backwards, a bit for each.
    backwards: u8,
    shift: u8,
}

#[derive(Arbitrary, Debug, Clone)]
enum Form {
    /// Without gaps, strides 0.
    Dense,
    /// Without gaps, strides given.
    Explicit,
    /// Records with something behind each; rows of a lattice follow one another.
    Records,
    /// Axes in any order with gaps everywhere.
    Strided(u8),
    /// An array for each value or derivative.
    Separate,
    /// The same with gaps.
    SeparateStrided(u8),
}

/// Strides in bytes, by axis of [`Shape`].
pub type Strides = [i64; 6];

/// An array of results.
pub struct Results {
    pub scalar: Scalar,
    blocks: Vec<Block>,
    /// Block and byte of each number: sets, points, values, components.
    places: Vec<(usize, usize)>,
    /// What the struct says.
    pub strides: Strides,
    pub data: *mut u8,
    /// The addresses of separate arrays.
    addresses: Option<Block>,
}

impl Place {
    pub fn scalar(&self) -> Scalar {
        [Scalar::F32, Scalar::F64, Scalar::F16][usize::from(self.scalar) % 3]
    }

    /// Without gaps, aligned.
    pub fn packed(scalar: Scalar) -> Self {
        Self { scalar: scalar as u8, form: Form::Dense, gaps: [0; 6], backwards: 0, shift: 0 }
    }

    fn gap(&self, axis: usize) -> usize {
        usize::from(self.gaps[axis]) % 11
    }

    fn is_backwards(&self, axis: usize) -> bool {
        self.backwards >> axis & 1 == 1
    }

    /// Memory for numbers of this shape; of a lattice, rows and planes may have strides.
    pub fn results(&self, shape: Shape, is_lattice: bool) -> Results {
        match self.form {
            Form::Separate | Form::SeparateStrided(_) => self.separate(shape, is_lattice),
            _ => self.together(shape, is_lattice),
        }
    }

    fn together(&self, shape: Shape, is_lattice: bool) -> Results {
        let levels = match self.form {
            Form::Strided(order) => self.levels(shape, &permuted(&NATURAL, order), true),
            Form::Records => self.records(shape),
            _ => self.levels(shape, &NATURAL, false),
        };
        let mut block = Block::new(levels.length, usize::from(self.shift) % 4);
        let mut said = levels.strides;
        match self.form {
            Form::Dense => said = [0; 6],
            Form::Records => [1, 2, VALUE, COMPONENT].iter().for_each(|&axis| said[axis] = 0),
            _ if !is_lattice => said[1..3].fill(0),
            _ => {}
        }
        let places = indices(shape).map(|index| (0, levels.offset(&index))).collect::<Vec<_>>();
        let is_nowhere = places.is_empty() && self.shift.is_multiple_of(2);
        let data = if is_nowhere { null_mut() } else { block.at(levels.base) };
        let (scalar, blocks) = (self.scalar(), vec![block]);
        Results { scalar, blocks, places, strides: said, data, addresses: None }
    }

    fn separate(&self, shape: Shape, is_lattice: bool) -> Results {
        let one = Shape::from([shape[0], shape[1], shape[2], 1, 1, shape[SET]]);
        let levels = match self.form {
            Form::SeparateStrided(order) => self.levels(one, &permuted(&NATURAL, order), true),
            _ => self.levels(one, &NATURAL, false),
        };
        let arrays = shape[VALUE] * shape[COMPONENT];
        let shift = usize::from(self.shift) % 4;
        let mut blocks: Vec<_> = (0..arrays).map(|_| Block::new(levels.length, shift)).collect();
        let mut addresses = Block::new(arrays * size_of::<usize>(), 0);
        for (n, block) in blocks.iter_mut().enumerate() {
            let address = block.at(levels.base).addr();
            addresses.put(n * size_of::<usize>(), &address.to_ne_bytes());
        }
        let place = |[x, y, z, value, component, set]: Shape| {
            let array = value * shape[COMPONENT] + component;
            (array, levels.offset(&[x, y, z, 0, 0, set]))
        };
        let places = indices(shape).map(place).collect();
        let mut said = levels.strides;
        match self.form {
            Form::Separate => said = [0; 6],
            _ if !is_lattice => said[1..3].fill(0),
            _ => {}
        }
        said[VALUE] = 0;
        said[COMPONENT] = 0;
        let (scalar, data) = (self.scalar(), null_mut());
        Results { scalar, blocks, places, strides: said, data, addresses: Some(addresses) }
    }

    /// Each point's numbers without gaps, the same gap between all points.
    fn records(&self, shape: Shape) -> Levels {
        let gap = self.gaps[0];
        let backwards = if self.is_backwards(0) { 0b111 } else { 0 } | self.backwards & 1 << SET;
        let gaps = [gap, gap, gap, 0, 0, gap];
        Self { gaps, backwards, ..self.clone() }.levels(shape, &NATURAL, true)
    }

    /// Strides for axes in this order, the innermost first.
    fn levels(&self, shape: Shape, order: &[usize], has_gaps: bool) -> Levels {
        let (mut strides, mut base, mut length) = ([0; 6], 0, self.scalar().bytes());
        for &axis in order {
            let stride = length + if has_gaps { self.gap(axis) } else { 0 };
            let last = shape[axis].saturating_sub(1) * stride;
            strides[axis] = stride as i64;
            if has_gaps && self.is_backwards(axis) {
                strides[axis] = -strides[axis];
                base += last;
            }
            length += last;
        }
        if shape.contains(&0) {
            (base, length) = (0, 0);
        }
        Levels { strides, base, length }
    }
}

/// Where the numbers of an array are.
struct Levels {
    strides: Strides,
    /// Of the first number.
    base: usize,
    /// Bytes in all.
    length: usize,
}

impl Levels {
    fn offset(&self, index: &Shape) -> usize {
        let bytes = index.iter().zip(self.strides).map(|(&i, stride)| i as i64 * stride);
        (self.base as i64 + bytes.sum::<i64>()) as usize
    }
}

impl Results {
    /// The addresses of separate arrays, or NULL.
    pub fn separate(&mut self) -> *const *mut std::ffi::c_void {
        self.addresses.as_mut().map_or(null_mut(), |block| block.at(0)).cast()
    }

    /// Checks that exactly the expected numbers were written; nothing, if there are none.
    pub fn check(mut self, expected: Option<&[f64]>, what: &str) {
        if let Some(expected) = expected {
            assert_eq!(expected.len(), self.places.len(), "{what}");
            for (n, (&(block, offset), &x)) in self.places.iter().zip(expected).enumerate() {
                let found = self.blocks[block].take(offset, self.scalar);
                assert!(
                    self.scalar.holds(&found, x),
                    "{what} number {n} is {found:02x?}, expected {x} as {:?}, {:02x?}",
                    self.scalar,
                    self.scalar.encode(x)
                );
            }
        }
        assert!(self.blocks.iter().all(Block::is_untouched), "{what}: more was written");
    }
}

/// All indices: sets, points (x fastest), values, components.
fn indices(shape: Shape) -> impl Iterator<Item = Shape> {
    let count: usize = shape.iter().product();
    (0..count).map(move |n| {
        let mut rest = n;
        let mut index = [0; 6];
        for axis in NATURAL {
            index[axis] = rest % shape[axis];
            rest /= shape[axis];
        }
        index
    })
}

fn permuted(axes: &[usize], order: u8) -> Vec<usize> {
    let (mut left, mut order) = (axes.to_vec(), usize::from(order));
    let mut permuted = Vec::new();
    while !left.is_empty() {
        permuted.push(left.remove(order % left.len()));
        order /= left.len() + 1;
    }
    permuted
}

/// Numbers that are read: a row for each point or set, a column for each axis or parameter.
pub struct Table {
    pub scalar: Scalar,
    blocks: Vec<Block>,
    /// As they are read.
    pub rows: Vec<Vec<f64>>,
    /// Address of the first number of each column, and bytes from row to row.
    pub columns: Vec<(*mut u8, i64)>,
    /// Bytes from column to column, where that is the same for all.
    pub column_stride: i64,
}

impl Place {
    /// Memory for a table that holds `number` of row and column; columns may stand in arrays of
    /// their own if there is a way to say so. All of them, or some arrays, hold one number for all
    /// rows now and then.
    pub fn table(
        &self,
        [rows, columns]: [usize; 2],
        may_be_separate: bool,
        number: impl Fn(usize, usize) -> f64,
    ) -> Table {
        let scalar = if self.scalar.is_multiple_of(2) { Scalar::F32 } else { Scalar::F64 };
        let is_same = |column: usize| self.backwards >> (4 + column % 4) & 1 == 1 && rows > 0;
        let by_column =
            may_be_separate && matches!(self.form, Form::Separate | Form::SeparateStrided(_));
        let same = |column: usize| if by_column { is_same(column) } else { is_same(0) };
        let value = |row: usize, column: usize| {
            let x = number(if same(column) { 0 } else { row }, column);
            if scalar == Scalar::F32 { f64::from(x as f32) } else { x }
        };
        let mut table = Table {
            scalar,
            blocks: Vec::new(),
            rows: (0..rows).map(|row| (0..columns).map(|c| value(row, c)).collect()).collect(),
            columns: Vec::new(),
            column_stride: 0,
        };
        let place = Self { scalar: scalar as u8, ..self.clone() };
        let has_gaps = !matches!(self.form, Form::Dense | Form::Explicit | Form::Separate);
        let shift = usize::from(self.shift) % 4;
        // Rows are the points, columns the values.
        let shape = |columns, same| [if same { rows.min(1) } else { rows }, 1, 1, columns, 1, 1];
        if by_column {
            for column in 0..columns {
                let levels = place.levels(shape(1, same(column)), &NATURAL, has_gaps);
                table.fill(&levels, shift, [column, column + 1], same(column));
            }
        } else if columns > 0 {
            let order = match self.form {
                Form::Strided(order) => permuted(&NATURAL, order),
                _ => NATURAL.to_vec(),
            };
            let levels = place.levels(shape(columns, same(0)), &order, has_gaps);
            table.fill(&levels, shift, [0, columns], same(0));
            table.column_stride = levels.strides[VALUE];
        }
        table
    }
}

impl Table {
    fn fill(&mut self, levels: &Levels, shift: usize, [first, end]: [usize; 2], same: bool) {
        let mut block = Block::new(levels.length, shift);
        for (n, row) in self.rows.iter().enumerate().take(if same { 1 } else { usize::MAX }) {
            for (column, &x) in row[first..end].iter().enumerate() {
                let offset = levels.offset(&[n, 0, 0, column, 0, 0]);
                block.put(offset, &self.scalar.encode(x));
            }
        }
        let by_row = if same { drr::capi::DRR_STRIDE_SAME } else { levels.strides[0] };
        for column in 0..end - first {
            let offset =
                if self.rows.is_empty() { 0 } else { levels.offset(&[0, 0, 0, column, 0, 0]) };
            self.columns.push((block.at(offset), by_row));
        }
        self.blocks.push(block);
    }
}
