//! Connections of the listener: how many, how long, how slow a client may be. Knows no page.

use std::{pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};

/// Connections at once, at most; more wait in the kernel's queue.
const CONNECTIONS: usize = 512;
/// How long a client may take to send a request's head, and how long a connection may be idle between two.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// No request's head of an honest client is larger.
const HEAD_LIMIT: usize = 64 << 10;
/// After this a connection takes no further request, so that one that never reads its answer cannot stay for ever …
const CONNECTION_AGE: Duration = Duration::from_secs(600);
/// … and after this more it is cut; longer than the longest `/probe`.
const LAST_ANSWER: Duration = Duration::from_secs(150);
/// How long answers under way may take when the process stops.
const DRAIN: Duration = Duration::from_secs(3);
/// Pause after the kernel refused a connection (no file descriptor left): at once it would refuse again.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn serve(listener: TcpListener, routes: Router, mut stop: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            // The semaphore is never closed, so this only waits.
            let place = Arc::clone(&places).acquire_owned().await.ok();
            (place, listener.accept().await)
        };
        tokio::select! {
            (place, accepted) = accepted => match accepted {
                Ok((stream, _)) => {
                    let (routes, stop) = (routes.clone(), stop.clone());
                    connections.spawn(async move {
                        answer(stream, routes, stop).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!("cannot accept a connection: {error}");
                    tokio::time::sleep(REFUSED_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = stopped(&mut stop) => break,
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        tracing::warn!(cut = connections.len(), "answers were still under way");
    }
}

async fn answer(stream: TcpStream, routes: Router, mut stop: watch::Receiver<bool>) {
    // Answers are small and complete: waiting to fill a packet would only delay them.
    let _ = stream.set_nodelay(true);
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_LIMIT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    let mut connection = pin!(connection);
    // How a connection ended is the client's business: it went away, was too slow, or spoke something else.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = tokio::time::sleep(CONNECTION_AGE) => {}
        () = stopped(&mut stop) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(LAST_ANSWER, connection).await;
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that whoever could say so is gone.
    let _ = stop.wait_for(|stop| *stop).await;
}
