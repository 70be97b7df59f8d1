//! The page itself: which families there are, in which form they leave, and what the scraper asked for.

mod accept;
mod catalogue;
mod classic;

use std::sync::Arc;

use prometheus_client::{
    encoding::{prometheus_protobuf, text},
    registry::Registry,
};

use super::Metrics;

/// A form in which the page can leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The text form that every tool reads.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
    /// Prometheus protobuf, delimited: the only form with native histograms.
    Protobuf,
}

impl Format {
    /// The content type of an answer in this form.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }
}

/// The page could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot encode the metrics: {0}")]
pub struct EncodeError(String);

impl Metrics {
    /// Writes the whole page. Takes a few microseconds a series: call it where blocking is allowed.
    ///
    /// # Errors
    /// A fault of our own.
    pub fn encode(self: &Arc<Self>, format: Format) -> Result<Vec<u8>, EncodeError> {
        let mut registry = Registry::with_prefix("usoryou");
        registry.register_collector(Box::new(catalogue::Catalogue(Arc::clone(self))));
        let open_metrics = || {
            let mut page = String::new();
            text::encode(&mut page, &registry).map_err(|error| EncodeError(error.to_string()))?;
            Ok(page)
        };
        match format {
            Format::Protobuf => {
                prometheus_protobuf::encode_to_vec(&registry).map_err(|error| EncodeError(error.to_string()))
            }
            Format::OpenMetrics => open_metrics().map(String::into_bytes),
            Format::Text => open_metrics().map(|page| classic::from_open_metrics(&page).into_bytes()),
        }
    }
}
