//! One step of a scenario: its request made of what was saved, asked once or until something holds, and what it saves.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::Instant;
use url::{Origin, Url};

use super::{
    super::{
        Attempt, Ip, Problem,
        attempt::Seconds,
        http::{Asking, Expectations, Heard, HttpFile, Order, Pieces, Reuse},
    },
    file::{StepFile, WaitFile},
    save::Save,
    template::{Place, Saved, Template, UrlTemplate, is_name},
};
use crate::{
    model::{Failure, Kind, Phase, Secret},
    net::Net,
};

/// From one request to the next, where nothing is said.
const EVERY: Duration = Duration::from_millis(500);
/// Nobody is asked more often.
const EVERY_AT_LEAST: Duration = Duration::from_millis(50);

/// A step, prepared.
pub(super) struct Step {
    pub(super) name: Arc<str>,
    url: Template,
    method: String,
    headers: Vec<(String, Template)>,
    body: Option<(Template, Place)>,
    ip: Ip,
    asking: Asking,
    wants_content: bool,
    saves: Vec<(String, Save)>,
    pub(super) wait: Option<Wait>,
    /// Where it goes, when the file says so.
    pub(super) origin: Option<Origin>,
    /// The same for people.
    pub(super) shown: String,
}

/// Asking until something holds.
pub(super) struct Wait {
    expectations: Expectations,
    every: Duration,
    within: Option<Duration>,
    /// Number of the step whose effect it is.
    pub(super) since: usize,
}

impl Step {
    /// Prepares step number `number` of `steps`; paths of problems begin at the scenario.
    pub(super) fn of(steps: &[StepFile], number: usize, known: &[&str], net: &Arc<Net>) -> Result<Self, Problem> {
        let file = steps.get(number).ok_or_else(|| Problem::at("steps", "there is no such step"))?;
        let at = format!("steps.{number}");
        let inside = |field: &str| {
            let at = format!("{at}.{field}");
            move |mut problem: Problem| {
                problem.path = at.split('.').map(str::to_owned).chain(problem.path).collect();
                problem
            }
        };
        let http = &file.http;
        if http.connection != Reuse::Cold {
            return Err(Problem::at(&format!("{at}.http.connection"), "the steps of a scenario use fresh connections"));
        }
        let url = Template::parse(&http.url.0);
        let headers: Vec<(String, Template)> =
            http.headers.iter().map(|(name, value)| (name.clone(), Template::parse(value.reveal()))).collect();
        let body = http.body.as_ref().map(|body| (Template::parse(body.reveal()), place_of(http, body.reveal())));
        let used = url.names().map(|name| ("url".to_owned(), name));
        let used = used.chain(
            headers
                .iter()
                .flat_map(|(header, value)| value.names().map(move |name| (format!("headers.{header}"), name))),
        );
        let used = used.chain(body.iter().flat_map(|(body, _)| body.names().map(|name| ("body".to_owned(), name))));
        for (field, name) in used {
            if !known.contains(&name) {
                return Err(unknown(&format!("{at}.http.{field}"), name, &steps[number..], known));
            }
        }
        let wait = file.wait_until.as_ref().map(|wait| Wait::of(wait, steps, number)).transpose()?;
        let mut saves = Vec::new();
        for (name, save) in &file.save {
            let at = format!("{at}.save.{name}");
            if !is_name(name) {
                return Err(Problem::at(&at, format!("`{name}` cannot be the name of a variable"))
                    .help("letters, digits and `_`, not beginning with a digit"));
            }
            saves.push((name.clone(), Save::of(save, &at)?));
        }
        let wants_content = http.expect.wants_body()
            || saves.iter().any(|(_, save)| save.wants_content())
            || file.wait_until.as_ref().is_some_and(|wait| wait.expect.wants_body());

        // What is wrong whatever is filled in is found with something harmless.
        let sample: Saved = known.iter().map(|name| ((*name).to_owned(), Secret::new("x"))).collect();
        let mut origin = None;
        let mut shown = http.url.0.clone();
        let mut https = false;
        if !url.begins_with_variable() {
            let filled = url.fill(&sample, Place::Url).unwrap_or_default();
            let parsed: Url = filled.parse().map_err(|error: url::ParseError| {
                let detail = match error {
                    url::ParseError::RelativeUrlWithoutBase => "it has no scheme".to_owned(),
                    other => other.to_string(),
                };
                Problem::at(&format!("{at}.http.url"), format!("this is not a URL: {detail}"))
            })?;
            let authority = http.url.0.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or(rest));
            if authority.contains("${") {
                return Err(Problem::at(&format!("{at}.http.url"), "a variable cannot be a part of the host")
                    .help("save the whole address, and begin the URL with it"));
            }
            let order = Order::made_of(pieces(http, &headers, &sample, parsed.clone())).map_err(inside("http"))?;
            (https, shown, origin) = (order.https, order.shown(), Some(parsed.origin()));
        }
        let mut asking = Asking::of(http, https, net).map_err(inside("http"))?;
        if wants_content {
            asking = asking.wanting_content();
        }
        if wait.is_some() {
            asking = asking.within_one_run();
        }
        Ok(Self {
            name: file.name.as_str().into(),
            url,
            method: http.method.clone(),
            headers,
            body,
            ip: http.ip,
            asking,
            wants_content,
            saves,
            wait,
            origin,
            shown,
        })
    }

    /// Whether it says itself who we are.
    pub(super) fn has_authorization(&self) -> bool {
        self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"))
    }

    /// Asks, once or until it holds, and saves. `since`: when the command was sent whose effect is waited for.
    pub(super) async fn run(
        &self,
        attempt: &mut Attempt,
        saved: &mut Saved,
        token: Option<&(Secret, Vec<Origin>)>,
        since: Instant,
    ) -> Result<(), Failure> {
        let order = self.order(saved, token)?;
        let heard = match &self.wait {
            None => self.asking.ask(attempt, &order).await,
            Some(wait) => self.wait(wait, attempt, &order, since).await,
        };
        self.asking.forget();
        let heard = heard?;
        for (name, save) in &self.saves {
            saved.insert(name.clone(), save.take(name, &heard)?);
        }
        Ok(())
    }

    async fn wait(&self, wait: &Wait, attempt: &mut Attempt, order: &Order, since: Instant) -> Result<Heard, Failure> {
        let until = wait.within.map_or(attempt.deadline, |within| (since + within).min(attempt.deadline));
        for tries in 1_u32.. {
            let asked = Instant::now();
            let heard = self.asking.ask(attempt, order).await?;
            let Err(unmet) = wait.expectations.judge(&heard) else { return Ok(heard) };
            let took = Seconds(until.duration_since(since));
            let looks = if tries == 1 { "look" } else { "looks" };
            let detail = format!("{} within {took} ({tries} {looks})", unmet.detail);
            let failure = Failure::new(Phase::Exchange, Kind::NotDelivered, detail);
            let next = asked + wait.every;
            if next >= until {
                return Err(failure);
            }
            let told = Failure { detail: format!("step \"{}\": {}", self.name, failure.detail), ..failure };
            attempt.condemn(told);
            tokio::time::sleep_until(next).await;
            attempt.acquit();
        }
        Err(Failure::new(Phase::Exchange, Kind::Internal, "asked too often"))
    }

    fn order(&self, saved: &Saved, token: Option<&(Secret, Vec<Origin>)>) -> Result<Order, Failure> {
        let unfit = |why: String| Failure::new(Phase::Request, Kind::BodyUnexpected, why);
        let unsaved = |name: &str| Failure::new(Phase::Request, Kind::Internal, format!("`{name}` was not saved"));
        let url = self.url.fill(saved, Place::Url).map_err(unsaved)?;
        let url: Url = url.parse().map_err(|_| unfit("what was saved makes no URL".to_owned()))?;
        let mut headers = BTreeMap::new();
        for (name, value) in &self.headers {
            headers.insert(name.clone(), Secret::new(value.fill(saved, Place::Plain).map_err(unsaved)?));
        }
        // A peer that says where to go next does not get what is meant for others.
        if let Some((token, _)) = token.filter(|(_, meant)| !self.has_authorization() && meant.contains(&url.origin()))
        {
            headers.insert("Authorization".to_owned(), Secret::new(format!("Bearer {}", token.reveal())));
        }
        let body = match &self.body {
            None => None,
            Some((body, place)) => Some(Secret::new(body.fill(saved, *place).map_err(unsaved)?)),
        };
        let (method, ip, wants_content) = (self.method.as_str(), self.ip, self.wants_content);
        Order::made_of(Pieces { url, ip, method, headers, body, wants_content })
            .map_err(|_| unfit("what was saved does not fit into the request".to_owned()))
    }
}

impl Wait {
    fn of(file: &WaitFile, steps: &[StepFile], number: usize) -> Result<Self, Problem> {
        let at = format!("steps.{number}.wait_until");
        let wrong = |field: &str, why: String| Err(Problem::at(&format!("{at}.{field}"), why));
        let every = file.every.map_or(EVERY, |every| every.0);
        if every < EVERY_AT_LEAST {
            return wrong("every", format!("at least {}", Seconds(EVERY_AT_LEAST)));
        }
        let within = file.within.map(|within| within.0);
        if within.is_some_and(|within| within.is_zero()) {
            return wrong("within", "longer than nothing".to_owned());
        }
        let since = match &file.since {
            None => number.saturating_sub(1),
            Some(name) => match steps.iter().take(number + 1).position(|step| step.name == *name) {
                Some(since) => since,
                None => return wrong("since", format!("no step before this one is called `{name}`")),
            },
        };
        let expectations = Expectations::of(&file.expect).map_err(|mut problem| {
            // It says where it is wrong as if it stood in an `http` check.
            problem.path = at.split('.').map(str::to_owned).chain(problem.path).collect();
            problem
        })?;
        Ok(Self { expectations: expectations.or_any_status(&file.expect), every, within, since })
    }
}

fn unknown(at: &str, name: &str, later: &[StepFile], known: &[&str]) -> Problem {
    if later.iter().any(|step| step.save.contains_key(name)) {
        return Problem::at(at, format!("`${{{name}}}` is saved only by this step or a later one"));
    }
    let help = if known.is_empty() {
        "no step before this one saves anything".to_owned()
    } else {
        format!("saved so far: {}", known.join(", "))
    };
    Problem::at(at, format!("no step before this one saves `{name}`")).help(help)
}

fn place_of<U>(http: &HttpFile<U>, body: &str) -> Place {
    let kind = http.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    match kind.map(|(_, value)| value.reveal().to_ascii_lowercase()) {
        Some(kind) if kind.contains("json") => Place::Json,
        Some(kind) if kind.starts_with("application/x-www-form-urlencoded") => Place::Form,
        None if body.trim_start().starts_with(['{', '[']) => Place::Json,
        _ => Place::Plain,
    }
}

fn pieces<'a>(
    http: &'a HttpFile<UrlTemplate>,
    headers: &'a [(String, Template)],
    sample: &Saved,
    url: Url,
) -> Pieces<'a> {
    let filled = |value: &Template| Secret::new(value.fill(sample, Place::Plain).unwrap_or_default());
    Pieces {
        url,
        ip: http.ip,
        method: &http.method,
        headers: headers.iter().map(|(name, value)| (name.clone(), filled(value))).collect(),
        body: None,
        wants_content: false,
    }
}
