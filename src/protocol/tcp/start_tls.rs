//! Asking for TLS in the middle of a protocol: SMTP (RFC 3207), IMAP (RFC 9051 §6.2.1) and PostgreSQL.

use schemars::JsonSchema;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::{
    model::{Failure, Kind, Phase},
    net::classify,
};

/// The longest line of a reply that is read.
const LINE_AT_MOST: usize = 4096;

/// The longest reply, in lines.
const LINES_AT_MOST: usize = 100;

/// `SSLRequest`: its length, then the code that stands where a version would.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// How to ask for TLS in the middle of a protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StartTls {
    /// RFC 3207.
    Smtp,
    /// RFC 9051 §6.2.1.
    Imap,
    /// PostgreSQL `SSLRequest`.
    Postgres,
}

impl StartTls {
    /// Talks until the next byte is TLS.
    pub(super) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(self, stream: &mut S) -> Result<(), Failure> {
        let mut talk = Talk { stream, read: Vec::new() };
        match self {
            Self::Smtp => talk.smtp().await,
            Self::Imap => talk.imap().await,
            Self::Postgres => talk.postgres().await,
        }?;
        // Bytes sent in the clear after the agreement would be taken for bytes of the session.
        if talk.read.is_empty() { Ok(()) } else { Err(senseless("there is more after the agreement to use TLS")) }
    }
}

/// A dialogue by lines.
struct Talk<'a, S> {
    stream: &'a mut S,
    read: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<'_, S> {
    async fn smtp(&mut self) -> Result<(), Failure> {
        let (code, _) = self.smtp_reply().await?;
        if code != 220 {
            return Err(Failure::new(Phase::Upgrade, Kind::NotServing, format!("greeted with {code}")));
        }
        self.say(b"EHLO usoryou.invalid\r\n").await?;
        let (code, offers_tls) = self.smtp_reply().await?;
        if code != 250 {
            return Err(Failure::new(Phase::Upgrade, Kind::ProtocolError, format!("EHLO was answered with {code}")));
        }
        if !offers_tls {
            return Err(refused("the server does not offer STARTTLS"));
        }
        self.say(b"STARTTLS\r\n").await?;
        match self.smtp_reply().await? {
            (220, _) => Ok(()),
            (code, _) => Err(refused(format!("STARTTLS was answered with {code}"))),
        }
    }

    /// The code of a reply, and whether one of its lines offers STARTTLS.
    async fn smtp_reply(&mut self) -> Result<(u16, bool), Failure> {
        let mut offers_tls = false;
        for _ in 0..LINES_AT_MOST {
            let line = self.line().await?;
            let code = line.get(..3).and_then(|code| code.parse().ok());
            let code = code.filter(|code| (200..600).contains(code)).ok_or_else(|| senseless("this is not SMTP"))?;
            let text = line.get(4..).unwrap_or_default();
            offers_tls |= text.trim().eq_ignore_ascii_case("STARTTLS");
            if !line[3..].starts_with('-') {
                return Ok((code, offers_tls));
            }
        }
        Err(senseless("the reply does not end"))
    }

    async fn imap(&mut self) -> Result<(), Failure> {
        let greeting = self.line().await?.to_ascii_uppercase();
        if greeting.starts_with("* BYE") {
            return Err(Failure::new(Phase::Upgrade, Kind::NotServing, "greeted with BYE"));
        }
        if !greeting.starts_with("* OK") && !greeting.starts_with("* PREAUTH") {
            return Err(senseless("this is not IMAP"));
        }
        self.say(b"a STARTTLS\r\n").await?;
        for _ in 0..LINES_AT_MOST {
            let line = self.line().await?.to_ascii_uppercase();
            match line.split_once(' ') {
                Some(("A", rest)) if rest.starts_with("OK") => return Ok(()),
                Some(("A", rest)) => {
                    let word = if rest.starts_with("NO") { "NO" } else { "BAD" };
                    return Err(refused(format!("STARTTLS was answered with {word}")));
                }
                Some(("*", _)) => {}
                _ => return Err(senseless("this is not IMAP")),
            }
        }
        Err(senseless("the reply does not end"))
    }

    async fn postgres(&mut self) -> Result<(), Failure> {
        self.say(&SSL_REQUEST).await?;
        let mut answer = [0; 1];
        self.stream.read_exact(&mut answer).await.map_err(|error| classify::io(Phase::Upgrade, &error))?;
        match answer {
            [b'S'] => Ok(()),
            [b'N'] => Err(refused("the server does not do TLS")),
            [b'E'] => Err(refused("the server answered with an error")),
            _ => Err(senseless("this is not PostgreSQL")),
        }
    }

    async fn say(&mut self, words: &[u8]) -> Result<(), Failure> {
        self.stream.write_all(words).await.map_err(|error| classify::io(Phase::Upgrade, &error))
    }

    /// The next line without its end.
    async fn line(&mut self) -> Result<String, Failure> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let rest = self.read.split_off(end + 1);
                let line = std::mem::replace(&mut self.read, rest);
                // Text alone, so that whoever looks at the first letters need not think of where a letter ends.
                return Ok(line
                    .iter()
                    .map(|byte| if byte.is_ascii() { char::from(*byte) } else { '?' })
                    .collect::<String>()
                    .trim_end()
                    .to_owned());
            }
            if self.read.len() >= LINE_AT_MOST {
                return Err(senseless("a line does not end"));
            }
            let left = (LINE_AT_MOST - self.read.len()) as u64;
            let more = (&mut *self.stream).take(left).read_buf(&mut self.read).await;
            if more.map_err(|error| classify::io(Phase::Upgrade, &error))? == 0 {
                return Err(Failure::new(Phase::Upgrade, Kind::ClosedEarly, "closed before the reply was complete"));
            }
        }
    }
}

fn refused(detail: impl Into<String>) -> Failure {
    Failure::new(Phase::Upgrade, Kind::UpgradeRefused, detail)
}

fn senseless(detail: &str) -> Failure {
    Failure::new(Phase::Upgrade, Kind::ProtocolError, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of a server that says all this whatever it is told.
    async fn asked(protocol: StartTls, server: &[u8]) -> Result<(), Kind> {
        let (mut here, mut there) = tokio::io::duplex(16 * 1024);
        there.write_all(server).await.unwrap();
        there.shutdown().await.unwrap();
        protocol.ask(&mut here).await.map_err(|failure| {
            assert_eq!(failure.phase, Phase::Upgrade);
            failure.kind
        })
    }

    #[tokio::test]
    async fn smtp() {
        let ask = |server: &'static str| asked(StartTls::Smtp, server.as_bytes());
        assert_eq!(ask("220-a\r\n220 b\r\n250-a\r\n250-StartTLS\r\n250 X\r\n220 go\r\n").await, Ok(()));
        assert_eq!(ask("220 a\r\n250 a\r\n").await, Err(Kind::UpgradeRefused));
        assert_eq!(ask("220 a\r\n250 STARTTLS\r\n454 no\r\n").await, Err(Kind::UpgradeRefused));
        assert_eq!(ask("421 busy\r\n").await, Err(Kind::NotServing));
        assert_eq!(ask("SSH-2.0-x\r\n").await, Err(Kind::ProtocolError));
        assert_eq!(ask("é\r\n").await, Err(Kind::ProtocolError));
        assert_eq!(ask("220 a\r\n").await, Err(Kind::ClosedEarly));
        assert_eq!(ask("220").await, Err(Kind::ClosedEarly));
        assert_eq!(ask("220 a\r\n250 STARTTLS\r\n220 go\r\n250 injected\r\n").await, Err(Kind::ProtocolError));
    }

    #[tokio::test]
    async fn imap() {
        let ask = |server: &'static str| asked(StartTls::Imap, server.as_bytes());
        assert_eq!(ask("* OK hi\r\n* CAPABILITY X\r\na OK go\r\n").await, Ok(()));
        assert_eq!(ask("* OK hi\r\na NO no\r\n").await, Err(Kind::UpgradeRefused));
        assert_eq!(ask("* BYE\r\n").await, Err(Kind::NotServing));
        assert_eq!(ask("+OK pop\r\n").await, Err(Kind::ProtocolError));
    }

    #[tokio::test]
    async fn postgres() {
        assert_eq!(asked(StartTls::Postgres, b"S").await, Ok(()));
        assert_eq!(asked(StartTls::Postgres, b"N").await, Err(Kind::UpgradeRefused));
        assert_eq!(asked(StartTls::Postgres, b"H").await, Err(Kind::ProtocolError));
        assert_eq!(asked(StartTls::Postgres, b"").await, Err(Kind::ClosedEarly));
    }

    #[tokio::test]
    async fn a_line_and_a_reply_have_an_end() {
        assert_eq!(asked(StartTls::Smtp, &[b'2'; 8192]).await, Err(Kind::ProtocolError));
        let endless = "220-x\r\n".repeat(200);
        assert_eq!(asked(StartTls::Smtp, endless.as_bytes()).await, Err(Kind::ProtocolError));
    }
}
