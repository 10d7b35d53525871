//! Coordinates and parameters: inside, on vertices and borders, outside, infinite, NaN.

use arbitrary::Arbitrary;
use drr::model::spec::Spec;

/// Numbers that an input chooses.
#[derive(Arbitrary, Debug, Clone)]
pub struct Numbers {
    choices: [u8; 7],
    /// How they change when they are used again.
    step: u8,
}

/// What lies on the border or outside of -1 to 1.
const SPECIAL: [f64; 24] = [
    -1.0,
    1.0,
    0.0,
    -0.0,
    0.5,
    -0.5,
    1.0 / 3.0,
    -1.0 / 3.0,
    1.0 + 1e-7,
    -1.0 - 1e-7,
    1.001,
    -1.001,
    1.3,
    -1.3,
    40.0,
    -40.0,
    1e9,
    -1e300,
    1e300,
    f64::MAX,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
    5e-324,
];

impl Numbers {
    /// Number `n`, normalised to -1 to 1.
    fn normalized(&self, n: usize) -> f64 {
        let times = n / self.choices.len();
        let choice = self.choices[n % self.choices.len()];
        let choice = choice.wrapping_add((times as u8).wrapping_mul(self.step % 8));
        match usize::from(choice).checked_sub(256 - SPECIAL.len()) {
            Some(special) => SPECIAL[special],
            None => f64::from(choice) / 115.5 - 1.0,
        }
    }

    /// Coordinate `axis` of point `i`.
    pub fn coordinate(&self, spec: &Spec, physical: bool, i: usize, axis: usize) -> f64 {
        let x = self.normalized(i * spec.axes.len() + axis);
        let axis = &spec.axes[axis];
        if physical { axis.min + (x + 1.0) * 0.5 * (axis.max - axis.min) } else { x }
    }

    /// Parameter `column` of row `row`.
    pub fn parameter(&self, spec: &Spec, physical: bool, row: usize, column: usize) -> f64 {
        let t = (self.normalized(row * spec.parameters.len() + column) + 1.0) * 0.5;
        let parameter = &spec.parameters[column];
        if physical { parameter.min + t * (parameter.max - parameter.min) } else { t }
    }
}
