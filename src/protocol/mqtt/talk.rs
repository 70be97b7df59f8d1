//! What is said over one MQTT connection: the greeting, a subscription, a ping, and the message that must come back. Each
//! is a phase of the attempt.

use std::sync::{Mutex, PoisonError, atomic::AtomicU32};

use super::{
    Plan,
    codec::{self, ConnAck, Connect, Packet, Publish, Version},
    line::{CLOSED, Line},
    reason,
};
use crate::{
    model::{Arrival, Failure, Kind, Phase},
    protocol::{
        Attempt,
        delivery::{Heard, Ledger, Moment},
    },
};

/// Seconds within which each side must say something; servers may want less.
pub(super) const KEEP_ALIVE: u16 = 60;

/// Messages that nobody takes need not be kept longer than this, in seconds.
const MESSAGE_LASTS: u32 = 60;

/// The packet that a subscription is asked for with; messages take the others.
const SUBSCRIPTION: u16 = 1;

/// A name that no other client has: short enough for every server, and of letters and digits.
pub(super) fn new_client_id() -> String {
    let mut random = [0; 8];
    // Without randomness the names of different processes still differ by when they began.
    if aws_lc_rs::rand::fill(&mut random).is_err() {
        random = Moment::now().wall.timestamp_micros().to_be_bytes();
    }
    random.iter().fold("usoryou".to_owned(), |id, byte| format!("{id}{byte:02x}"))
}

impl Plan {
    /// The same for an attempt that stands by itself, and may run beside a session.
    ///
    /// # Errors
    /// When that would end the session: two clients cannot have one name.
    pub(super) fn alone(&self) -> Result<Self, Failure> {
        if self.client_id.is_some() {
            let detail = "a second connection with the same client_id would end the first";
            return Err(Failure::new(Phase::Resolve, Kind::Blocked, detail));
        }
        let (username, password) = (self.username.clone(), self.password.clone());
        Ok(Self { username, password, topic: self.topic.clone(), round_trip: self.round_trip, ..self.stranger() })
    }

    /// A plan that says nothing of who we are, and wants nothing but an answer.
    pub(super) fn stranger(&self) -> Self {
        Self {
            version: self.version,
            client_id: None,
            own_id: new_client_id(),
            username: None,
            password: None,
            topic: None,
            round_trip: false,
            any_answer: self.any_answer,
            ledger: Mutex::default(),
            short: AtomicU32::new(0),
        }
    }

    /// CONNECT and its answer.
    pub(super) async fn greet(&self, attempt: &mut Attempt, line: &mut Line) -> Result<ConnAck, Failure> {
        let connect = Connect {
            client_id: self.client_id.as_deref().unwrap_or(&self.own_id),
            username: self.username.as_deref(),
            password: self.password.as_ref().map(|password| password.reveal()),
            keep_alive: KEEP_ALIVE,
        };
        line.queue(&codec::connect(self.version, &connect));
        attempt.phase(Phase::Request, "chance to finish CONNECT", line.flush(Phase::Request)).await?;
        let answer = async {
            match line.next(Phase::FirstByte).await.map_err(|end| end.failure) {
                Ok(Packet::ConnAck(answer)) if answer.code == 0 || self.any_answer => Ok(answer),
                Ok(Packet::ConnAck(answer)) => Err(reason::refused(self.version, Phase::FirstByte, answer.code)),
                Ok(_) => {
                    Err(Failure::new(Phase::FirstByte, Kind::ProtocolError, "something else instead of a CONNACK"))
                }
                Err(failure) if failure.kind == Kind::ClosedEarly && failure.detail == CLOSED => {
                    Err(Failure::new(Phase::FirstByte, Kind::ClosedEarly, "closed without a CONNACK"))
                }
                Err(failure) => Err(failure),
            }
        };
        attempt.phase(Phase::FirstByte, "CONNACK", answer).await
    }

    /// SUBSCRIBE and its answer.
    pub(super) async fn subscribe(&self, attempt: &mut Attempt, line: &mut Line, filter: &str) -> Result<(), Failure> {
        line.queue(&codec::subscribe(self.version, SUBSCRIPTION, filter));
        let answer = async {
            loop {
                match line.next(Phase::Exchange).await? {
                    Packet::SubAck(SUBSCRIPTION, code) if code < 0x80 => return Ok(()),
                    Packet::SubAck(SUBSCRIPTION, code) => return Err(not_subscribed(self.version, code)),
                    Packet::Publish(message) => {
                        self.hear(line, &message);
                    }
                    _ => {}
                }
            }
        };
        attempt.phase(Phase::Exchange, "SUBACK", answer).await
    }

    /// PINGREQ and its answer. `asked` are those that have gone out before.
    pub(super) async fn ping(&self, attempt: &mut Attempt, line: &mut Line, asked: &mut u32) -> Result<(), Failure> {
        line.queue(&codec::PING_REQ);
        *asked += 1;
        attempt.phase(Phase::Request, "chance to finish PINGREQ", line.flush(Phase::Request)).await?;
        let answer = async {
            while *asked > 0 {
                match line.next(Phase::FirstByte).await? {
                    Packet::PingResp => *asked -= 1,
                    Packet::Publish(message) => {
                        self.hear(line, &message);
                    }
                    _ => {}
                }
            }
            Ok(())
        };
        attempt.phase(Phase::FirstByte, "PINGRESP", answer).await
    }

    /// A message of our own: PUBLISH, PUBACK, and the message itself back again.
    pub(super) async fn round_trip(
        &self,
        attempt: &mut Attempt,
        line: &mut Line,
        topic: &str,
        packet: u16,
    ) -> Result<(), Failure> {
        // What was waited for before and has not come is told even if this attempt is cut off.
        attempt.facts.arrivals = self.told(attempt);
        let done = self.send_and_wait(attempt, line, topic, packet).await;
        attempt.leave();
        let told = self.told(attempt);
        attempt.facts.arrivals.extend(told);
        done
    }

    async fn send_and_wait(
        &self,
        attempt: &mut Attempt,
        line: &mut Line,
        topic: &str,
        packet: u16,
    ) -> Result<(), Failure> {
        attempt.enter(Phase::Exchange, "PUBACK");
        let letter = self.with_ledger(attempt, |ledger| ledger.write(Moment::now()));
        let unsent = || self.ledger_of(|ledger| ledger.unsent(letter.number));
        line.queue(&codec::publish(self.version, packet, topic, letter.text.as_bytes(), MESSAGE_LASTS));
        if let Err(failure) = line.flush(Phase::Exchange).await {
            unsent();
            return Err(failure);
        }
        let (mut taken, mut back) = (false, false);
        while !(taken && back) {
            match line.next(Phase::Exchange).await? {
                Packet::PubAck(id, code) if id == packet => {
                    if code >= 0x80 {
                        unsent();
                        return Err(reason::failure(Phase::Exchange, "message refused", code));
                    }
                    taken = true;
                    if !back {
                        attempt.enter(Phase::Exchange, "message of our own");
                        let detail = "the server took the message and did not deliver it in time";
                        attempt.condemn(Failure::new(Phase::Exchange, Kind::NotDelivered, detail));
                    }
                }
                Packet::Publish(message) => back |= self.hear(line, &message) == Heard::Own(letter.number),
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes in a message, and acknowledges it where the server waits for that.
    pub(super) fn hear(&self, line: &mut Line, message: &Publish) -> Heard {
        if let Some(id) = message.id {
            line.queue(&codec::pub_ack(id));
        }
        let heard = line.heard;
        // What the server kept from an earlier time tells nothing about this one.
        if message.retained {
            return Heard::Ignored;
        }
        self.ledger_of(|ledger| ledger.hear(&message.payload, heard)).unwrap_or(Heard::Ignored)
    }

    /// What became known of messages.
    pub(super) fn told(&self, attempt: &Attempt) -> Vec<Arrival> {
        self.with_ledger(attempt, |ledger| ledger.take(Moment::now()))
    }

    /// The ledger, begun when the first attempt needs it.
    pub(super) fn with_ledger<T>(&self, attempt: &Attempt, work: impl FnOnce(&mut Ledger) -> T) -> T {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = || {
            let patience = attempt.deadline.duration_since(attempt.started());
            Ledger::new(&attempt.vantage, patience, Moment::now())
        };
        work(ledger.get_or_insert_with(begin))
    }

    fn ledger_of<T>(&self, work: impl FnOnce(&mut Ledger) -> T) -> Option<T> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(work)
    }
}

fn not_subscribed(version: Version, code: u8) -> Failure {
    match version {
        Version::V5 => reason::failure(Phase::Exchange, "subscription refused", code),
        // MQTT 3.1.1 knows no reasons; servers refuse what the client may not read.
        Version::V311 => Failure::new(Phase::Exchange, Kind::Unauthorized, "subscription refused"),
    }
}
