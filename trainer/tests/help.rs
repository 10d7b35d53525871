//! The program explains itself, and tells wrong usage from failure.

mod common;

use common::{drr_train, drr_train_ok};

const VERBS: [&str; 11] = [
    "train",
    "eval",
    "bake",
    "query",
    "render",
    "info",
    "validate",
    "flops",
    "importance",
    "jobs",
    "compare",
];

#[test]
fn the_overview_names_every_verb_and_status() {
    let text = drr_train_ok(&["--help"]);
    for verb in VERBS {
        assert!(text.contains(&format!("\n  {verb} ")), "no {verb} in: {text}");
    }
    assert!(text.contains("0 success, 1 error, 2 wrong usage, 130 interrupted"), "{text}");
    assert!(drr_train_ok(&["--version"]).starts_with("drr-train "));
}

#[test]
fn every_verb_explains_itself_with_an_example() {
    for verb in VERBS {
        let text = drr_train_ok(&[verb, "--help"]);
        let (usage, examples) = text.split_once("\nExample").unwrap_or_else(|| panic!("{text}"));
        assert!(examples.contains(&format!("drr-train {verb} ")), "{text}");
        assert!(!usage.starts_with("Usage"), "what it is for comes first: {text}");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        // Every option of the examples is one that is explained.
        let words = examples.split_whitespace().filter(|word| word.starts_with("--"));
        for option in words {
            assert!(usage.contains(option), "{verb}: {option} in an example only");
        }
    }
}

#[test]
fn wrong_usage_has_its_own_status_and_points_to_the_help() {
    let cases: [&[&str]; 10] = [
        &[],
        &["trian"],
        &["train"],
        &["train", "--config", "a.yaml"],
        &["eval"],
        &["bake", "run"],
        &["query", "a.drr", "-o", "a.npy"],
        &["query", "a.drr", "--grid", "two", "-o", "a.npy"],
        &["flops"],
        &["flops", "run", "--config", "a.yaml"],
    ];
    for arguments in cases {
        let output = drr_train(arguments);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains("--help") || text.contains("Usage"), "{arguments:?}: {text}");
    }
    let missing = drr_train(&["query", "a.drr", "-o", "a.npy"]);
    let text = String::from_utf8_lossy(&missing.stderr);
    assert!(text.contains("--points") && text.contains("--grid"), "one of both: {text}");
}
