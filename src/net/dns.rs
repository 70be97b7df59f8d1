//! DNS questions and answers: the messages, and their exchange over datagrams and byte streams. Knows neither who asks
//! nor what the answer should be.

mod exchange;
mod message;

pub use exchange::{Exchanged, ask, over_stream};
pub use message::{Extension, Question, RCODES, Reply, rcode_word};
