//! The building blocks of a model as a configuration names them: activations, refiners, decoders.
//!
//! Sizes only; the networks themselves are made elsewhere.

use anyhow::{Result, anyhow, bail};
use drr::model::spec::Activation;

use super::section::{Section, hint, positive};

/// A `GLUFeatMLP`: `num_layers` gated blocks of one width.
#[derive(Debug, Clone, PartialEq)]
pub struct GluConfig {
    /// Width of the input.
    pub feat_dim: usize,
    /// Width of the output; a last linear layer is there if it differs from `feat_dim`.
    pub out_dim: usize,
    /// Number of blocks, 1 or more.
    pub num_layers: usize,
    /// Hidden width of a block over `feat_dim`; see [`hidden_dim`](Self::hidden_dim).
    pub hidden_mult: f64,
    /// Activation of the gate.
    pub activation: Activation,
    /// Whether a block normalises its input (RMS).
    pub use_norm: bool,
    /// Whether a block adds its input to its output.
    pub skip_connection: bool,
}

/// The refiner of an encoder.
#[derive(Debug, Clone, PartialEq)]
pub enum RefinerConfig {
    /// One network for the whole grid.
    One(GluConfig),
    /// One network of this shape for each of the three planes.
    PerPlane(GluConfig),
}

/// A `FeatMLP`: linear layers of one width and a last one to `out_dim`.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatMlpConfig {
    /// Width of the input and of the hidden layers.
    pub feat_dim: usize,
    /// Number of linear layers, 1 or more, the last one included.
    pub num_layers: usize,
    /// Width of the output.
    pub out_dim: usize,
    /// After every layer but the last.
    pub activation: Activation,
    /// After the last layer.
    pub out_activation: Activation,
}

impl GluConfig {
    /// Reads the parameters of a `GLUFeatMLP`.
    pub(super) fn read(mut s: Section) -> Result<Self> {
        let config = Self {
            feat_dim: positive(&mut s, "feat_dim")?,
            out_dim: positive(&mut s, "out_dim")?,
            num_layers: positive(&mut s, "num_layers")?,
            hidden_mult: s.take_or("hidden_mult", 2.0)?,
            activation: activation(&mut s, "block_activation")?.unwrap_or(Activation::ELU),
            use_norm: s.take_or("use_norm", true)?,
            skip_connection: s.take_or("skip_connection", true)?,
        };
        let hidden = config.feat_dim as f64 * config.hidden_mult;
        if !(1.0..1e9).contains(&hidden) {
            bail!(
                "{}: {} x {} is no usable hidden width",
                s.at("hidden_mult"),
                config.feat_dim,
                config.hidden_mult
            );
        }
        s.finish()?;
        Ok(config)
    }

    /// Reads a `{type: GLUFeatMLP, param: ...}` that must be one.
    pub(super) fn read_typed((kind, param): (String, Section)) -> Result<Self> {
        match kind.as_str() {
            "GLUFeatMLP" => Self::read(param),
            other => Err(wrong_refiner(&param, other, &["GLUFeatMLP"])),
        }
    }

    /// Hidden width of a block, `floor(feat_dim * hidden_mult)` in double precision.
    pub fn hidden_dim(&self) -> usize {
        (self.feat_dim as f64 * self.hidden_mult).floor() as usize
    }
}

impl RefinerConfig {
    /// Reads the refiner of an encoder: a `GLUFeatMLP`, or a `ModelList` of three.
    pub(super) fn read((kind, mut param): (String, Section)) -> Result<Self> {
        match kind.as_str() {
            "GLUFeatMLP" => Ok(Self::One(GluConfig::read(param)?)),
            "ModelList" => {
                let count: usize = param.require("num_models")?;
                let class: String = param.require("model_class")?;
                if (count, class.as_str()) != (3, "GLUFeatMLP") {
                    bail!(
                        "{}: given {count} x {class}, expected 3 x GLUFeatMLP, one for each plane",
                        param.path()
                    );
                }
                let glu = param.section("model_kwargs")?;
                let glu = glu.unwrap_or_else(|| Section::empty(param.at("model_kwargs")));
                param.finish()?;
                Ok(Self::PerPlane(GluConfig::read(glu)?))
            }
            other => Err(wrong_refiner(&param, other, &["GLUFeatMLP", "ModelList"])),
        }
    }

    /// The network, or the one that each plane has.
    pub fn glu(&self) -> &GluConfig {
        match self {
            Self::One(glu) | Self::PerPlane(glu) => glu,
        }
    }
}

impl FeatMlpConfig {
    /// Reads a `{type: FeatMLP, param: ...}`.
    pub(super) fn read((kind, mut s): (String, Section)) -> Result<Self> {
        if kind != "FeatMLP" {
            bail!("{}: decoder type `{kind}` is unknown, expected FeatMLP", s.path());
        }
        let config = Self {
            feat_dim: positive(&mut s, "feat_dim")?,
            num_layers: positive(&mut s, "num_layers")?,
            out_dim: positive(&mut s, "out_dim")?,
            activation: activation(&mut s, "activation")?.unwrap_or(Activation::ReLU),
            out_activation: activation(&mut s, "out_activation")?.unwrap_or(Activation::Identity),
        };
        s.finish()?;
        Ok(config)
    }
}

/// The activation under `key`, by its name in `torch.nn`.
pub(super) fn activation(s: &mut Section, key: &'static str) -> Result<Option<Activation>> {
    let Some(name) = s.take::<String>(key)? else {
        return Ok(None);
    };
    // The variants are named as in torch.nn.
    let names = Activation::ALL.map(|activation| format!("{activation:?}"));
    match names.iter().position(|known| *known == name) {
        Some(place) => Ok(Some(Activation::ALL[place])),
        None => {
            let advice = hint(&name, &names.each_ref().map(String::as_str));
            bail!("{}: unknown activation `{name}`; {advice}", s.at(key))
        }
    }
}

fn wrong_refiner(param: &Section, given: &str, known: &[&str]) -> anyhow::Error {
    let advice = hint(given, known);
    anyhow!("{}: unknown refiner type `{given}`; {advice}", param.path())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn glu(value: Value) -> Result<GluConfig> {
        GluConfig::read(Section::new("refiner", value)?)
    }

    #[test]
    fn activations_go_by_their_exact_names() {
        let read = |name: &str| activation(&mut Section::new("m", json!({"act": name}))?, "act");
        assert_eq!(read("ReLU").unwrap(), Some(Activation::ReLU));
        assert_eq!(read("Identity").unwrap(), Some(Activation::Identity));
        let error = read("relu").unwrap_err().to_string();
        assert_eq!(error, "m.act: unknown activation `relu`; did you mean `ReLU`?");
    }

    #[test]
    fn hidden_width_is_the_floor_of_the_double_product() {
        for (dim, mult, hidden) in [(48, 5.34, 256), (48, 2.67, 128), (160, 3.2, 512)] {
            let config =
                json!({"feat_dim": dim, "out_dim": dim, "num_layers": 1, "hidden_mult": mult});
            assert_eq!(glu(config).unwrap().hidden_dim(), hidden);
        }
    }

    #[test]
    fn refiner_defaults_and_limits() {
        let config = glu(json!({"feat_dim": 8, "out_dim": 8, "num_layers": 2})).unwrap();
        assert_eq!(config.hidden_dim(), 16);
        assert_eq!(config.activation, Activation::ELU);
        assert!(config.use_norm && config.skip_connection);
        for (mult, given) in [(0.0, "8 x 0"), (-1.0, "8 x -1"), (1e300, "no usable hidden width")] {
            let bad = json!({"feat_dim": 8, "out_dim": 8, "num_layers": 2, "hidden_mult": mult});
            let error = glu(bad).unwrap_err().to_string();
            assert!(error.contains(given), "{error}");
        }
        let error = glu(json!({"feat_dim": 8, "out_dim": 8, "num_layers": 0})).unwrap_err();
        assert!(error.to_string().contains("refiner.num_layers: given 0"));
    }
}
