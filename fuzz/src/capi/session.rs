//! Open models and samplers, which a script of calls goes through.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::ptr::{null, null_mut};
use std::sync::{Mutex, OnceLock};

use arbitrary::Arbitrary;
use drr::capi::*;
use drr::model::spec::Spec;

use super::memory::{Block, Size, given};
use super::numbers::Numbers;
use crate::common::{Baked, kernels, random};

/// Random models of all layouts and precisions, small ones.
const SEEDS: [u64; 15] = [0, 1, 2, 3, 4, 6, 8, 11, 12, 30, 33, 36, 39, 42, 44];

/// How samplers answer.
#[derive(Arbitrary, Debug, Clone)]
pub struct Options {
    normalized: bool,
    outside: u8,
    outside_parameters: u8,
}

impl Options {
    pub fn is_physical(&self) -> bool {
        !self.normalized
    }

    pub fn to_c(&self) -> drr_sampler_options {
        drr_sampler_options {
            struct_size: 16,
            units: self.normalized.into(),
            outside: (self.outside % 4).into(),
            outside_parameters: [0, 2, 3, 0][usize::from(self.outside_parameters) % 4],
        }
    }
}

/// A model that stays open from script to script.
#[derive(Clone, Copy)]
pub struct Opened {
    pub spec: &'static Spec,
    pub bytes: &'static [u8],
    pub model: *mut drr_model,
}

// SAFETY: any number of threads may use a model.
unsafe impl Send for Opened {}

#[derive(Default)]
struct Slot {
    sampler: Option<*mut drr_sampler>,
    options: Option<Options>,
}

/// An open model and two samplers of it.
pub struct Session {
    opened: Opened,
    slots: [Slot; 2],
}

/// Opens a model; `kernel` and `threads` count as far as there are such.
fn open(model: u8, kernel: u8, threads: u8) -> Opened {
    static MODELS: OnceLock<Vec<Baked>> = OnceLock::new();
    static OPEN: Mutex<BTreeMap<[usize; 3], Opened>> = Mutex::new(BTreeMap::new());
    let models = MODELS.get_or_init(|| SEEDS.map(random::model).into());
    let names: Vec<_> = kernels().map(|kernel| kernel.name()).collect();
    let key = [
        usize::from(model) % models.len(),
        usize::from(kernel) % names.len(),
        [1, 1, 1, 2, 3][usize::from(threads) % 5],
    ];
    let mut open = OPEN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    *open.entry(key).or_insert_with(|| {
        let Baked { spec, bytes, .. } = &models[key[0]];
        // SAFETY: nobody else is here, and the threads of models do not look at it.
        unsafe { std::env::set_var("DRR_CPU", names[key[1]]) };
        let model = open_bytes(bytes, key[2] as u32, 0).expect("a valid file");
        Opened { spec, bytes, model }
    })
}

fn open_bytes(bytes: &[u8], threads: u32, checksums: u32) -> Option<*mut drr_model> {
    let options = drr_open_options { struct_size: 16, storage: 0, checksums, threads };
    let mut memory = Block::new(bytes.len(), 0);
    memory.put(0, bytes);
    let mut model = null_mut();
    let mut options = given(&options, Size::Longer(0));
    // SAFETY: as many bytes; the struct ends where it says.
    let status = unsafe {
        let data = memory.at(0).cast_const().cast();
        drr_model_open_memory(data, bytes.len() as u64, options.at(0).cast(), &mut model)
    };
    assert_eq!(status == drr_status::DRR_OK, !model.is_null());
    (!model.is_null()).then_some(model)
}

impl Session {
    pub fn new(model: u8, kernel: u8, threads: u8) -> Self {
        Self { opened: open(model, kernel, threads), slots: Default::default() }
    }

    pub fn opened(&self) -> Opened {
        self.opened
    }

    /// The sampler in a slot; for parameters in the middle if there was none.
    pub fn sampler(&mut self, slot: bool) -> *const drr_sampler {
        let Opened { spec, model, .. } = self.opened;
        let slot = &mut self.slots[usize::from(slot)];
        *slot.sampler.get_or_insert_with(|| {
            let middle: Vec<_> = spec.parameters.iter().map(|p| 0.5 * (p.min + p.max)).collect();
            create(model, &middle, None).expect("parameters in range")
        })
    }

    /// The options of the sampler in a slot.
    pub fn options(&self, slot: bool) -> Option<Options> {
        self.slots[usize::from(slot)].options.clone()
    }

    /// Puts a sampler into a slot; by policy there may be none.
    pub fn bind(&mut self, slot: bool, numbers: &Numbers, options: Option<Options>, other: bool) {
        self.free(slot);
        let Opened { spec, bytes, model } = self.opened;
        let physical = options.as_ref().is_none_or(Options::is_physical);
        let parameters: Vec<_> =
            (0..spec.parameters.len()).map(|n| numbers.parameter(spec, physical, 0, n)).collect();
        // A sampler outlives its model.
        let other = other.then(|| open_bytes(bytes, 1, 1).expect("a valid file"));
        let sampler = create(other.unwrap_or(model), &parameters, options.as_ref());
        // SAFETY: opened above, used by nobody else.
        other.into_iter().for_each(|other| unsafe { drr_model_close(other) });
        if sampler.is_some() {
            self.slots[usize::from(slot)] = Slot { sampler, options };
        }
    }

    pub fn free(&mut self, slot: bool) {
        let slot = std::mem::take(&mut self.slots[usize::from(slot)]);
        // SAFETY: NULL or a sampler that nobody else has.
        unsafe { drr_sampler_free(slot.sampler.unwrap_or(null_mut())) };
    }

    /// Opens a file that is cut or has a wrong byte, wherever it is still one.
    pub fn damage(&self, at: u16, to: u8, cut: bool) {
        let mut bytes = self.opened.bytes.to_vec();
        let at = usize::from(at) % bytes.len();
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] = to;
        }
        let is_damaged = bytes != self.opened.bytes;
        let opened = [0, 1].map(|checksums| open_bytes(&bytes, 1, checksums));
        assert!(!is_damaged || opened[0].is_none(), "unnoticed: {to} at {at}");
        // SAFETY: NULL or a model that nobody else has.
        opened
            .into_iter()
            .for_each(|model| unsafe { drr_model_close(model.unwrap_or(null_mut())) });
        reason();
    }

    /// Asks what the model is, into structs of any size.
    pub fn describe(&self, what: u8, index: u8, size: Size) {
        let Opened { spec, model, .. } = self.opened;
        // SAFETY: integers and pointers, which may be NULL.
        let (mut info, range) = unsafe {
            let info: drr_model_info = std::mem::zeroed();
            let range: drr_range_info = std::mem::zeroed();
            (given(&info, size), range)
        };
        let mut range = given(&range, size);
        let is_sized = !matches!(size, Size::Wrong(_));
        // SAFETY: the structs end where they say, or are too short for any.
        let (status, count) = unsafe {
            let (range, index) = (range.at(0).cast(), index.into());
            match what % 4 {
                0 => (drr_model_get_info(model, info.at(0).cast()), usize::MAX),
                1 => (drr_model_get_axis(model, index, range), spec.axes.len()),
                2 => (drr_model_get_parameter(model, index, range), spec.parameters.len()),
                _ => (drr_model_get_value(model, index, range), spec.values.len()),
            }
        };
        let is_there = usize::from(index) < count;
        assert_eq!(status == drr_status::DRR_OK, is_sized && is_there);
        reason();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.free(false);
        self.free(true);
    }
}

fn create(
    model: *const drr_model,
    parameters: &[f64],
    options: Option<&Options>,
) -> Option<*mut drr_sampler> {
    let options = options.map(Options::to_c);
    let mut sampler = null_mut();
    let mut numbers = Block::new(size_of_val(parameters), 0);
    for (n, x) in parameters.iter().enumerate() {
        numbers.put(n * 8, &x.to_ne_bytes());
    }
    let options = options.as_ref().map_or(null(), |options| &raw const *options);
    // SAFETY: as many numbers.
    let status = unsafe {
        let numbers = numbers.at(0).cast_const().cast();
        drr_sampler_create(model, numbers, parameters.len() as u64, options, &mut sampler)
    };
    let is_allowed = matches!(status, drr_status::DRR_OK | drr_status::DRR_ERROR_OUTSIDE_DOMAIN);
    assert!(is_allowed, "{status:?}: {}", reason());
    (!sampler.is_null()).then_some(sampler)
}

/// The last reason, which is always text.
pub fn reason() -> &'static str {
    // SAFETY: never NULL, terminated, and read before the next call.
    unsafe { CStr::from_ptr(drr_last_error()) }.to_str().expect("UTF-8")
}
