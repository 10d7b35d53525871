//! A mapping that remembers where it stands and which of its keys were asked for.
//!
//! Turns wrong types into errors that name the key, and keys nobody asked for into errors with a
//! suggestion. It does not know any particular configuration.

use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};
use serde_json::{Map, Value};

use super::load::summary;

/// A type that a configuration value can be read as.
pub trait FromConfig: Sized {
    /// What a value of this type looks like, as it stands after "expected" in an error.
    fn expected() -> String;

    /// Reads `value`, or `None` if it is something else.
    fn from_config(value: &Value) -> Option<Self>;
}

impl FromConfig for bool {
    fn expected() -> String {
        "true or false".into()
    }
    fn from_config(value: &Value) -> Option<Self> {
        value.as_bool()
    }
}

impl FromConfig for usize {
    fn expected() -> String {
        "a whole number, 0 or more".into()
    }
    fn from_config(value: &Value) -> Option<Self> {
        usize::try_from(i64::from_config(value)?).ok()
    }
}

impl FromConfig for i64 {
    fn expected() -> String {
        "a whole number".into()
    }
    /// Accepts `1e4` too, which YAML takes for a float.
    fn from_config(value: &Value) -> Option<Self> {
        const EXACT: f64 = (1_u64 << 53) as f64;
        let whole = |f: &f64| f.fract() == 0.0 && f.abs() <= EXACT;
        value.as_i64().or_else(|| value.as_f64().filter(whole).map(|f| f as i64))
    }
}

impl FromConfig for f64 {
    fn expected() -> String {
        "a number".into()
    }
    fn from_config(value: &Value) -> Option<Self> {
        value.as_f64()
    }
}

impl FromConfig for String {
    fn expected() -> String {
        "text".into()
    }
    fn from_config(value: &Value) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
}

impl FromConfig for PathBuf {
    fn expected() -> String {
        "a path".into()
    }
    fn from_config(value: &Value) -> Option<Self> {
        value.as_str().map(PathBuf::from)
    }
}

impl<T: FromConfig> FromConfig for Vec<T> {
    fn expected() -> String {
        format!("a list, each item {}", T::expected())
    }
    fn from_config(value: &Value) -> Option<Self> {
        value.as_array()?.iter().map(T::from_config).collect()
    }
}

impl<T: FromConfig, const N: usize> FromConfig for [T; N] {
    fn expected() -> String {
        format!("a list of {N}, each item {}", T::expected())
    }
    fn from_config(value: &Value) -> Option<Self> {
        Vec::from_config(value)?.try_into().ok()
    }
}

/// One mapping of a configuration, being read.
///
/// Keys are taken out one by one; [`finish`](Self::finish) refuses what is left. A key that is
/// null counts as absent.
#[derive(Debug)]
pub struct Section {
    path: String,
    entries: Map<String, Value>,
    asked: Vec<&'static str>,
}

impl Section {
    /// Starts to read `value`, which stands at the dotted `path` (empty for the root).
    ///
    /// # Errors
    /// `value` is not a mapping.
    pub fn new(path: impl Into<String>, value: Value) -> Result<Self> {
        let path = path.into();
        match value {
            Value::Object(entries) => Ok(Self { path, entries, asked: Vec::new() }),
            other => bail!(
                "{}: given {}, expected a mapping",
                if path.is_empty() { "the entry" } else { &path },
                summary(&other)
            ),
        }
    }

    /// A section without keys, for one that may be left out.
    pub fn empty(path: impl Into<String>) -> Self {
        Self { path: path.into(), entries: Map::new(), asked: Vec::new() }
    }

    /// The dotted path of `key` in this section, for error messages.
    pub fn at(&self, key: &str) -> String {
        match self.path.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        }
    }

    /// The dotted path of this section.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The value of `key`, left where it is.
    pub fn peek(&self, key: &str) -> Option<&Value> {
        self.entries.get(key)
    }

    /// The value of `key` as it stands, if there is one.
    pub fn take_value(&mut self, key: &'static str) -> Option<Value> {
        self.asked.push(key);
        self.entries.remove(key).filter(|value| !value.is_null())
    }

    /// The value of `key` as a `T`, if there is one.
    ///
    /// # Errors
    /// The value is something else.
    pub fn take<T: FromConfig>(&mut self, key: &'static str) -> Result<Option<T>> {
        let Some(value) = self.take_value(key) else {
            return Ok(None);
        };
        T::from_config(&value).map(Some).ok_or_else(|| {
            anyhow!("{}: given {}, expected {}", self.at(key), summary(&value), T::expected())
        })
    }

    /// The value of `key` as a `T`, or `default`.
    ///
    /// # Errors
    /// The value is something else.
    pub fn take_or<T: FromConfig>(&mut self, key: &'static str, default: T) -> Result<T> {
        Ok(self.take(key)?.unwrap_or(default))
    }

    /// The value of `key` as a `T`.
    ///
    /// # Errors
    /// There is none, or it is something else.
    pub fn require<T: FromConfig>(&mut self, key: &'static str) -> Result<T> {
        self.take(key)?.ok_or_else(|| self.missing(key, &T::expected()))
    }

    /// The error for a `key` that has to be there: perhaps it is, mistyped.
    pub fn missing(&self, key: &str, expected: &str) -> anyhow::Error {
        // Stricter than `hint`: keys that are still to be read are among the candidates.
        const NEAR: f64 = 0.75;
        let mistyped = self.entries.keys().find(|left| likeness(left, key) >= NEAR);
        match mistyped {
            Some(left) => anyhow!("{}: unknown key; did you mean `{key}`?", self.at(left)),
            None => anyhow!("{}: missing, expected {expected}", self.at(key)),
        }
    }

    /// The mapping under `key`, if there is one.
    ///
    /// # Errors
    /// The value is not a mapping.
    pub fn section(&mut self, key: &'static str) -> Result<Option<Section>> {
        let path = self.at(key);
        self.take_value(key).map(|value| Section::new(path, value)).transpose()
    }

    /// The `{type: X, param: {...}}` under `key`, if there is one: its type and its parameters.
    ///
    /// # Errors
    /// The value has another form.
    pub fn typed(&mut self, key: &'static str) -> Result<Option<(String, Section)>> {
        self.section(key)?.map(|section| section.into_typed(None)).transpose()
    }

    /// This section as `{type: X, param: {...}}`; `param` may be left out, and `type` if there is
    /// a default.
    ///
    /// # Errors
    /// The section has another form.
    pub fn into_typed(mut self, default: Option<&str>) -> Result<(String, Section)> {
        let name = match (self.take::<String>("type")?, default) {
            (Some(name), _) => name,
            (None, Some(default)) => default.to_owned(),
            (None, None) => self.require("type")?,
        };
        let param = match self.section("param")? {
            Some(param) => param,
            None => Section::empty(self.at("param")),
        };
        self.finish()?;
        Ok((name, param))
    }

    /// Drops keys of the reference that change nothing here, and adds a note if there were any.
    pub fn ignore(&mut self, keys: &[&'static str], why: &str, notes: &mut Vec<String>) {
        let mut given = Vec::new();
        for key in keys {
            if self.take_value(key).is_some() {
                given.push(self.at(key));
            }
        }
        if !given.is_empty() {
            notes.push(format!("{}: {why}", given.join(", ")));
        }
    }

    /// Refuses keys of the reference that would give another model if they were left out.
    ///
    /// # Errors
    /// One of `keys` is there.
    pub fn refuse(&mut self, keys: &[&'static str]) -> Result<()> {
        for key in keys {
            if self.take_value(key).is_some() {
                bail!("{}: known to the reference, not supported yet", self.at(key));
            }
        }
        Ok(())
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// Keys are left that nobody asked for: the first of them are named, with the nearest known
    /// key.
    pub fn finish(self) -> Result<()> {
        const SHOWN: usize = 20;
        let unknown = self.entries.keys().take(SHOWN);
        let mut lines: Vec<_> = unknown
            .map(|key| format!("{}: unknown key; {}", self.at(key), hint(key, &self.asked)))
            .collect();
        if self.entries.len() > SHOWN {
            lines.push(format!("and {} more unknown keys", self.entries.len() - SHOWN));
        }
        match lines.is_empty() {
            true => Ok(()),
            false => bail!(lines.join("\n")),
        }
    }
}

/// A required whole number that may not be 0.
pub(super) fn positive(s: &mut Section, key: &'static str) -> Result<usize> {
    match s.require(key)? {
        0 => bail!("{}: given 0, expected 1 or more", s.at(key)),
        n => Ok(n),
    }
}

/// A whole number that may be left out, but not be 0.
pub(super) fn optional_positive(s: &mut Section, key: &'static str) -> Result<Option<usize>> {
    match s.take(key)? {
        Some(0) => bail!("{}: given 0, expected 1 or more", s.at(key)),
        other => Ok(other),
    }
}

/// Advice for a name that is not among `known`: the nearest one, or all of them.
pub fn hint(given: &str, known: &[&str]) -> String {
    const NEAR: f64 = 0.5;
    let nearest =
        known.iter().map(|name| (likeness(given, name), name)).max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((likeness, name)) if likeness >= NEAR => format!("did you mean `{name}`?"),
        Some(_) => format!("known here: {}", known.join(", ")),
        None => "nothing is expected here".to_owned(),
    }
}

/// From 0 (nothing in common) to 1 (the same but for upper and lower case).
fn likeness(a: &str, b: &str) -> f64 {
    strsim::normalized_damerau_levenshtein(&a.to_lowercase(), &b.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn section(value: Value) -> Section {
        Section::new("a.b", value).unwrap()
    }

    fn message<T: std::fmt::Debug>(result: Result<T>) -> String {
        format!("{:#}", result.expect_err("an error"))
    }

    #[test]
    fn keys_are_typed_and_named() {
        let mut s = section(json!({"n": "x", "f": 1, "neg": -1, "l": [1, "a"], "e": 1e4}));
        let error = message(s.take::<usize>("n"));
        assert_eq!(error, "a.b.n: given \"x\", expected a whole number, 0 or more");
        assert!(message(s.take::<usize>("neg")).contains("given -1"));
        assert!(message(s.take::<Vec<f64>>("l")).contains("a list, each item a number"));
        assert!(message(s.require::<bool>("gone")).contains("a.b.gone: missing, expected true"));
        assert_eq!(s.take::<f64>("f").unwrap(), Some(1.0));
        assert_eq!(s.take::<usize>("e").unwrap(), Some(10_000));
        s.finish().unwrap();
    }

    #[test]
    fn null_is_absent() {
        let mut s = section(json!({"data_dir": null}));
        assert_eq!(s.take::<String>("data_dir").unwrap(), None);
        s.finish().unwrap();
    }

    #[test]
    fn leftovers_get_the_nearest_known_key() {
        let mut s = section(json!({"hiden_dim": 3, "zzz": 1}));
        s.take::<usize>("hidden_dim").unwrap();
        s.take::<usize>("out_dim").unwrap();
        let error = message(s.finish());
        assert!(error.contains("a.b.hiden_dim: unknown key; did you mean `hidden_dim`?"));
        assert!(error.contains("a.b.zzz: unknown key; known here: hidden_dim, out_dim"));
    }

    /// Finding the nearest of many keys would take long, and nobody reads so many lines.
    #[test]
    fn of_many_leftovers_some_are_shown() {
        let keys = (0..1000).map(|n| (format!("key{n}"), Value::Null));
        let error = message(section(Value::Object(keys.collect())).finish());
        assert_eq!(error.lines().count(), 21);
        assert!(error.ends_with("and 980 more unknown keys"), "{error}");
    }

    #[test]
    fn a_mistyped_required_key_is_recognised() {
        let mut s = section(json!({"hiden_dim": 3}));
        let error = message(s.require::<usize>("hidden_dim"));
        assert_eq!(error, "a.b.hiden_dim: unknown key; did you mean `hidden_dim`?");
        assert!(message(s.require::<usize>("out_dim")).contains("a.b.out_dim: missing"));
    }

    #[test]
    fn typed_sections_are_strict_about_their_form() {
        let mut s = section(json!({
            "good": {"type": "T", "param": {"x": 1}}, "bare": {"type": "T"}, "none": {"param": {}},
            "more": {"type": "T", "parm": {}}, "flat": 3,
        }));
        let (name, mut param) = s.typed("good").unwrap().unwrap();
        assert_eq!((name.as_str(), param.path()), ("T", "a.b.good.param"));
        assert_eq!(param.require::<usize>("x").unwrap(), 1);
        assert!(s.typed("bare").unwrap().is_some());
        assert!(s.typed("gone").unwrap().is_none());
        assert!(message(s.typed("none")).contains("a.b.none.type: missing"));
        assert!(message(s.typed("more")).contains("did you mean `param`?"));
        assert!(message(s.typed("flat")).contains("a.b.flat: given 3, expected a mapping"));
    }

    #[test]
    fn ignored_keys_become_one_note_and_refused_ones_an_error() {
        let mut notes = Vec::new();
        let mut s = section(json!({"x": 1, "y": 2, "proj": {}}));
        s.ignore(&["x", "y", "z"], "no use", &mut notes);
        s.ignore(&["w"], "never given", &mut notes);
        assert_eq!(notes, ["a.b.x, a.b.y: no use"]);
        assert!(message(s.refuse(&["proj"])).contains("a.b.proj: known to the reference"));
    }
}
