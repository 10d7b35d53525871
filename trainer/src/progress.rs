//! Progress of long work: a bar on a terminal, plain lines elsewhere; and the wish to stop.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Plain lines come no more often than this.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// From now on Ctrl-C (or SIGTERM, from a batch system) asks long work to stop at the next good
/// place; a second one ends the program at once.
///
/// # Errors
/// If the system refuses the handler.
pub fn catch_interrupts() -> Result<()> {
    // The handler is for the end of the terminal, too, unless `nohup` asked otherwise.
    let hangup_ignored = ignore_hangup();
    ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
    })?;
    if hangup_ignored {
        ignore_hangup();
    }
    Ok(())
}

/// Ignores the end of the terminal; whether that was so before.
fn ignore_hangup() -> bool {
    // SAFETY: sets how one signal is handled, to a way that runs no code.
    unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) == libc::SIG_IGN }
}

/// Whether the user wants to stop.
pub fn is_interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// Whether another process says what is to be said.
static SILENT: AtomicBool = AtomicBool::new(false);

/// From now on lines and bars are not shown: another process shows its own.
pub fn silence() {
    SILENT.store(true, Ordering::SeqCst);
}

/// Prints a line on standard error. Work goes on when nobody can read it.
pub fn say(line: &str) {
    if SILENT.load(Ordering::SeqCst) {
        return;
    }
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The error of work that was interrupted; the program's exit status is 130 then.
#[derive(Debug)]
pub struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// Progress of one piece of work with a known length.
pub struct Progress {
    bar: ProgressBar,
    name: &'static str,
    unit: &'static str,
    last_line: std::cell::Cell<Instant>,
}

impl Progress {
    /// Shown on standard error, so that results can be piped.
    pub fn new(name: &'static str, unit: &'static str, length: u64) -> Self {
        if SILENT.load(Ordering::SeqCst) {
            return Self::hidden();
        }
        let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
        let template =
            format!("{name} {{wide_bar}} {{human_pos}}/{{human_len}} {unit}{{msg}} · {{eta}} left");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        Self { bar, name, unit, last_line: std::cell::Cell::new(Instant::now()) }
    }

    /// Nothing is shown; for tests and for parts of other work.
    pub fn hidden() -> Self {
        let bar = ProgressBar::hidden();
        Self { bar, name: "", unit: "", last_line: std::cell::Cell::new(Instant::now()) }
    }

    /// Starts counting at `position`, for work that goes on after an interruption.
    pub fn start_at(&self, position: u64) {
        self.bar.set_position(position);
        self.bar.reset_eta();
    }

    /// `count` more units are done.
    pub fn advance(&self, count: u64) {
        self.bar.inc(count);
        self.maybe_line();
    }

    /// What stands beside the bar.
    pub fn message(&self, message: &str) {
        self.bar.set_message(format!(" · {message}"));
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// # Errors
    /// [`Interrupted`] if the user wants to stop.
    pub fn check_interrupt(&self) -> Result<()> {
        if is_interrupted() {
            self.bar.finish_and_clear();
            bail!(Interrupted);
        }
        Ok(())
    }

    fn maybe_line(&self) {
        let due = self.last_line.get().elapsed() > LINE_INTERVAL;
        if self.unit.is_empty() || !due || std::io::stderr().is_terminal() {
            return;
        }
        self.last_line.set(Instant::now());
        let (done, length) = (self.bar.position(), self.bar.length().unwrap_or(0));
        let left = self.bar.eta().as_secs();
        let Self { name, unit, .. } = self;
        say(&format!("{name}: {done}/{length} {unit}{} · {left} s left", self.bar.message()));
    }
}
