//! `GET /metrics`: the page in the form that the scraper asked for.

use std::{io::Write as _, sync::Arc};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use flate2::{Compression, write::GzEncoder};

use super::Site;
use crate::metrics::Format;

pub(super) async fn metrics(State(site): State<Site>, headers: HeaderMap) -> Response {
    let format = Format::negotiate(all_of(&headers, header::ACCEPT).as_deref());
    let gzip = accepts_gzip(all_of(&headers, header::ACCEPT_ENCODING).as_deref());
    let Ok(place) = Arc::clone(&site.pages).acquire_owned().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let metrics = Arc::clone(&site.given.metrics);
    // Thousands of series take milliseconds, which a probe's timing must not feel.
    let written = tokio::task::spawn_blocking(move || {
        let _place = place;
        let page = metrics.encode(format).map_err(|error| error.to_string())?;
        if gzip { compress(&page).map_err(|error| format!("cannot compress the metrics: {error}")) } else { Ok(page) }
    });
    match written.await.unwrap_or_else(|error| Err(format!("cannot write the metrics: {error}"))) {
        Ok(page) => {
            let mut response = ([(header::CONTENT_TYPE, format.content_type())], page).into_response();
            response.headers_mut().insert(header::VARY, header::HeaderValue::from_static("accept, accept-encoding"));
            if gzip {
                let gzip = header::HeaderValue::from_static("gzip");
                response.headers_mut().insert(header::CONTENT_ENCODING, gzip);
            }
            response
        }
        Err(error) => {
            tracing::error!("{error}");
            (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response()
        }
    }
}

fn compress(page: &[u8]) -> std::io::Result<Vec<u8>> {
    // Metrics repeat themselves: the fastest level already makes them ten times smaller.
    let mut encoder = GzEncoder::new(Vec::with_capacity(page.len() / 8), Compression::fast());
    encoder.write_all(page)?;
    encoder.finish()
}

/// A header that may be given several times, as one list (RFC 9110 §5.3).
fn all_of(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let values: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    (!values.is_empty()).then(|| values.join(","))
}

fn accepts_gzip(accept_encoding: Option<&str>) -> bool {
    accept_encoding.unwrap_or_default().split(',').any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let refused = parts.any(|part| {
            part.split_once('=').is_some_and(|(key, value)| {
                key.trim().eq_ignore_ascii_case("q") && value.trim().parse::<f64>().is_ok_and(|quality| quality <= 0.0)
            })
        });
        named && !refused
    })
}

#[cfg(test)]
mod tests {
    use super::accepts_gzip;

    #[test]
    fn gzip_is_used_only_where_it_is_welcome() {
        assert!(accepts_gzip(Some("gzip")));
        assert!(accepts_gzip(Some("br;q=1.0, GZIP;q=0.8, *;q=0.1")));
        assert!(!accepts_gzip(Some("gzip;q=0, identity")));
        assert!(!accepts_gzip(Some("br")));
        assert!(!accepts_gzip(None));
    }
}
