//! What a scraper asked for, from its `Accept` header (RFC 9110 §12.5.1).

use super::Format;

impl Format {
    /// The form that the header prefers among those we have; the plain text form when it names none of them, which is
    /// what a person with curl wants.
    #[must_use]
    pub fn negotiate(accept: Option<&str>) -> Self {
        let mut best = (0.0, Self::Text);
        for range in accept.unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let (mut quality, mut parameters) = (1.0, Vec::new());
            for (key, value) in parts.filter_map(|part| part.split_once('=')) {
                let (key, value) = (key.trim().to_ascii_lowercase(), value.trim().trim_matches('"'));
                if key == "q" {
                    quality = value.parse::<f64>().unwrap_or(0.0).clamp(0.0, 1.0);
                } else {
                    parameters.push((key, value));
                }
            }
            let parameter = |key: &str| parameters.iter().find(|(name, _)| name == key).map(|(_, value)| *value);
            let format = match name.as_str() {
                "application/vnd.google.protobuf"
                    if parameter("proto") == Some("io.prometheus.client.MetricFamily")
                        && parameter("encoding") == Some("delimited") =>
                {
                    Self::Protobuf
                }
                "application/openmetrics-text" if matches!(parameter("version"), None | Some("1.0.0")) => {
                    Self::OpenMetrics
                }
                "text/plain" if matches!(parameter("version"), None | Some("0.0.4")) => Self::Text,
                "text/*" | "*/*" => Self::Text,
                _ => continue,
            };
            // Of equals the one named first, as client libraries do.
            if quality > best.0 {
                best = (quality, format);
            }
        }
        best.1
    }
}

#[cfg(test)]
mod tests {
    use super::Format;

    #[test]
    fn the_best_quality_wins_and_of_equals_the_first() {
        let cases = [
            (None, Format::Text),
            (Some("*/*"), Format::Text),
            (Some("text/html,application/xhtml+xml,*/*;q=0.8"), Format::Text),
            (
                Some(
                    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                     text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                ),
                Format::OpenMetrics,
            ),
            (
                Some(
                    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,\
                     application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5",
                ),
                Format::Protobuf,
            ),
            (
                Some(
                    "application/openmetrics-text; version=1.0.0; q=0.2, application/vnd.google.protobuf; \
                     proto=\"io.prometheus.client.MetricFamily\"; encoding=delimited; Q=0.9",
                ),
                Format::Protobuf,
            ),
            (Some("application/vnd.google.protobuf;proto=other;encoding=delimited"), Format::Text),
            (Some("application/openmetrics-text;version=2.0.0"), Format::Text),
            (Some("application/openmetrics-text;q=0,text/plain"), Format::Text),
            (Some("application/openmetrics-text;q=0"), Format::Text),
            (Some(";;;=,q=,\u{fffd}/*;q=9"), Format::Text),
        ];
        for (accept, wanted) in cases {
            assert_eq!(Format::negotiate(accept), wanted, "{accept:?}");
        }
    }
}
