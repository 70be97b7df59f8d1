//! Runs every case that is asked for, on one or two threads; the order of the results does not depend on that.

use std::{
    error::Error,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use usoryou::net::Net;

use super::{
    arguments::{Arguments, QUIET_DAYS},
    kit::{
        case::{BASELINES, Case, Name, Pace, QUIET},
        fault::Fault,
        score::Outcome,
        told::Told,
        written,
    },
};

/// A case that was run: what came of it by the rule that ships, then by the others.
pub struct Run {
    pub name: Name,
    pub most: bool,
    pub outcomes: Vec<Outcome>,
    /// Of the rule that ships.
    pub told: Vec<(f64, Told)>,
    pub days: f64,
}

/// Names of the rules, in the order of the outcomes.
pub fn rules(arguments: &Arguments) -> Vec<&'static str> {
    let others = if arguments.baselines { &BASELINES[..] } else { &[] };
    std::iter::once("usoryou").chain(others.iter().copied()).collect()
}

pub fn all(arguments: &Arguments) -> Result<Vec<Run>, Box<dyn Error>> {
    let net = Net::system(vec![])?;
    let mut names = arguments.names();
    // The longest first, so that no thread is left with them.
    names.sort_by_key(|name| (name.kind != QUIET, std::cmp::Reverse(name.regions)));
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads {
            scope.spawn(|| {
                while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let run = one(name, arguments, &net).map_err(|error| format!("{name}: {error}"));
                    done.lock().unwrap_or_else(PoisonError::into_inner).push(run);
                }
            });
        }
    });
    let runs = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut runs = runs.into_iter().collect::<Result<Vec<Run>, String>>()?;
    runs.sort_by(|one: &Run, other| one.name.cmp(&other.name));
    Ok(runs)
}

fn one(name: &Name, arguments: &Arguments, net: &Arc<Net>) -> Result<Run, Box<dyn Error>> {
    let case = Case::draw(name, &arguments.parameters, arguments.seed, QUIET_DAYS).ok_or("no such fault")?;
    if let Some(folder) = &arguments.write {
        written::write(name, &case, &arguments.parameters, folder)?;
    }
    let mut tellers = vec![case.product(net)?];
    if arguments.baselines {
        tellers.extend(case.baselines());
    }
    let results = case.run(&arguments.parameters, &mut tellers, Pace::Thrifty, &mut |_, _, _, _| {});
    let lead_in = |fault: &Fault| fault.onset.min(case.length) / 86_400.0;
    let mut outcomes = Vec::new();
    let mut told = Vec::new();
    for (index, result) in results.into_iter().enumerate() {
        outcomes.push(result.outcome);
        if index == 0 {
            told = result.told;
        }
    }
    Ok(Run { name: name.clone(), most: case.fault.most, outcomes, told, days: lead_in(&case.fault) })
}
