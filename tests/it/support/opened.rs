//! A session that is opened, asked and listened to the way its holder does, by hand.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use usoryou::{
    model::{Came, Vantage},
    net::Net,
    protocol::{Attempt, Check, End, Session},
};

use super::looking::{TIMEOUT, check};

/// An open session of a check.
pub struct Open {
    pub check: Arc<dyn Check>,
    pub session: Option<Box<dyn Session>>,
    pub net: Arc<Net>,
    pub vantage: Vantage,
    pub arrivals: Vec<(String, Came)>,
}

impl Open {
    pub async fn new(net: &Arc<Net>, file: Value, vantage: Vantage) -> Result<Self, String> {
        let mut open = Self { check: check(net, file), session: None, net: Arc::clone(net), vantage, arrivals: vec![] };
        open.again().await.map(|()| open)
    }

    /// Opens a session anew.
    pub async fn again(&mut self) -> Result<(), String> {
        self.session = None;
        let mut attempt = Attempt::begin(Arc::clone(&self.net), self.vantage.clone(), 0, TIMEOUT);
        let opening = self.check.hold().unwrap().open(&mut attempt);
        let opened = tokio::time::timeout(TIMEOUT, opening).await;
        let opened = opened.unwrap_or_else(|_| Err(attempt.timed_out())).map_err(|failure| failure.to_string())?;
        self.take(&attempt);
        self.session = Some(opened);
        Ok(())
    }

    pub async fn ping(&mut self) -> Result<Attempt, String> {
        let mut attempt = Attempt::begin(Arc::clone(&self.net), self.vantage.clone(), 0, TIMEOUT);
        let asked = tokio::time::timeout(TIMEOUT, self.session.as_mut().unwrap().ping(&mut attempt)).await;
        asked.unwrap_or_else(|_| Err(attempt.timed_out())).map_err(|failure| failure.to_string())?;
        self.take(&attempt);
        Ok(attempt)
    }

    fn take(&mut self, attempt: &Attempt) {
        let told = attempt.facts.arrivals.iter().map(|one| (one.writer_region.to_string(), one.came));
        self.arrivals.extend(told);
    }

    /// Listens for a while; what ended the session, if anything did.
    pub async fn listen(&mut self, span: Duration) -> Option<End> {
        tokio::time::timeout(span, self.session.as_mut().unwrap().ended()).await.ok()
    }
}
