//! One fetch of a token: by secret alone, or with a refresh token that is replaced with each use and must not be lost.

use std::{path::PathBuf, time::Duration};

use super::{
    file::{OAuth2File, RefreshToken, hash},
    keeper::{Keeper, Slot},
    state::{State, Taken},
};
use crate::{
    model::{Failure, Kind, Phase, PhaseTimes, Secret},
    protocol::{Attempt, Facts, Gauge},
};

/// What a fetch came to, and what was learned on the way.
pub(super) struct Fetched {
    pub(super) token: Result<Secret, Failure>,
    pub(super) facts: Facts,
    pub(super) phases: PhaseTimes,
    pub(super) gauges: Vec<Gauge>,
}

impl Fetched {
    pub(super) fn of(token: Result<Secret, Failure>, mut attempt: Attempt) -> Self {
        attempt.leave();
        attempt.let_go();
        Self { token, phases: *attempt.phases(), facts: attempt.facts, gauges: attempt.gauges }
    }

    pub(super) fn failed(failure: Failure) -> Self {
        Self { token: Err(failure), facts: Facts::default(), phases: PhaseTimes::default(), gauges: Vec::new() }
    }
}

impl Keeper {
    /// Gets a token and holds it. `fresh`: also when another process has left one that is good.
    pub(super) async fn renew(&self, slot: &Slot, attempt: &mut Attempt, fresh: bool) -> Result<Secret, Failure> {
        match &self.file {
            OAuth2File::ClientCredentials(_) => {
                let granted = self.ask(attempt, None).await?;
                slot.hold(&granted.access, granted.lasts);
                Ok(granted.access)
            }
            OAuth2File::RefreshToken(grant) => self.refresh(grant, slot, attempt, fresh).await,
        }
    }

    async fn refresh(
        &self,
        grant: &RefreshToken,
        slot: &Slot,
        attempt: &mut Attempt,
        fresh: bool,
    ) -> Result<Secret, Failure> {
        let (path, seed) = (self.state_file(grant, attempt), grant.refresh_token.clone());
        let shown = path.display().to_string();
        let cannot = |what: &str, why: String| {
            let detail = format!("cannot {what} the refresh token in {shown}: {why}");
            Failure::new(Phase::Request, Kind::Internal, detail)
        };
        let taking = tokio::task::spawn_blocking(move || {
            let taken = Taken::take(&path)?;
            let state = taken.read(&seed)?;
            Ok::<_, std::io::Error>((taken, state))
        });
        let (taken, state) = match taking.await {
            Ok(Ok((taken, state))) => (Some(taken), state),
            // Read-only, say: what is kept in memory is better than nothing, as long as nobody else writes there.
            Ok(Err(error)) if error.kind() != std::io::ErrorKind::ResourceBusy => {
                tracing::error!("{}", cannot("keep", error.to_string()).detail);
                (None, None)
            }
            Ok(Err(error)) => return Err(cannot("use", error.to_string())),
            Err(error) => return Err(cannot("use", error.to_string())),
        };
        if let Some(state) = state.as_ref().filter(|_| !fresh) {
            let (access, ends) = state.access();
            let left = (ends - chrono::Utc::now()).to_std().unwrap_or_default();
            if left > Duration::from_secs(60) {
                slot.hold(&access, left);
                return Ok(access);
            }
        }
        let present = slot.unwritten().or_else(|| state.as_ref().map(State::refresh));
        let present = present.unwrap_or_else(|| grant.refresh_token.clone());
        let granted = self.ask(attempt, Some(&present)).await?;
        slot.hold(&granted.access, granted.lasts);
        let next = granted.refresh.unwrap_or(present);
        let ends = chrono::TimeDelta::from_std(granted.lasts)
            .ok()
            .and_then(|lasts| chrono::Utc::now().checked_add_signed(lasts));
        let state = State::of(&grant.refresh_token, &next, &granted.access, ends.unwrap_or_default());
        let written = match taken {
            None => Err("there is no place for it".to_owned()),
            Some(taken) => {
                let writing = tokio::task::spawn_blocking(move || taken.write(&state)).await;
                writing.map_err(|error| error.to_string()).and_then(|done| done.map_err(|error| error.to_string()))
            }
        };
        slot.note_unwritten(written.is_err().then_some(next));
        written.map_err(|why| cannot("keep", why))?;
        Ok(granted.access)
    }

    /// Each vantage point has its own, also where several live in one process.
    fn state_file(&self, grant: &RefreshToken, attempt: &Attempt) -> PathBuf {
        grant.state_file.clone().unwrap_or_else(|| {
            let whose = (&grant.token_url, &grant.client_id, &grant.scope, &attempt.vantage);
            let name: String = hash(&format!("{whose:?}")).chars().take(16).collect();
            attempt.net.kept.folder().join(format!("usoryou-token-{name}.json"))
        })
    }
}
