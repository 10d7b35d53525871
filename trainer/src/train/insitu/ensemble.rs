//! The members that are kept, as the ensemble that is trained on.

use std::sync::Arc;

use super::members::Place;
use crate::data::given::Given;
use crate::data::{Ensemble, Field, Fields, Member, Normalization};

/// Puts a member where it belongs.
pub fn put(ensemble: &mut Ensemble, place: Place, member: Member, field: Arc<Field>) {
    let Fields::Memory(fields) = &mut ensemble.fields else { return };
    match place {
        Place::Nowhere => return,
        Place::Of(n) if n < fields.len() => {
            (ensemble.members[n], fields[n]) = (member, field);
            return;
        }
        Place::LastWithoutFirst if !fields.is_empty() => {
            ensemble.members.remove(0);
            fields.remove(0);
        }
        Place::Last | Place::Of(_) | Place::LastWithoutFirst => {}
    }
    ensemble.members.push(member);
    fields.push(field);
}

/// Normalises by `scale`; no values change in memory.
pub fn rescale(ensemble: &mut Ensemble, scale: Normalization) {
    ensemble.normalization = scale;
    for n in 0..ensemble.members.len() {
        let Fields::Memory(fields) = &ensemble.fields else { return };
        let Some(given) = fields[n].given() else { continue };
        let rescaled = field(Given::new(given.values().clone(), scale), ensemble);
        if let Fields::Memory(fields) = &mut ensemble.fields {
            fields[n] = rescaled;
        }
    }
}

/// The values of a member of `ensemble`, perhaps of a block of it.
pub fn field(given: Given, ensemble: &Ensemble) -> Arc<Field> {
    let field = Field::Given(given);
    Arc::new(match &ensemble.subdomain {
        Some(own) => field.part(own, ensemble.values.len()),
        None => field,
    })
}
