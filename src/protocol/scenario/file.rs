//! The shape of a `scenario` in `probes.yaml`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    super::{Expect, HttpFile, OAuth2File, Span},
    save::SaveFile,
    template::UrlTemplate,
};

/// Requests one after another; what one answers can be used in the next.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScenarioFile {
    /// Where the token comes from that every step sends (as `Authorization: Bearer`, unless it says another).
    #[serde(default)]
    pub oauth2: Option<OAuth2File>,
    /// The steps, in order; the first that fails ends the run.
    pub steps: Vec<StepFile>,
}

/// One step.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepFile {
    /// Unique among the steps.
    pub name: String,
    /// The request, and what its answer must be. `${name}` in URL, headers and body stands for what an earlier step saved.
    pub http: HttpFile<UrlTemplate>,
    /// Name to what is saved of the answer.
    #[serde(default)]
    pub save: BTreeMap<String, SaveFile>,
    /// Ask again until something holds.
    #[serde(default)]
    pub wait_until: Option<WaitFile>,
}

/// Asking again until something holds.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitFile {
    /// What must come to hold. `http.expect` says what every answer must be until then.
    pub expect: Expect,
    /// From one request to the next (500ms).
    #[serde(default)]
    pub every: Option<Span>,
    /// How long it may take at most, from the step in `since` (until the probe's timeout).
    #[serde(default)]
    pub within: Option<Span>,
    /// The step whose effect this is: the time from its request to the effect is the figure (the step before).
    #[serde(default)]
    pub since: Option<String>,
}
