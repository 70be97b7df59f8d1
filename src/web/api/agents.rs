//! `/api/v1/agents`: who reports to this hub and to those that share its store, whether it lives, what runs there, which release, and how
//! far its clock is off.

use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;

use super::Refused;
use crate::{
    hub::{self, AgentView},
    web::Site,
};

#[derive(Serialize)]
pub(super) struct Agents {
    agents: Vec<AgentView>,
    /// What some run otherwise than most, a sentence each.
    releases: Vec<String>,
}

pub(super) async fn show(State(site): State<Site>) -> Result<Json<Agents>, Refused> {
    let why = "this agent reports to a hub elsewhere: ask the hub, it knows them all";
    let fleet = site.given.fleet.as_ref().ok_or_else(|| Refused(StatusCode::NOT_FOUND, why.to_owned()))?;
    let agents = fleet.agents(chrono::Utc::now());
    let releases = hub::releases(&agents);
    Ok(Json(Agents { agents, releases }))
}
