//! Curves for TensorBoard: event files, that is TFRecord frames around protobuf messages, of which
//! three kinds are written (`tensorflow/core/util/event.proto`, `framework/summary.proto`).

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use super::metrics::Row;

/// An open event file.
pub struct Events {
    path: PathBuf,
    file: File,
}

impl Events {
    /// A new file in `folder`. Of files that are there already TensorBoard forgets everything after
    /// `step`, after which a run goes on.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn create(folder: &Path, step: u64) -> Result<Self> {
        let now = now();
        // Files are read in the order of their names.
        let path = folder.join(format!("events.out.tfevents.{:020}.drr", now.as_nanos()));
        let file = OpenOptions::new()
            .create_new(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        let mut events = Self { path, file };
        events.write(&event(now, 0, |m| m.bytes(FILE_VERSION, b"brain.Event:2")))?;
        if step > 0 {
            let start = |m: &mut Message| m.message(SESSION_LOG, |log| log.integer(STATUS, START));
            events.write(&event(now, step + 1, start))?;
        }
        Ok(events)
    }

    /// Adds what a report says to the curves.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn add(&mut self, row: &Row) -> Result<()> {
        let mut values = vec![
            ("loss", row.loss),
            ("psnr/training", row.psnr),
            ("speed/steps_per_s", row.rate),
            ("speed/points_per_s", row.points_per_s),
            ("lr", row.lr),
        ];
        values.extend(row.validation_psnr.map(|psnr| ("psnr/validation", psnr)));
        let summary = |m: &mut Message| {
            m.message(SUMMARY, |summary| {
                for (name, value) in values {
                    summary.message(VALUE, |m| {
                        m.bytes(TAG, name.as_bytes());
                        m.float(SIMPLE_VALUE, value as f32);
                    });
                }
            });
        };
        self.write(&event(now(), row.step, summary))
    }

    fn write(&mut self, message: &[u8]) -> Result<()> {
        self.file
            .write_all(&frame(message))
            .with_context(|| format!("cannot write {}", self.path.display()))
    }
}

// Fields of Event, SessionLog, Summary and Summary.Value.
const WALL_TIME: u64 = 1;
const STEP: u64 = 2;
const FILE_VERSION: u64 = 3;
const SUMMARY: u64 = 5;
const SESSION_LOG: u64 = 7;
const STATUS: u64 = 1;
const START: u64 = 1;
const VALUE: u64 = 1;
const TAG: u64 = 1;
const SIMPLE_VALUE: u64 = 2;

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn event(now: Duration, step: u64, what: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut message = Message(Vec::new());
    message.double(WALL_TIME, now.as_secs_f64());
    message.integer(STEP, step);
    what(&mut message);
    message.0
}

/// Length and content, each with its checksum.
fn frame(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u64).to_le_bytes();
    let mut frame = length.to_vec();
    frame.extend(masked_checksum(&length).to_le_bytes());
    frame.extend(message);
    frame.extend(masked_checksum(message).to_le_bytes());
    frame
}

fn masked_checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// A protobuf message in the making.
struct Message(Vec<u8>);

impl Message {
    fn integer(&mut self, field: u64, value: u64) {
        self.varint(field << 3);
        self.varint(value);
    }

    fn double(&mut self, field: u64, value: f64) {
        self.varint(field << 3 | 1);
        self.0.extend(value.to_le_bytes());
    }

    fn float(&mut self, field: u64, value: f32) {
        self.varint(field << 3 | 5);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
    }

    fn message(&mut self, field: u64, what: impl FnOnce(&mut Self)) {
        let mut inner = Self(Vec::new());
        what(&mut inner);
        self.bytes(field, &inner.0);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_the_formats() {
        // Written out by hand from the definitions.
        let message = event(Duration::from_millis(1500), 300, |m| {
            m.message(SUMMARY, |s| {
                s.message(VALUE, |v| {
                    v.bytes(TAG, b"loss");
                    v.float(SIMPLE_VALUE, 0.5);
                });
            });
        });
        let mut expected = vec![0x09, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 0x10, 0xac, 0x02];
        expected.extend([0x2a, 13, 0x0a, 11, 0x0a, 4, b'l', b'o', b's', b's', 0x15, 0, 0, 0, 0x3f]);
        assert_eq!(message, expected);
        // The checksum of the text that its definition gives, RFC 3720, B.4.
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
        let framed = frame(&message);
        assert_eq!(framed.len(), 8 + 4 + message.len() + 4);
        assert_eq!(framed[..8], 27u64.to_le_bytes());
    }
}
