//! Sending: one batch at a time to the hub that answered last, and to the next when it does not. The newest batch and
//! the oldest take turns, so that catching up never holds up what has just been seen. Owns when to try again.

use std::{
    hash::{BuildHasher as _, RandomState},
    io::Write as _,
    sync::Arc,
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use reqwest::{StatusCode, header};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until, timeout},
};
use url::Url;

use super::{
    Hubs, Mode, Uplink,
    answer::{BUILD, CLOCK, CONFIG, NODE, REGION, SENT_AT, SOLO, Taken},
    clock::Exchange,
    lock, note,
    spool::{Batch, Loss, Turn},
};

/// From one batch to the next while nothing else waits: what is seen meanwhile goes together.
const PACE: Duration = Duration::from_millis(250);
/// The first pause after a failure; each further one is twice as long …
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// … up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// … or this, while a whole region waits for the hubs to be back.
const LONGEST_PAUSE_ALONE: Duration = Duration::from_secs(5);
/// No hub makes us wait longer by asking for it.
const LONGEST_WISH: Duration = Duration::from_mins(5);
/// A disk that takes longer to forget a batch is not waited for.
const DISK: Duration = Duration::from_secs(1);
/// No answer of a hub is larger.
const ANSWER: usize = 1 << 20;

/// Why a batch was not taken.
#[derive(Debug)]
enum NotTaken {
    /// The hub is well and wants us to wait.
    Busy(Duration),
    /// It cannot be reached, or answers what no hub answers.
    Failed(String),
    /// It is taken by no hub however often it is sent.
    Never(String),
}

/// What is known of one hub.
#[derive(Debug, Default)]
struct Known {
    failures: u32,
    not_before: Option<Instant>,
}

/// Sends until told to stop; then what is left, as long as a hub takes it.
pub(super) async fn send(
    uplink: Arc<Uplink>,
    mut hubs: watch::Receiver<Option<Hubs>>,
    more: Arc<Notify>,
    stop: watch::Receiver<bool>,
) {
    let mut way = Way { urls: Vec::new(), known: Vec::new(), current: 0, well: true, longest_pause: LONGEST_PAUSE };
    let mut turn = Turn::Newest;
    let mut mode = uplink.line.mode();
    let mut heard: Option<Instant> = None;
    loop {
        let Some(hubs) = hubs.borrow_and_update().clone().filter(|hubs| !hubs.urls.is_empty()) else {
            // Taken out of the configuration by a reload: what is seen waits until the process is started again.
            more.notified().await;
            if *stop.borrow() {
                return;
            }
            continue;
        };
        way.adopt(&hubs.urls);
        let now_mode = *mode.borrow_and_update();
        way.hurry(if now_mode == Mode::Together { LONGEST_PAUSE } else { LONGEST_PAUSE_ALONE });
        let at = match way.choose(Instant::now()) {
            Ok(at) => at,
            Err(_) if *stop.borrow() => return,
            Err(until) => {
                tokio::select! {
                    () = sleep_until(until) => {}
                    Ok(()) = mode.changed() => {}
                    () = stopped(stop.clone()) => {}
                }
                continue;
            }
        };
        // What a region has told people of goes before what it has seen.
        let (batch, waiting) = if now_mode == Mode::Together { next(&uplink, turn).await } else { (None, 0) };
        let Some((batch, packed)) = batch else {
            if *stop.borrow() {
                return;
            }
            let due = heard.map_or_else(Instant::now, |heard| heard + uplink.line.pulse());
            tokio::select! {
                () = sleep_until(due) => {
                    let Some(url) = way.urls.get(at).cloned() else { continue };
                    let outcome = post(&uplink, &hubs, &url, Vec::new(), now_mode).await;
                    heard = Some(Instant::now());
                    match &outcome {
                        Ok(_) => {}
                        Err(NotTaken::Busy(_)) => uplink.metrics.uplink_batch("busy"),
                        Err(_) => uplink.metrics.uplink_batch("failed"),
                    }
                    way.note(at, &outcome);
                }
                () = more.notified(), if now_mode == Mode::Together => {}
                Ok(()) = mode.changed() => {}
                () = stopped(stop.clone()) => {}
            }
            continue;
        };
        turn = if turn == Turn::Newest { Turn::Oldest } else { Turn::Newest };
        let Some(url) = way.urls.get(at).cloned() else { continue };
        let began = Instant::now();
        let outcome = post(&uplink, &hubs, &url, packed, now_mode).await;
        heard = Some(Instant::now());
        let result = conclude(&uplink, &batch, &outcome).await;
        uplink.metrics.uplink_batch(result);
        way.note(at, &outcome);
        uplink.show();
        if outcome.is_ok() && waiting <= 1 && !*stop.borrow() {
            tokio::select! {
                () = sleep_until(began + PACE) => {}
                () = stopped(stop.clone()) => {}
            }
        }
    }
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// A batch with its body, and how many there are.
async fn next(uplink: &Arc<Uplink>, turn: Turn) -> (Option<(Batch, Vec<u8>)>, usize) {
    let spool = Arc::clone(&uplink.spool);
    let read = tokio::task::spawn_blocking(move || {
        let mut loss = Loss::default();
        let (batch, waiting) = {
            let mut spool = lock(&spool);
            let batch = spool.batch(turn, &mut loss);
            (batch, spool.batches())
        };
        let packed = batch.and_then(|batch| {
            let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
            packer.write_all(&batch.lines).ok()?;
            let packed = packer.finish().ok()?;
            Some((batch, packed))
        });
        (packed, waiting, loss)
    });
    match read.await {
        Ok((batch, waiting, loss)) => {
            note(&uplink.metrics, &loss);
            (batch, waiting)
        }
        Err(error) => {
            tracing::error!("reading the spool ended badly: {error}");
            (None, 0)
        }
    }
}

/// Sends a batch; one that is empty says that this agent lives.
async fn post(uplink: &Uplink, hubs: &Hubs, url: &Url, packed: Vec<u8>, mode: Mode) -> Result<Taken, NotTaken> {
    let to = format!("{}/api/v1/observations", url.as_str().trim_end_matches('/'));
    uplink.metrics.uplink_bytes(packed.len() as u64);
    let offset = uplink.line.offset();
    uplink.metrics.uplink_clock(offset.map(|offset| offset.ahead));
    let mut request = uplink
        .http
        .post(to)
        .bearer_auth(hubs.token.reveal())
        .header(header::CONTENT_TYPE, "application/jsonl")
        .header(NODE, &*hubs.vantage.node)
        .header(BUILD, env!("CARGO_PKG_VERSION"))
        .header(CONFIG, &*hubs.config)
        .header(REGION, uplink.line.version());
    if !packed.is_empty() {
        request = request.header(header::CONTENT_ENCODING, "gzip");
    }
    if let Some(offset) = offset {
        request = request.header(CLOCK, format!("{:.6} {:.6}", offset.ahead, offset.round_trip));
    }
    if mode != Mode::Together {
        request = request.header(SOLO, "1");
    }
    let (sent_at, began) = (chrono::Utc::now(), Instant::now());
    let request = request.header(SENT_AT, sent_at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)).body(packed);
    let failed = |error: reqwest::Error| NotTaken::Failed(reason(&error.without_url()));
    let mut answer = request.send().await.map_err(failed)?;
    let (status, took) = (answer.status(), began.elapsed());
    let wish = answer.headers().get(header::RETRY_AFTER).and_then(|wish| wish.to_str().ok()?.trim().parse().ok());
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(failed)? {
        if body.len() + piece.len() > ANSWER {
            return Err(NotTaken::Failed("its answer is larger than that of a hub".to_owned()));
        }
        body.extend_from_slice(&piece);
    }
    let why = || {
        let told = serde_json::from_slice::<serde_json::Value>(&body).ok();
        told.and_then(|told| told.get("error")?.as_str().map(str::to_owned))
    };
    let told = || format!("it answers {}{}", status.as_u16(), why().map(|why| format!(": {why}")).unwrap_or_default());
    match (status, wish) {
        (StatusCode::OK, _) => {
            let senseless = |_| NotTaken::Failed("it answers what no hub answers".to_owned());
            let mut taken: Taken = serde_json::from_slice(&body).map_err(senseless)?;
            let hub = taken.received_at.zip(taken.answered_at);
            let exchange = hub.map(|(received_at, answered_at)| Exchange { sent_at, received_at, answered_at, took });
            uplink.line.note(url, &hubs.token, exchange.as_ref(), taken.region.take());
            Ok(taken)
        }
        (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE, Some(seconds)) => {
            Err(NotTaken::Busy(Duration::from_secs(seconds).min(LONGEST_WISH)))
        }
        // Only in a hub's own words: what stands before it may refuse what the hub would take.
        (StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY, _)
            if why().is_some() =>
        {
            Err(NotTaken::Never(told()))
        }
        _ => Err(NotTaken::Failed(told())),
    }
}

/// The innermost reason is what a person can act on.
fn reason(error: &reqwest::Error) -> String {
    let mut source: &dyn std::error::Error = error;
    while let Some(inner) = source.source() {
        source = inner;
    }
    if error.is_timeout() { "it does not answer in time".to_owned() } else { source.to_string() }
}

/// Does away with a batch that is done with, and says in a word what became of it.
async fn conclude(uplink: &Arc<Uplink>, batch: &Batch, outcome: &Result<Taken, NotTaken>) -> &'static str {
    let word = match outcome {
        Ok(taken) => {
            uplink.metrics.uplink_sent(taken.taken + taken.duplicate);
            if taken.refused_total > 0 {
                uplink.metrics.uplink_dropped("refused", taken.refused_total);
                let why = taken.refused.first().map(|first| first.why.as_str()).unwrap_or_default();
                tracing::warn!(observations = taken.refused_total, "the hub will not take some observations: {why}");
            }
            "taken"
        }
        Err(NotTaken::Never(why)) => {
            uplink.metrics.uplink_dropped("refused", batch.observations);
            tracing::error!(observations = batch.observations, "the hub will never take a batch: {why}");
            "refused"
        }
        Err(NotTaken::Busy(_)) => return "busy",
        Err(NotTaken::Failed(_)) => return "failed",
    };
    let (spool, number) = (Arc::clone(&uplink.spool), batch.number);
    let forgotten = tokio::task::spawn_blocking(move || lock(&spool).done(number));
    // A disk that hangs does not keep us from sending.
    let _ = timeout(DISK, forgotten).await;
    word
}

/// The hubs, and which of them is kept to.
struct Way {
    urls: Vec<Url>,
    known: Vec<Known>,
    current: usize,
    /// The last attempt was answered by a hub.
    well: bool,
    longest_pause: Duration,
}

impl Way {
    fn adopt(&mut self, urls: &[Url]) {
        if self.urls != urls {
            self.urls = urls.to_vec();
            self.known = urls.iter().map(|_| Known::default()).collect();
            // Agents of a fleet begin at different hubs.
            self.current = usize::try_from(random() % urls.len().max(1) as u64).unwrap_or(0);
        }
    }

    /// Tries failed hubs no later than after this pause.
    fn hurry(&mut self, longest_pause: Duration) {
        if longest_pause < self.longest_pause {
            let latest = Instant::now() + longest_pause;
            for known in self.known.iter_mut().filter(|known| known.failures > 0) {
                known.not_before = known.not_before.map(|at| at.min(latest));
            }
        }
        self.longest_pause = longest_pause;
    }

    /// The hub to ask now: the one kept to, or the next that need not be waited for; or until when to wait.
    fn choose(&mut self, now: Instant) -> Result<usize, Instant> {
        let count = self.known.len();
        let free = |known: &Known| known.not_before.is_none_or(|at| at <= now);
        let next =
            (0..count).map(|step| (self.current + step) % count).find(|at| self.known.get(*at).is_some_and(free));
        match next {
            Some(at) => {
                self.current = at;
                Ok(at)
            }
            None => Err(self.known.iter().filter_map(|known| known.not_before).min().unwrap_or(now + FIRST_PAUSE)),
        }
    }

    fn note(&mut self, at: usize, outcome: &Result<Taken, NotTaken>) {
        let (Some(known), Some(url)) = (self.known.get_mut(at), self.urls.get(at)) else { return };
        let name = url.host_str().unwrap_or_default();
        match outcome {
            Ok(_) | Err(NotTaken::Never(_)) => {
                *known = Known::default();
                if !std::mem::replace(&mut self.well, true) {
                    tracing::info!("the hub {name} takes observations again");
                }
            }
            Err(NotTaken::Busy(wait)) => known.not_before = Some(Instant::now() + jittered(*wait, 1.0)),
            Err(NotTaken::Failed(why)) => {
                let pause = FIRST_PAUSE.saturating_mul(1 << known.failures.min(10)).min(self.longest_pause);
                known.failures = known.failures.saturating_add(1);
                known.not_before = Some(Instant::now() + jittered(pause, 0.5));
                if std::mem::replace(&mut self.well, false) {
                    tracing::warn!("cannot hand observations to the hub {name}: {why}: they wait in the spool");
                }
            }
        }
    }
}

/// A pause from `least` of it to half as much again, so that a fleet does not come back all at once.
fn jittered(pause: Duration, least: f64) -> Duration {
    #[expect(clippy::cast_precision_loss, reason = "a random share need not be exact")]
    let share = (random() >> 11) as f64 / (1u64 << 53) as f64;
    pause.mul_f64(least + share / 2.0)
}

fn random() -> u64 {
    RandomState::new().hash_one(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_hub_is_kept_to_until_it_fails_and_what_it_asks_for_is_honoured() {
        let mut way = Way { urls: Vec::new(), known: Vec::new(), current: 0, well: true, longest_pause: LONGEST_PAUSE };
        way.adopt(&["http://a.test/".parse().unwrap(), "http://b.test/".parse().unwrap()]);
        way.current = 0;
        let now = Instant::now();
        assert_eq!(way.choose(now), Ok(0));
        way.note(0, &Ok(Taken::default()));
        assert_eq!(way.choose(now), Ok(0));
        way.note(0, &Err(NotTaken::Failed("refused".to_owned())));
        assert_eq!(way.choose(now), Ok(1));
        way.note(1, &Err(NotTaken::Busy(Duration::from_secs(7))));
        let until = way.choose(now).unwrap_err();
        assert!((now + FIRST_PAUSE / 2..=now + FIRST_PAUSE).contains(&until), "the first hub is tried sooner");
        for _ in 0..20 {
            way.note(0, &Err(NotTaken::Failed("refused".to_owned())));
        }
        let until = way.choose(now).unwrap_err();
        assert!(until >= now + Duration::from_secs(7), "no sooner than it asked for");
        assert!(until <= now + LONGEST_PAUSE);
    }
}
