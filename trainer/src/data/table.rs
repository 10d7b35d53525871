//! Our form of an ensemble: a folder with `params.csv`, one row for each member.
//!
//! Reads the table only; fields come later.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use csv::{Reader, StringRecord};

use super::info::FieldInfo;
use super::load::Listing;
use super::member::{Member, Split};

const FILE: &str = "params.csv";

/// Which column is what.
struct Columns {
    file: usize,
    split: Option<usize>,
    parameters: Vec<(usize, String)>,
}

/// Whether `folder` has a table.
pub(super) fn exists(folder: &Path) -> bool {
    folder.join(FILE).is_file()
}

/// Reads the table: `file` (relative to the folder), `split` (`train` or `test`; all train if
/// there is no such column), and a number in every other column.
///
/// # Errors
/// Missing files, cells that are no numbers, repeated files or columns: the line is named.
pub(super) fn read(folder: &Path, info: &FieldInfo) -> Result<Listing> {
    let path = folder.join(FILE);
    let shown = path.display();
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_path(&path)
        .with_context(|| format!("cannot read {shown}"))?;
    let header = reader.headers().with_context(|| format!("cannot read {shown}"))?;
    let columns = Columns::find(header).with_context(|| shown.to_string())?;
    let members = read_members(folder, &columns, reader)?;
    let mut notes = Vec::new();
    if columns.split.is_none() {
        notes.push(format!("{FILE} has no column `split`: all members are for training"));
    }
    if folder.join("cond.npy").is_file() {
        notes.push(format!("{FILE} lists the members; cond.npy beside it is not used"));
    }
    let span = |i: usize| {
        let values = members.iter().map(|member| member.parameters[i]);
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        })
    };
    let names = columns.parameters.iter().enumerate();
    Ok(Listing {
        parameters: names
            .map(|(i, (_, name))| info.parameter(name, span(i)))
            .collect::<Result<_>>()?,
        members,
        notes,
    })
}

/// One member for each row, in order; at least one.
fn read_members(folder: &Path, columns: &Columns, mut reader: Reader<File>) -> Result<Vec<Member>> {
    let shown = folder.join(FILE).display().to_string();
    let mut members = Vec::new();
    let mut seen = HashMap::new();
    for record in reader.records() {
        let record = record.with_context(|| format!("{shown} is damaged"))?;
        let line = record.position().map_or(0, csv::Position::line);
        let place = || format!("{shown} line {line}");
        let member = columns.member(folder, &record).with_context(place)?;
        if let Some(first) = seen.insert(member.file.clone(), line) {
            bail!("{}: {} is in line {first} already", place(), member.file.display());
        }
        members.push(member);
    }
    if members.is_empty() {
        bail!("{shown} has no rows below its header");
    }
    Ok(members)
}

impl Columns {
    fn find(header: &StringRecord) -> Result<Self> {
        let place = |name: &str| header.iter().position(|column| column == name);
        let file = place("file").ok_or_else(|| {
            let columns: Vec<_> = header.iter().collect();
            anyhow!("no column `file`, only: {}", columns.join(", "))
        })?;
        let split = place("split");
        let mut parameters: Vec<(usize, String)> = Vec::new();
        for (column, name) in header.iter().enumerate() {
            if column == file || Some(column) == split {
                continue;
            }
            if name.is_empty() {
                bail!("column {} has no name", column + 1);
            }
            if name.contains([',', '=']) {
                bail!(
                    "column `{name}`: names of parameters have no comma or equals sign, as queries give `name=value,...`"
                );
            }
            if place(name) != Some(column) {
                bail!("two columns are called `{name}`");
            }
            parameters.push((column, name.to_owned()));
        }
        if parameters.is_empty() {
            bail!("no parameters: every column but `file` and `split` is one");
        }
        Ok(Self { file, split, parameters })
    }

    fn member(&self, folder: &Path, record: &StringRecord) -> Result<Member> {
        let cell = |column: usize| record.get(column).unwrap_or_default();
        let file = folder.join(cell(self.file));
        if !file.is_file() {
            bail!("there is no file {}", file.display());
        }
        let split = match self.split {
            Some(column) => parse_split(cell(column))?,
            None => Split::Train,
        };
        let numbers = self.parameters.iter();
        let numbers = numbers.map(|(column, name)| parse_number(cell(*column), name));
        Ok(Member::new(file, split, numbers.collect::<Result<_>>()?))
    }
}

fn parse_split(text: &str) -> Result<Split> {
    match Split::ALL.into_iter().find(|split| split.name() == text) {
        Some(split) => Ok(split),
        None => bail!("column split: given `{text}`, expected train, validation or test"),
    }
}

fn parse_number(text: &str, column: &str) -> Result<f64> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => bail!("column {column}: given `{text}`, expected a number"),
    }
}
