//! What is asked for on the command line.

use std::path::PathBuf;

use super::kit::{case::Name, parameters::Parameters};

pub struct Arguments {
    pub parameters: Parameters,
    pub which: String,
    pub only: Vec<String>,
    pub regions: Vec<usize>,
    pub cases: usize,
    /// Quiet days for each fleet.
    pub days: f64,
    pub seed: u64,
    pub threads: usize,
    pub list: usize,
    pub explain: Option<Name>,
    pub write: Option<PathBuf>,
    pub baselines: bool,
}

/// Days of a quiet world: then comes another one.
pub const QUIET_DAYS: f64 = 5.0;

impl Arguments {
    pub fn read(words: impl Iterator<Item = String>) -> Result<Self, Box<dyn std::error::Error>> {
        let words: Vec<String> = words.filter(|word| word != "--bench").collect();
        let value = |name: &str| words.iter().position(|word| word == name).and_then(|at| words.get(at + 1));
        let flag = |name: &str| words.iter().any(|word| word == name);
        let number = |name: &str, default: f64| value(name).map_or(Ok(default), |text| text.parse::<f64>());
        let list = |name: &str| value(name).map(|text| text.split(',').map(str::to_owned).collect::<Vec<_>>());
        let quick = flag("--quick");
        let which = value("--parameters").map_or("report", String::as_str).to_owned();
        let text = match which.as_str() {
            "tune" => include_str!("tune.yaml"),
            "report" => include_str!("report.yaml"),
            other => return Err(format!("--parameters {other}: tune or report").into()),
        };
        let regions = list("--regions").unwrap_or_else(|| ["1", "2", "3", "5", "10"].map(str::to_owned).to_vec());
        Ok(Self {
            parameters: serde_saphyr::from_str(text)?,
            which,
            only: list("--only").unwrap_or_default(),
            regions: regions.iter().map(|text| text.parse()).collect::<Result<_, _>>()?,
            cases: number("--cases", if quick { 2.0 } else { 8.0 })? as usize,
            days: number("--days", if quick { QUIET_DAYS } else { 30.0 })?,
            seed: number("--seed", 0.0)? as u64,
            threads: (number("--threads", 2.0)? as usize).clamp(1, 2),
            list: number("--list", 30.0)? as usize,
            explain: value("--explain").map(|text| text.parse()).transpose()?,
            write: value("--write").map(PathBuf::from),
            baselines: !quick && !flag("--no-baselines"),
        })
    }

    /// Whether a kind of case is wanted.
    pub fn wants(&self, kind: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|wanted| wanted == kind)
    }

    /// Every case that is asked for.
    pub fn names(&self) -> Vec<Name> {
        let mut names = Vec::new();
        for regions in &self.regions {
            let name = |kind: &str, number| Name { kind: kind.to_owned(), regions: *regions, number };
            if self.wants(super::kit::case::QUIET) {
                names.extend(
                    (0..(self.days / QUIET_DAYS).ceil() as usize).map(|number| name(super::kit::case::QUIET, number)),
                );
            }
            for (kind, recipe) in &self.parameters.faults {
                if self.wants(kind) && (recipe.min_regions..=recipe.max_regions).contains(regions) {
                    names.extend((0..self.cases).map(|number| name(kind, number)));
                }
            }
        }
        names
    }
}
