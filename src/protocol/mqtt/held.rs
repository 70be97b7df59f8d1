//! An MQTT session that is held: pings, the keep-alive that the server wants, and what other vantage points write.

use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::time::{Instant, timeout_at};

use super::{
    Mqtt, Plan,
    codec::{self, Packet},
    line::{Line, abrupt},
    talk::KEEP_ALIVE,
};
use crate::{
    model::{Failure, Kind, Phase},
    protocol::{Attempt, End, Ending, Looking, Session},
};

/// Sessions that were closed without a word sooner than this after they began are remembered.
const SOON: Duration = Duration::from_mins(2);
/// So many in a row are no accident.
const NO_ACCIDENT: u32 = 3;

/// Opens a session: CONNACK, the subscription, and the first message back where that is wanted.
pub(super) async fn open(check: &Mqtt, attempt: &mut Attempt) -> Result<Held, Failure> {
    let opened = begin(check, attempt).await;
    if opened.is_err() {
        check.plan.short.store(0, Relaxed);
    }
    opened
}

async fn begin(check: &Mqtt, attempt: &mut Attempt) -> Result<Held, Failure> {
    let plan = &check.plan;
    let mut line = check.dial(attempt).await?;
    let answer = plan.greet(attempt, &mut line).await?;
    let own = plan.own_topic(&attempt.vantage);
    let filter = match (&own, &plan.topic) {
        // What the others write is listened to as well, where the server can.
        (Some(_), Some(topic)) if answer.wildcards => Some(format!("{topic}/+")),
        (Some(own), _) => Some(own.clone()),
        (None, topic) => topic.clone(),
    };
    if let Some(filter) = filter {
        plan.subscribe(attempt, &mut line, &filter).await?;
    }
    let mut held = Held {
        plan: Arc::clone(plan),
        line,
        own,
        keep_alive: keep_alive(answer.keep_alive),
        opened: Instant::now(),
        said: Instant::now(),
        asked: 0,
        packet: 1,
    };
    held.round_trip(attempt).await?;
    Ok(held)
}

/// Zero means for ever.
fn keep_alive(wanted: Option<u16>) -> Option<Duration> {
    let seconds = wanted.unwrap_or(KEEP_ALIVE);
    (seconds > 0).then(|| Duration::from_secs(seconds.into()))
}

/// An open session.
pub(super) struct Held {
    plan: Arc<Plan>,
    line: Line,
    own: Option<String>,
    keep_alive: Option<Duration>,
    opened: Instant,
    /// When we asked last: nothing else that we say makes a server answer at once.
    said: Instant,
    /// Pings that are not answered yet.
    asked: u32,
    /// The number of the last message that was sent.
    packet: u16,
}

impl Held {
    async fn round_trip(&mut self, attempt: &mut Attempt) -> Result<(), Failure> {
        let Some(own) = &self.own else { return Ok(()) };
        // 0 is no number, and 1 is the subscription's.
        self.packet = self.packet.checked_add(1).unwrap_or(2);
        self.plan.round_trip(attempt, &mut self.line, own, self.packet).await
    }

    async fn ask(&mut self, attempt: &mut Attempt) -> Result<(), Failure> {
        self.line.resume(attempt);
        self.said = Instant::now();
        self.plan.ping(attempt, &mut self.line, &mut self.asked).await?;
        self.round_trip(attempt).await
    }

    /// Reads, and asks once for as long as the keep-alive lets us be quiet.
    async fn listen(&mut self) -> End {
        loop {
            let due = self.keep_alive.map(|whole| self.said + if self.asked == 0 { whole * 3 / 4 } else { whole });
            let next = self.line.next(Phase::Exchange);
            let heard = match due {
                Some(due) => timeout_at(due, next).await,
                None => Ok(next.await),
            };
            match heard {
                Ok(Ok(Packet::PingResp)) => self.asked = self.asked.saturating_sub(1),
                Ok(Ok(Packet::Publish(message))) => {
                    self.plan.hear(&mut self.line, &message);
                }
                Ok(Ok(_)) => {}
                Ok(Err(end)) => return end,
                Err(_) if self.asked == 0 => {
                    self.said = Instant::now();
                    self.asked = 1;
                    self.line.queue(&codec::PING_REQ);
                }
                Err(_) => {
                    let detail = "no PINGRESP within the keep-alive";
                    return abrupt(Failure::new(Phase::Exchange, Kind::TimedOut, detail));
                }
            }
        }
    }

    /// MQTT 3.1.1 has no word for a session that another client of the same name has taken, and servers of MQTT 5 do not
    /// always say it: they just close. Where the name is given and this happens again and again right after we were
    /// welcome, that is what it means.
    fn explain(&self, failure: Failure) -> Failure {
        let is_wordless = matches!(failure.kind, Kind::ClosedEarly | Kind::Reset);
        if self.plan.client_id.is_none() || !is_wordless {
            return failure;
        }
        if self.opened.elapsed() >= SOON {
            self.plan.short.store(0, Relaxed);
            return failure;
        }
        let times = self.plan.short.fetch_add(1, Relaxed).saturating_add(1);
        if times < NO_ACCIDENT {
            return failure;
        }
        let detail = format!(
            "closed without a word {times} times in a row soon after it was welcome, as when another client uses our client id"
        );
        Failure::new(failure.phase, Kind::TakenOver, detail)
    }
}

impl Session for Held {
    fn ping<'a>(&'a mut self, attempt: &'a mut Attempt) -> Looking<'a> {
        Box::pin(async move {
            let asked = self.ask(attempt).await;
            attempt.let_go();
            asked.map_err(|failure| self.explain(failure))
        })
    }

    fn ended(&mut self) -> Ending<'_> {
        Box::pin(async move {
            let End { failure, on_purpose } = self.listen().await;
            End { failure: self.explain(failure), on_purpose }
        })
    }

    fn close(self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(self.line.close())
    }
}
