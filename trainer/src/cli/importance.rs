//! `drr-train importance`

use std::path::PathBuf;

use anyhow::Result;

use super::entry::EntryArguments;
use super::print;
use crate::config::Config;
use crate::data::{Importance, LoadOptions};
use crate::progress::Progress;
use crate::train::load_ensemble;

/// Compute weights for importance sampling: members and points whose values are rare are drawn
/// more often in training.
///
/// Values are counted in a histogram over their range, that of each training member for its
/// points, that of all of them for the members; a weight is one over the frequency of its value.
/// Each range of values is then drawn equally often, however few points have it.
///
/// Writes DIR/members.npy, one weight of each training member, and DIR/points/NAME.npy, the
/// weights of a member's points in the order of its file (of groups of points above 2^24).
/// Training takes them by the configuration's impsmp_cond_path and impsmp_coord_path.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Configuration file
    #[arg(long, value_name = "FILE.yaml")]
    config: PathBuf,
    #[command(flatten)]
    entry: EntryArguments,
    /// Folder of the weights; made
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Bins of the histogram
    #[arg(
        long, value_name = "N", default_value_t = 64,
        value_parser = clap::value_parser!(u32).range(1..=1 << 20)
    )]
    bins: u32,
}

const EXAMPLES: &str = "\
Examples:
  drr-train importance --config model.yaml --data ensemble/ --out weights
  drr-train train --config model.yaml --data ensemble/ --out run \\
      --set dataset.param.impsmp_cond_path=weights/members.npy \\
      --set dataset.param.impsmp_coord_path=weights/points";

/// # Errors
/// If the data cannot be read or the weights not written.
pub fn run(arguments: Arguments) -> Result<()> {
    let config = Config::from_value(&arguments.entry.entry(&arguments.config, &[])?)?;
    let options = LoadOptions::of(config.model.of_ensemble()?);
    let ensemble = load_ensemble(&config.dataset, &options)?;
    let members = ensemble.train().count();
    let progress = Progress::new("weighing", "members", members as u64);
    let written = || {
        progress.advance(1);
        progress.check_interrupt()
    };
    Importance::write(&ensemble, arguments.bins as usize, &arguments.out, written)?;
    progress.finish();
    let (file, folder) = (arguments.out.join("members.npy"), arguments.out.join("points"));
    print(format_args!(
        "written: {} (weights of {members} members), {} (of their points)",
        file.display(),
        folder.display()
    ))
}
