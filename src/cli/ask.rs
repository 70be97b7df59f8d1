//! `usoryou ask`: whose fault it is, from the hub, in one sentence and what lies behind it.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    time::{Duration, Instant},
};

use serde_json::json;

use super::{
    Common, Exit, Stopped,
    asking::{self, Where},
    moment::Moment,
    paint::{Paint, Tint},
};
use crate::{
    model::{Cause, Incident, Timestamp, Verdict},
    notify::asked::{NOTHING_WRONG, Told, began, choose, facts_since, known, lasted},
};

/// What to ask.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The party by its key, its name or how they begin, and perhaps its product [default: all that is not well]
    #[arg(value_name = "PARTY[/PRODUCT]")]
    subject: Option<String>,
    /// As of then: 2026-11-22T10:32:00Z, 10:32 (UTC, today), 15m ago
    #[arg(long, value_name = "TIME")]
    at: Option<Moment>,
    /// Compare with what a customer's check found (not in this release)
    #[arg(long, value_name = "CODE", conflicts_with = "at")]
    report: Option<String>,
    /// How to say it
    #[arg(long, short, value_enum, default_value_t = Output::Human)]
    output: Output,
    #[command(flatten)]
    place: Where,
}

/// How to say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// For people
    Human,
    /// One JSON document
    Json,
}

/// Whoever asks waits for ten seconds in all: so long for whose fault it is and the incidents together …
const WITHIN: Duration = Duration::from_secs(8);
/// What was judged longer ago says nothing of now; clocks differ a little.
const OLD: chrono::TimeDelta = chrono::TimeDelta::minutes(5);
/// … and so long for what is only worth a note.
const NOTE_WITHIN: Duration = Duration::from_secs(2);

/// Asks the hub.
pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Stopped> {
    if args.report.is_some() {
        let why = "this version takes no customers' reports: there is nothing to compare with";
        return Err(Stopped::Usage(why.to_owned()));
    }
    let at = args.at.map(|Moment(at)| at);
    let question: Vec<(&str, String)> = at.map(|at| ("at", at.to_rfc3339())).into_iter().collect();
    let hub = &args.place.hub;
    let asking = async {
        let until = Instant::now() + WITHIN;
        let left = || until.saturating_duration_since(Instant::now());
        let told: Vec<serde_json::Value> = asking::ask_json(hub, "verdicts", &question, left()).await?;
        // An incident of then may have begun long before.
        let since = at.unwrap_or_else(chrono::Utc::now) - chrono::TimeDelta::days(30);
        let question = [("since", since.to_rfc3339())];
        let incidents: Vec<Incident> = asking::ask_json(hub, "incidents", &question, left()).await?;
        // A hub of an earlier version knows nothing of releases, and what was then nobody knows now.
        let status: Option<serde_json::Value> = match at {
            None => asking::ask_json(hub, "status", &[], NOTE_WITHIN).await.ok(),
            Some(_) => None,
        };
        Ok::<_, Stopped>((told, incidents, releases(status.as_ref())))
    };
    let (raw, incidents, releases) = super::runtime()?.block_on(asking)?;
    let told: Vec<Told> = raw.iter().filter_map(|one| serde_json::from_value(one.clone()).ok()).collect();
    if told.is_empty() {
        return Err(Stopped::Unknown("the hub has not judged anything yet".to_owned()));
    }
    let wanted = match &args.subject {
        Some(subject) => choose(&told, subject).map_err(Stopped::Usage)?,
        None => told.iter().filter(|one| one.verdict.is_bad()).map(|one| one.verdict.subject.clone()).collect(),
    };
    let mut asked: Vec<&Told> = told.iter().filter(|one| wanted.contains(&one.verdict.subject)).collect();
    // What is wrong is what was asked for.
    asked.sort_by_key(|one| !one.verdict.is_bad());
    let of_asked = incidents.iter().filter(|one| wanted.contains(&one.subject) && lasted(one, at)).collect::<Vec<_>>();
    // A hub that does not lead shows what the leader thought last, however long ago that was.
    let newest = told.iter().map(|one| one.verdict.at).max().filter(|_| at.is_none());
    let old = newest.filter(|newest| chrono::Utc::now() - *newest > OLD);
    let mut out = io::stdout().lock();
    match args.output {
        Output::Human => {
            let paint = Paint::choose(common.color.on(&io::stdout()));
            write!(out, "{}", human(&asked, &of_asked, at, paint))?;
            if asked.is_empty() {
                writeln!(out, "{}", paint.tint(Tint::Green, NOTHING_WRONG))?;
            }
            if args.subject.is_none() {
                writeln!(out, "Ask about one of: {}.", known(&told))?;
            }
            for release in &releases {
                writeln!(out, "Note: {release}")?;
            }
            if let Some(judged_at) = old {
                writeln!(out, "This was judged at {} UTC, and nothing since.", judged_at.format("%Y-%m-%d %H:%M:%S"))?;
            }
        }
        Output::Json => {
            let verdicts: Vec<&serde_json::Value> = raw
                .iter()
                .filter(|one| {
                    asked
                        .iter()
                        .any(|asked| one.get("subject") == serde_json::to_value(&asked.verdict.subject).ok().as_ref())
                })
                .collect();
            writeln!(
                out,
                "{:#}",
                json!({"at": at, "verdicts": verdicts, "incidents": of_asked, "releases": releases})
            )?;
        }
    }
    out.flush()?;
    Ok(match exit(&asked) {
        Exit::Good if old.is_some() => Exit::Unknown,
        exit => exit,
    })
}

/// What some agents run otherwise than most.
fn releases(status: Option<&serde_json::Value>) -> Vec<String> {
    let said = status.and_then(|status| status.get("releases")?.as_array());
    said.into_iter().flatten().filter_map(|one| one.as_str().map(str::to_owned)).collect()
}

fn exit(asked: &[&Told]) -> Exit {
    let any = |wanted: fn(&Verdict) -> bool| asked.iter().any(|one| wanted(&one.verdict));
    if any(|verdict| verdict.is_bad() && verdict.cause != Cause::Unknown) {
        Exit::Bad
    } else if any(|verdict| verdict.cause == Cause::Unknown) {
        Exit::Unknown
    } else {
        Exit::Good
    }
}

fn human(asked: &[&Told], incidents: &[&Incident], at: Option<Timestamp>, paint: Paint) -> String {
    let mut text = String::new();
    if let Some(at) = at {
        let _ = writeln!(text, "At {} UTC:", at.format("%Y-%m-%d %H:%M:%S"));
    }
    for one in asked {
        let verdict = &one.verdict;
        let tint = match verdict.cause {
            Cause::Ok => Tint::Green,
            _ if verdict.degraded => Tint::Yellow,
            Cause::Unknown | Cause::Path => Tint::Yellow,
            Cause::Probe => Tint::Magenta,
            Cause::Us | Cause::Them => Tint::Red,
        };
        let _ = writeln!(text, "{}", paint.tint(tint, &one.sentence));
        let incident = incidents.iter().copied().find(|incident| incident.subject == verdict.subject);
        let began = one.began.or_else(|| began(verdict, incident));
        for (name, value) in facts_since(verdict, incident, began) {
            let _ = writeln!(text, "  {name:10}{value}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_an_instant_began_when_the_sentence_says() {
        let subject = json!({"party": "partner"});
        let told: Told = serde_json::from_value(json!({
            "party_name": "Partner", "sentence": "It's the path: Partner is down since 05:21:38 UTC.",
            "began": "2026-11-29T05:21:38Z", "subject": subject, "at": "2026-11-29T05:22:05Z", "cause": "path",
            "regions": ["us"], "regions_seen": 2, "confidence": 0.9, "round": 1, "onset": "2026-11-29T05:21:58Z",
        }))
        .unwrap();
        // By now it has been over and come back.
        let incident = Incident {
            state: crate::model::IncidentState::Open,
            since: Some("2026-11-29T05:25:16Z".parse().unwrap()),
            ..Incident::suspected("1".into(), &told.verdict, "2026-11-29T05:07:14Z".parse().unwrap())
        };
        let text = human(&[&told], &[&incident], Some(told.verdict.at), Paint::choose(false));
        assert!(text.contains("  since     2026-11-29 05:21:38 UTC, 27 s\n"), "{text}");
    }

    #[test]
    fn whoever_asks_about_our_own_regions_hears_which_there_are() {
        let told = |party: &str, product: &str| -> Told {
            let subject = json!({"party": party, "product": product});
            serde_json::from_value(json!({
                "sentence": "", "subject": subject, "at": "2026-11-29T05:22:05Z", "cause": "ok", "regions": [],
                "regions_seen": 2, "confidence": 0.9, "round": 1,
            }))
            .unwrap()
        };
        let told = [told("usoryou", "eu"), told("usoryou", "us"), told("mail", "in")];
        let unclear = choose(&told, "usoryou/nosuch").unwrap_err();
        assert_eq!(unclear, "usoryou has no product `nosuch`: there is usoryou/eu, usoryou/us");
        assert_eq!(known(&told), "mail/in");
    }
}
