//! What a region that judged by itself hands to the hub when it is back: its incidents, and who was told of them where.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Incident, Letter};

/// The incidents of a region that judged by itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Handover {
    /// The incidents, those that are over among them.
    #[serde(default)]
    pub incidents: Vec<Incident>,
    /// What people were told of them.
    #[serde(default)]
    pub told: Vec<ToldAlone>,
}

/// What one channel was told of one incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToldAlone {
    /// Name of the channel.
    pub channel: Arc<str>,
    /// Id of the incident.
    pub incident: Arc<str>,
    /// The letter that it took last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub letter: Option<Letter>,
    /// Key of the letter that its message shows, and where that message is, in the channel's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<(String, String)>,
}
