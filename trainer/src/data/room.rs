//! How many fields fit into memory at once.

use std::fs;

use anyhow::{Result, bail};

/// Bytes of a GiB.
const GIB: f64 = (1u64 << 30) as f64;

/// What a window of members needs at least: one that is seen, one that comes next, and the reader's
/// own memory.
const FEWEST: u64 = 3;

/// Where the fields of an ensemble are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Room {
    /// All in memory.
    All,
    /// So many of them at a time, in so many GiB.
    Some { fields: usize, gib: f64 },
}

impl Room {
    /// For `members` fields of `bytes` each, in `gib` GiB if that is given, else in half of the
    /// memory that the machine has left.
    ///
    /// # Errors
    /// If hardly one fits.
    pub fn new(gib: Option<f64>, bytes: u64, members: usize) -> Result<Self> {
        let half = || available().map(|bytes| (bytes / 2) as f64 / GIB);
        let Some(gib) = gib.or_else(half) else { return Ok(Self::All) };
        let limit = gib * GIB;
        if bytes as f64 * members as f64 <= limit {
            return Ok(Self::All);
        }
        let fields = (limit / bytes.max(1) as f64) as u64;
        if fields < FEWEST {
            bail!(
                "{members} fields of {} do not fit into the {} that they may take, and {FEWEST} at \
                 a time are the least: give more, --cache GIB (cache_gib in the configuration's \
                 dataset), or reduce them (dim_scale_factor)",
                size(bytes as f64),
                size(limit)
            );
        }
        // A reader has its file in memory while it decodes it.
        Ok(Self::Some { fields: usize::try_from(fields - 1)?, gib })
    }

    /// What the user should know.
    pub fn note(self, bytes: u64, members: usize) -> Option<String> {
        let Self::Some { fields, gib } = self else { return None };
        Some(format!(
            "{members} fields of {} are more than the {} that they may take: training sees {} of the \
             members at a time, in turn (--cache GIB changes it)",
            size(bytes as f64),
            size(gib * GIB),
            fields - 1
        ))
    }
}

/// As people say it.
fn size(bytes: f64) -> String {
    match bytes {
        b if b >= 0.1 * GIB => format!("{:.2} GiB", b / GIB),
        b => format!("{:.2} MiB", b / f64::from(1 << 20)),
    }
}

/// Bytes that a program can still take, if the system tells: of the machine, and of the group of
/// processes that it runs in.
fn available() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    let number = |name: &str| -> Option<u64> {
        fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok()?.trim().parse().ok()
    };
    let group =
        number("memory.max").map(|most| most.saturating_sub(number("memory.current").unwrap_or(0)));
    Some((kilobytes << 10).min(group.unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_in_memory_and_the_rest_in_turn() {
        const MIB: u64 = 1 << 20;
        let room = |gib, members| Room::new(Some(gib), 64 * MIB, members);
        assert_eq!(room(1.0, 16).unwrap(), Room::All);
        let some = room(1.0, 17).unwrap();
        assert_eq!(some, Room::Some { fields: 15, gib: 1.0 });
        let note = some.note(64 * MIB, 17).unwrap();
        assert!(note.contains("17 fields of 64.00 MiB") && note.contains("sees 14 of"), "{note}");
        let error = room(0.125, 17).unwrap_err().to_string();
        assert!(error.contains("into the 0.12 GiB") && error.contains("--cache GIB"), "{error}");
        assert_eq!(Room::new(None, 1, 1).unwrap(), Room::All);
        assert!(Room::All.note(1, 1).is_none());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_system_tells_what_is_left() {
        let bytes = available().unwrap();
        assert!(bytes > 1 << 20, "{bytes}");
    }
}
