//! A hub as a command asks it: one question, one answer, in bounded time and memory.

use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::Url;
use url::Host;

use super::Stopped;
use crate::net::Net;

/// Where a hub is.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Where {
    /// The hub to ask
    #[arg(long, value_name = "URL", env = "USORYOU_HUB", default_value = "http://127.0.0.1:9797")]
    pub(super) hub: String,
}

/// A hub that is there is reached sooner.
const CONNECTED_WITHIN: Duration = Duration::from_secs(10);
/// No answer of a hub takes longer: a report of a year does take minutes …
pub(super) const WITHIN: Duration = Duration::from_mins(6);
/// … and is not larger.
const LARGEST: usize = 64 << 20;

/// Whoever asks a hub. As with `curl`, `HTTPS_PROXY` and its like count, but not on the way to this very machine.
///
/// # Errors
/// When no certificate is trusted here, or a proxy has no address.
pub(super) fn client(hub: &Url, within: Duration) -> Result<reqwest::Client, String> {
    let net = Net::system(Vec::new())?;
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(net.trust.client_config()?)
        .user_agent(concat!("usoryou/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECTED_WITHIN)
        .timeout(within);
    let client = if is_here(hub) { client.no_proxy() } else { client };
    client.build().map_err(|error| error.without_url().to_string())
}

fn is_here(hub: &Url) -> bool {
    match hub.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Asks for a path under `/api/v1/` and gives the answer as it came.
///
/// # Errors
/// Why there is none: a mistake in the question is the user's, everything else cannot be told.
async fn ask(hub: &str, path: &str, question: &[(&str, String)], within: Duration) -> Result<Vec<u8>, Stopped> {
    let wrong = || Stopped::Usage(format!("`{hub}` is no address of a hub: write http://HOST:PORT"));
    let mut url = Url::parse(&format!("{}/api/v1/{path}", hub.trim_end_matches('/'))).map_err(|_| wrong())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(wrong());
    }
    if !question.is_empty() {
        url.query_pairs_mut().extend_pairs(question);
    }
    let shown = without_credentials(&url);
    let cannot = |why: String| Stopped::Unknown(format!("cannot ask the hub at {shown}: {why}"));
    let client = client(&url, within).map_err(&cannot)?;
    let answer = client.get(url).send().await.map_err(|error| cannot(reason(error)))?;
    let status = answer.status();
    let mut body = Vec::new();
    let mut pieces = answer.bytes_stream();
    while let Some(piece) = pieces.next().await {
        body.extend_from_slice(&piece.map_err(|error| cannot(reason(error)))?);
        if body.len() > LARGEST {
            return Err(cannot(format!("its answer is larger than {} MiB", LARGEST >> 20)));
        }
    }
    if status.is_success() {
        return Ok(body);
    }
    let told: Option<String> = serde_json::from_slice::<serde_json::Value>(&body)
        .ok()
        .and_then(|body| body.get("error").and_then(|error| error.as_str()).map(str::to_owned));
    Err(match told {
        Some(error) if status.as_u16() == 400 => Stopped::Usage(error),
        Some(error) => cannot(error),
        None => cannot(format!("it answers {status}")),
    })
}

/// The same, read as JSON.
pub(super) async fn ask_json<T: serde::de::DeserializeOwned>(
    hub: &str,
    path: &str,
    question: &[(&str, String)],
    within: Duration,
) -> Result<T, Stopped> {
    let body = ask(hub, path, question, within).await?;
    serde_json::from_slice(&body).map_err(|_| {
        let hub = Url::parse(hub).map_or_else(|_| hub.to_owned(), |hub| without_credentials(&hub));
        Stopped::Unknown(format!("cannot understand what the hub at {hub} answers: is it a hub?"))
    })
}

/// The innermost reason is what a person can act on.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut source: &dyn std::error::Error = &error;
    while let Some(inner) = source.source() {
        source = inner;
    }
    if error.is_timeout() { "it does not answer in time".to_owned() } else { source.to_string() }
}

/// Where a hub is, as it may be shown.
pub(super) fn without_credentials(url: &Url) -> String {
    url.host_str().map_or_else(String::new, |host| match url.port() {
        Some(port) => format!("{}://{host}:{port}", url.scheme()),
        None => format!("{}://{host}", url.scheme()),
    })
}
