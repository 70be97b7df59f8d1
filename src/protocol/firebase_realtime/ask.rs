//! The ways that are single requests: REST, and the start of long polling.

use std::sync::{Arc, Mutex};

use http::{HeaderName, Method, header};
use url::Url;

use super::{
    REDIRECTS, Ways, script,
    talk::{lock, own_path, stamped},
    words::{Said, breach},
};
use crate::{
    model::{Failure, Kind, Phase},
    protocol::{
        Attempt,
        delivery::{Heard, Ledger, Moment},
        firebase::{self, Token, ours},
        http::Order,
    },
};

impl Ways {
    /// A request for what is at a path.
    pub(super) fn order(
        &self,
        method: Method,
        path: &str,
        token: Option<&Token>,
        parameters: &[(&str, &str)],
        body: String,
    ) -> Result<Order, Failure> {
        self.order_accepting(method, path, token, parameters, body, None)
    }

    /// The same, where not just any answer is wanted.
    pub(super) fn order_accepting(
        &self,
        method: Method,
        path: &str,
        token: Option<&Token>,
        parameters: &[(&str, &str)],
        body: String,
        accept: Option<&str>,
    ) -> Result<Order, Failure> {
        let mut url = self.base.clone();
        url.set_path(&format!("{path}.json"));
        let mut headers: Vec<(HeaderName, String)> = Vec::new();
        {
            let mut query = url.query_pairs_mut();
            query.extend_pairs(parameters);
            if self.names_it {
                query.append_pair("ns", &self.namespace);
            }
            match token {
                Some(token) if token.is_oauth => {
                    headers.push((header::AUTHORIZATION, format!("Bearer {}", token.text.reveal())));
                }
                Some(token) => {
                    query.append_pair("auth", token.text.reveal());
                }
                None => {}
            }
        }
        if url.query() == Some("") {
            url.set_query(None);
        }
        headers.extend(accept.map(|accept| (header::ACCEPT, accept.to_owned())));
        if !body.is_empty() {
            headers.push((header::CONTENT_TYPE, "application/json".to_owned()));
        }
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.clone(), value.as_str())).collect();
        self.caller.order(method, url, &headers, body).map_err(ours)
    }
}

/// Reads; or writes, reads what was written, and removes it.
pub(super) async fn rest(
    ways: &Ways,
    attempt: &mut Attempt,
    ledger: Option<Arc<Mutex<Ledger>>>,
) -> Result<(), Failure> {
    let token = ways.token(attempt).await?;
    let token = token.as_ref();
    let Some(ledger) = ledger else {
        // With `shallow` even a large database answers shortly.
        let order = ways.order(Method::GET, ways.read_path(), token, &[("shallow", "true")], String::new())?;
        let answer = ways.caller.ask(attempt, &order).await?;
        let judged = if token.is_some() { firebase::judge(&answer).map(drop) } else { firebase::is_alive(&answer) };
        return judged.inspect_err(|failure| ways.refused(failure));
    };
    let path = own_path(ways, attempt);
    let letter = lock(&ledger).write(Moment::now());
    let body = stamped(&letter.text).to_string();
    let done = write_and_read(ways, attempt, token, &path, body, &ledger, letter.number).await;
    if done.as_ref().is_err_and(|failure| failure.kind != Kind::NotDelivered) {
        lock(&ledger).unsent(letter.number);
    }
    attempt.facts.arrivals = lock(&ledger).take(Moment::now());
    done.inspect_err(|failure| ways.refused(failure))
}

async fn write_and_read(
    ways: &Ways,
    attempt: &mut Attempt,
    token: Option<&Token>,
    path: &str,
    body: String,
    ledger: &Mutex<Ledger>,
    number: u64,
) -> Result<(), Failure> {
    let write = ways.order(Method::PUT, path, token, &[], body)?;
    let (mut line, answer) = ways.caller.ask_and_keep(attempt, &write).await?;
    firebase::judge(&answer)?;
    let read = ways.order(Method::GET, path, token, &[], String::new())?;
    let answer = ways.caller.again(attempt, &mut line, &read).await?;
    let value = firebase::judge(&answer)?;
    let heard = lock(ledger).hear(value.to_string().as_bytes(), Moment::now());
    let remove = ways.order(Method::DELETE, path, token, &[("print", "silent")], String::new())?;
    // Left over it would do no harm: the next message takes its place.
    let _ = ways.caller.again(attempt, &mut line, &remove).await;
    if heard == Heard::Own(number) {
        return Ok(());
    }
    let detail = "the write was confirmed, and what was read then is something else";
    Err(Failure::new(Phase::Transfer, Kind::NotDelivered, detail))
}

/// Starts a connection by long polling, up to the hello.
pub(super) async fn start(ways: &Ways, attempt: &mut Attempt) -> Result<(), Failure> {
    let mut host: Option<String> = None;
    for _ in 0..=REDIRECTS {
        let order = ways.caller.order(Method::GET, start_url(ways, host.as_deref())?, &[], "").map_err(ours)?;
        let answer = ways.caller.ask(attempt, &order).await?;
        firebase::is_success(&answer)?;
        if answer.body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'<') {
            let detail = "a page instead of the script: somebody between may answer";
            return Err(Failure::new(Phase::Transfer, Kind::BodyUnexpected, detail));
        }
        let in_transfer = |failure: Failure| Failure { phase: Phase::Transfer, ..failure };
        let script = String::from_utf8_lossy(&answer.body);
        let said = script::read(&script).map_err(in_transfer)?;
        let first = said.into_iter().find(|said| !matches!(said, Said::Other));
        match first {
            Some(Said::Hello) => return Ok(()),
            Some(Said::Reset(other)) => host = Some(other),
            Some(Said::Shutdown) => {
                let detail = "the server shuts down, and clients do not come back";
                return Err(Failure::new(Phase::Transfer, Kind::NotServing, detail));
            }
            _ => return Err(in_transfer(breach("a start without a hello"))),
        }
    }
    let detail = format!("sent on to another host more than {REDIRECTS} times");
    Err(Failure::new(Phase::Transfer, Kind::RedirectLimit, detail))
}

fn start_url(ways: &Ways, host: Option<&str>) -> Result<Url, Failure> {
    let mut url = ways.elsewhere(host)?;
    url.set_path("/.lp");
    // What a browser must not take from its cache has a number that is new each time.
    let serial = chrono::Utc::now().timestamp_subsec_nanos().to_string();
    url.query_pairs_mut().extend_pairs([("start", "t"), ("ser", &serial), ("cb", "1"), ("v", "5")]);
    if ways.names_it || host.is_some() {
        url.query_pairs_mut().append_pair("ns", &ways.namespace);
    }
    Ok(url)
}
