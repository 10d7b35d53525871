//! The `rays` part of an entry, ours: how pictures of a scene are learned from.

use anyhow::{Result, bail};

use super::section::{Section, hint, optional_positive};

/// What stands behind a scene in the pictures that training compares with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Background {
    /// White, as in the reference's tests.
    White,
    /// Black.
    Black,
    /// A colour for each step: what is transparent cannot hide in the background's colour.
    Random,
}

/// How pictures of a scene are learned from.
#[derive(Debug, Clone, PartialEq)]
pub struct RaysConfig {
    /// Distance of samples along a ray, in the scene's units; `None`: 1/600 of the box' edge.
    pub step: Option<f64>,
    /// Cells of the occupancy grid along each edge of the box.
    pub occupancy: usize,
    /// Behind the scene, in training.
    pub background: Background,
    /// Pictures are reduced by so much along both edges before they are learned from.
    pub downscale: usize,
    /// Rays of the first step.
    pub rays: usize,
    /// Samples that a step should have: the number of rays follows from it.
    pub samples: usize,
}

impl Background {
    const ALL: [Self; 3] = [Self::White, Self::Black, Self::Random];

    /// Its name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::White => "white",
            Self::Black => "black",
            Self::Random => "random",
        }
    }
}

impl Default for RaysConfig {
    fn default() -> Self {
        Self {
            step: None,
            occupancy: 128,
            background: Background::White,
            downscale: 1,
            rays: 1024,
            samples: 1 << 16,
        }
    }
}

impl RaysConfig {
    pub(super) fn read(mut s: Section) -> Result<Self> {
        let default = Self::default();
        let config = Self {
            step: s.take("step")?,
            occupancy: optional_positive(&mut s, "occupancy")?.unwrap_or(default.occupancy),
            background: match s.take::<String>("background")? {
                None => default.background,
                Some(name) => read_background(&name, &s)?,
            },
            downscale: optional_positive(&mut s, "downscale")?.unwrap_or(default.downscale),
            rays: optional_positive(&mut s, "rays")?.unwrap_or(default.rays),
            samples: optional_positive(&mut s, "samples")?.unwrap_or(default.samples),
        };
        if let Some(step) = config.step.filter(|step| !(*step > 0.0 && step.is_finite())) {
            bail!("{}: given {step}, expected more than 0", s.at("step"));
        }
        const MOST: usize = 1 << 26;
        if config.rays > MOST || config.samples > MOST {
            bail!(
                "{}: given {} rays and {} samples, expected up to {MOST} of each",
                s.path(),
                config.rays,
                config.samples
            );
        }
        if config.occupancy > 512 {
            bail!("{}: given {}, expected up to 512", s.at("occupancy"), config.occupancy);
        }
        s.finish()?;
        Ok(config)
    }
}

fn read_background(name: &str, s: &Section) -> Result<Background> {
    match Background::ALL.into_iter().find(|background| background.name() == name) {
        Some(background) => Ok(background),
        None => bail!(
            "{}: given `{name}`; {}",
            s.at("background"),
            hint(name, &Background::ALL.map(Background::name))
        ),
    }
}
