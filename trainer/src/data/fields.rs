//! The fields of all members: in memory, or, where they do not fit, read when they are asked for and
//! kept for a while.
//!
//! What is kept changes how long an answer takes, never the answer. `Rotation` says which members
//! training sees at a step, so that few have to be kept at once.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, anyhow};

use super::samples::Field;

/// Reads the normalised field of a member.
pub(super) type Reader = dyn Fn(usize) -> Result<Field> + Send;

/// The fields of all members.
#[derive(Clone)]
pub enum Fields {
    /// All of them, normalised.
    Memory(Vec<Arc<Field>>),
    /// Some of them.
    Cached(Arc<Cache>),
}

/// Fields that were read last.
pub struct Cache {
    /// Fields that are in memory at once, one that is being read included; at least 2.
    capacity: usize,
    state: Mutex<State>,
}

/// What is in memory, and the thread that reads. It alone does: allocators keep what one thread
/// frees from others.
struct State {
    /// The member that was asked for last is last.
    kept: Vec<(usize, Arc<Field>)>,
    coming: Option<usize>,
    requests: Sender<usize>,
    answers: Receiver<Result<Field>>,
}

impl Fields {
    /// Fields in memory.
    pub fn of(fields: impl IntoIterator<Item = Field>) -> Self {
        Self::Memory(fields.into_iter().map(Arc::new).collect())
    }

    /// At most `capacity` fields at once, 2 or more.
    ///
    /// # Errors
    /// If there can be no thread that reads.
    pub(super) fn cached(reader: Box<Reader>, capacity: usize) -> Result<Self> {
        let (requests, asked) = channel();
        let (sender, answers) = channel();
        let read = move || {
            // Until nobody asks or listens.
            for member in asked {
                if sender.send(reader(member)).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new()
            .name("fields".to_owned())
            .spawn(read)
            .context("cannot start a thread that reads fields")?;
        let state = State { kept: Vec::new(), coming: None, requests, answers };
        Ok(Self::Cached(Arc::new(Cache { capacity: capacity.max(2), state: Mutex::new(state) })))
    }

    /// The field of a member.
    ///
    /// # Errors
    /// If it is not in memory and its file cannot be read.
    pub fn get(&self, member: usize) -> Result<Arc<Field>> {
        match self {
            Self::Memory(fields) => Ok(fields[member].clone()),
            Self::Cached(cache) => cache.get(member),
        }
    }

    /// How many members training may see at a time, if not all.
    pub fn window(&self) -> Option<usize> {
        match self {
            Self::Memory(_) => None,
            // One is being read.
            Self::Cached(cache) => Some(cache.capacity - 1),
        }
    }

    /// Keeps `members` from now on, and begins to read `next` beside the caller's work.
    pub(super) fn prepare(&self, members: &[usize], next: usize) {
        if let Self::Cached(cache) = self {
            cache.prepare(members, next);
        }
    }
}

impl Cache {
    fn get(&self, member: usize) -> Result<Arc<Field>> {
        let mut state = self.lock();
        if let Some(field) = state.touch(member) {
            return Ok(field);
        }
        if state.coming.is_some_and(|coming| coming != member) {
            // If it cannot be read, that matters when it is asked for.
            let _ = state.receive();
        }
        if state.coming.is_none() {
            state.shrink(self.capacity - 1);
            state.request(member)?;
        }
        state.receive()
    }

    fn prepare(&self, members: &[usize], next: usize) {
        let mut state = self.lock();
        if let Some(member) = state.coming
            && let Ok(answer) = state.answers.try_recv()
        {
            state.coming = None;
            if let Ok(field) = answer {
                state.keep(member, field);
            }
        }
        members.iter().for_each(|&member| drop(state.touch(member)));
        let missing = members.iter().chain([&next]).find(|member| !state.has(**member));
        if let (Some(&missing), None) = (missing, state.coming) {
            state.shrink(self.capacity - 1);
            // Whoever asks for it is told.
            let _ = state.request(missing);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn request(&mut self, member: usize) -> Result<()> {
        self.requests
            .send(member)
            .map_err(|_| anyhow!("the thread that reads fields has ended"))?;
        self.coming = Some(member);
        Ok(())
    }

    /// Waits for the field that was requested.
    fn receive(&mut self) -> Result<Arc<Field>> {
        let member = self.coming.take().context("no field was requested")?;
        let field = self.answers.recv().context("the thread that reads fields has ended")??;
        Ok(self.keep(member, field))
    }

    fn has(&self, member: usize) -> bool {
        self.kept.iter().any(|(kept, _)| *kept == member)
    }

    fn touch(&mut self, member: usize) -> Option<Arc<Field>> {
        let place = self.kept.iter().position(|(kept, _)| *kept == member)?;
        let entry = self.kept.remove(place);
        let field = entry.1.clone();
        self.kept.push(entry);
        Some(field)
    }

    fn keep(&mut self, member: usize, field: Field) -> Arc<Field> {
        let field = Arc::new(field);
        self.kept.push((member, field.clone()));
        field
    }

    /// Forgets what was not asked for the longest.
    fn shrink(&mut self, most: usize) {
        let more = self.kept.len().saturating_sub(most);
        self.kept.drain(..more);
    }
}

impl std::fmt::Debug for Fields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Memory(fields) => write!(f, "{} fields in memory", fields.len()),
            Self::Cached(cache) => write!(f, "{} fields at a time", cache.capacity),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn cache(capacity: usize) -> (Fields, Arc<AtomicUsize>) {
        let reads = Arc::new(AtomicUsize::new(0));
        let count = reads.clone();
        let read = move |member: usize| {
            count.fetch_add(1, Ordering::SeqCst);
            anyhow::ensure!(member != 99, "no such file");
            Ok(Field::Floats(vec![member as f32]))
        };
        (Fields::cached(Box::new(read), capacity).unwrap(), reads)
    }

    fn kept(fields: &Fields) -> Vec<usize> {
        let Fields::Cached(cache) = fields else { return Vec::new() };
        cache.lock().kept.iter().map(|(member, _)| *member).collect()
    }

    #[test]
    fn what_was_asked_for_last_is_kept() {
        let (fields, reads) = cache(4);
        for member in [0, 1, 2, 0, 1, 3, 0] {
            assert_eq!(fields.get(member).unwrap().at(0), member as f32);
        }
        assert_eq!((kept(&fields), reads.load(Ordering::SeqCst)), (vec![2, 1, 3, 0], 4));
        assert!(fields.get(99).unwrap_err().to_string().contains("no such file"));
        assert_eq!(fields.get(0).unwrap().at(0), 0.0, "it goes on");
    }

    #[test]
    fn the_next_member_is_read_beforehand_and_never_too_many_are_kept() {
        let (fields, reads) = cache(4);
        assert_eq!(fields.window(), Some(3));
        for first in 0..10 {
            let window = [first, first + 1, first + 2];
            for member in window {
                assert_eq!(fields.get(member).unwrap().at(0), member as f32);
            }
            fields.prepare(&window, first + 3);
            fields.prepare(&window, first + 3);
            let kept = kept(&fields);
            assert!(kept.len() <= 4 && window.iter().all(|member| kept.contains(member)));
        }
        assert_eq!(fields.get(12).unwrap().at(0), 12.0);
        assert_eq!(reads.load(Ordering::SeqCst), 13, "each once");
        // What fails beforehand fails when it is asked for, and only then.
        fields.prepare(&[11, 12], 99);
        assert!(fields.get(99).is_err());
        assert!(fields.get(11).is_ok());
        // What is missing of the window comes first.
        let (fields, _) = cache(4);
        fields.prepare(&[5, 6], 7);
        assert_eq!(fields.get(5).unwrap().at(0), 5.0);
        assert_eq!(kept(&fields), [5]);
    }
}
