//! How far a training is to go, and how far it is.

use std::time::Duration;

/// How training goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Steps that are done, all calls together.
    pub step: u64,
    /// Loss of the last one.
    pub loss: f64,
    /// Seconds of training, all calls together.
    pub seconds: f64,
}

/// How far a call is to train: what is reached first ends it.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Steps.
    pub steps: u64,
    /// No step begins that would probably end later than this, but for the first.
    pub time: Option<Duration>,
}

/// What a call did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trained {
    /// Steps.
    pub steps: u64,
    /// Whether the host asked to stop.
    pub is_stopped: bool,
}

/// Where a training stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Info {
    /// Steps that are done.
    pub steps: u64,
    /// Seconds that they took.
    pub seconds: f64,
    /// Loss of the last step; not a number before the first.
    pub loss: f64,
    /// Learning rate of the next step.
    pub rate: f64,
    /// Members that were complete so far.
    pub members_seen: u64,
    /// Those of them that are kept.
    pub members_held: u64,
    /// Members of which blocks are missing.
    pub members_pending: u64,
    /// Bytes of copied values.
    pub copied_bytes: u64,
    /// Trainable numbers of the model.
    pub trainable: u64,
    /// Values that become 0 and 1; not numbers while they are not known.
    pub scale: (f64, f64),
    /// Least and greatest value of all members so far; not numbers before the first.
    pub range: (f64, f64),
}
