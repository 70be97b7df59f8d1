//! `hub:` of the file: the hubs that an agent reports to, and the agents that a hub takes reports of. Shape, rules and
//! what becomes of them.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::{
    at::{At, Several},
    fault::Fault,
    file::File,
    rules::{Facts, is_name},
    size::Size,
    wrong::shortened,
};
use crate::{
    model::{Secret, Vantage},
    protocol::Span,
    store::StoreError,
    uplink::{HubTls, Hubs},
};

/// Whatever is shorter could be guessed, and signs nothing.
const SIGNED_WITH: usize = 16;

/// Hubs to report to, and agents that may report to this one.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct HubFile {
    /// Addresses of the hubs. With one, `usoryou run` only measures and reports to them; without, it judges by itself.
    pub(super) urls: Option<At<Vec<String>>>,
    /// What the hubs know this agent by.
    pub(super) token: Option<At<Secret>>,
    /// How the hubs are known, and this agent by them, where they are reached over TLS.
    pub(super) tls: HubTlsFile,
    /// Where a hub keeps facts, incidents and unsent notifications (`sqlite:usoryou.db`); `--store` goes before it.
    pub(super) store: Option<At<Secret>>,
    /// What Slack signs its questions with (`/usoryou firebase`): the app's signing secret. Without it nobody asks from there.
    pub(super) slack_signing_secret: Option<At<Secret>>,
    /// What waits for the hubs.
    pub(super) spool: SpoolFile,
    /// When no hub has taken anything for so long, a region judges by itself and tells people (2m).
    pub(super) solo_after: Option<At<Span>>,
    /// Agents that may report to this hub.
    pub(super) agents: Vec<At<AgentFile>>,
}

/// How the hubs are known, and this agent by them.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct HubTlsFile {
    /// Authorities to trust besides the known ones, in PEM.
    pub(super) ca_file: Option<At<PathBuf>>,
    /// This agent's own certificate with its chain, in PEM.
    pub(super) client_cert_file: Option<At<PathBuf>>,
    /// The key of that certificate, in PEM.
    pub(super) client_key_file: Option<At<PathBuf>>,
}

/// What waits for the hubs: whichever limit is reached first, the oldest goes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SpoolFile {
    /// Folder (`usoryou-spool`).
    pub(super) path: Option<At<String>>,
    /// Oldest observation that waits (3d).
    pub(super) max_age: Option<At<Span>>,
    /// Size of the folder (500MB).
    pub(super) max_size: Option<At<Size>>,
}

/// An agent that may report to this hub.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AgentFile {
    /// Its name, unique.
    pub(super) name: Option<At<String>>,
    /// The one region that it may speak for.
    pub(super) region: Option<At<String>>,
    /// SHA-256 of its token, in hex; of two while the token is being changed.
    pub(super) token_sha256: Several<String>,
}

/// An agent that may report to this hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Its name.
    pub name: Arc<str>,
    /// The one region that it may speak for.
    pub region: Arc<str>,
    /// SHA-256 of each of its tokens.
    pub tokens: Vec<[u8; 32]>,
}

pub(super) fn hubs(file: &File, vantage: &Vantage, config: &Arc<str>) -> Option<Hubs> {
    let HubFile { urls, token, tls, spool, solo_after, .. } = &file.hub;
    let path = |path: &Option<At<PathBuf>>| path.as_ref().map(|path| path.value.clone());
    let urls: Vec<Url> = urls.as_ref()?.value.iter().filter_map(|url| url.parse().ok()).collect();
    let token = token.as_ref().map_or_else(|| Secret::new(""), |token| token.value.clone());
    (!urls.is_empty()).then(|| Hubs {
        urls,
        token,
        spool: PathBuf::from(spool.path.as_ref().map_or("usoryou-spool", |path| &path.value)),
        max_bytes: spool.max_size.as_ref().map_or(500_000_000, |size| size.value.0),
        max_age: spool.max_age.as_ref().map_or(Duration::from_hours(72), |age| age.value.0),
        solo_after: solo_after.as_ref().map_or(Duration::from_mins(2), |after| after.value.0),
        tls: HubTls {
            ca_file: path(&tls.ca_file),
            client_cert_file: path(&tls.client_cert_file),
            client_key_file: path(&tls.client_key_file),
        },
        vantage: vantage.clone(),
        config: Arc::clone(config),
    })
}

/// Where the store is, as far as the file says.
pub(super) fn store(file: &File) -> Option<Secret> {
    file.hub.store.as_ref().map(|store| store.value.clone()).filter(|store| !store.reveal().is_empty())
}

/// What Slack signs its questions with, as far as the file says.
pub(super) fn slack_signing_secret(file: &File) -> Option<Secret> {
    file.hub.slack_signing_secret.as_ref().map(|secret| secret.value.clone())
}

pub(super) fn questions_are_signed(facts: &Facts<'_>, faults: &mut Vec<Fault>) {
    let Some(secret) = &facts.file.hub.slack_signing_secret else { return };
    let text = secret.value.reveal();
    if text.len() < SIGNED_WITH || !text.chars().all(|c| c.is_ascii_graphic()) {
        faults.push(
            Fault::error(facts.tree.place(secret.id), "this is no signing secret of a Slack app")
                .help("it has 32 letters and digits, on the app's page under Basic Information"),
        );
    }
}

pub(super) fn stores_can_be_used(facts: &Facts<'_>, faults: &mut Vec<Fault>) {
    let Some(store) = facts.file.hub.store.as_ref().filter(|store| !store.value.reveal().is_empty()) else { return };
    if let Err(error) = crate::store::check(store.value.reveal()) {
        // What is wrong without the text: there may be a password in it.
        let why = match error {
            StoreError::Address { why, .. } => why,
            other => other.to_string(),
        };
        faults.push(
            Fault::error(facts.tree.place(store.id), format!("this is no address of a store: {why}"))
                .help("write sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE, best as `{ file: /path }`"),
        );
    }
}

pub(super) fn agents(file: &File) -> Vec<Agent> {
    let agent = |agent: &At<AgentFile>| {
        Some(Agent {
            name: agent.value.name.as_ref()?.value.as_str().into(),
            region: agent.value.region.as_ref()?.value.as_str().into(),
            tokens: agent.value.token_sha256.iter().filter_map(|token| digest(&token.value)).collect(),
        })
    };
    file.hub.agents.iter().filter_map(agent).collect()
}

pub(super) fn hubs_can_be_reached(facts: &Facts<'_>, faults: &mut Vec<Fault>) {
    let hub = &facts.file.hub;
    let urls = hub.urls.as_ref().filter(|urls| !urls.value.is_empty());
    for url in urls.iter().flat_map(|urls| &urls.value) {
        let well = url.parse::<Url>().is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.query().is_none()
                && url.password().is_none()
        });
        if let Some(urls) = urls.filter(|_| !well) {
            faults.push(
                Fault::error(facts.tree.place(urls.id), "an address of a hub is not one that can be reported to")
                    .help("write https://HOST, without credentials and query"),
            );
        }
    }
    let SpoolFile { max_age, max_size, .. } = &hub.spool;
    if let Some(age) = max_age.as_ref().filter(|age| age.value.0 < Duration::from_mins(1)) {
        faults.push(Fault::error(facts.tree.place(age.id), "the spool keeps what it has for at least 1m"));
    }
    if let Some(size) = max_size.as_ref().filter(|size| size.value.0 < 1000) {
        faults.push(Fault::error(facts.tree.place(size.id), "the spool has room for at least 1KB"));
    }
    if let Some(after) = hub.solo_after.as_ref().filter(|after| after.value.0 < Duration::from_secs(5)) {
        let fault = Fault::error(facts.tree.place(after.id), "`solo_after` is at least 5s");
        faults.push(fault.help("a hub that is started anew is gone for some seconds"));
    }
    let HubTlsFile { client_cert_file, client_key_file, .. } = &hub.tls;
    if let (Some(one), None) | (None, Some(one)) = (client_cert_file, client_key_file) {
        let fault = Fault::error(facts.tree.place(one.id), "a certificate and its key go together");
        faults.push(fault.help("write both `client_cert_file` and `client_key_file`"));
    }
    match (urls, &hub.token) {
        (Some(urls), None) => faults.push(
            Fault::error(facts.tree.place(urls.id), "the hubs would not know this agent: it has no `token`")
                .help("add `token`, best as `{ file: /path }`"),
        ),
        (None, Some(token)) => {
            let at = facts.tree.node(token.id).key_span.clone().unwrap_or_else(|| facts.tree.place(token.id));
            faults.push(Fault::warning(at, "`hub.token` has no effect without `hub.urls`"));
        }
        (Some(_), Some(token)) => {
            let token = token.value.reveal();
            if token.is_empty() || token.len() > 512 || !token.chars().all(|c| c.is_ascii_graphic()) {
                let at = facts.tree.node(hub.token.as_ref().map_or(facts.tree.root, |token| token.id)).span.clone();
                faults.push(
                    Fault::error(at, "this is no token")
                        .help("a token is 1 to 512 visible ASCII characters, no spaces"),
                );
            }
        }
        (None, None) => {}
    }
}

pub(super) fn agents_are_told_apart(facts: &Facts<'_>, faults: &mut Vec<Fault>) {
    let (mut names, mut tokens) = (BTreeSet::new(), BTreeSet::new());
    for agent in &facts.file.hub.agents {
        let AgentFile { name, region, token_sha256 } = &agent.value;
        for (key, value) in [("name", name), ("region", region)] {
            match value {
                None => faults.push(Fault::error(facts.tree.place(agent.id), format!("an agent needs a `{key}`"))),
                Some(value) if !is_name(&value.value) => faults.push(
                    Fault::error(
                        facts.tree.place(value.id),
                        format!("{} cannot be a name", shortened(facts.tree.shown(value.id, &value.value))),
                    )
                    .help("a name is 1 to 64 letters, digits, `.`, `_` or `-`"),
                ),
                Some(_) => {}
            }
        }
        if let Some(name) = name.as_ref().filter(|name| !names.insert(&name.value)) {
            faults.push(Fault::error(facts.tree.place(name.id), "an agent above has this name too"));
        }
        if token_sha256.iter().next().is_none() {
            faults.push(
                Fault::warning(facts.tree.place(agent.id), "this agent has no token: nothing is taken from it")
                    .help("add `token_sha256`: printf %s TOKEN | sha256sum"),
            );
        }
        for token in token_sha256.iter() {
            match digest(&token.value) {
                None => faults.push(
                    Fault::error(facts.tree.place(token.id), "this is no SHA-256 in hex: it has 64 digits")
                        .help("printf %s TOKEN | sha256sum"),
                ),
                Some(digest) if !tokens.insert(digest) => {
                    faults.push(Fault::error(facts.tree.place(token.id), "another token above is the same"));
                }
                Some(_) => {}
            }
        }
    }
}

fn digest(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if hex.len() != 64 || !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(bytes)
}
