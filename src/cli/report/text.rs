//! A report as a table for a terminal, and as rows for a spreadsheet.

use std::fmt::Write as _;

use crate::{
    cli::paint::{Paint, Tint},
    model::{Timestamp, days_hours_minutes_seconds},
    report::{Figures, Report, minute, percent},
};

/// A table for a terminal.
pub(super) fn text(report: &Report, paint: Paint) -> String {
    let mut text = String::new();
    let _ =
        writeln!(text, "{} to {} UTC, {} observations", minute(report.from), minute(report.to), report.observations);
    match report.data_from {
        None => text.push_str("Nothing is stored: there is nothing to report on.\n"),
        Some(since) if since > report.from => {
            let _ = writeln!(text, "Observations exist only since {} UTC.", minute(since));
        }
        Some(_) => {}
    }
    for party in &report.parties {
        let head = format!("\n{:<26}", party.name);
        let columns = ["available", "raw", "incidents", "longest", "together", "p50", "p95", "p99", "admitted"];
        let columns = columns.map(|column| format!("{column:>11}")).concat();
        let _ = writeln!(text, "{}{columns}", paint.tint(Tint::Bold, &head));
        for product in &party.products {
            row(&mut text, product.product.as_deref().unwrap_or("(as a whole)"), &product.figures, party.status_page);
        }
        if party.products.len() > 1 {
            row(&mut text, "all", &party.whole, party.status_page);
        }
        let incidents: Vec<_> = report.incidents.iter().filter(|one| one.party == party.party).collect();
        for one in incidents.iter().rev().take(20).rev() {
            let ended = if one.ended.is_none() { ", not over" } else { "" };
            let planned = if one.planned { ", planned" } else { "" };
            let admitted = match one.admission_lag {
                Some(lag) => format!(", {}", lag_in_words(lag)),
                None if party.may_admit(one.cause) => ", never admitted".to_owned(),
                None => String::new(),
            };
            let _ = writeln!(
                text,
                "    {}  {:<22} {:<8} {}{planned}{ended}{admitted}",
                one.onset.format("%Y-%m-%d %H:%M:%S"),
                one.product.as_deref().unwrap_or("–"),
                one.cause.word(),
                span(one.lasted),
            );
        }
        if incidents.len() > 20 {
            let _ = writeln!(text, "    … and {} before", incidents.len() - 20);
        }
    }
    text
}

fn row(text: &mut String, name: &str, figures: &Figures, status_page: bool) {
    let admitted = match figures.admission_lag {
        Some(seconds) => lag(seconds, "-", ""),
        None if figures.incidents > 0 && status_page => "never".to_owned(),
        None => "–".to_owned(),
    };
    let cells = [
        percent(figures.availability),
        percent(figures.raw_availability),
        figures.incidents.to_string(),
        span(figures.longest),
        span(figures.total),
        duration(figures.p50),
        duration(figures.p95),
        duration(figures.p99),
        admitted,
    ];
    let cells = cells.map(|cell| format!("{cell:>11}")).concat();
    let _ = writeln!(text, "  {name:<24}{cells}");
}

/// Rows for a spreadsheet; times in seconds, shares from 0 to 1. `product` is `*` for all products together.
pub(super) fn csv(report: &Report) -> String {
    let mut text = "from,to,party,name,product,availability,raw_availability,watched,down_own,down_path,down_other,\
                    degraded,in_maintenance,not_judged,rounds,incidents,longest,total,admitted,admission_lag,p50,p95,p99\r\n"
        .to_owned();
    let stamp = |at: Timestamp| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    for party in &report.parties {
        let products = party.products.iter().map(|one| (one.product.as_deref().unwrap_or_default(), &one.figures));
        for (product, figures) in products.chain([("*", &party.whole)]) {
            let maybe = |figure: Option<f64>| figure.map_or(String::new(), |figure| format!("{figure:.6}"));
            let cells = [
                stamp(report.from),
                stamp(report.to),
                quoted(&party.party),
                quoted(&party.name),
                quoted(product),
                maybe(figures.availability),
                maybe(figures.raw_availability),
                format!("{:.1}", figures.watched),
                format!("{:.1}", figures.down_own),
                format!("{:.1}", figures.down_path),
                format!("{:.1}", figures.down_other),
                format!("{:.1}", figures.degraded),
                format!("{:.1}", figures.in_maintenance),
                format!("{:.1}", figures.not_judged),
                figures.rounds.to_string(),
                figures.incidents.to_string(),
                format!("{:.1}", figures.longest),
                format!("{:.1}", figures.total),
                figures.admitted.to_string(),
                maybe(figures.admission_lag),
                maybe(figures.p50),
                maybe(figures.p95),
                maybe(figures.p99),
            ];
            let _ = write!(text, "{}\r\n", cells.join(","));
        }
    }
    text
}

/// RFC 4180; a name must not become a formula where it is opened.
fn quoted(text: &str) -> String {
    let harmless = if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text.to_owned() };
    if harmless.contains(['"', ',', '\r', '\n']) { format!("\"{}\"", harmless.replace('"', "\"\"")) } else { harmless }
}

fn lag_in_words(seconds: f64) -> String {
    let after = if seconds <= -0.5 { "admitted " } else { "admitted after " };
    format!("{after}{}", lag(seconds, "", " before"))
}

/// How long after the onset, or before it, with what says so around it. At once is not the same as nothing to admit.
fn lag(seconds: f64, before: &str, ahead: &str) -> String {
    match seconds {
        _ if seconds.abs() < 0.5 => "0 s".to_owned(),
        _ if seconds < 0.0 => format!("{before}{}{ahead}", span(-seconds)),
        _ => span(seconds),
    }
}

fn duration(seconds: Option<f64>) -> String {
    match seconds {
        None => "–".to_owned(),
        Some(seconds) if seconds < 1.0 => format!("{:.1} ms", seconds * 1e3),
        Some(seconds) => format!("{seconds:.2} s"),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "for people")]
fn span(seconds: f64) -> String {
    let seconds = seconds.round().max(0.0) as u64;
    match days_hours_minutes_seconds(seconds) {
        (0, 0, 0, 0) => "–".to_owned(),
        (0, 0, 0, s) => format!("{s} s"),
        (0, 0, m, s) => format!("{m}m {s:02}s"),
        (0, h, m, _) => format!("{h}h {m:02}m"),
        (d, h, ..) => format!("{d}d {h:02}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_admitted_at_once_is_not_what_was_never_to_be_admitted() {
        assert_eq!(lag_in_words(0.2), "admitted after 0 s");
        assert_eq!(lag_in_words(-61.0), "admitted 1m 01s before");
        let mut text = String::new();
        let figures = Figures { admission_lag: Some(0.0), incidents: 1, ..Figures::default() };
        row(&mut text, "in", &figures, true);
        assert!(text.ends_with("        0 s\n") && text.contains("          –"), "{text}");
    }

    #[test]
    fn what_was_planned_is_marked() {
        let figures = serde_json::to_value(Figures::default()).unwrap();
        let row = |planned: bool, product: &str| {
            serde_json::json!({
                "id": "1", "party": "mail", "product": product, "cause": "them", "onset": "2026-11-22T10:00:00Z",
                "ended": null, "lasted": 60.0, "regions": [], "planned": planned, "admission_lag": null,
            })
        };
        let report: Report = serde_json::from_value(serde_json::json!({
            "from": "2026-11-22T00:00:00Z", "to": "2026-11-23T00:00:00Z", "made_at": "2026-11-23T00:00:00Z",
            "data_from": "2026-11-21T00:00:00Z", "observations": 1, "incidents": [row(true, "in"), row(false, "out")],
            "parties": [{
                "party": "mail", "name": "Mail", "kind": "provider", "status_page": true, "whole": figures, "products": [],
            }],
        }))
        .unwrap();
        let text = text(&report, Paint::choose(false));
        assert!(text.contains("10:00:00  in                     them     1m 00s, planned, not over, never"), "{text}");
        assert!(
            text.contains("10:00:00  out                    them     1m 00s, not over, never admitted\n"),
            "{text}"
        );
    }
}
