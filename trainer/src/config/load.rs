//! From a YAML file to one resolved entry: anchors and merge keys expanded, overrides applied.
//!
//! Knows nothing about what the keys mean; that is what [`Config::from_value`](super::Config::from_value) reads.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Map, Value};

/// Reads entry `id` of the YAML file at `path`.
///
/// A file is a list of entries, or a single mapping, which counts as entry 0.
///
/// # Errors
/// The file cannot be read, is not YAML (line and column are named), has no entry `id`, or the
/// entry is not a mapping.
pub fn load_entry(path: &Path, id: usize) -> Result<Value> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the configuration file {shown}"))?;
    parse_entry(&text, id, &shown.to_string())
}

/// As [`load_entry`], of a text that messages call `shown`.
///
/// # Errors
/// As [`load_entry`].
pub fn parse_entry(text: &str, id: usize, shown: &str) -> Result<Value> {
    let document = parse_yaml(text).with_context(|| format!("{shown} is not valid YAML"))?;
    let entry = match document {
        Value::Array(mut entries) => {
            let count = entries.len();
            if id >= count {
                bail!("{shown} has {count} entries, numbered from 0: there is no entry {id}");
            }
            entries.swap_remove(id)
        }
        single if id == 0 => single,
        _ => bail!("{shown} is a single entry, not a list: there is no entry {id}, only 0"),
    };
    if !entry.is_object() {
        bail!(
            "entry {id} of {shown} is {}, expected a mapping with `model:` in it",
            summary(&entry)
        );
    }
    Ok(entry)
}

/// Parses YAML text into a JSON value, anchors, aliases and merge keys (`<<: *x`) expanded.
///
/// # Errors
/// Syntax errors, repeated keys and values that JSON cannot hold (`.inf`), with line and column;
/// aliases of aliases that expand to more than any configuration has.
pub fn parse_yaml(text: &str) -> Result<Value> {
    // YAML 1.1 would read an axis named `y` as `true`; PyYAML, which the reference uses, does not.
    let options = serde_saphyr::options! {
        strict_booleans: true,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 100_000 },
        // Nobody asks for comments, and 33 lines of them in a row could be too many to keep.
        emit_comments: false,
    };
    serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| anyhow!("{}", error.without_snippet()))
}

/// Writes `value` as YAML; [`parse_yaml`] reads the same value back.
///
/// # Errors
/// Only if the serialiser fails, which no JSON value is known to make it do.
pub fn to_yaml(value: &Value) -> Result<String> {
    serde_saphyr::to_string(value).context("cannot write the configuration as YAML")
}

/// Sets one value of `entry`: `assignment` is `path.to.key=value`.
///
/// The path starts at the entry's root; a segment that meets a list is an index. Mappings that
/// the path needs and that are missing are made, so a mistyped key shows up as an unknown key when
/// the entry is read. The value is YAML: `1e-3`, `true`, `[1, 2]`, `{g: 4}`; nothing means null.
///
/// # Errors
/// No `=`, an empty path segment, a value that is not YAML, an index that is no number or beyond
/// its list, or a path that goes through a scalar.
pub fn apply_override(entry: &mut Value, assignment: &str) -> Result<()> {
    let (path, text) = assignment.split_once('=').ok_or_else(|| {
        anyhow!("override `{assignment}`: expected KEY=VALUE, such as train.maxsteps=10")
    })?;
    let path = path.trim();
    let value = parse_yaml(text)
        .with_context(|| format!("override `{assignment}`: the value is not valid YAML"))?;
    let mut place = entry;
    for (depth, segment) in path.split('.').enumerate() {
        if segment.is_empty() {
            bail!("override `{assignment}`: empty key in `{path}`");
        }
        let walked = || path.split('.').take(depth).collect::<Vec<_>>().join(".");
        place = descend(place, segment)
            .map_err(|given| anyhow!("override `{assignment}`: `{}` {given}", walked()))?;
    }
    *place = value;
    Ok(())
}

/// The child of `place` called `segment`; the error says what `place` is instead.
fn descend<'a>(place: &'a mut Value, segment: &str) -> std::result::Result<&'a mut Value, String> {
    if place.is_null() {
        *place = Value::Object(Map::new());
    }
    match place {
        Value::Object(map) => Ok(map.entry(segment).or_insert(Value::Null)),
        Value::Array(items) => {
            let count = items.len();
            let index: usize = segment.parse().map_err(|_| {
                format!("is a list of {count}: expected an index, given `{segment}`")
            })?;
            items
                .get_mut(index)
                .ok_or_else(|| format!("is a list of {count}, numbered from 0: no item {index}"))
        }
        scalar => Err(format!("is {}, it has no `{segment}`", summary(scalar))),
    }
}

/// A value as it stands in an error message, cut when long.
pub(super) fn summary(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = match value {
        Value::Null => "nothing".to_owned(),
        Value::Object(map) => {
            let keys: Vec<_> = map.keys().map(String::as_str).collect();
            format!("a mapping ({})", keys.join(", "))
        }
        other => other.to_string(),
    };
    if text.chars().count() <= LONGEST {
        return text;
    }
    text.chars().take(LONGEST).chain("...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn overridden(mut entry: Value, assignment: &str) -> Value {
        apply_override(&mut entry, assignment).expect(assignment);
        entry
    }

    fn refused(mut entry: Value, assignment: &str) -> String {
        let error = apply_override(&mut entry, assignment).expect_err(assignment);
        format!("{error:#}")
    }

    #[test]
    fn scalars_keep_their_types() {
        let text = "{a: 1.e-4, b: 1e-3, c: 'cos', d: True, e: False, f: , g: '1', h: -2, i: y}";
        let expected = json!({
            "a": 1e-4, "b": 1e-3, "c": "cos", "d": true, "e": false, "f": null, "g": "1", "h": -2,
            "i": "y",
        });
        assert_eq!(parse_yaml(text).unwrap(), expected);
    }

    #[test]
    fn explicit_keys_win_over_merged_ones() {
        let text = "base: &b {x: 1, y: 2}\nnext:\n  <<: *b\n  x: 3\n";
        assert_eq!(parse_yaml(text).unwrap()["next"], json!({"x": 3, "y": 2}));
    }

    /// Each list holds the one before ten times.
    #[test]
    fn aliases_of_aliases_end_somewhere() {
        let lists = |count: u8| {
            let mut text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
            for name in b'b'..b'a' + count {
                let (this, before) = (char::from(name), format!("*{}", char::from(name - 1)));
                text += &format!("{this}: &{this} [{}]\n", [before.as_str(); 10].join(", "));
            }
            parse_yaml(&text)
        };
        assert_eq!(lists(3).unwrap()["c"][9][9][9], json!("x"));
        let error = lists(9).unwrap_err().to_string();
        assert!(error.contains("alias"), "{error}");
    }

    #[test]
    fn many_comments_are_fine() {
        let comments = "# text\n".repeat(200);
        let text = format!("{comments}a:\n{comments}  b: 1\n{comments}  c:\n{comments}  - 2\n");
        assert_eq!(parse_yaml(&text).unwrap(), json!({"a": {"b": 1, "c": [2]}}));
    }

    #[test]
    fn what_is_written_reads_back() {
        let value = json!({
            "y": "yes", "null": null, "text": "None", "number": "1e-3", "empty": "", "list": [],
            "map": {}, "nested": [[1, 2], [{"a": 1e-15}]], "long": "word ".repeat(60),
            "lines": "one\ntwo: 3\n", "big": 1e300, "int": -7,
        });
        assert_eq!(parse_yaml(&to_yaml(&value).unwrap()).unwrap(), value);
    }

    #[test]
    fn overrides_reach_maps_lists_and_new_keys() {
        let entry = json!({"a": {"b": 1}, "l": [[1, 2], [3]], "n": null});
        assert_eq!(overridden(entry.clone(), "a.b=1e-3")["a"]["b"], json!(1e-3));
        assert_eq!(overridden(entry.clone(), "l.1=[8, 8]")["l"][1], json!([8, 8]));
        assert_eq!(overridden(entry.clone(), "l.0.1=5")["l"][0], json!([1, 5]));
        assert_eq!(overridden(entry.clone(), "x.y.z=true")["x"]["y"]["z"], json!(true));
        assert_eq!(overridden(entry.clone(), "n.k={g: 4}")["n"]["k"]["g"], json!(4));
        assert_eq!(overridden(entry, "a.b=")["a"]["b"], Value::Null);
    }

    #[test]
    fn overrides_that_cannot_be_applied_say_why() {
        let entry = json!({"a": {"b": 1}, "l": [1, 2]});
        assert!(refused(entry.clone(), "a.b").contains("expected KEY=VALUE"));
        assert!(refused(entry.clone(), "a..b=1").contains("empty key"));
        assert!(refused(entry.clone(), "a.b.c=1").contains("`a.b` is 1, it has no `c`"));
        assert!(refused(entry.clone(), "l.x=1").contains("expected an index"));
        assert!(refused(entry.clone(), "l.2=1").contains("list of 2"));
        assert!(refused(entry, "a.b=[1").contains("not valid YAML"));
    }
}
