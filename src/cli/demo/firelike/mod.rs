//! The simulated provider's database: what it stores, and the ways to it that the real one has: WebSocket, the start of
//! long polling, server-sent events and REST.

mod live;
mod tree;

use std::{io, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use self::tree::{Tree, parts, told};
use super::{
    faults::{Behaviour, Service, Switches, distance},
    servers::{Request, respond},
};

/// How often a stream says that it is still there; the real one takes its time.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// The database, the same for all regions.
pub(super) struct Firelike {
    tree: Tree,
    switches: Arc<Switches>,
}

impl Firelike {
    pub(super) fn new(switches: Arc<Switches>) -> Self {
        Self { tree: Tree::new(json!({"usoryou": true})), switches }
    }

    fn behaviour(&self, service: Service, region: &str) -> Behaviour {
        self.switches.behaviour(service, region)
    }
}

/// Answers a request, which came after the way to here was found open. What goes on after that has a task of its own.
pub(super) async fn serve(
    mut stream: TcpStream,
    request: Request,
    world: &Arc<Firelike>,
    region: &'static str,
) -> io::Result<()> {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    match path {
        "/.ws" => match world.behaviour(Service::Live, region) {
            Behaviour::Serve | Behaviour::Status(401) => {
                let world = Arc::clone(world);
                tokio::spawn(async move { live::serve(stream, &request, world, region).await });
                Ok(())
            }
            Behaviour::Status(status) => respond(&mut stream, status, r#"{"error":"no live connections"}"#).await,
            Behaviour::Reset | Behaviour::Silent => Ok(()),
        },
        "/.lp" => {
            let callback = query.split('&').find_map(|pair| pair.strip_prefix("cb=")).unwrap_or_default();
            let callback: String = callback.chars().filter(char::is_ascii_digit).collect();
            let now = chrono::Utc::now().timestamp_millis();
            let hello = json!([{"t": "c", "d": {"t": "h", "d": {"ts": now, "v": "5", "h": "localhost", "s": "demo"}}}]);
            let script = format!("pLPCommand{callback}(\"start\",\"1\",\"demo\");\npRTLPCB{callback}(0,{hello});\n");
            respond(&mut stream, 200, &script).await
        }
        _ => {
            let place = parts(path.strip_suffix(".json").unwrap_or(path));
            if request.header("accept").is_some_and(|accept| accept.contains("text/event-stream")) {
                let world = Arc::clone(world);
                tokio::spawn(async move { events(stream, &world, &place, region).await });
                return Ok(());
            }
            let written: Option<Value> = serde_json::from_slice(&request.body).ok();
            let answer = match (request.method.as_str(), written) {
                ("GET", _) => world.tree.get(&place),
                ("DELETE", _) => world.tree.put(&place, &Value::Null),
                ("PUT", Some(value)) => world.tree.put(&place, &value),
                ("PATCH", Some(value)) => {
                    world.tree.merge(&place, &value);
                    value
                }
                _ => {
                    return respond(&mut stream, 400, r#"{"error":"Invalid data; couldn't parse JSON object."}"#).await;
                }
            };
            respond(&mut stream, 200, &answer.to_string()).await
        }
    }
}

/// A stream of events, for as long as somebody reads it and no fault is in the way.
async fn events(mut stream: TcpStream, world: &Firelike, place: &[String], region: &str) -> io::Result<()> {
    let mut news = world.tree.listen();
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nConnection: close\r\n\r\n")
        .await?;
    let first = json!({"path": "/", "data": world.tree.get(place)});
    stream.write_all(format!("event: put\ndata: {first}\n\n").as_bytes()).await?;
    while world.behaviour(Service::Database, region) == Behaviour::Serve {
        let text = tokio::select! {
            change = news.recv() => {
                let Ok(change) = change else { return Ok(()) };
                let Some((path, value)) = told(&change, place, &world.tree) else { continue };
                tokio::time::sleep(distance(region)).await;
                let below = format!("/{}", path.get(place.len()..).unwrap_or_default().join("/"));
                format!("event: put\ndata: {}\n\n", json!({"path": below, "data": value}))
            }
            () = tokio::time::sleep(KEEP_ALIVE) => "event: keep-alive\ndata: null\n\n".to_owned(),
        };
        stream.write_all(text.as_bytes()).await?;
    }
    Ok(())
}
