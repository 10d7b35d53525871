//! What the command line says about the configuration's entry and its data.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::config;

/// Which entry, and what is put over it.
#[derive(clap::Args)]
pub struct EntryArguments {
    /// Which entry of the file
    #[arg(long, value_name = "N", default_value_t = 0)]
    config_id: usize,
    /// Folder of the data, or file of a single field [default: from the configuration]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Shape of the fields where files do not tell, slowest dimension first
    #[arg(long, value_name = "D,H,W", value_delimiter = ',')]
    dims: Option<Vec<usize>>,
    /// Override anything in the configuration, for instance model.param.hidden_dim=128; may be
    /// repeated
    #[arg(long, value_name = "a.b=c")]
    set: Vec<String>,
}

impl EntryArguments {
    /// The entry of the file `config` with `more` (dotted keys and YAML), then these arguments put
    /// over it.
    pub fn entry(&self, config: &Path, more: &[(&str, Option<String>)]) -> Result<Value> {
        let mut entry = config::load_entry(config, self.config_id)?;
        // Quoted: paths may look like anything.
        let data = self.data.as_ref().map(serde_json::to_string).transpose()?;
        let dims = self.dims.as_ref().map(|dims| format!("{dims:?}"));
        let own = [("dataset.param.dims", dims), ("dataset.param.data", data)];
        for (key, value) in more.iter().chain(&own) {
            if let Some(value) = value {
                config::apply_override(&mut entry, &format!("{key}={value}"))?;
            }
        }
        for assignment in &self.set {
            config::apply_override(&mut entry, assignment)?;
        }
        make_absolute(&mut entry)?;
        Ok(entry)
    }
}

/// Runs must find their data from any working directory.
pub(super) fn make_absolute(entry: &mut Value) -> Result<()> {
    const KEYS: [&str; 8] = [
        "data",
        "data_dir",
        "data_path",
        "coord_path",
        "cond_path",
        "cond_split_path",
        "impsmp_cond_path",
        "impsmp_coord_path",
    ];
    let Some(dataset) = entry.pointer_mut("/dataset/param") else { return Ok(()) };
    for key in KEYS {
        if let Some(Value::String(path)) = dataset.get_mut(key) {
            let absolute = std::path::absolute(&path)
                .with_context(|| format!("dataset.param.{key}: `{path}` is no path"))?;
            *path = absolute.to_string_lossy().into_owned();
        }
    }
    Ok(())
}
