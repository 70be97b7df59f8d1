//! Runs every case that is asked for, on one or two threads; the order of the results does not depend on that.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use super::{
    arguments::{Arguments, QUIET_DAYS},
    kit::{
        case::{Case, Name, QUIET},
        fault::Fault,
        score::Outcome,
        told::Told,
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
pub fn rules(_arguments: &Arguments) -> Vec<&'static str> {
    vec!["usoryou"]
}

pub fn all(arguments: &Arguments) -> Vec<Run> {
    let mut names = arguments.names();
    // The longest first, so that no thread is left with them.
    names.sort_by_key(|name| (name.kind != QUIET, std::cmp::Reverse(name.regions)));
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads {
            scope.spawn(|| {
                while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let run = one(name, arguments);
                    done.lock().unwrap_or_else(PoisonError::into_inner).extend(run);
                }
            });
        }
    });
    let mut runs = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    runs.sort_by(|one: &Run, other| one.name.cmp(&other.name));
    runs
}

fn one(name: &Name, arguments: &Arguments) -> Option<Run> {
    let case = Case::draw(name, &arguments.parameters, arguments.seed, QUIET_DAYS)?;
    let mut tellers = vec![case.product()];
    let results = case.run(&arguments.parameters, &mut tellers, &mut |_, _, _, _| {});
    let lead_in = |fault: &Fault| fault.onset.min(case.length) / 86_400.0;
    let mut outcomes = Vec::new();
    let mut told = Vec::new();
    for (index, result) in results.into_iter().enumerate() {
        outcomes.push(result.outcome);
        if index == 0 {
            told = result.told;
        }
    }
    Some(Run { name: name.clone(), most: case.fault.most, outcomes, told, days: lead_in(&case.fault) })
}
