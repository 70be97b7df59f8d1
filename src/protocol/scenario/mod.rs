//! The `scenario` check: requests one after another, with what one answers used in the next, as a client of an API does
//! something. The time from a command to its effect is its figure.

mod file;
mod save;
mod step;
mod template;

use std::sync::Arc;

use tokio::time::Instant;
use url::Origin;

pub use file::{ScenarioFile, StepFile, WaitFile};
pub use save::SaveFile;

use super::{Attempt, Check, Looking, Need, Overrides, Problem, Protocol, oauth2};
use crate::{
    model::{Connection, Failure, Kind, Phase, Secret, Step as StepSeen, StepCame},
    net::Net,
};
use step::Step;
use template::Saved;

/// More steps than this are several scenarios.
const STEPS_AT_MOST: usize = 50;

/// The check.
pub struct Scenario {
    steps: Vec<Step>,
    keeper: Option<Arc<oauth2::Keeper>>,
    /// Where tokens may go: the places that the file itself names.
    meant: Vec<Origin>,
    /// The first step whose effect is waited for, and the one that waits.
    figure: Option<(usize, usize)>,
}

impl Check for Scenario {
    fn key(&self) -> &'static str {
        Self::KEY
    }

    fn target(&self) -> String {
        let first = self.steps.first().map_or("", |step| &step.shown);
        match self.steps.len() {
            1 => first.to_owned(),
            more => format!("{first} ({more} steps)"),
        }
    }

    fn look<'a>(&'a self, attempt: &'a mut Attempt) -> Looking<'a> {
        Box::pin(async move {
            let looked = self.run(attempt).await;
            attempt.let_go();
            looked
        })
    }

    fn may_be_asked_again(&self) -> bool {
        false
    }

    fn needs(&self) -> Option<Need> {
        self.keeper.as_ref().map(oauth2::need)
    }
}

impl Scenario {
    async fn run(&self, attempt: &mut Attempt) -> Result<(), Failure> {
        // Should the time be over at any await: nothing after the step under way was tried.
        let not_tried = |step: &Step| StepSeen { name: Arc::clone(&step.name), came: StepCame::Blocked, seconds: None };
        attempt.facts.steps = self.steps.iter().map(not_tried).collect();
        let token = match &self.keeper {
            None => None,
            Some(keeper) => Some((keeper.token(attempt).await?, self.meant.clone())),
        };
        let mut saved = Saved::new();
        let mut began = Vec::with_capacity(self.steps.len());
        for (number, step) in self.steps.iter().enumerate() {
            let now = Instant::now();
            began.push(now);
            let about = format!("step \"{}\": ", step.name);
            attempt.about(about.clone());
            note(attempt, number, StepCame::Down, None);
            if self.figure.is_some_and(|(since, _)| since == number) {
                attempt.begin_whole(Phase::Exchange, now);
            }
            let since = step.wait.as_ref().and_then(|wait| began.get(wait.since)).copied().unwrap_or(now);
            let done = step.run(attempt, &mut saved, token.as_ref(), since).await;
            attempt.facts.connection = Connection::Cold;
            attempt.leave();
            note(attempt, number, if done.is_ok() { StepCame::Up } else { StepCame::Down }, Some(now));
            if let Err(failure) = done {
                self.heed(attempt, &failure, token.as_ref().map(|(token, _)| token));
                return Err(Failure { detail: about + &failure.detail, ..failure });
            }
            if self.figure.is_some_and(|(_, until)| until == number) {
                attempt.end_whole();
            }
        }
        Ok(())
    }

    /// A token that is refused before its time may have been revoked.
    fn heed(&self, attempt: &Attempt, failure: &Failure, token: Option<&Secret>) {
        if let (Kind::Unauthorized, Some(keeper), Some(token)) = (failure.kind, &self.keeper, token) {
            keeper.refused(&attempt.vantage, token);
        }
    }
}

fn note(attempt: &mut Attempt, number: usize, came: StepCame, since: Option<Instant>) {
    if let Some(step) = attempt.facts.steps.get_mut(number) {
        step.came = came;
        step.seconds = since.map(|since| (since.elapsed().as_secs_f64() * 1e6).round() / 1e6);
    }
}

impl Protocol for Scenario {
    const KEY: &'static str = "scenario";
    const SCHEMES: &'static [&'static str] = &[];
    const MAY_OUTLAST: bool = true;
    type File = ScenarioFile;

    fn build(file: &Self::File, net: &Arc<Net>) -> Result<Self, Problem> {
        if file.steps.is_empty() || file.steps.len() > STEPS_AT_MOST {
            return Err(Problem::at("steps", format!("a scenario has 1 to {STEPS_AT_MOST} steps")));
        }
        let keeper = file.oauth2.as_ref().map(|grant| oauth2::Keeper::of(grant, net)).transpose();
        let keeper = keeper.map_err(|mut problem| {
            problem.path.insert(0, oauth2::OAuth2::KEY.to_owned());
            problem
        })?;
        let (mut steps, mut known): (Vec<Step>, Vec<&str>) = (Vec::new(), Vec::new());
        for (number, step) in file.steps.iter().enumerate() {
            if steps.iter().any(|other| *other.name == *step.name) {
                let message = format!("a step above is named `{}` too", step.name);
                return Err(Problem::at(&format!("steps.{number}.name"), message));
            }
            steps.push(Step::of(&file.steps, number, &known, net)?);
            known.extend(step.save.keys().map(String::as_str));
        }
        let waits = steps.iter().enumerate().find_map(|(number, step)| Some((step.wait.as_ref()?.since, number)));
        let meant = steps.iter().filter_map(|step| step.origin.clone()).collect();
        Ok(Self { steps, keeper, meant, figure: waits })
    }

    fn from_url(_: &url::Url) -> Result<Self::File, String> {
        Err("a scenario has steps: write it into the configuration".to_owned())
    }

    fn retarget(_: &Self::File, _: &str) -> Result<Self::File, String> {
        Err("a scenario has targets of its own".to_owned())
    }

    fn apply(file: &mut Self::File, overrides: &Overrides) {
        for step in &mut file.steps {
            overrides.change_way(&mut step.http.ip, &mut step.http.tls);
        }
        if let Some(grant) = &mut file.oauth2 {
            let (ip, tls) = grant.reach_mut();
            overrides.change_way(ip, tls);
        }
    }
}
