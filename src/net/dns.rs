//! DNS questions and answers: the messages, and their exchange over datagrams and byte streams. Knows neither who asks
//! nor what the answer should be.

mod exchange;
mod https;
mod message;

pub use exchange::{Exchanged, ask, over_stream};
pub use https::over_https;
pub use message::{Extension, Question, RCODES, Reply, rcode_word};
