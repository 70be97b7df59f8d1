//! Any Atom feed whose entries are incidents, `history.atom` of many pages among them. It only ever adds, as [`super::rss`].

use super::{NotUnderstood, Status, rss, xml};
use crate::model::Timestamp;

pub(super) fn parse(body: &[u8], now: Timestamp) -> Result<Status, NotUnderstood> {
    Ok(Status::partial(rss::notices(xml::read(body, "feed")?, now), now))
}
