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
    firelike::{self, Firelike},
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

impl Addresses {
    /// Where each service listens for each region, as JSON.
    fn places(&self) -> String {
        let places = self.services.iter().map(|((service, region), address)| {
            serde_json::json!({"service": service.name(), "region": region, "url": format!("http://{address}")})
        });
        serde_json::json!({ "places": places.collect::<Vec<_>>() }).to_string() + "\n"
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
    let world = Arc::new(Firelike::new(Arc::clone(switches)));
    for (service, region, listener) in listeners {
        let (switches, world) = (Arc::clone(switches), Arc::clone(&world));
        let lamp = Arc::new(Lamp::default());
        tokio::spawn(accept(listener, move |stream| {
            let (switches, world, lamp) = (Arc::clone(&switches), Arc::clone(&world), Arc::clone(&lamp));
            async move { serve(stream, service, region, &switches, (&world, database, &lamp)).await }
        }));
    }
    tokio::spawn(accept(slack, move |stream| {
        let said = said.clone();
        async move { take_message(stream, said).await }
    }));
    let switches = Arc::clone(switches);
    let places: Arc<str> = addresses.places().into();
    tokio::spawn(accept(board, move |stream| {
        let (switches, places) = (Arc::clone(&switches), Arc::clone(&places));
        async move { switch(stream, &switches, &places).await }
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
    (world, database, lamp): (&Arc<Firelike>, SocketAddr, &Lamp),
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
    let behaviour = switches.behaviour(service, region);
    // What becomes of a live connection is decided where it is taken.
    let behaviour = if request.path.starts_with("/.ws") { Behaviour::Serve } else { behaviour };
    let (status, body) = match (behaviour, service) {
        (Behaviour::Status(status), _) => own((status, r#"{"error":"broken on purpose"}"#)),
        (_, Service::Database | Service::Live) => return firelike::serve(stream, request, world, region).await,
        (_, Service::Auth) => own((400, r#"{"error":{"code":400,"message":"MISSING_PASSWORD"}}"#)),
        (_, Service::PartnerToken) => partner::token(),
        (_, Service::PartnerDevices) => {
            partner::devices(lamp, &request.method, &request.path, request.header("authorization").unwrap_or_default())
        }
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

/// `GET /places`, `GET /faults`, `PUT /faults/NAME`, `DELETE /faults/NAME`, `DELETE /faults`.
async fn switch(mut stream: TcpStream, switches: &Switches, places: &str) -> io::Result<()> {
    let request = read_request(&mut stream).await?;
    if (request.method.as_str(), request.path.as_str()) == ("GET", "/places") {
        return respond(&mut stream, 200, places).await;
    }
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

/// A request, read to its end.
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    head: String,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
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
    while bytes.len() < head + length {
        read_more(stream, &mut bytes).await?;
    }
    let mut words = text.split(' ');
    let mut word = || words.next().unwrap_or_default().to_owned();
    let (method, path) = (word(), word());
    Ok(Request { method, path, head: text, body: bytes.split_off(head) })
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

pub(super) async fn respond(stream: &mut TcpStream, status: u16, body: &str) -> io::Result<()> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n",
        if status < 400 { "OK" } else { "Error" }
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}
