//! YAML text, taken for a configuration of the trainer. Lines that start with `#=` are comments to
//! YAML and overrides here.

use serde_json::Value;

use crate::config::{
    Config, EncoderConfig, ModelConfig, RefinerConfig, SpatialConfig, apply_override, parse_yaml,
    to_yaml,
};

/// Entries of a document that are looked at.
const ENTRIES: usize = 4;

/// Reads whatever the text is.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let document = match parse_yaml(text) {
        Ok(document) => document,
        Err(error) => return drop(format!("{error:#}")),
    };
    let written = to_yaml(&document).expect("every value can be written");
    let again = parse_yaml(&written).unwrap_or_else(|error| panic!("{error:#}\n{written}"));
    assert_eq!(again, document, "{written}");
    let entries = match document {
        Value::Array(entries) => entries,
        single => vec![single],
    };
    let overrides: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("#=")).collect();
    for entry in entries.into_iter().take(ENTRIES) {
        read(&entry);
        let mut changed = entry;
        for assignment in &overrides {
            if let Err(error) = apply_override(&mut changed, assignment) {
                drop(format!("{error:#}"));
            }
        }
        if !overrides.is_empty() {
            read(&changed);
        }
    }
}

fn read(entry: &Value) {
    match Config::from_value(entry) {
        Ok(config) => look_at(&config),
        Err(error) => drop(format!("{error:#}")),
    }
}

/// Everything that a configuration computes about itself.
fn look_at(config: &Config) {
    drop(format!("{config:?}"));
    for (members, points) in [(0, 0), (1, 1), (49, 32_768), (usize::MAX, usize::MAX)] {
        if let Some(steps) = config.dataset.steps_per_epoch(members, points) {
            assert!(steps > 0);
        }
    }
    if let Some(encoder) = config.model.encoder() {
        // Hash grids are never refined, and may be over more numbers.
        if !matches!(encoder, EncoderConfig::Hash(_)) {
            assert!(matches!(encoder.dims(), 2 | 3));
            assert!(!encoder.refined_res().is_empty());
        }
    }
    match &config.model {
        ModelConfig::Baseline(model) => assert!(model.inputs() > 0 && model.out_dim() > 0),
        ModelConfig::Hdinr(model) => {
            assert_eq!(model.encoder.channels(model.refines_grid()), Some(model.spatial_fdim));
            assert!(model.latent.width() > 0);
            let spatial = model.spatial_refiner.iter().map(RefinerConfig::glu);
            let refiners = spatial.chain(&model.cond_refiner);
            refiners.for_each(|refiner| assert!(refiner.hidden_dim() > 0));
        }
        ModelConfig::Inr(model) => {
            check_spatial(&model.spatial);
            assert_eq!(model.widths().len(), model.hidden_layers + 2);
        }
        ModelConfig::Radiance(model) => {
            model.spatial().into_iter().for_each(check_spatial);
            assert!(model.edge() > 0.0 && model.edge().is_finite());
        }
    }
}

fn check_spatial(model: &SpatialConfig) {
    assert_eq!(model.encoder.channels(model.refines_grid()), Some(model.features));
    model.refiner.iter().for_each(|refiner| assert!(refiner.glu().hidden_dim() > 0));
}
