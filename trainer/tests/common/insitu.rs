//! Members that come by pointer.

use drr_train::data::given::{Block, Layout, Span};
use drr_train::data::{Parameter, Value};
use drr_train::train::insitu::Data;
use drr_train::train::insitu::failure::{Kind, Outcome};

/// Of the tiny ensemble.
pub const DIMS: [usize; 3] = [5, 6, 7];

/// The tiny ensemble.
pub fn data() -> Data {
    let parameter = |name: &str, min, max| {
        let (name, unit) = (name.to_owned(), String::new());
        Parameter { name, unit, min, max }
    };
    Data {
        points: DIMS.to_vec(),
        axes: Vec::new(),
        parameters: vec![parameter("density", 0.2, 1.0), parameter("heat", 10.0, 50.0)],
        values: vec![Value { name: "energy".into(), unit: "J".into() }],
        range: None,
    }
}

/// All of a field, or a part of it.
pub fn block(field: &[f32], span: Span) -> Block {
    let [_, h, w] = DIMS;
    let [z, y, x] = span.offset;
    let first = (z * h + y) * w + x;
    let strides = [4 * h * w, 4 * w, 4].map(|bytes| bytes as isize);
    let layout = Layout { span, is_double: false, strides, width: 1, by_value: 4 };
    // SAFETY: the tests keep their fields; a span is within the lattice or refused.
    unsafe { Block::new(layout, field.as_ptr().wrapping_add(first).cast()) }
}

/// All of the lattice.
pub const WHOLE: Span = Span { offset: [0; 3], extent: DIMS };

/// Three blocks that are the whole.
pub const PARTS: [Span; 3] = [
    Span { offset: [0, 0, 0], extent: [5, 6, 3] },
    Span { offset: [0, 0, 3], extent: [2, 6, 4] },
    Span { offset: [2, 0, 3], extent: [3, 6, 4] },
];

/// A failure of this kind, with this text in its message.
pub fn failed<T>(result: Outcome<T>, kind: Kind, text: &str) {
    let failure = result.err().expect("a failure");
    assert!(failure.message.contains(text), "{failure}, expected `{text}`");
    assert_eq!(failure.kind, kind, "{failure}");
}
