//! The `http` check: HTTP/1.1 and 2 over connections that we drive ourselves, so that every phase is timed where it
//! happens.

mod asking;
mod body;
mod caller;
mod expect;
mod figures;
mod file;
mod line;
mod order;
#[cfg(feature = "http3")]
mod quic;
mod tasks;
mod wire;

use std::sync::Arc;

pub(in crate::protocol) use asking::{Asking, Heard};
#[cfg(test)]
pub(in crate::protocol) use body::Read;
pub(in crate::protocol) use caller::{Answer, Caller};
pub(in crate::protocol) use expect::{Expectations, text_of};
pub use file::{Expect, HttpFile, Reuse, StatusRange, Version};
pub(in crate::protocol) use line::{Body, Line, Opening as OpenedBy};
pub(in crate::protocol) use order::{Order, Pieces};

use super::{Attempt, Check, Ip, Looking, Overrides, Problem, Protocol, head};
use crate::{model::Phase, net::Net};

/// The check.
pub struct Http {
    order: Order,
    asking: Asking,
}

impl Check for Http {
    fn key(&self) -> &'static str {
        Self::KEY
    }

    fn target(&self) -> String {
        self.order.shown()
    }

    fn turns(&self) -> u32 {
        self.asking.turns()
    }

    fn without_credential(&self) -> Option<Arc<dyn Check>> {
        Some(Arc::new(Self { order: self.order.without_credential()?, asking: self.asking.for_any_answer() }))
    }

    fn look<'a>(&'a self, attempt: &'a mut Attempt) -> Looking<'a> {
        Box::pin(async move {
            let looked = self.asking.ask(attempt, &self.order).await;
            attempt.let_go();
            looked.map(drop)
        })
    }

    fn blackbox_phases(&self) -> &'static [(&'static str, &'static [Phase])] {
        &[
            ("resolve", &[Phase::Resolve]),
            ("connect", &[Phase::Connect]),
            ("tls", &[Phase::Tls]),
            ("processing", &[Phase::Request, Phase::FirstByte]),
            ("transfer", &[Phase::Transfer]),
        ]
    }

    fn blackbox_zeros(&self) -> &'static [(&'static str, &'static str)] {
        figures::ALWAYS
    }
}

impl Protocol for Http {
    const KEY: &'static str = "http";
    const SCHEMES: &'static [&'static str] = &["http", "https"];
    type File = HttpFile;

    fn build(file: &Self::File, net: &Arc<Net>) -> Result<Self, Problem> {
        let order = Order::of(file)?;
        let asking = Asking::of(file, order.https, net)?;
        Ok(Self { order, asking })
    }

    fn from_url(url: &url::Url) -> Result<Self::File, String> {
        Ok(HttpFile::get(url.clone()))
    }

    fn retarget(file: &Self::File, target: &str) -> Result<Self::File, String> {
        let has_scheme = target.starts_with("http://") || target.starts_with("https://");
        let url = if has_scheme { target.parse() } else { format!("http://{target}").parse() };
        let url = url.map_err(|error: url::ParseError| format!("`{target}` is not a URL: {error}"))?;
        Ok(Self::File { url, ..file.clone() })
    }

    fn apply(file: &mut Self::File, overrides: &Overrides) {
        overrides.change_way(&mut file.ip, &mut file.tls);
        head::replace(&mut file.headers, &overrides.headers);
        if !overrides.expect_status.is_empty() {
            file.expect.status = overrides.expect_status.iter().filter_map(|text| text.parse().ok()).collect();
        }
        file.version = match overrides.http_version {
            Some("1.1") => Version::Http1,
            Some("2") => Version::Http2,
            Some("3") => Version::Http3,
            _ => file.version,
        };
    }
}
