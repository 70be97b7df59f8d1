//! What to ask, and whom: prepared once for the probe's own URL, and made anew for each redirect.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body_util::Full;
use url::{Position, Url};

use super::{HttpFile, Ip, Problem};
use crate::{
    model::Secret,
    protocol::{Endpoint, head},
};

/// What an order is made of.
pub(in crate::protocol) struct Pieces<'a> {
    pub(in crate::protocol) url: Url,
    pub(in crate::protocol) ip: Ip,
    pub(in crate::protocol) method: &'a str,
    pub(in crate::protocol) headers: BTreeMap<String, Secret>,
    pub(in crate::protocol) body: Option<Secret>,
    /// Whether the content of the answer is wanted: then it may come compressed.
    pub(in crate::protocol) wants_content: bool,
}

/// A request in the forms of both HTTP versions, and where it goes.
#[derive(Debug, Clone)]
pub(in crate::protocol) struct Order {
    pub(in crate::protocol) url: Url,
    pub(super) endpoint: Endpoint,
    pub(in crate::protocol) https: bool,
    /// Whether a redirect led to another host: the probe's TLS name is not meant for it.
    pub(super) elsewhere: bool,
    http1: Request<()>,
    http2: Request<()>,
    body: Bytes,
}

impl Order {
    /// The order that a probe gives.
    pub(super) fn of(file: &HttpFile) -> Result<Self, Problem> {
        Self::made_of(Pieces {
            url: file.url.clone(),
            ip: file.ip,
            method: &file.method,
            headers: file.headers.clone(),
            body: file.body.clone(),
            wants_content: file.expect.wants_body(),
        })
    }

    /// The order that these make; what is wrong with them is at the fields of an `http` check.
    pub(in crate::protocol) fn made_of(pieces: Pieces<'_>) -> Result<Self, Problem> {
        let method = Method::from_bytes(pieces.method.as_bytes())
            .map_err(|_| Problem::at("method", format!("`{}` is not an HTTP method", pieces.method)))?;
        if !pieces.url.username().is_empty() || pieces.url.password().is_some() {
            return Err(Problem::at("url", "a URL is shown in many places and must not hold a credential")
                .help("give it as a header: `headers: { Authorization: \"…\" }`"));
        }
        let mut headers = head::headers(&pieces.headers)?;
        headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        if pieces.wants_content {
            headers.entry(header::ACCEPT_ENCODING).or_insert(HeaderValue::from_static("gzip"));
        }
        let body = pieces.body.map_or_else(Bytes::new, |body| Bytes::copy_from_slice(body.reveal().as_bytes()));
        Self::to(pieces.url, pieces.ip, method, &headers, body).map_err(|why| Problem::at("url", why))
    }

    /// The order for a request that is put together already.
    pub(in crate::protocol) fn to(
        url: Url,
        ip: Ip,
        method: Method,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Self, String> {
        let https = match url.scheme() {
            "https" => true,
            "http" => false,
            other => return Err(format!("`{other}` is not a scheme of HTTP: write http:// or https://")),
        };
        let shown_host = url.host_str().filter(|host| !host.is_empty()).ok_or("the URL names no host")?;
        let host = shown_host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = url.port_or_known_default().ok_or("the URL names no port")?;
        let authority = url.port().map_or_else(|| shown_host.to_owned(), |port| format!("{shown_host}:{port}"));
        let path = &url[Position::BeforePath..Position::AfterQuery];

        let unfit = |_| "the URL cannot be sent as it is".to_owned();
        let mut http1 = Request::new(());
        *http1.method_mut() = method.clone();
        *http1.uri_mut() = path.parse().map_err(unfit)?;
        *http1.headers_mut() = headers.clone();
        if !headers.contains_key(header::HOST) {
            let value = HeaderValue::from_str(&authority).map_err(|_| "the host cannot be sent as it is")?;
            http1.headers_mut().insert(header::HOST, value);
        }

        // HTTP/2 has the host in the URI (`:authority`), also where the probe asks for another by header.
        let mut http2 = Request::new(());
        *http2.version_mut() = http::Version::HTTP_2;
        *http2.method_mut() = method;
        *http2.headers_mut() = headers.clone();
        let asked = http2.headers_mut().remove(header::HOST);
        let authority = asked.as_ref().and_then(|value| value.to_str().ok()).unwrap_or(&authority);
        let uri = Uri::builder().scheme(url.scheme()).authority(authority).path_and_query(path).build();
        *http2.uri_mut() = uri.map_err(|_| "the URL cannot be sent as it is")?;

        let endpoint = Endpoint { host, port, ip };
        Ok(Self { url, endpoint, https, elsewhere: false, http1, http2, body })
    }

    /// A copy to send on a connection.
    pub(super) fn request(&self, http2: bool) -> Request<Full<Bytes>> {
        let form = if http2 { &self.http2 } else { &self.http1 };
        form.clone().map(|()| Full::new(self.body.clone()))
    }

    /// A copy for HTTP/3, which has the form of HTTP/2.
    #[cfg(feature = "http3")]
    pub(super) fn http3(&self) -> (Request<()>, Bytes) {
        let mut request = self.http2.clone();
        *request.version_mut() = http::Version::HTTP_3;
        if !self.body.is_empty() {
            request.headers_mut().entry(header::CONTENT_LENGTH).or_insert(self.body.len().into());
        }
        (request, self.body.clone())
    }

    /// A copy for a proxy that takes requests as they are: with the whole URL (RFC 9112 §3.2.2).
    pub(super) fn whole_request(&self, authorization: Option<&Secret>) -> Request<Full<Bytes>> {
        let mut request = self.request(false);
        *request.uri_mut() = self.http2.uri().clone();
        if let Some(mut value) = authorization.and_then(|value| HeaderValue::from_str(value.reveal()).ok()) {
            value.set_sensitive(true);
            request.headers_mut().insert(header::PROXY_AUTHORIZATION, value);
        }
        request
    }

    /// The same without its credentials; `None` when it has none.
    pub(in crate::protocol) fn without_credential(&self) -> Option<Self> {
        let url = head::without_credential(&self.url);
        let mut headers = self.http1.headers().clone();
        let names: Vec<HeaderName> =
            headers.keys().filter(|name| head::is_credential(name.as_str())).cloned().collect();
        if names.is_empty() && url == self.url {
            return None;
        }
        for name in names {
            headers.remove(name);
        }
        Self::to(url, self.endpoint.ip, self.http1.method().clone(), &headers, self.body.clone()).ok()
    }

    /// The order that a redirect leads to (RFC 9110 §15.4): what is meant for this host alone stays behind.
    pub(super) fn redirected(&self, status: u16, location: &HeaderValue) -> Result<Self, String> {
        let location = location.to_str().map_err(|_| "the redirect leads to something unreadable")?;
        let url = self.url.join(location).map_err(|_| "the redirect leads to something that is no URL")?;
        let mut headers = self.http1.headers().clone();
        headers.remove(header::HOST);
        let same_host = url.host_str() == self.url.host_str();
        let same_origin = same_host && url.origin() == self.url.origin();
        if !same_origin {
            for credential in [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION] {
                headers.remove(credential);
            }
        }
        let method = self.http1.method();
        let asks_for_get =
            (status == 303 && method != Method::HEAD) || (matches!(status, 301 | 302) && method == Method::POST);
        let (method, body) = if asks_for_get {
            for about_body in [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::CONTENT_LENGTH] {
                headers.remove(about_body);
            }
            (Method::GET, Bytes::new())
        } else {
            (method.clone(), self.body.clone())
        };
        let mut next = Self::to(url, self.endpoint.ip, method, &headers, body)
            .map_err(|why| format!("the redirect cannot be followed: {why}"))?;
        next.elsewhere = self.elsewhere || !same_host;
        Ok(next)
    }

    /// The URL for people: without credentials, query and fragment.
    pub(in crate::protocol) fn shown(&self) -> String {
        let authority = &self.url[Position::BeforeHost..Position::AfterPort];
        format!("{}://{authority}{}", self.url.scheme(), self.url.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(url: &str) -> Order {
        let mut file = HttpFile::get(url.parse().unwrap());
        file.headers.insert("Authorization".to_owned(), crate::model::Secret::new("Bearer x"));
        Order::of(&file).unwrap()
    }

    fn redirect(from: &str, to: &str) -> Result<Order, String> {
        order(from).redirected(302, &HeaderValue::from_str(to).unwrap())
    }

    #[test]
    fn the_url_for_people_tells_no_secret() {
        assert_eq!(order("https://a.test:8443/x/y?token=1#z").shown(), "https://a.test:8443/x/y");
        let refused = Order::of(&HttpFile::get("http://me:secret@a.test/".parse().unwrap())).unwrap_err();
        assert_eq!(refused.path, ["url"]);
        assert!(!refused.message.contains("secret"));
    }

    #[test]
    fn each_version_has_its_form() {
        let order = order("https://a.test:8443/x?y=1#z");
        assert_eq!(order.request(false).uri(), "/x?y=1");
        assert_eq!(order.request(false).headers()["host"], "a.test:8443");
        assert_eq!(order.request(true).uri(), "https://a.test:8443/x?y=1");
        assert!(!order.request(true).headers().contains_key("host"));
    }

    #[test]
    fn a_credential_stays_with_its_origin() {
        let kept = redirect("https://a.test/x", "/y").unwrap();
        assert!(kept.request(false).headers().contains_key("authorization"));
        assert!(!kept.elsewhere);
        for away in ["https://b.test/", "//b.test/", "http://a.test/x", "https://a.test:444/"] {
            let next = redirect("https://a.test/x", away).unwrap();
            assert!(!next.request(false).headers().contains_key("authorization"), "{away}");
        }
        let next = redirect("https://a.test/x", "http://b.test:81/").unwrap();
        assert_eq!(next.request(false).headers()["host"], "b.test:81");
        assert!(next.elsewhere);
    }

    #[test]
    fn without_its_credentials_an_order_is_the_same_but_for_them() {
        let mut file = HttpFile::get("https://a.test/x?shallow=true&auth=s3cret&key=s3cret".parse().unwrap());
        for name in ["Authorization", "X-API-Key", "Cookie", "X-Goog-Firebase-AppCheck-Token", "X-Kept"] {
            file.headers.insert(name.to_owned(), crate::model::Secret::new("s3cret"));
        }
        let bare = Order::of(&file).unwrap().without_credential().unwrap();
        assert_eq!(bare.request(false).uri(), "/x?shallow=true");
        let request = bare.request(false);
        let sent: Vec<&str> = request.headers().keys().map(HeaderName::as_str).collect();
        assert!(sent.contains(&"x-kept") && sent.contains(&"user-agent"), "{sent:?}");
        assert_eq!(request.headers().values().filter(|value| *value == "s3cret").count(), 1);
        assert!(
            Order::of(&HttpFile::get("https://a.test/x?y=1".parse().unwrap())).unwrap().without_credential().is_none()
        );
    }

    #[test]
    fn a_redirect_to_another_protocol_is_not_followed() {
        assert!(redirect("https://a.test/", "ftp://a.test/").is_err());
        assert!(redirect("https://a.test/", "mailto:a@a.test").is_err());
    }
}
