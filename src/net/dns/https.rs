//! A question and its answer over HTTPS (RFC 8484), on a TLS session that the caller made.

use bytes::{Bytes, BytesMut};
use futures_util::future::{Either, select};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::client::TlsStream;
use url::Url;

use super::{Question, Reply};
use crate::{
    model::{Failure, Kind, Phase},
    net::classify,
};

const MESSAGE: &str = "application/dns-message";

/// The longest message there is (RFC 1035 §4.2.2).
const LARGEST: usize = u16::MAX as usize;

/// Asks over HTTP/2, or HTTP/1.1 where the TLS session agreed on no better.
///
/// # Errors
/// The HTTP status, where there was one, and what is wrong, in [`Phase::Exchange`].
pub async fn over_https<S>(
    stream: TlsStream<S>,
    url: &Url,
    question: &Question,
) -> Result<Reply, (Option<u16>, Failure)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    // All askers of a question ask with the same bytes, so that caches may answer (RFC 8484 §4.1).
    let request = request(url, http2, question.wire(0)).map_err(|failure| (None, failure))?;
    let response = if http2 {
        let (sender, connection) = conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .map_err(|error| (None, http(&error)))?;
        drive(
            read(async {
                let mut sender = sender;
                sender.send_request(request).await
            }),
            connection,
        )
        .await?
    } else {
        let (sender, connection) =
            conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| (None, http(&error)))?;
        drive(
            read(async {
                let mut sender = sender;
                sender.send_request(request).await
            }),
            connection,
        )
        .await?
    };
    let failed = |failure| (Some(StatusCode::OK.as_u16()), failure);
    let reply = question.read(&response, 0).map_err(failed)?;
    reply.ok_or_else(|| failed(protocol_error("the answer does not belong to the question".to_owned())))
}

/// Runs the connection beside what happens on it, in this task: both end when the caller lets go.
async fn drive<T>(
    work: impl Future<Output = Result<T, (Option<u16>, Failure)>>,
    connection: impl Future<Output = hyper::Result<()>>,
) -> Result<T, (Option<u16>, Failure)> {
    match select(std::pin::pin!(work), std::pin::pin!(connection)).await {
        Either::Left((done, _)) => done,
        Either::Right((Ok(()), work)) => work.await,
        // The connection's error is the cause, the request's only says that there is no connection.
        Either::Right((Err(error), _)) => Err((None, http(&error))),
    }
}

fn request(url: &Url, http2: bool, question: Vec<u8>) -> Result<Request<Full<Bytes>>, Failure> {
    let target = if http2 { url.as_str() } else { &url[url::Position::BeforePath..url::Position::AfterQuery] };
    let uri: Uri = target.parse().map_err(|_| internal("the server's URL cannot be asked for"))?;
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(uri)
        .header(header::CONTENT_TYPE, MESSAGE)
        .header(header::ACCEPT, MESSAGE)
        .header(header::USER_AGENT, concat!("usoryou/", env!("CARGO_PKG_VERSION")));
    if !http2 {
        request = request.header(header::HOST, &url[url::Position::BeforeHost..url::Position::AfterPort]);
    }
    request.body(Full::from(question)).map_err(|_| internal("the question cannot be put into a request"))
}

/// Reads the answer's body, after its head has been found good.
async fn read(
    answering: impl Future<Output = hyper::Result<Response<Incoming>>>,
) -> Result<Bytes, (Option<u16>, Failure)> {
    let (head, mut body) = answering.await.map_err(|error| (None, http(&error)))?.into_parts();
    let failed = |failure| (Some(head.status.as_u16()), failure);
    good_head(head.status, &head.headers).map_err(failed)?;
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| failed(http(&error)))?;
        let part = frame.into_data().unwrap_or_default();
        if bytes.len() + part.len() > LARGEST {
            let detail = format!("more than the {LARGEST} bytes that a message can have");
            return Err(failed(Failure::new(Phase::Exchange, Kind::BodyTooLarge, detail)));
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes.freeze())
}

fn good_head(status: StatusCode, headers: &HeaderMap) -> Result<(), Failure> {
    let kind = match status {
        StatusCode::OK => {
            let said = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("nothing");
            let essence = said.split(';').next().unwrap_or_default().trim();
            if essence.eq_ignore_ascii_case(MESSAGE) {
                return Ok(());
            }
            let short: String = essence.chars().take(60).collect();
            return Err(protocol_error(format!("the answer is {short}, not {MESSAGE}")));
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Kind::Unauthorized,
        StatusCode::TOO_MANY_REQUESTS => Kind::RateLimited,
        _ => Kind::StatusUnexpected,
    };
    Err(Failure::new(Phase::Exchange, kind, format!("HTTP status {}", status.as_u16())))
}

fn http(error: &hyper::Error) -> Failure {
    classify::http(Phase::Exchange, error)
}

fn protocol_error(detail: String) -> Failure {
    Failure::new(Phase::Exchange, Kind::ProtocolError, detail)
}

fn internal(words: &str) -> Failure {
    Failure::new(Phase::Exchange, Kind::Internal, words)
}
