//! The servers of the simulated world: real sockets on loopback, one listener for each service and region, so that a
//! fault can be between one region and one service. Also the Slack of that world and the switchboard over HTTP.

use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};

use super::{
    faults::{Behaviour, Fault, REGIONS, Service, Switches, distance},
    partner::{self, Lamp},
};

/// A request larger than this is not one of ours.
const REQUEST_LIMIT: usize = 64 * 1024;
/// Nothing in this world takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where everything listens.
#[derive(Debug, Clone)]
pub(super) struct Addresses {
    services: BTreeMap<(Service, &'static str), SocketAddr>,
    /// The simulated Slack's incoming webhook.
    pub(super) slack: SocketAddr,
    /// The switchboard.
    pub(super) switchboard: SocketAddr,
}

impl Addresses {
    pub(super) fn of(&self, service: Service, region: &str) -> SocketAddr {
        let found =
            REGIONS.iter().find(|known| **known == region).and_then(|known| self.services.get(&(service, known)));
        // Every service listens for every region; a region that is none of ours gets an address that nobody serves.
        found.copied().unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 9)))
    }
}

/// Starts all servers. `said` gets the text of every message that the simulated Slack takes.
///
/// # Errors
/// When the loopback interface gives no port.
pub(super) async fn start(
    switches: &Arc<Switches>,
    switchboard: SocketAddr,
    said: mpsc::Sender<String>,
) -> io::Result<Addresses> {
    let mut listeners = Vec::new();
    let mut services = BTreeMap::new();
    for service in Service::ALL {
        for region in REGIONS {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            services.insert((service, region), listener.local_addr()?);
            listeners.push((service, region, listener));
        }
    }
    let slack = TcpListener::bind("127.0.0.1:0").await?;
    let board = TcpListener::bind(switchboard).await?;
    let addresses = Addresses { services, slack: slack.local_addr()?, switchboard: board.local_addr()? };

    // Our own API stands in the first region and reaches the provider from there.
    let database = addresses.of(Service::Database, REGIONS[0]);
    for (service, region, listener) in listeners {
        let switches = Arc::clone(switches);
        let lamp = Arc::new(Lamp::default());
        tokio::spawn(accept(listener, move |stream| {
            let (switches, lamp) = (Arc::clone(&switches), Arc::clone(&lamp));
            async move { serve(stream, service, region, &switches, (database, &lamp)).await }
        }));
    }
    tokio::spawn(accept(slack, move |stream| {
        let said = said.clone();
        async move { take_message(stream, said).await }
    }));
    let switches = Arc::clone(switches);
    tokio::spawn(accept(board, move |stream| {
        let switches = Arc::clone(&switches);
        async move { switch(stream, &switches).await }
    }));
    Ok(addresses)
}

async fn accept<F>(listener: TcpListener, serve: impl Fn(TcpStream) -> F + Send + 'static)
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let serving = serve(stream);
                // A client that misbehaves ends its own connection and nothing else.
                tokio::spawn(async move { timeout(PATIENCE, serving).await });
            }
            // Out of descriptors, say: a short rest instead of a busy loop.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn serve(
    mut stream: TcpStream,
    service: Service,
    region: &'static str,
    switches: &Switches,
    (database, lamp): (SocketAddr, &Lamp),
) -> io::Result<()> {
    match switches.behaviour(service, region) {
        Behaviour::Silent => {
            tokio::time::sleep(PATIENCE).await;
            return Ok(());
        }
        Behaviour::Reset => {
            // Closing with a linger of zero sends a RST.
            return socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        }
        Behaviour::Serve | Behaviour::Status(_) => {}
    }
    let request = read_request(&mut stream).await?;
    tokio::time::sleep(distance(region)).await;
    let own = |(status, body): (u16, &str)| (status, body.to_owned());
    let (status, body) = match (switches.behaviour(service, region), service) {
        (Behaviour::Status(status), _) => own((status, r#"{"error":"broken on purpose"}"#)),
        (_, Service::Database) => own((200, r#"{"usoryou":true}"#)),
        (_, Service::Auth) => own((400, r#"{"error":{"code":400,"message":"MISSING_PASSWORD"}}"#)),
        (_, Service::PartnerToken) => partner::token(),
        (_, Service::PartnerDevices) => partner::devices(lamp, &request.method, &request.path, &request.authorization),
        (_, Service::Api) if request.path == "/health/deep" => own(if asks(database).await {
            (200, r#"{"database":"ok"}"#)
        } else {
            (502, r#"{"database":"unreachable"}"#)
        }),
        (_, Service::Api | Service::ControlOne | Service::ControlTwo) => own((200, r#"{"ok":true}"#)),
    };
    respond(&mut stream, status, &body).await
}

/// What our API does for its deep health: it really asks the database.
async fn asks(database: SocketAddr) -> bool {
    let asking = async {
        let mut stream = TcpStream::connect(database).await?;
        stream.write_all(b"GET /.json HTTP/1.1\r\nHost: database\r\nConnection: close\r\n\r\n").await?;
        let mut head = [0; 12];
        stream.read_exact(&mut head).await?;
        Ok::<bool, io::Error>(head.ends_with(b"200"))
    };
    matches!(timeout(Duration::from_millis(700), asking).await, Ok(Ok(true)))
}

async fn take_message(mut stream: TcpStream, said: mpsc::Sender<String>) -> io::Result<()> {
    let request = read_request(&mut stream).await?;
    let text = serde_json::from_slice::<serde_json::Value>(&request.body)
        .ok()
        .and_then(|message| message["text"].as_str().map(str::to_owned));
    match text {
        Some(text) => {
            // Nobody reads any more: the demo is ending.
            let _ = said.send(text).await;
            respond(&mut stream, 200, "ok").await
        }
        None => respond(&mut stream, 400, "invalid_payload").await,
    }
}

/// `GET /faults`, `PUT /faults/NAME`, `DELETE /faults/NAME`, `DELETE /faults`.
async fn switch(mut stream: TcpStream, switches: &Switches) -> io::Result<()> {
    let request = read_request(&mut stream).await?;
    let name = request.path.strip_prefix("/faults").map(|rest| rest.trim_matches('/'));
    let status = match (request.method.as_str(), name, name.map(str::parse::<Fault>)) {
        ("GET", Some(""), _) => 200,
        ("PUT" | "POST", _, Some(Ok(fault))) => {
            switches.set(fault, true);
            200
        }
        ("DELETE", _, Some(Ok(fault))) => {
            switches.set(fault, false);
            200
        }
        ("DELETE", Some(""), _) => {
            switches.clear();
            200
        }
        _ => 404,
    };
    let faults: Vec<_> = Fault::ALL
        .into_iter()
        .map(|fault| serde_json::json!({"name": fault.key().1, "on": switches.on(fault), "what": fault.words()}))
        .collect();
    respond(&mut stream, status, &(serde_json::json!({ "faults": faults }).to_string() + "\n")).await
}

struct Request {
    method: String,
    path: String,
    authorization: String,
    body: Vec<u8>,
}

/// Reads one HTTP/1.1 request with a Content-Length body: all that the clients of this world send.
async fn read_request(stream: &mut TcpStream) -> io::Result<Request> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        read_more(stream, &mut bytes).await?;
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let header = |wanted: &str| {
        let mut fields = text.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map_or("", |(_, value)| value.trim())
    };
    let length = header("content-length").parse::<usize>().unwrap_or(0).min(REQUEST_LIMIT);
    let authorization = header("authorization").to_owned();
    while bytes.len() < head + length {
        read_more(stream, &mut bytes).await?;
    }
    let mut words = text.split(' ');
    let mut word = || words.next().unwrap_or_default().to_owned();
    Ok(Request { method: word(), path: word(), authorization, body: bytes.split_off(head) })
}

async fn read_more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<()> {
    if bytes.len() > 2 * REQUEST_LIMIT {
        return Err(io::Error::other("the request is too large"));
    }
    if stream.read_buf(bytes).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

async fn respond(stream: &mut TcpStream, status: u16, body: &str) -> io::Result<()> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n",
        if status < 400 { "OK" } else { "Error" }
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}
