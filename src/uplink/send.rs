//! Sending: one batch at a time to the hub that is kept to. The newest batch and the oldest take turns, so that catching up never holds
//! up what has just been seen. Owns what becomes of a batch; must not know which hub it is.

use std::{io::Write as _, sync::Arc, time::Duration};

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
    way::{LONGEST_PAUSE, LONGEST_PAUSE_ALONE, NotTaken, Way},
};

/// From one batch to the next while nothing else waits: what is seen meanwhile goes together.
const PACE: Duration = Duration::from_millis(250);
/// No hub makes us wait longer by asking for it.
const LONGEST_WISH: Duration = Duration::from_mins(5);
/// A disk that takes longer to forget a batch is not waited for.
const DISK: Duration = Duration::from_secs(1);
/// No answer of a hub is larger.
const ANSWER: usize = 1 << 20;

/// Sends until told to stop; then what is left, as long as a hub takes it.
pub(super) async fn send(
    uplink: Arc<Uplink>,
    mut hubs: watch::Receiver<Option<Hubs>>,
    more: Arc<Notify>,
    stop: watch::Receiver<bool>,
) {
    let mut way = Way::default();
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
        let Some(url) = way.urls.get(at).cloned() else { continue };
        let began = Instant::now();
        let outcome = post(&uplink, &hubs, &url, packed, now_mode).await;
        heard = Some(Instant::now());
        let result = conclude(&uplink, &batch, &outcome).await;
        uplink.metrics.uplink_batch(result);
        way.note(at, &outcome);
        // A hub that comes back hears of the present first: the past alone would look like it.
        turn = if outcome.is_ok() && turn == Turn::Newest { Turn::Oldest } else { Turn::Newest };
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
