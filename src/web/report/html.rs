//! The page of a report.

use std::{
    fmt::{self, Write},
    sync::Arc,
};

use crate::{
    model::{PartyKind, Timestamp, days_hours_minutes_seconds},
    report::{Figures, IncidentReport, PartyReport, Report, grouped, minute, percent},
};

const STYLE: &str = include_str!("page.css");

/// Incidents that a party's table shows, at most.
const SHOWN: usize = 200;

/// The report as one page that stands alone and prints well.
#[must_use]
pub fn html(report: &Report) -> String {
    let mut page = String::new();
    // Writing to a string cannot fail.
    let _ = write_page(&mut page, report);
    page
}

fn write_page(page: &mut String, report: &Report) -> fmt::Result {
    let title = format!("Availability {} to {}", day(report.from), last_day(report.to));
    write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n\
         <body>\n<h1>Availability of our providers</h1>\n<p class=\"period\">{} to {} UTC · {} observations</p>\n",
        minute(report.from),
        minute(report.to),
        grouped(report.observations, '\u{202f}'),
    )?;
    match report.data_from {
        None => page.write_str("<p class=\"note\">Nothing is stored: there is nothing to report on.</p>\n")?,
        Some(since) if since > report.from => writeln!(
            page,
            "<p class=\"note\">Observations exist only since {} UTC. Availability and durations are about that time; \
             incidents are about the whole period.</p>",
            minute(since)
        )?,
        Some(_) => {}
    }
    for party in &report.parties {
        write_party(page, report, party)?;
    }
    if report.parties.is_empty() && report.data_from.is_some() {
        page.write_str("<p class=\"note\">No provider was looked at in this period.</p>\n")?;
    }
    write!(
        page,
        "<footer>\n<p><b>How this is counted.</b> Every probe from every region stands for the time since its last \
         round. <i>Availability</i> counts only what was found to be the party's own: failing during an incident that is \
         its fault, while unrelated places were reachable. {} <i>Raw</i> counts every failing round. \
         Planned windows, rounds that could not be judged, and faults of our own network, credential or vantage point \
         are left out of both. A product that works slowly is available. Times of failing are summed over probes and \
         regions; incidents are in hours of the clock.</p>\n<p>Made {} UTC by usoryou {}.</p>\n\
         </footer>\n</body>\n</html>\n",
        borne_out(&report.regions),
        minute(report.made_at),
        env!("CARGO_PKG_VERSION"),
    )
}

/// What a fault rests on: from one place nobody can tell a party from the way to it.
fn borne_out(regions: &[Arc<str>]) -> String {
    match regions {
        [only] => format!(
            "All of this was seen from one region, {}: from there a fault of the path to it looks the same.",
            escaped(only)
        ),
        [] => String::new(),
        _ => "Several regions were compared, to tell it from a fault of the path.".to_owned(),
    }
}

fn write_party(page: &mut String, report: &Report, party: &PartyReport) -> fmt::Result {
    let whole = &party.whole;
    let own = if party.kind == PartyKind::Us { "Incidents of our own" } else { "Incidents that are theirs" };
    writeln!(page, "<section>\n<h2>{}</h2>\n<div class=\"sums\">", escaped(&party.name))?;
    let admitted = match whole.admission_lag {
        Some(seconds) => lag(seconds),
        None if whole.incidents > 0 && party.status_page => "never".to_owned(),
        None => "–".to_owned(),
    };
    for (value, name) in [
        (percent(whole.availability), "available"),
        (whole.incidents.to_string(), own),
        (span(whole.longest), "the longest"),
        (span(whole.total), "together"),
        (admitted, "until admitted (median)"),
    ] {
        writeln!(page, "<div class=\"sum\"><b>{value}</b><span>{name}</span></div>")?;
    }
    page.write_str(
        "</div>\n<table>\n<thead><tr><th>Product</th><th>Available</th><th>Raw</th><th>Down, theirs</th>\
         <th>Path</th><th>Other</th><th>Incidents</th><th>Longest</th><th>p50</th><th>p95</th><th>p99</th>\
         <th>Admitted</th></tr></thead>\n<tbody>\n",
    )?;
    for product in &party.products {
        let name =
            product.product.as_deref().map_or_else(|| "<span class=\"none\">as a whole</span>".to_owned(), escaped);
        write_figures(page, "", &name, &product.figures, party.status_page)?;
    }
    if party.products.len() > 1 {
        write_figures(page, " class=\"whole\"", "All", whole, party.status_page)?;
    }
    page.write_str("</tbody>\n</table>\n")?;
    let incidents: Vec<&IncidentReport> = report.incidents.iter().filter(|one| one.party == party.party).collect();
    if !incidents.is_empty() {
        write_incidents(page, &incidents, party)?;
    }
    page.write_str("</section>\n")
}

fn write_figures(page: &mut String, class: &str, name: &str, figures: &Figures, status_page: bool) -> fmt::Result {
    let down = figures.raw_availability.map_or(0.0, |share| (1.0 - share) * 100.0);
    let bar = match figures.raw_availability {
        // A hair of red is seen at one in a thousand, too.
        Some(_) => format!(
            "<span class=\"bar\"><i style=\"width:{:.1}%\"></i></span>",
            if down > 0.0 { down.max(1.0) } else { 0.0 }
        ),
        None => String::new(),
    };
    let admitted = match figures.incidents {
        all if all > 0 && status_page => format!("{} of {all}", figures.admitted),
        _ => "–".to_owned(),
    };
    writeln!(
        page,
        "<tr{class}><td>{name}{bar}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
         <td>{}</td><td>{}</td><td>{}</td><td>{admitted}</td></tr>",
        percent(figures.availability),
        percent(figures.raw_availability),
        span(figures.down_own),
        span(figures.down_path),
        span(figures.down_other),
        figures.incidents,
        span(figures.longest),
        duration(figures.p50),
        duration(figures.p95),
        duration(figures.p99),
    )
}

fn write_incidents(page: &mut String, incidents: &[&IncidentReport], party: &PartyReport) -> fmt::Result {
    page.write_str(
        "<h3>Incidents</h3>\n<table>\n<thead><tr><th>Began (UTC)</th><th class=\"left\">Product</th>\
         <th class=\"left\">Whose</th><th class=\"left\">Regions</th><th>Lasted</th><th>Admitted after</th></tr></thead>\n<tbody>\n",
    )?;
    // The newest, as they are what people ask about.
    let before = incidents.len().saturating_sub(SHOWN);
    for one in incidents.iter().skip(before) {
        let regions: Vec<String> = one.regions.iter().map(|region| escaped(region)).collect();
        let planned = if one.planned { " <span class=\"none\">(planned)</span>" } else { "" };
        let still = if one.ended.is_none() { " <span class=\"none\">(not over)</span>" } else { "" };
        writeln!(
            page,
            "<tr><td>{}</td><td class=\"left\">{}{planned}</td><td class=\"left\"><span class=\"cause {cause}\">{cause}</span></td>\
             <td class=\"left\">{}</td><td>{}{still}</td><td>{}</td></tr>",
            one.onset.format("%Y-%m-%d %H:%M:%S"),
            one.product.as_deref().map_or_else(|| "–".to_owned(), escaped),
            if regions.is_empty() { "–".to_owned() } else { regions.join(", ") },
            span(one.lasted),
            match one.admission_lag {
                Some(seconds) => lag(seconds),
                // What is not theirs is not theirs to admit.
                None if party.may_admit(one.cause) => "never".to_owned(),
                None => "–".to_owned(),
            },
            cause = one.cause.word(),
        )?;
    }
    page.write_str("</tbody>\n</table>\n")?;
    if before > 0 {
        writeln!(page, "<p class=\"none\">… and {before} before.</p>")?;
    }
    Ok(())
}

/// Text in a page.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

fn duration(seconds: Option<f64>) -> String {
    match seconds {
        None => "–".to_owned(),
        Some(seconds) if seconds < 0.01 => format!("{:.1} ms", seconds * 1e3),
        Some(seconds) if seconds < 1.0 => format!("{:.0} ms", seconds * 1e3),
        Some(seconds) => format!("{seconds:.2} s"),
    }
}

/// At once is not the same as nothing to admit.
fn lag(seconds: f64) -> String {
    match seconds {
        _ if seconds.abs() < 0.5 => "0 s".to_owned(),
        _ if seconds < 0.0 => format!("{} before", span(-seconds)),
        _ => span(seconds),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "for people")]
fn span(seconds: f64) -> String {
    let seconds = seconds.round().max(0.0) as u64;
    match days_hours_minutes_seconds(seconds) {
        (0, 0, 0, 0) => "–".to_owned(),
        (0, 0, 0, s) => format!("{s} s"),
        (0, 0, m, 0) => format!("{m} min"),
        (0, 0, m, s) => format!("{m} min {s} s"),
        (0, h, m, _) => format!("{h} h {m} min"),
        (d, h, ..) => format!("{d} d {h} h"),
    }
}

fn day(at: Timestamp) -> String {
    at.format("%Y-%m-%d").to_string()
}

/// The last day that is part of a period.
fn last_day(to: Timestamp) -> String {
    day(to.checked_sub_signed(chrono::TimeDelta::milliseconds(1)).unwrap_or(to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_regions_are_only_named_where_there_were_several() {
        assert!(borne_out(&["eu".into()]).contains("from one region, eu:"));
        assert!(borne_out(&["eu".into(), "us".into()]).contains("Several regions"));
        assert_eq!(borne_out(&[]), "");
    }

    #[test]
    fn of_too_many_incidents_the_newest_are_shown() {
        let one = |day: i64| {
            let onset = Timestamp::from_timestamp(1_700_000_000 + day * 86_400, 0).unwrap();
            serde_json::json!({
                "id": "1", "party": "mail", "product": null, "cause": "them", "onset": onset, "ended": onset, "lasted": 60.0,
                "regions": [], "planned": false, "admission_lag": 0.3,
            })
        };
        let incidents: Vec<IncidentReport> = (0..203).map(|day| serde_json::from_value(one(day)).unwrap()).collect();
        let party: PartyReport = serde_json::from_value(serde_json::json!({
            "party": "mail", "name": "Mail", "kind": "provider", "status_page": true, "products": [],
            "whole": serde_json::to_value(Figures::default()).unwrap(),
        }))
        .unwrap();
        let mut page = String::new();
        write_incidents(&mut page, &incidents.iter().collect::<Vec<_>>(), &party).unwrap();
        let shown = |day: usize| page.contains(&incidents[day].onset.format("%Y-%m-%d %H:%M:%S").to_string());
        assert_eq!([0, 2, 3, 202].map(shown), [false, false, true, true]);
        assert!(page.contains("… and 3 before"), "{page}");
        assert!(page.contains("<td>0 s</td></tr>"), "what was admitted at once was admitted: {page}");
    }

    #[test]
    fn how_long_is_said_in_the_two_largest_parts() {
        assert_eq!((span(0.0), span(3723.0), lag(-61.0)), ("–".into(), "1 h 2 min".into(), "1 min 1 s before".into()));
    }
}
