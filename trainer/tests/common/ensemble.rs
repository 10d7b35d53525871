//! A tiny ensemble: smooth fields, no two axes of one length, so that a mistake in the order of
//! axes shows.

use drr_train::data::npy;

use super::scratch::Scratch;

/// Members, of which [`HELD_OUT`] are for testing.
pub const MEMBERS: usize = 8;

/// Members that training must not see.
pub const HELD_OUT: [usize; 2] = [2, 5];

/// Names and ranges of the parameters.
const PARAMETERS: [(&str, f64, f64); 6] = [
    ("density", 0.2, 1.0),
    ("heat", 10.0, 50.0),
    ("speed", -3.0, 3.0),
    ("mass", 0.0, 1.0),
    ("angle", 90.0, 180.0),
    ("width", 1e-4, 2e-4),
];

/// Which ensemble.
#[derive(Debug, Clone)]
pub struct TinyEnsemble {
    /// `[D, H, W]` or `[H, W]`.
    pub dims: Vec<usize>,
    /// Number of parameters, up to 6.
    pub parameters: usize,
}

impl Default for TinyEnsemble {
    fn default() -> Self {
        Self { dims: vec![5, 6, 7], parameters: 2 }
    }
}

impl TinyEnsemble {
    /// Parameters of member `m` on the scale of [0, 1]; each reaches both ends in some member.
    pub fn unit_parameters(&self, m: usize) -> Vec<f64> {
        const STRIDES: [usize; 6] = [1, 3, 5, 7, 3, 5];
        let place = |d: usize| ((m * STRIDES[d] + 3 * d) % MEMBERS) as f64;
        (0..self.parameters).map(|d| place(d) / (MEMBERS - 1) as f64).collect()
    }

    /// Parameters of member `m` in physical units.
    pub fn physical_parameters(&self, m: usize) -> Vec<f64> {
        let scaled = self.unit_parameters(m).into_iter().zip(PARAMETERS);
        scaled.map(|(t, (_, min, max))| min + t * (max - min)).collect()
    }

    /// Parameters of member `m` as `query --params` takes them.
    pub fn assignments(&self, m: usize) -> String {
        let values = self.physical_parameters(m);
        let pairs =
            PARAMETERS.iter().zip(values).map(|((name, ..), value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join(",")
    }

    /// The field of member `m`, from 1 to about 9, x fastest.
    pub fn field(&self, m: usize) -> Vec<f32> {
        let p = self.unit_parameters(m);
        let rest: f64 = p.iter().skip(2).sum();
        let value = |index: usize| {
            let mut rest_of_index = index;
            let mut coordinates = [0.0; 3];
            for (coordinate, &size) in coordinates.iter_mut().zip(self.dims.iter().rev()) {
                *coordinate = 2.0 * (rest_of_index % size) as f64 / (size - 1) as f64 - 1.0;
                rest_of_index /= size;
            }
            let [x, y, z] = coordinates;
            4.0 + 2.0 * (x + p[0]).sin()
                + (0.5 + p[0]) * y
                + 0.8 * z * p[1]
                + 0.2 * x * y * (z + rest)
        };
        (0..self.points()).map(|index| value(index) as f32).collect()
    }

    /// Samples of a field.
    pub fn points(&self) -> usize {
        self.dims.iter().product()
    }

    /// Writes it into `folder`: raw files, `params.csv`, and `field.yaml` with the shape.
    pub fn write(&self, scratch: &Scratch, folder: &str) {
        for m in 0..MEMBERS {
            scratch.put_raw(&format!("{folder}/m{m}.raw"), &self.field(m));
        }
        self.write_table(scratch, folder, "raw");
        let axes = ["{name: x, unit: cm, min: 0, max: 6}", "{name: y, min: 10, max: 20}"];
        let mut axes = axes.map(str::to_owned).to_vec();
        axes.extend((self.dims.len() == 3).then(|| "{name: z, unit: km, min: -1, max: 3}".into()));
        let (dims, axes) = (&self.dims, axes.join(", "));
        scratch.put(
            &format!("{folder}/field.yaml"),
            format!("dims: {dims:?}\nvalues: [{{name: energy, unit: J}}]\naxes: [{axes}]\n"),
        );
    }

    /// Writes `params.csv` for files that end in `extension`.
    pub fn write_table(&self, scratch: &Scratch, folder: &str, extension: &str) {
        let names = PARAMETERS[..self.parameters].iter().map(|(name, ..)| *name);
        let mut table = format!("file,split,{}\n", names.collect::<Vec<_>>().join(","));
        for m in 0..MEMBERS {
            let split = if HELD_OUT.contains(&m) { "test" } else { "train" };
            let values = self.physical_parameters(m).iter().map(f64::to_string).collect::<Vec<_>>();
            table += &format!("m{m}.{extension},{split},{}\n", values.join(","));
        }
        scratch.put(&format!("{folder}/params.csv"), table);
    }

    /// Writes it into `folder` in the reference's form: raw files, `cond.npy`, `cond_split.npy`.
    pub fn write_as_reference(&self, scratch: &Scratch, folder: &str) {
        for m in 0..MEMBERS {
            scratch.put_raw(&format!("{folder}/m{m}.raw"), &self.field(m));
        }
        let unit = |(value, (_, min, max)): (f64, (_, f64, f64))| (value - min) / (max - min);
        let row = |m: usize| -> Vec<f64> {
            let parameters = self.physical_parameters(m).into_iter().zip(PARAMETERS).map(unit);
            std::iter::once(m as f64).chain(parameters).collect()
        };
        let table: Vec<f64> = (0..MEMBERS).flat_map(row).collect();
        let path = scratch.place(&format!("{folder}/cond.npy"));
        npy::write(&path, &[MEMBERS, 1 + self.parameters], &table).expect("cond.npy");
        let train: Vec<u8> =
            (0..MEMBERS as u8).filter(|&m| !HELD_OUT.contains(&m.into())).collect();
        let split = split_file(&train, &HELD_OUT.map(|m| m as u8));
        scratch.put(&format!("{folder}/cond_split.npy"), split);
    }
}

/// `cond_split.npy` as NumPy writes it: a protocol 4 pickle of
/// `{"cond_idx": train, "cond_idx_unseen": test}` in an object array.
pub fn split_file(train: &[u8], test: &[u8]) -> Vec<u8> {
    let list = |items: &[u8]| {
        let mut bytes = b"](".to_vec();
        items.iter().for_each(|&item| bytes.extend_from_slice(&[b'K', item]));
        bytes.push(b'e');
        bytes
    };
    let header = "{'descr': '|O', 'fortran_order': False, 'shape': (), }\n";
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(b"\x80\x04}(\x8c\x08cond_idx");
    bytes.extend_from_slice(&list(train));
    bytes.extend_from_slice(b"\x8c\x0fcond_idx_unseen");
    bytes.extend_from_slice(&list(test));
    bytes.extend_from_slice(b"u.");
    bytes
}
