//! Send a text, read until a pattern matches.

use regex::Regex;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{Attempt, Pattern, Tcp};
use crate::{
    model::{Failure, Kind, Phase},
    net::classify,
};

/// What is read at most while looking for a match.
const READ_AT_MOST: usize = 64 * 1024;

pub(super) const FAILED_DUE_TO_REGEX: (&str, &str) =
    ("probe_failed_due_to_regex", "Indicates if probe failed due to regex");

impl Tcp {
    /// The part after the connection stands; nothing happens when nothing is to be sent or expected.
    pub(super) async fn exchange<S>(&self, attempt: &mut Attempt, mut stream: S) -> Result<(), Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if self.send.is_none() && self.expect.is_none() {
            return Ok(());
        }
        let talk = async {
            if let Some(text) = &self.send {
                let sent = async {
                    stream.write_all(text.reveal().as_bytes()).await?;
                    stream.flush().await
                };
                sent.await.map_err(|error| classify::io(Phase::Exchange, &error))?;
            }
            match &self.expect {
                Some(Pattern(wanted)) => read_until(&mut stream, wanted).await,
                None => Ok(()),
            }
        };
        let talked = attempt.phase(Phase::Exchange, "match of the expected answer", talk).await;
        if let Err(failure) = &talked
            && matches!(failure.kind, Kind::BodyUnexpected | Kind::BodyTooLarge)
        {
            let (name, help) = FAILED_DUE_TO_REGEX;
            attempt.gauge(name, help, 1.0);
        }
        talked
    }
}

async fn read_until(stream: &mut (impl AsyncRead + Unpin), wanted: &Regex) -> Result<(), Failure> {
    let mut read = Vec::with_capacity(1024);
    loop {
        let before = read.len();
        let more = stream.take((READ_AT_MOST - before) as u64).read_buf(&mut read).await;
        match more {
            Ok(0) if read.is_empty() => {
                return Err(Failure::new(Phase::Exchange, Kind::ClosedEarly, "closed without a word"));
            }
            Ok(0) => return Err(unmet(wanted, read.len())),
            Ok(_) if wanted.is_match(&String::from_utf8_lossy(&read)) => return Ok(()),
            Ok(_) if read.len() >= READ_AT_MOST => {
                let detail = format!("no match of `{wanted}` in the first {READ_AT_MOST} bytes");
                return Err(Failure::new(Phase::Exchange, Kind::BodyTooLarge, detail));
            }
            Ok(_) => {}
            // What came before an abrupt end is judged like what came before an orderly one.
            Err(_) if !read.is_empty() => return Err(unmet(wanted, read.len())),
            Err(error) => return Err(classify::io(Phase::Exchange, &error)),
        }
    }
}

fn unmet(wanted: &Regex, length: usize) -> Failure {
    let detail = format!("closed after {length} bytes that do not match `{wanted}`");
    Failure::new(Phase::Exchange, Kind::BodyUnexpected, detail)
}
