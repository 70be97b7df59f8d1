//! An address as people write it, to a listener.

use std::io;

use tokio::net::TcpListener;

/// Why there is no listener, as one sentence.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {why}")]
pub struct CannotListen {
    address: String,
    why: String,
}

/// Listens on `host:port`; on every address where only `:port` is given.
pub(super) async fn bind(address: &str) -> Result<TcpListener, CannotListen> {
    let bound = match address.strip_prefix(':') {
        // Machines without IPv6 refuse the first.
        Some(port) => match TcpListener::bind(format!("[::]:{port}")).await {
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                TcpListener::bind(format!("0.0.0.0:{port}")).await
            }
            bound => bound,
        },
        None => TcpListener::bind(address).await,
    };
    bound.map_err(|error| CannotListen { address: address.to_owned(), why: words(&error) })
}

fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "address already in use".into(),
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".into(),
        io::ErrorKind::PermissionDenied => "not permitted (ports below 1024 need a privilege)".into(),
        io::ErrorKind::InvalidInput => "expected HOST:PORT, such as 127.0.0.1:9797 or :9797".into(),
        _ => error.to_string(),
    }
}
