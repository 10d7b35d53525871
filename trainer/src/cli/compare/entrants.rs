//! The models that are compared: entries of configurations, brought to the same data and batches.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::config::{self, Config};
use crate::files::write_atomically;
use crate::progress::say;

/// One model.
pub struct Entrant {
    /// Name of its runs.
    pub name: String,
    /// What the tables call it.
    pub title: String,
    /// Its entry with the data and batches of the first one.
    pub config: PathBuf,
}

/// Reads `entries` (files and numbers of entries), checks all and writes them to `folder`.
///
/// # Errors
/// If an entry is wrong, or `folder` cannot be written.
pub fn gather(
    entries: &[(PathBuf, usize)],
    overrides: &[String],
    folder: &Path,
) -> Result<Vec<Entrant>> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut dataset: Option<Value> = None;
    let mut entrants: Vec<Entrant> = Vec::new();
    for (path, id) in entries {
        let shown = format!("{}, entry {id}", path.display());
        let mut entry = config::load_entry(path, *id)?;
        let own = entry["dataset"].take();
        match &dataset {
            None => dataset = Some(own),
            Some(first) if *first != own && !own.is_null() => say(&format!(
                "note: {shown}: data and batches are those of the first model, not its own"
            )),
            Some(_) => {}
        }
        entry["dataset"] = dataset.clone().unwrap_or_default();
        if entry["dataset"].is_null() {
            // A null would be no mapping.
            entry.as_object_mut().and_then(|entry| entry.remove("dataset"));
        }
        for assignment in overrides {
            config::apply_override(&mut entry, assignment)?;
        }
        let config = Config::from_value(&entry).with_context(|| shown.clone())?;
        config.model.of_ensemble().with_context(|| shown)?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let mut name = format!("{stem}-{id}");
        // Files of the same name in different folders, or an entry twice.
        let taken = |name: &str| entrants.iter().any(|entrant| entrant.name == name);
        let numbered = (2..).map(|n| format!("{stem}-{id}-{n}"));
        if taken(&name) {
            name = numbered.into_iter().find(|name| !taken(name)).unwrap_or(name);
        }
        let title = config.train.testname.unwrap_or_else(|| config.model.title());
        let file = folder.join(format!("{name}.yaml"));
        write_atomically(&file, config::to_yaml(&entry)?.as_bytes())?;
        entrants.push(Entrant { name, title, config: file });
    }
    Ok(entrants)
}
