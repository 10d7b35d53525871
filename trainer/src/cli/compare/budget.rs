//! How long each model may be trained.

use std::fmt;
use std::str::FromStr;

/// Steps, or time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Budget {
    /// Steps of the optimiser.
    Steps(u64),
    /// Minutes of training.
    Minutes(f64),
}

impl FromStr for Budget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |unit: &str| text.strip_suffix(unit).map(str::trim);
        let budget = if let Some(steps) = number("steps") {
            steps.parse().ok().filter(|&steps| steps > 0).map(Self::Steps)
        } else if let Some(minutes) = number("min") {
            let minutes = minutes.parse().ok();
            minutes.filter(|minutes| (1e-3..=1e6).contains(minutes)).map(Self::Minutes)
        } else {
            None
        };
        budget.ok_or_else(|| "expected steps or minutes, such as 2000steps or 5min".to_owned())
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Steps(steps) => write!(f, "{steps}steps"),
            Self::Minutes(minutes) => write!(f, "{minutes}min"),
        }
    }
}

impl Budget {
    /// As `train` takes it.
    pub fn options(&self) -> [String; 2] {
        match self {
            Self::Steps(steps) => ["--steps".to_owned(), steps.to_string()],
            Self::Minutes(minutes) => ["--minutes".to_owned(), minutes.to_string()],
        }
    }

    /// As a heading.
    pub fn title(&self) -> String {
        match self {
            Self::Steps(steps) => format!("{steps} steps each"),
            Self::Minutes(minutes) => format!("{minutes} minutes each"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_have_units() {
        for (text, budget) in [
            ("2000steps", Budget::Steps(2000)),
            ("5min", Budget::Minutes(5.0)),
            ("0.5 min", Budget::Minutes(0.5)),
        ] {
            assert_eq!(text.parse(), Ok(budget));
        }
        assert_eq!(Budget::Minutes(0.5).to_string(), "0.5min");
        for wrong in ["", "5", "0steps", "-1min", "steps", "5 hours", "infmin"] {
            assert!(wrong.parse::<Budget>().is_err(), "{wrong}");
        }
    }
}
