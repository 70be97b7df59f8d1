//! The `oauth2` check: a token endpoint as a target of its own. The tokens that it gets are those that other checks work
//! with, so that an endpoint that is down is one fault, however many stand on it.

mod answer;
mod fetch;
mod file;
mod keeper;
mod state;

use std::{sync::Arc, time::Duration};

pub use file::{ClientAuth, ClientCredentials, OAuth2File, RefreshToken};

pub(in crate::protocol) use keeper::Keeper;

use super::{Attempt, Check, CheckFile, Looking, Need, Overrides, Problem, Protocol};
use crate::{model::Failure, net::Net};

/// The product that a token endpoint is, where nobody says otherwise.
const PRODUCT: &str = "token";

/// The check.
pub struct OAuth2 {
    keeper: Arc<Keeper>,
}

impl Check for OAuth2 {
    fn key(&self) -> &'static str {
        Self::KEY
    }

    fn target(&self) -> String {
        self.keeper.shown().to_owned()
    }

    fn look<'a>(&'a self, attempt: &'a mut Attempt) -> Looking<'a> {
        Box::pin(self.run(attempt))
    }

    fn may_be_asked_again(&self) -> bool {
        false
    }

    fn is_needed(&self) -> Option<Need> {
        Some(need(&self.keeper))
    }
}

impl OAuth2 {
    async fn run(&self, attempt: &mut Attempt) -> Result<(), Failure> {
        let fetched = self.keeper.fetch_for(attempt, true).await;
        attempt.back_to(fetched.phases);
        attempt.facts = fetched.facts;
        attempt.gauges = fetched.gauges;
        fetched.token.map(drop)
    }
}

/// What whoever uses these tokens stands on.
pub(in crate::protocol) fn need(keeper: &Arc<Keeper>) -> Need {
    let file = &keeper.file;
    // Each look with a refresh token uses it up.
    let interval = match file {
        OAuth2File::ClientCredentials(_) => Duration::from_mins(1),
        OAuth2File::RefreshToken(_) => Duration::from_mins(5),
    };
    let keeper = Arc::clone(keeper);
    Need {
        key: file.key(),
        product: PRODUCT,
        interval,
        file: CheckFile::oauth2(Box::new(file.clone())),
        watched_by: Arc::new(move |probe| keeper.watched_by(probe)),
    }
}

impl Protocol for OAuth2 {
    const KEY: &'static str = "oauth2";
    const SCHEMES: &'static [&'static str] = &[];
    type File = OAuth2File;

    fn build(file: &Self::File, net: &Arc<Net>) -> Result<Self, Problem> {
        Ok(Self { keeper: Keeper::of(file, net)? })
    }

    fn from_url(_: &url::Url) -> Result<Self::File, String> {
        Err("a token endpoint needs a credential: write a probe with an `oauth2` check".to_owned())
    }

    fn retarget(file: &Self::File, target: &str) -> Result<Self::File, String> {
        let mut file = file.clone();
        *file.token_url_mut() = target.parse().map_err(|error| format!("`{target}` is not a URL: {error}"))?;
        Ok(file)
    }

    fn apply(file: &mut Self::File, overrides: &Overrides) {
        let (ip, tls) = file.reach_mut();
        overrides.change_way(ip, tls);
    }
}

/// Takes bytes for an answer, granted and refused.
#[cfg(any(test, fuzzing))]
pub(super) fn parse(bytes: &[u8]) {
    for status in [200, 400] {
        let _ = answer::read(status, bytes, true);
    }
}
