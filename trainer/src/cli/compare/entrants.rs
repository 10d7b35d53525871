//! The models that are compared: entries of configurations, brought to the same data and batches.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::cli::entry::make_absolute;
use crate::config::{self, Config};
use crate::files::write_atomically;
use crate::progress::say;
use crate::train::resolved_batches;

/// One model.
pub struct Entrant {
    /// Name of its runs.
    pub name: String,
    /// What the tables call it.
    pub title: String,
    /// Its entry with the data and batches of the first one.
    pub config: PathBuf,
}

/// An entry with what the command line says put over it.
struct Entry {
    name: String,
    /// As messages call it.
    shown: String,
    value: Value,
    /// What its file says of data and batches.
    own: Option<Value>,
}

/// Reads `entries` (files and numbers of entries), checks all and writes them to `folder`.
///
/// # Errors
/// If an entry is wrong, the first one's data cannot be read, or `folder` cannot be written.
pub fn gather(
    entries: &[(PathBuf, usize)],
    data: Option<&Path>,
    overrides: &[String],
    folder: &Path,
) -> Result<Vec<Entrant>> {
    let read = entries.iter().map(|(path, id)| Entry::read(path, *id, data, overrides));
    let read = read.collect::<Result<Vec<_>>>()?;
    let first = read.first().context("nothing to do: the configurations have no entries")?;
    let dataset = first.dataset()?;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut entrants: Vec<Entrant> = Vec::new();
    for Entry { name, shown, value, own } in &read {
        ensure!(
            entrants.iter().all(|entrant| entrant.name != *name),
            "two models would be called {name}: rename one of the files, or name each entry once"
        );
        if own.is_some() && *own != first.own {
            say(&format!("note: {shown}: data and batches are those of the first model"));
        }
        let mut value = value.clone();
        value["dataset"] = dataset.clone();
        let config = Config::from_value(&value).with_context(|| shown.clone())?;
        let title = config.train.testname.unwrap_or_else(|| config.model.title());
        let file = folder.join(format!("{name}.yaml"));
        write_atomically(&file, config::to_yaml(&value)?.as_bytes())?;
        entrants.push(Entrant { name: name.clone(), title, config: file });
    }
    Ok(entrants)
}

impl Entry {
    fn read(path: &Path, id: usize, data: Option<&Path>, overrides: &[String]) -> Result<Self> {
        let mut value = config::load_entry(path, id)?;
        let own = value.get("dataset").cloned();
        if let Some(data) = data {
            let data = serde_json::to_string(data)?;
            config::apply_override(&mut value, &format!("dataset.param.data={data}"))?;
        }
        for assignment in overrides {
            config::apply_override(&mut value, assignment)?;
        }
        make_absolute(&mut value)?;
        let shown = format!("{}, entry {id}", path.display());
        let config = Config::from_value(&value).with_context(|| shown.clone())?;
        config.model.of_ensemble().with_context(|| shown.clone())?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        Ok(Self { name: format!("{stem}-{id}"), shown, value, own })
    }

    /// Its data and batches with every default spelled out, since some defaults depend on the model.
    fn dataset(&self) -> Result<Value> {
        let mut resolved = resolved_batches(&self.value)?;
        Ok(resolved["dataset"].take())
    }
}
