//! Verdicts as lines of the log: one when all is known for the first time, then one for each change. Knows no more than
//! what the hub shows.

use std::{collections::HashMap, sync::Arc};

use tokio::sync::watch;

use crate::{
    config::Plan,
    hub::View,
    model::{Cause, Subject, Verdict},
};

/// What was said last of a subject: its cause, and whether it is only slow. Nothing while nothing fresh is seen.
type Said = Option<(Cause, bool)>;

/// Tells the news until the hub ends.
pub(super) async fn tell(mut view: watch::Receiver<View>, plan: watch::Receiver<Arc<Plan>>) {
    let mut news = News::default();
    while view.changed().await.is_ok() {
        let lines = {
            let view = view.borrow_and_update();
            let plan = plan.borrow();
            news.of(&view, plan.probes.len(), plan.parties.len())
        };
        for line in lines {
            tracing::info!("verdict: {line}");
        }
    }
}

#[derive(Default)]
struct News {
    said: HashMap<Subject, Said>,
    all_known: bool,
}

impl News {
    fn of(&mut self, view: &View, probes: usize, parties: usize) -> Vec<String> {
        let mut lines = Vec::new();
        for (verdict, sentence) in view.verdicts.iter().zip(&view.sentences) {
            let now = standing(verdict);
            let before = self.said.get(&verdict.subject).copied();
            // What has just been seen for the first time is news only when it is bad.
            let expected = before.is_none() && now.is_none_or(|(cause, _)| cause == Cause::Ok);
            if before != Some(now) && !expected {
                lines.push(sentence.clone());
            }
            if before.is_some() || now.is_some() {
                self.said.insert(verdict.subject.clone(), now);
            }
        }
        self.said.retain(|subject, _| view.verdicts.iter().any(|verdict| verdict.subject == *subject));
        let known = !view.verdicts.is_empty() && self.said.len() == view.verdicts.len();
        if known && !std::mem::replace(&mut self.all_known, true) {
            let well = self.said.values().all(|said| matches!(said, Some((Cause::Ok, false))));
            if well {
                lines.push(format!("all is well: {probes} probes of {parties} parties have been looked at"));
            }
        }
        lines
    }
}

fn standing(verdict: &Verdict) -> Said {
    (verdict.has_evidence() || verdict.because_of.is_some()).then_some((verdict.cause, verdict.degraded))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(verdicts: &[(&str, Option<Cause>)]) -> View {
        let one = |(party, cause): &(&str, Option<Cause>)| -> Verdict {
            serde_json::from_value(serde_json::json!({
                "subject": {"party": party}, "at": "2026-11-22T10:32:00Z", "cause": cause.unwrap_or(Cause::Unknown),
                "regions": [], "regions_seen": usize::from(cause.is_some()), "confidence": 1.0, "round": 1,
            }))
            .unwrap()
        };
        let sentence = |(party, cause): &(&str, Option<Cause>)| format!("{party} {}", cause.map_or("?", Cause::word));
        View {
            verdicts: verdicts.iter().map(one).collect(),
            sentences: verdicts.iter().map(sentence).collect(),
            ..View::default()
        }
    }

    #[test]
    fn the_first_good_round_is_one_line_and_then_only_changes_are_told() {
        let mut news = News::default();
        let mut said = |verdicts: &[(&str, Option<Cause>)]| news.of(&view(verdicts), 2, 2);
        assert!(said(&[("a", None), ("b", None)]).is_empty());
        assert!(said(&[("a", Some(Cause::Ok)), ("b", None)]).is_empty());
        let all = said(&[("a", Some(Cause::Ok)), ("b", Some(Cause::Ok))]);
        assert_eq!(all, ["all is well: 2 probes of 2 parties have been looked at"]);
        assert!(said(&[("a", Some(Cause::Ok)), ("b", Some(Cause::Ok))]).is_empty());
        assert_eq!(said(&[("a", Some(Cause::Them)), ("b", Some(Cause::Ok))]), ["a them"]);
        assert!(said(&[("a", Some(Cause::Them)), ("b", Some(Cause::Ok))]).is_empty());
        assert_eq!(said(&[("a", Some(Cause::Ok)), ("b", None)]), ["a ok", "b ?"]);
        assert_eq!(said(&[("a", Some(Cause::Ok)), ("b", Some(Cause::Ok))]), ["b ok"]);
    }

    #[test]
    fn a_bad_start_is_told_at_once() {
        let mut news = News::default();
        assert_eq!(news.of(&view(&[("a", Some(Cause::Us)), ("b", None)]), 2, 2), ["a us"]);
        assert!(news.of(&view(&[("a", Some(Cause::Us)), ("b", Some(Cause::Ok))]), 2, 2).is_empty());
    }
}
