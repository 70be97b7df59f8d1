//! The table: right, wrong, unknown and missed of each fault and fleet, and the figures that the issue asks for.

use std::{
    collections::BTreeSet,
    io::{self, Write},
};

use super::{
    arguments::Arguments,
    kit::{
        case::QUIET,
        score::{Grade, Outcome},
    },
    run::{Run, rules},
};

pub fn print(runs: &[Run], arguments: &Arguments, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "parameters {}, seed {}", arguments.which, arguments.seed)?;
    let kinds: BTreeSet<&str> = runs.iter().map(|run| &*run.name.kind).filter(|kind| *kind != QUIET).collect();
    if !kinds.is_empty() {
        write!(out, "\n{:26}", "right/wrong/unknown/missed")?;
        for regions in &arguments.regions {
            write!(out, " {:>11}", format!("R={regions}"))?;
        }
        writeln!(out, " {:>13} {:>7}", "delay p50/p90", "right")?;
    }
    for kind in &kinds {
        write!(out, "{kind:26}")?;
        let here = |run: &&Run| run.name.kind == **kind;
        for regions in &arguments.regions {
            let of: Vec<&Outcome> = runs
                .iter()
                .filter(here)
                .filter(|run| run.name.regions == *regions)
                .map(|run| &run.outcomes[0])
                .collect();
            let count = |grade: Grade| of.iter().filter(|outcome| outcome.grade == grade).count();
            let four =
                [Grade::Right, Grade::Wrong, Grade::Unknown, Grade::Missed].map(|grade| count(grade).to_string());
            write!(out, " {:>11}", if of.is_empty() { "-".to_owned() } else { four.join("/") })?;
        }
        let of: Vec<&Outcome> = runs.iter().filter(here).map(|run| &run.outcomes[0]).collect();
        let delays = sorted(of.iter().filter_map(|outcome| outcome.delay));
        writeln!(out, " {:>13} {:>6.1}%", both(&delays), 100.0 * share(&of, Grade::Right))?;
    }
    for (index, rule) in rules(arguments).iter().enumerate() {
        summary(index, rule, runs, arguments, out)?;
    }
    calibration(runs, out)?;
    list(runs, arguments, out)
}

fn summary(index: usize, rule: &str, runs: &[Run], arguments: &Arguments, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "\n{rule:12} {:>6} {:>6} {:>7} {:>6} {:>6} | {:>11} {:>12} {:>9} {:>9} | {:>11} {:>9} {:>9}",
        "right",
        "wrong",
        "unknown",
        "missed",
        "cost",
        "at the end",
        "delay (most)",
        "pages",
        "onset err",
        "false/30 d",
        "days",
        "lead-in"
    )?;
    let mut groups: Vec<(String, Vec<&Run>)> = arguments
        .regions
        .iter()
        .map(|regions| (format!("R={regions}"), runs.iter().filter(|run| run.name.regions == *regions).collect()))
        .collect();
    groups.push(("all".to_owned(), runs.iter().collect()));
    for (name, runs) in groups {
        let (quiet, faults): (Vec<&Run>, Vec<&Run>) = runs.into_iter().partition(|run| run.name.kind == QUIET);
        let of: Vec<&Outcome> = faults.iter().map(|run| &run.outcomes[index]).collect();
        let [right, wrong, unknown, missed] =
            [Grade::Right, Grade::Wrong, Grade::Unknown, Grade::Missed].map(|grade| 100.0 * share(&of, grade));
        let finally =
            of.iter().filter(|outcome| outcome.finally == Grade::Right).count() as f64 / of.len().max(1) as f64;
        let delays = sorted(faults.iter().filter(|run| run.most).filter_map(|run| run.outcomes[index].delay));
        // Two things that fail at the same time are two incidents, and each is told.
        let for_each = |outcome: &&Outcome| outcome.pages.div_ceil(outcome.at_fault) as f64;
        let pages = sorted(of.iter().copied().filter(|outcome| outcome.pages > 0).map(|outcome| for_each(&outcome)));
        let errors = sorted(of.iter().filter_map(|outcome| outcome.onset_error).map(f64::abs));
        let false_in = |runs: &[&Run]| runs.iter().map(|run| run.outcomes[index].false_pages).sum::<usize>() as f64;
        let days = |runs: &[&Run]| runs.iter().map(|run| run.days).sum::<f64>() + 0.0;
        writeln!(
            out,
            "{name:12} {right:>5.1}% {wrong:>5.1}% {unknown:>6.1}% {missed:>5.1}% {:>6.3} | {:>10.1}% {:>12} {:>9} {:>9} | {:>11.1} {:>9.0} {:>9.1}",
            (5.0 * wrong + unknown + 2.0 * missed) / 100.0,
            100.0 * finally,
            both(&delays),
            format!("{:.0}/{:.0}", at(&pages, 0.5), at(&pages, 0.95)),
            both(&errors),
            30.0 * false_in(&quiet) / days(&quiet).max(0.01),
            days(&quiet),
            30.0 * false_in(&faults) / days(&faults).max(0.01),
        )?;
    }
    Ok(())
}

fn calibration(runs: &[Run], out: &mut impl Write) -> io::Result<()> {
    let told: Vec<(f64, bool)> = runs.iter().flat_map(|run| &run.outcomes[0].confidences).copied().collect();
    if told.is_empty() {
        return Ok(());
    }
    let hit = |right: bool| f64::from(u8::from(right));
    let brier = told.iter().map(|(said, right)| (said - hit(*right)).powi(2)).sum::<f64>() / told.len() as f64;
    writeln!(out, "\nconfidence: Brier {brier:.4} over {} pages", told.len())?;
    for (from, to) in [(0.0, 0.5), (0.5, 0.6), (0.6, 0.7), (0.7, 0.8), (0.8, 0.9), (0.9, 0.95), (0.95, 1.01)] {
        let bin: Vec<&(f64, bool)> = told.iter().filter(|(said, _)| (from..to).contains(said)).collect();
        if !bin.is_empty() {
            let n = bin.len() as f64;
            let (said, right) =
                (bin.iter().map(|b| b.0).sum::<f64>() / n, bin.iter().map(|b| hit(b.1)).sum::<f64>() / n);
            writeln!(out, "  {from:.2} to {:.2}: said {said:.2}, right {right:.2} ({})", f64::min(to, 1.0), bin.len())?;
        }
    }
    Ok(())
}

fn list(runs: &[Run], arguments: &Arguments, out: &mut impl Write) -> io::Result<()> {
    let bad =
        |run: &&Run| run.outcomes[0].grade != Grade::Right && run.name.kind != QUIET || run.outcomes[0].false_pages > 0;
    let all: Vec<&Run> = runs.iter().filter(bad).collect();
    writeln!(out, "\n{} cases that are not right, or with false pages; --explain CASE", all.len())?;
    for run in all.into_iter().take(arguments.list) {
        let outcome = &run.outcomes[0];
        let grade = if run.name.kind == QUIET { String::new() } else { format!("{:?}", outcome.grade).to_lowercase() };
        let pages = run.told.iter().filter(|(_, told)| told.opened);
        let said: Vec<String> = pages
            .take(4)
            .map(|(at, told)| {
                let regions: Vec<&str> = told.regions.iter().map(|region| &**region).collect();
                format!("{at:.0} s {} {} {}", told.subject, told.cause, regions.join(","))
            })
            .collect();
        let note = if outcome.false_pages > 0 { format!(", {} false", outcome.false_pages) } else { String::new() };
        writeln!(out, "  {:34} {grade:8}{note} {}", run.name.to_string(), said.join("; "))?;
    }
    Ok(())
}

fn share(of: &[&Outcome], grade: Grade) -> f64 {
    of.iter().filter(|outcome| outcome.grade == grade).count() as f64 / of.len().max(1) as f64
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn at(sorted: &[f64], quantile: f64) -> f64 {
    sorted.get(((sorted.len() as f64 * quantile).ceil() as usize).saturating_sub(1)).copied().unwrap_or(0.0)
}

fn both(sorted: &[f64]) -> String {
    if sorted.is_empty() { "-".to_owned() } else { format!("{:.0}/{:.0} s", at(sorted, 0.5), at(sorted, 0.9)) }
}
