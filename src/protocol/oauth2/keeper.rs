//! Tokens of one grant, a set of them for each vantage point: fetched once however many want them, renewed early, used to
//! their end when renewing fails. Must not know which checks use them or how a fetch is shown.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, timeout_at};

use super::{
    answer::{self, Granted},
    fetch::Fetched,
    file::OAuth2File,
};
use crate::{
    model::{Failure, Kind, Phase, Secret, Vantage},
    net::Net,
    protocol::{
        Attempt, Problem,
        http::{Asking, Expect, HttpFile, Order, Pieces, StatusRange},
    },
};

/// After a try that failed the next one waits so long; those who want a token meanwhile hear of that failure.
const RETRY: Duration = Duration::from_secs(5);
/// A token that was refused is replaced at most this often.
const REPLACE: Duration = Duration::from_secs(30);
/// A fetch that nobody waits for.
const IN_BACKGROUND: Duration = Duration::from_secs(10);
/// A refresh token that has been sent may be used up: the one in the answer is waited for this long, whoever has gone.
const LINGER: Duration = Duration::from_mins(1);
/// Share of a token's life after which it is renewed, and what is added to or taken from that at random.
const EARLY: (f64, f64) = (0.8, 0.05);

/// The tokens of one grant.
pub(in crate::protocol) struct Keeper {
    pub(super) file: OAuth2File,
    asking: Asking,
    shown: String,
    slots: Mutex<HashMap<Vantage, Arc<Slot>>>,
    /// The probe that looks at where the tokens come from.
    watcher: Mutex<Option<Arc<str>>>,
}

/// The tokens of a vantage point.
#[derive(Default)]
pub(super) struct Slot {
    held: Mutex<Held>,
    /// Taken by whoever fetches.
    pub(super) flight: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Held {
    access: Option<Access>,
    /// A refresh token that could not be written down.
    unwritten: Option<Secret>,
    tried: Option<Instant>,
    failed: Option<(Instant, Failure)>,
}

#[derive(Clone)]
struct Access {
    token: Secret,
    got: Instant,
    renew: Instant,
    ends: Instant,
}

impl Keeper {
    /// The keeper of a grant: the same for all who say the same.
    pub(in crate::protocol) fn of(file: &OAuth2File, net: &Arc<Net>) -> Result<Arc<Self>, Problem> {
        let inside = |mut problem: Problem| {
            let field = if problem.path.first().is_some_and(|first| first == "url") { "token_url" } else { "" };
            if !field.is_empty() {
                problem.path = vec![field.to_owned()];
            }
            problem.path.insert(0, file.word().to_owned());
            problem
        };
        let (ip, tls) = file.reach();
        let mut request = HttpFile::get(file.token_url().clone());
        request.redirects = 0;
        request.ip = ip;
        request.tls.clone_from(tls);
        request.proxy = file.proxy().cloned();
        // Whatever it answers is looked at here.
        request.expect = Expect { status: vec![StatusRange { from: 100, to: 599 }], ..Expect::default() };
        let order = order(file, None).map_err(inside)?;
        let asking = Asking::of(&request, order.https, net).map_err(inside)?.wanting_content();
        Ok(net.kept.shared(&file.key(), || Self {
            file: file.clone(),
            asking,
            shown: order.shown(),
            slots: Mutex::default(),
            watcher: Mutex::default(),
        }))
    }

    /// Where the tokens come from, for people.
    pub(in crate::protocol) fn shown(&self) -> &str {
        &self.shown
    }

    /// Hears which probe looks at where the tokens come from.
    pub(in crate::protocol) fn watched_by(&self, probe: &str) {
        *locked(&self.watcher) = Some(probe.into());
    }

    /// A token to use now.
    ///
    /// # Errors
    /// That there is none, and whom to ask why: not the failure itself, which is another probe's to tell.
    pub(in crate::protocol) async fn token(self: &Arc<Self>, attempt: &Attempt) -> Result<Secret, Failure> {
        let slot = self.slot(&attempt.vantage);
        let now = Instant::now();
        if let Some((token, early)) = slot.usable(now) {
            if early {
                let (net, vantage) = (Arc::clone(&attempt.net), attempt.vantage.clone());
                let own = Attempt::begin(net, vantage, 0, IN_BACKGROUND);
                // Who fails here is heard of when the token has ended, or by the probe that watches.
                drop(tokio::spawn(Arc::clone(self).fetch(Arc::clone(&slot), own, false)));
            }
            return Ok(token);
        }
        if let Some(failure) = slot.lately_failed(now) {
            return Err(self.blocked(&failure));
        }
        let fetched = self.fetch_for(attempt, false).await;
        fetched.token.or_else(|failure| match slot.usable(Instant::now()) {
            Some((token, _)) => Ok(token),
            None => Err(self.blocked(&failure)),
        })
    }

    /// Hears that a token was refused: the next one who wants one gets another.
    pub(in crate::protocol) fn refused(&self, vantage: &Vantage, token: &Secret) {
        let slot = self.slot(vantage);
        let mut held = locked(&slot.held);
        held.access.take_if(|access| access.token == *token && access.got.elapsed() >= REPLACE);
    }

    fn blocked(&self, failure: &Failure) -> Failure {
        let Failure { phase, kind, detail } = failure;
        let from = locked(&self.watcher).as_ref().map_or_else(|| self.shown.clone(), |probe| format!("probe {probe}"));
        let detail = if detail.is_empty() { kind.in_words() } else { detail };
        Failure::new(Phase::Request, Kind::Blocked, format!("no token: {from} fails at {phase}: {detail}"))
    }

    pub(super) fn slot(&self, vantage: &Vantage) -> Arc<Slot> {
        Arc::clone(locked(&self.slots).entry(vantage.clone()).or_default())
    }

    /// Asks for a token and reads the answer.
    pub(super) async fn ask(&self, attempt: &mut Attempt, refresh: Option<&Secret>) -> Result<Granted, Failure> {
        let unfit = |problem: Problem| Failure::new(Phase::Request, Kind::Internal, problem.message);
        let order = order(&self.file, refresh).map_err(unfit)?;
        let heard = self.asking.ask(attempt, &order).await?;
        answer::read(heard.status, &heard.read.bytes, heard.read.complete)
    }

    /// Fetches beside the caller, who may be cut off: an answer under way holds a token that comes only once. Says what
    /// is known a little before the caller's deadline, though the fetch may go on.
    pub(super) async fn fetch_for(self: &Arc<Self>, attempt: &Attempt, fresh: bool) -> Fetched {
        let timeout = attempt.timeout();
        let mut own = Attempt::begin(Arc::clone(&attempt.net), attempt.vantage.clone(), 0, timeout);
        let mut seen = Attempt::begin(Arc::clone(&attempt.net), attempt.vantage.clone(), 0, timeout);
        let progress = own.show_progress();
        let margin = (timeout / 50).clamp(Duration::from_millis(10), Duration::from_millis(100));
        let deadline = attempt.deadline.checked_sub(margin).unwrap_or(attempt.deadline);
        own.deadline = deadline;
        own.wants_gauges = attempt.wants_gauges;
        let slot = self.slot(&attempt.vantage);
        let fetching = tokio::spawn(Arc::clone(self).fetch(Arc::clone(&slot), own, fresh));
        match timeout_at(deadline, fetching).await {
            Ok(Ok(fetched)) => fetched,
            Ok(Err(_)) => Fetched::failed(Failure::new(
                Phase::Exchange,
                Kind::Internal,
                "fetching a token stopped with a fault of our own",
            )),
            Err(_) => {
                // Whoever has only waited for another's fetch knows no more than what came of that one.
                let others = if seen.take_over(&progress) { None } else { slot.lately_failed(Instant::now()) };
                let failure = others.unwrap_or_else(|| {
                    let failure = seen.timed_out();
                    slot.note_failed(&failure);
                    failure
                });
                Fetched::of(Err(failure), seen)
            }
        }
    }

    async fn fetch(self: Arc<Self>, slot: Arc<Slot>, mut attempt: Attempt, fresh: bool) -> Fetched {
        let mut deadline = attempt.deadline;
        let late = |attempt: &mut Attempt| Err(attempt.timed_out());
        let Ok(_turn) = timeout_at(deadline, slot.flight.lock()).await else {
            return Fetched::of(late(&mut attempt), attempt);
        };
        // Somebody else may have been quicker.
        let now = Instant::now();
        if !fresh {
            if let Some((token, false)) = slot.usable(now) {
                return Fetched::of(Ok(token), attempt);
            }
            if let Some(failure) = slot.lately_failed(now) {
                return Fetched::of(Err(failure), attempt);
            }
        }
        locked(&slot.held).tried = Some(now);
        let mut _errand = None;
        if matches!(self.file, OAuth2File::RefreshToken(_)) {
            deadline = deadline.max(now + LINGER);
            attempt.deadline = deadline;
            // Nor does the process end before it is there.
            _errand = Some(attempt.net.kept.errand());
        }
        let token = match timeout_at(deadline, self.renew(&slot, &mut attempt, fresh)).await {
            Ok(token) => token,
            Err(_) => late(&mut attempt),
        };
        locked(&slot.held).failed = token.as_ref().err().map(|failure| (Instant::now(), failure.clone()));
        Fetched::of(token, attempt)
    }
}

impl Slot {
    /// The present token, and whether it is time for another.
    fn usable(&self, now: Instant) -> Option<(Secret, bool)> {
        let held = locked(&self.held);
        let access = held.access.as_ref().filter(|access| now < access.ends)?;
        let lately = held.tried.is_some_and(|tried| now.duration_since(tried) < RETRY);
        Some((access.token.clone(), now >= access.renew && !lately))
    }

    fn lately_failed(&self, now: Instant) -> Option<Failure> {
        let held = locked(&self.held);
        held.failed.as_ref().filter(|(at, _)| now.duration_since(*at) < RETRY).map(|(_, failure)| failure.clone())
    }

    /// Holds a token from now on.
    pub(super) fn hold(&self, token: &Secret, lasts: Duration) {
        let got = Instant::now();
        let share = EARLY.0 + EARLY.1 * (2.0 * chance() - 1.0);
        let access = Access { token: token.clone(), got, renew: got + lasts.mul_f64(share), ends: got + lasts };
        locked(&self.held).access = Some(access);
    }

    /// Whoever wants a token soon hears of this failure.
    fn note_failed(&self, failure: &Failure) {
        locked(&self.held).failed = Some((Instant::now(), failure.clone()));
    }

    /// The refresh token that the file has not got.
    pub(super) fn unwritten(&self) -> Option<Secret> {
        locked(&self.held).unwritten.clone()
    }

    pub(super) fn note_unwritten(&self, refresh: Option<Secret>) {
        locked(&self.held).unwritten = refresh;
    }
}

fn locked<T>(one: &Mutex<T>) -> MutexGuard<'_, T> {
    one.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number from 0 to 1: many agents that begin together shall not renew together.
fn chance() -> f64 {
    RandomState::new().hash_one(()) as f64 / u64::MAX as f64
}

fn order(file: &OAuth2File, refresh: Option<&Secret>) -> Result<Order, Problem> {
    let wish = file.wish(refresh);
    let header = |name: &str, value: Secret| (name.to_owned(), value);
    let mut headers = BTreeMap::from([
        header("Content-Type", Secret::new("application/x-www-form-urlencoded")),
        header("Accept", Secret::new("application/json")),
    ]);
    headers.extend(wish.authorization.map(|value| header("Authorization", value)));
    let url = file.token_url().clone();
    Order::made_of(Pieces {
        url,
        ip: file.reach().0,
        method: "POST",
        headers,
        body: Some(wish.body),
        wants_content: true,
    })
}
