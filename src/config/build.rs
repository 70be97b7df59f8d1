//! A file that keeps the rules to a [`Plan`]: defaults are filled in, checks and windows prepared. What cannot be
//! prepared is one more mistake at its place.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::digest;

use super::{
    Alerts, Keep, Maintenance, Party, Plan, Probe, VantageOverrides,
    at::At,
    confirm,
    fault::{Fault, did_you_mean},
    feeds,
    file::{File, MaintenanceFile, ProbeFile},
    hubs,
    rules::{self, is_name},
    tree::{Content, Id, Tree},
};
use crate::{
    model::{Subject, Vantage},
    net::Net,
    notify::{Habits, Hears},
    protocol::Problem,
};

const LONGEST_WINDOW: Duration = Duration::from_secs(31 * 86_400);

/// What a plan is made with.
pub(super) struct Workshop<'a> {
    pub(super) tree: &'a Tree,
    pub(super) file: &'a File,
    pub(super) net: &'a Arc<Net>,
    pub(super) vantage: &'a VantageOverrides,
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
    /// What is known to be wrong already.
    pub(super) known: &'a [Fault],
    pub(super) faults: Vec<Fault>,
}

impl Workshop<'_> {
    /// Prepares everything, noting what cannot be. The plan is whole only when no mistake was noted anywhere.
    pub(super) fn plan(&mut self) -> Plan {
        let file = self.file;
        let parties = file.parties.iter().flatten().filter_map(|(key, party)| {
            let feeds = feeds::feeds(file, key, &party.value);
            let key: Arc<str> = key.as_str().into();
            let name = party.value.name.as_ref().map_or_else(|| Arc::clone(&key), |name| name.value.as_str().into());
            let depends_on = party.value.depends_on.iter().map(|other| other.value.as_str().into()).collect();
            Some((key, Party { kind: party.value.kind?, name, depends_on, feeds }))
        });
        let mut probes: Vec<Arc<Probe>> =
            file.probes.iter().flatten().filter_map(|probe| self.probe(probe).map(Arc::new)).collect();
        self.see_to_needs(&mut probes);
        let (hash, vantage) = (self.hash(), self.vantage());
        Plan {
            hubs: hubs::hubs(file, &vantage, &hash),
            hash,
            vantage,
            hosted_on: file.vantage.hosted_on.as_ref().map(|cloud| cloud.value.as_str().into()),
            parties: parties.collect(),
            clients: feeds::clients(file, &probes),
            probes,
            alerts: self.alerts(),
            maintenance: file.maintenance.iter().filter_map(|window| self.window(window)).collect(),
            keep: Keep {
                age: file.store.max_age.as_ref().map_or(Duration::from_secs(30 * 86_400), |age| age.value.0),
                bytes: file.store.max_size.as_ref().map(|size| size.value.0),
            },
            concurrency: file.concurrency.as_ref().map_or(512, |count| count.value as usize),
            agents: hubs::agents(file),
            store: hubs::store(file),
            slack_signing_secret: hubs::slack_signing_secret(file),
        }
    }

    fn vantage(&self) -> Vantage {
        let said = |flag: &Option<String>, key: &Option<At<String>>| {
            let flag = flag.clone().filter(|name| !name.is_empty());
            flag.or_else(|| key.as_ref().map(|key| key.value.clone()).filter(|name| !name.is_empty()))
        };
        let region = said(&self.vantage.region, &self.file.vantage.region).unwrap_or_else(|| "local".to_owned());
        let node = said(&self.vantage.node, &self.file.vantage.node).unwrap_or_else(|| host_name(self.env));
        Vantage { region: region.into(), node: node.into() }
    }

    fn probe(&mut self, probe: &At<ProbeFile>) -> Option<Probe> {
        let ProbeFile { name, party, product, check, .. } = &probe.value;
        let check = check.as_ref()?;
        let built = match check.value.build(self.net) {
            Ok(built) => built,
            Err(problem) => {
                let inside = self.tree.descend(check.id, [check.value.key()]);
                // What is missing from the shape may be there, and wrong.
                let about = self.tree.descend(inside, problem.path.iter().map(String::as_str));
                let span = self.tree.node(about).span.clone();
                let is_inside = |fault: &Fault| fault.at.as_ref().is_some_and(|at| span.contains(&at.start));
                if !self.known.iter().any(is_inside) {
                    self.problem(inside, &problem);
                }
                return None;
            }
        };
        let (interval, timeout) = rules::times(self.file, &probe.value);
        let party: Arc<str> = party.as_ref()?.value.as_str().into();
        let kind = self.file.parties.as_ref()?.get(&*party)?.value.kind?;
        let confirm = confirm::confirm(self.file, &probe.value);
        let session = probe.value.session.as_ref().map(|session| session.value.hold());
        if let (Some(written), None) = (&probe.value.session, built.hold()) {
            let message = format!("`{}` has no connection that could be held", check.value.key());
            let place = self.tree.node(written.id).key_span.clone().unwrap_or_else(|| self.tree.place(written.id));
            self.faults.push(Fault::error(place, message).help("leave `session` out"));
        }
        let mut resolved = format!("{kind:?} {interval:?} {timeout:?} {confirm:?} {session:?} ");
        self.spell(probe.id, &mut resolved);
        Some(Probe {
            name: name.as_ref()?.value.as_str().into(),
            subject: Subject { party, product: product.as_ref().map(|product| product.value.as_str().into()) },
            kind,
            interval,
            timeout,
            confirm,
            session,
            check: built,
            file: check.value.clone(),
            vantages: rules::vantages(self.file, &probe.value),
            fingerprint: hash(resolved.as_bytes()),
        })
    }

    /// Everything below a value, variables filled in, so that two that mean the same are spelled the same.
    fn spell(&self, id: Id, into: &mut String) {
        match &self.tree.node(id).content {
            Content::Scalar(scalar) => into.push_str(&format!("{:?}", scalar.text)),
            Content::List(items) => {
                into.push('[');
                for &item in items {
                    self.spell(item, into);
                    into.push(',');
                }
                into.push(']');
            }
            Content::Map(entries) => {
                let mut entries: Vec<_> = entries.iter().collect();
                entries.sort_unstable_by(|a, b| a.key.cmp(&b.key));
                into.push('{');
                for entry in entries {
                    into.push_str(&format!("{:?}:", entry.key));
                    self.spell(entry.value, into);
                    into.push(',');
                }
                into.push('}');
            }
        }
    }

    fn alerts(&mut self) -> Alerts {
        let alerts = &self.file.alerts;
        for channel in alerts.channels.values() {
            self.review(channel);
        }
        let words = |words: &super::at::Several<String>| words.values(|word| Arc::from(word.as_str()));
        let route = |route: &super::file::RouteFile| {
            let mut to = words(route.to.as_ref()?).into_iter();
            let severities = route.severity.values(|severity| *severity);
            Some(Hears {
                channel: to.next()?,
                fallbacks: to.collect(),
                parties: words(&route.party),
                products: words(&route.product),
                causes: route.cause.values(|cause| *cause),
                severities: if severities.is_empty() { Hears::SEVERITIES.to_vec() } else { severities },
            })
        };
        Alerts {
            open_after: alerts.open_after.as_ref().map_or(3, |count| count.value),
            close_after: alerts.close_after.as_ref().map_or(5, |count| count.value),
            channels: alerts.channels.iter().map(|(key, file)| (key.as_str().into(), file.value.clone())).collect(),
            routes: alerts.routes.iter().filter_map(route).collect(),
            habits: Habits {
                remind_every: alerts.remind_every.as_ref().map(|every| every.value.0),
                digest_from: alerts.digest_from.as_ref().map_or(Habits::default().digest_from, |n| n.value as usize),
            },
        }
    }

    pub(super) fn problem(&mut self, inside: Id, problem: &Problem) {
        let id = self.tree.descend(inside, problem.path.iter().map(String::as_str));
        let message = self.without_fillings(inside, problem.message.clone());
        let help = problem.help.clone().map(|help| self.without_fillings(inside, help));
        self.faults.push(Fault::error(self.tree.place(id), message).maybe_help(help));
    }

    /// A message without what was filled in for variables and files: it shows what stands in the file instead.
    fn without_fillings(&self, id: Id, message: String) -> String {
        match &self.tree.node(id).content {
            Content::Scalar(scalar) => match &scalar.written {
                Some(written) if !scalar.text.is_empty() => message.replace(&*scalar.text, written),
                _ => message,
            },
            Content::List(items) => items.iter().fold(message, |message, &item| self.without_fillings(item, message)),
            Content::Map(entries) => {
                entries.iter().fold(message, |message, entry| self.without_fillings(entry.value, message))
            }
        }
    }

    fn window(&mut self, window: &MaintenanceFile) -> Option<Maintenance> {
        let cron = window.cron.as_ref().and_then(|cron| self.cron(cron));
        let time_zone = match &window.time_zone {
            None => Some(chrono_tz::UTC),
            Some(zone) => self.time_zone(zone),
        };
        if let Some(duration) = &window.duration
            && (duration.value.0.is_zero() || duration.value.0 > LONGEST_WINDOW)
        {
            self.faults.push(Fault::error(
                self.tree.place(duration.id),
                "a window lasts longer than nothing, and at most 31d",
            ));
        }
        Some(Maintenance {
            party: window.party.as_ref()?.value.as_str().into(),
            cron: cron?,
            duration: window.duration.as_ref()?.value.0,
            time_zone: time_zone?,
            note: window.note.as_deref().unwrap_or_default().into(),
        })
    }

    /// What decides how things are looked at. Whom it is told to, and by which hub, is another matter: a region whose way to
    /// the hub is its own looks as the others do.
    fn hash(&self) -> Arc<str> {
        let of_it =
            |key: &&str| self.tree.get(self.tree.root, key).map(|id| format!("{key}:{}", self.tree.as_written(id)));
        let written: Vec<String> = ["defaults", "parties", "probes"].iter().filter_map(of_it).collect();
        hash(written.join(",").as_bytes())
    }

    fn cron(&mut self, written: &At<String>) -> Option<croner::Cron> {
        let example = "five fields: minute, hour, day of month, month, day of week, such as \"0 3 * * SUN\"";
        let reason = match written.value.parse::<croner::Cron>() {
            // A window that never comes would be searched for again and again.
            Ok(cron) => match cron.find_next_occurrence(&chrono::Utc::now(), false) {
                Ok(_) => return Some(cron),
                Err(_) => "this never happens".to_owned(),
            },
            Err(_) => {
                format!(
                    "{} is not a cron expression",
                    super::wrong::shortened(self.tree.shown(written.id, &written.value))
                )
            }
        };
        self.faults.push(Fault::error(self.tree.place(written.id), reason).help(example));
        None
    }

    fn time_zone(&mut self, written: &At<String>) -> Option<chrono_tz::Tz> {
        if let Ok(zone) = written.value.parse() {
            return Some(zone);
        }
        let names = || chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
        let help = did_you_mean(&written.value, names())
            .unwrap_or_else(|| "a name of the time zone database, such as UTC or Europe/Berlin".to_owned());
        let shown = self.tree.shown(written.id, &written.value);
        let message = format!("there is no time zone {}", super::wrong::shortened(shown));
        self.faults.push(Fault::error(self.tree.place(written.id), message).help(help));
        None
    }
}

pub(super) fn hash(bytes: &[u8]) -> Arc<str> {
    use std::fmt::Write as _;
    let mut text = "sha256:".to_owned();
    for byte in digest::digest(&digest::SHA256, bytes).as_ref() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.into()
}

/// The host's name, made fit for a label.
fn host_name(env: &dyn Fn(&str) -> Option<String>) -> String {
    let name = env("HOSTNAME").filter(|name| !name.is_empty());
    let name = name.or_else(|| std::fs::read_to_string("/etc/hostname").ok()).unwrap_or_default();
    let fit: String = name.trim().chars().map(|c| if is_name(&c.to_string()) { c } else { '-' }).take(64).collect();
    if fit.is_empty() { "localhost".to_owned() } else { fit }
}
