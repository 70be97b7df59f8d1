//! `usoryou silence`: mutes something for a while, by asking a hub to. Knows the hub's API and nothing behind it.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use clap::Subcommand;

use super::{Common, Exit, Stopped, asking};
use crate::{
    model::{Cause, Silence},
    protocol::Span,
};

/// A hub that has not answered by then is not there.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// No answer of a hub's to this is larger.
const LARGEST: usize = 4 << 20;

/// Arguments of `usoryou silence`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Address of the hub
    #[arg(long, value_name = "URL", global = true, env = "USORYOU_HUB", default_value = "http://127.0.0.1:9797")]
    hub: url::Url,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Tell nobody of a party's incidents for a while
    Add(Add),
    /// Show the silences that are in force
    List {
        /// Those that have ended lately, too
        #[arg(long)]
        all: bool,
    },
    /// End a silence now
    Remove {
        /// Its id, as `list` shows it
        id: String,
    },
}

#[derive(Debug, clap::Args)]
struct Add {
    /// What to silence: a party by its key or its name, or one product of it
    #[arg(value_name = "PARTY[/PRODUCT]")]
    subject: String,
    /// For how long
    #[arg(long = "for", value_name = "DURATION")]
    lasts: Span,
    /// Why: it is shown wherever something is muted by it
    #[arg(long)]
    why: String,
    /// Who wants it
    #[arg(long, value_name = "NAME", env = "USER")]
    by: String,
    /// Only while this is the cause: us, them, path, probe or unknown
    #[arg(long, value_parser = cause)]
    cause: Option<Cause>,
    /// Only what is about this region alone
    #[arg(long)]
    region: Option<String>,
}

fn cause(word: &str) -> Result<Cause, String> {
    let known = || Cause::ALL.into_iter().filter(|cause| *cause != Cause::Ok);
    known().find(|cause| cause.word() == word).ok_or_else(|| {
        let words: Vec<&str> = known().map(Cause::word).collect();
        format!("expected one of {}", words.join(", "))
    })
}

/// Runs the command.
///
/// # Errors
/// When the hub refuses (a mistake of the user's) or does not answer.
pub(super) fn run(_: &Common, args: &Args) -> Result<Exit, Stopped> {
    super::runtime()?.block_on(ask(args))
}

async fn ask(args: &Args) -> Result<Exit, Stopped> {
    let http = asking::client(&args.hub, ANSWER_WITHIN).map_err(Stopped::Unknown)?;
    let silences = format!("{}/api/v1/silences", args.hub.as_str().trim_end_matches('/'));
    let hub = asking::without_credentials(&args.hub);
    let hub = hub.trim_end_matches('/');
    let mut out = io::stdout();
    match &args.what {
        What::Add(add) => {
            let (party, product) = match add.subject.split_once('/') {
                Some((party, product)) => (party, Some(product)),
                None => (&*add.subject, None),
            };
            let lasts = format!("{}ms", add.lasts.0.as_millis());
            let wish = serde_json::json!({
                "party": party, "product": product, "cause": add.cause, "region": add.region, "by": add.by,
                "why": add.why, "for": lasts,
            });
            let added: Silence = answer(http.post(silences).json(&wish), hub).await?;
            writeln!(out, "{}", line(&added))?;
        }
        What::List { all } => {
            let known: Vec<Silence> = answer(http.get(format!("{silences}?all={all}")), hub).await?;
            if known.is_empty() {
                writeln!(out, "nothing is silenced")?;
            }
            for silence in &known {
                writeln!(out, "{}", line(silence))?;
            }
        }
        What::Remove { id } => {
            let is_id = !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
            if !is_id {
                return Err(Stopped::Usage(
                    "a silence has an id such as s-1; `usoryou silence list` shows them".to_owned(),
                ));
            }
            let ended: Silence = answer(http.delete(format!("{silences}/{id}")), hub).await?;
            writeln!(out, "ended: {}", line(&ended))?;
        }
    }
    Ok(Exit::Good)
}

/// `s-1  firebase realtime-database, from eu-west, until 2026-11-22 12:30:00 UTC, by anna: the provider knows`.
fn line(silence: &Silence) -> String {
    let mut what = vec![silence.party.to_string()];
    what.extend(silence.product.iter().map(ToString::to_string));
    let mut said = vec![what.join(" ")];
    said.extend(silence.cause.map(|cause| format!("only {cause}")));
    said.extend(silence.region.as_ref().map(|region| format!("only from {region}")));
    said.push(format!("until {}", silence.until.format("%Y-%m-%d %H:%M:%S UTC")));
    said.push(format!("by {}", silence.by));
    format!("{}  {}: {}", silence.id, said.join(", "), silence.why)
}

async fn answer<T: serde::de::DeserializeOwned>(request: reqwest::RequestBuilder, hub: &str) -> Result<T, Stopped> {
    let unreachable = |error: reqwest::Error| {
        let why = if error.is_timeout() { "it does not answer".to_owned() } else { innermost(&error) };
        Stopped::Unknown(format!("cannot reach the hub at {hub}: {why}; --hub says where it is"))
    };
    let mut answer = request.timeout(ANSWER_WITHIN).send().await.map_err(unreachable)?;
    let status = answer.status();
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > LARGEST {
            return Err(Stopped::Unknown(format!("what answers at {hub} is no hub: its answer is too large")));
        }
        body.extend_from_slice(&chunk);
    }
    if status.is_success() {
        return serde_json::from_slice(&body).map_err(|_| Stopped::Unknown(format!("what answers at {hub} is no hub")));
    }
    let said: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
    match said.as_ref().and_then(|said| said.get("error")?.as_str()) {
        Some(why) if status.is_client_error() => Err(Stopped::Usage(why.to_owned())),
        Some(why) => Err(Stopped::Unknown(why.to_owned())),
        None => Err(Stopped::Unknown(format!("what answers at {hub} is no hub: status {}", status.as_u16()))),
    }
}

fn innermost(error: &reqwest::Error) -> String {
    let mut words = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        words = cause.to_string();
        source = cause.source();
    }
    words
}
