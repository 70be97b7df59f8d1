//! The `http` check through proxies: that of the tests, which misbehaves on request, and real ones of other makes.

use std::{process::Command, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::TcpStream,
    sync::mpsc::UnboundedReceiver,
};
use usoryou::model::Phase;

use crate::support::{
    api::{self, Api},
    certs::{Authority, Server},
    fake::{self, Fake, Stream, answers, closed_port, request, reset, silence},
    looking::{Looked, look, net},
    peer,
    peers::{Started, free_port},
};

/// An HTTP proxy that makes tunnels to anywhere on this machine and tells what it was asked.
async fn tunnelling(mut stream: impl Stream, told: tokio::sync::mpsc::UnboundedSender<String>) {
    let Some(head) = request(&mut stream).await else { return };
    let port: u16 = head.split([' ', ':']).nth(2).unwrap().parse().unwrap();
    told.send(head).unwrap();
    let mut target = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(b"HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n").await.unwrap();
    let _ = copy_bidirectional(&mut stream, &mut target).await;
}

async fn http_proxy() -> (Fake, UnboundedReceiver<String>) {
    let (told, heard) = tokio::sync::mpsc::unbounded_channel();
    (Fake::tcp(move |stream| tunnelling(stream, told.clone())).await, heard)
}

/// A SOCKS5 proxy that wants this user and password, if any.
async fn socks_proxy(user: Option<(&'static str, &'static str)>) -> (Fake, UnboundedReceiver<String>) {
    let (told, heard) = tokio::sync::mpsc::unbounded_channel();
    let serve = move |mut stream: TcpStream| {
        let told = told.clone();
        async move {
            let count = {
                stream.read_u8().await.unwrap();
                stream.read_u8().await.unwrap()
            };
            let mut methods = vec![0; count.into()];
            stream.read_exact(&mut methods).await.unwrap();
            let wanted = if user.is_some() { 2 } else { 0 };
            if !methods.contains(&wanted) {
                stream.write_all(&[5, 0xff]).await.unwrap();
                return;
            }
            stream.write_all(&[5, wanted]).await.unwrap();
            if let Some((user, password)) = user {
                stream.read_u8().await.unwrap();
                let mut said = Vec::new();
                for _ in 0..2 {
                    let mut text = vec![0; stream.read_u8().await.unwrap().into()];
                    stream.read_exact(&mut text).await.unwrap();
                    said.push(String::from_utf8(text).unwrap());
                }
                let right = said == [user, password];
                stream.write_all(&[1, u8::from(!right)]).await.unwrap();
                if !right {
                    return;
                }
            }
            let mut head = [0; 4];
            stream.read_exact(&mut head).await.unwrap();
            let host = match head[3] {
                1 => {
                    let mut four = [0; 4];
                    stream.read_exact(&mut four).await.unwrap();
                    std::net::Ipv4Addr::from(four).to_string()
                }
                _ => {
                    let mut name = vec![0; stream.read_u8().await.unwrap().into()];
                    stream.read_exact(&mut name).await.unwrap();
                    String::from_utf8(name).unwrap()
                }
            };
            let port = stream.read_u16().await.unwrap();
            told.send(format!("{host}:{port}")).unwrap();
            let Ok(mut target) = TcpStream::connect(("127.0.0.1", port)).await else {
                stream.write_all(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
                return;
            };
            // The address from which it reaches the target comes as a name here, which is allowed.
            stream.write_all(&[5, 0, 0, 3, 2, b'a', b'b', 0, 1]).await.unwrap();
            let _ = copy_bidirectional(&mut stream, &mut target).await;
        }
    };
    (Fake::tcp(serve).await, heard)
}

async fn through(proxy: &str, url: &str, more: Value) -> Looked {
    let mut http = json!({"url": url, "proxy": proxy});
    http.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    look(&net(&[]), json!({"http": http})).await
}

fn phases(looked: &Looked) -> Vec<Phase> {
    looked.phases.iter().map(|(phase, _)| phase).collect()
}

/// A site behind TLS, under a name that only the proxy can resolve.
async fn site(authority: &Authority) -> (Fake, String, Value) {
    let config = authority.server(Server { name: "only.proxy.knows", alpn: &["h2", "http/1.1"], ..Server::default() });
    let site = Fake::tls(config, |stream| async move {
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            silence(stream).await;
        } else {
            answers(stream, &fake::ok("hello")).await;
        }
    })
    .await;
    let url = format!("https://only.proxy.knows:{}/", site.port);
    (site, url, json!({"version": "1.1", "tls": {"ca_file": authority.file()}}))
}

#[tokio::test]
async fn a_tunnel_is_a_phase_of_its_own() {
    let authority = Authority::new();
    let (site, url, more) = site(&authority).await;
    let tunnel = [Phase::Connect, Phase::Proxy, Phase::Tls, Phase::Request, Phase::FirstByte, Phase::Transfer];

    let (proxy, mut heard) = http_proxy().await;
    let looked = through(&format!("http://me:p%40ss@{}", proxy.address()), &url, more.clone()).await;
    assert_eq!((looked.words().as_str(), phases(&looked).as_slice()), ("up", &tunnel[..]), "{}", looked.detail());
    assert_eq!(looked.facts.peer.unwrap().port(), proxy.port);
    assert_eq!(looked.facts.tls.unwrap().subject.as_deref(), Some("CN=only.proxy.knows"));
    let head = heard.recv().await.unwrap();
    assert!(
        head.starts_with(&format!(
            "CONNECT only.proxy.knows:{0} HTTP/1.1\r\nHost: only.proxy.knows:{0}\r\n",
            site.port
        )),
        "{head}"
    );
    assert!(head.contains("Proxy-Authorization: Basic bWU6cEBzcw==\r\n"), "{head}");

    let (proxy, mut heard) = socks_proxy(Some(("me", "p@ss"))).await;
    let looked = through(&format!("socks5://me:p%40ss@{}", proxy.address()), &url, more.clone()).await;
    assert_eq!((looked.words().as_str(), phases(&looked).as_slice()), ("up", &tunnel[..]), "{}", looked.detail());
    assert_eq!(heard.recv().await.unwrap(), format!("only.proxy.knows:{}", site.port));

    // TLS to the proxy, and TLS to the target inside of it.
    let own = authority.server(Server { name: "127.0.0.1", ..Server::default() });
    let (told, _heard) = tokio::sync::mpsc::unbounded_channel();
    let proxy = Fake::tls(own, move |stream| tunnelling(stream, told.clone())).await;
    let looked = through(&format!("https://{}", proxy.address()), &url, more.clone()).await;
    assert_eq!((looked.words().as_str(), phases(&looked).as_slice()), ("up", &tunnel[..]), "{}", looked.detail());
    assert_eq!(looked.facts.tls.unwrap().subject.as_deref(), Some("CN=only.proxy.knows"));
    // Its certificate is checked as well; that is the proxy's failure, and not one of the target's.
    let looked = through(&format!("https://{}", proxy.address()), &url, json!({"version": "1.1"})).await;
    assert_eq!(looked.words(), "down proxy certificate_untrusted");
}

#[tokio::test]
async fn plain_http_is_handed_to_the_proxy_as_it_is() {
    let site = Api::start(|asked, _| match &*asked.path {
        path if path.ends_with("/from") => Some((302, "Location: /to\r\n".to_owned(), String::new())),
        path if path.ends_with("/refused") => api::json(407, ""),
        _ => api::json(200, "{}"),
    })
    .await;
    let (proxy, url) = (format!("http://me:pass@{}", site.fake.address()), "http://only.proxy.knows/from?a=1");
    let looked = through(&proxy, "http://only.proxy.knows/from", json!({})).await;
    assert_eq!(looked.words(), "up", "{}", looked.detail());
    assert_eq!(phases(&looked), [Phase::Connect, Phase::Request, Phase::FirstByte, Phase::Transfer]);
    assert_eq!(site.paths(), ["http://only.proxy.knows/from", "http://only.proxy.knows/to"]);
    let asked = &site.asked()[0];
    assert_eq!((asked.header("host"), asked.header("proxy-authorization")), ("only.proxy.knows", "Basic bWU6cGFzcw=="));
    assert_eq!(through(&proxy, url, json!({"redirects": 0, "expect": {"status": [200]}})).await.words(), "up");
    let looked = through(&proxy, "http://only.proxy.knows/refused", json!({})).await;
    assert_eq!(looked.words(), "down proxy unauthorized");
    // Through SOCKS5 it goes as to any server.
    let (proxy, _heard) = socks_proxy(None).await;
    let looked = through(&format!("socks5://{}", proxy.address()), &site.url("/x"), json!({})).await;
    assert_eq!(looked.words(), "up", "{}", looked.detail());
    assert_eq!(site.paths().last().unwrap(), "/x");
}

#[tokio::test]
async fn proxies_that_refuse() {
    for (status, words) in [
        (407, "down proxy unauthorized"),
        (403, "down proxy refused"),
        (502, "down proxy unreachable"),
        (503, "down proxy unreachable"),
        (504, "down proxy timed_out"),
        (429, "down proxy rate_limited"),
        (302, "down proxy status_unexpected"),
    ] {
        let proxy = Fake::tcp(move |stream| async move {
            answers(stream, format!("HTTP/1.1 {status} X\r\nContent-Length: 4\r\n\r\n<no>").as_bytes()).await;
        })
        .await;
        let looked = through(&proxy.url("/"), "https://a.test/", json!({})).await;
        assert_eq!(looked.words(), words, "{}", looked.detail());
        assert!(looked.detail().ends_with(&format!("({status})")), "{}", looked.detail());
    }
    for (reply, words) in [
        (1, "unreachable"),
        (2, "refused"),
        (3, "unreachable"),
        (4, "unreachable"),
        (5, "refused"),
        (6, "timed_out"),
        (7, "protocol_error"),
        (8, "protocol_error"),
        (200, "protocol_error"),
    ] {
        let proxy = Fake::tcp(move |mut stream| async move {
            let mut bytes = [0; 64];
            stream.read_exact(&mut bytes[..3]).await.unwrap();
            stream.write_all(&[5, 0]).await.unwrap();
            let _ = stream.read(&mut bytes).await;
            let _ = stream.write_all(&[5, reply, 0, 1, 0, 0, 0, 0, 0, 0]).await;
        })
        .await;
        let looked = through(&format!("socks5://{}", proxy.address()), "https://a.test/", json!({})).await;
        assert_eq!(looked.words(), format!("down proxy {words}"), "{}", looked.detail());
    }
    let (proxy, _heard) = socks_proxy(Some(("me", "right"))).await;
    for user in ["", "me:wrong@"] {
        let looked = through(&format!("socks5://{user}{}", proxy.address()), "https://a.test/", json!({})).await;
        assert_eq!(looked.words(), "down proxy unauthorized", "{}", looked.detail());
        assert!(!looked.detail().contains("wrong"));
    }
    let nobody = through(&format!("http://127.0.0.1:{}", closed_port().await), "https://a.test/", json!({})).await;
    assert_eq!(nobody.words(), "down connect refused");
    let (proxy, _heard) = socks_proxy(None).await;
    let looked = through(
        &format!("socks5://{}", proxy.address()),
        &format!("http://127.0.0.1:{}/", closed_port().await),
        json!({}),
    )
    .await;
    assert_eq!(
        (looked.words().as_str(), looked.detail()),
        ("down proxy refused", "the target refuses the proxy's connection (SOCKS5 reply 5)")
    );
}

#[tokio::test]
async fn proxies_that_misbehave() {
    type Case = (&'static str, &'static str, &'static [u8]);
    let cases: [Case; 6] = [
        ("http", "down proxy protocol_error", b"SSH-2.0-OpenSSH\r\n\r\n"),
        ("http", "down proxy closed_early", b"HTTP/1.1 200 OK\r\n"),
        ("http", "down proxy closed_early", b""),
        ("socks5", "down proxy protocol_error", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        ("socks5", "down proxy closed_early", &[5]),
        ("socks5", "down proxy protocol_error", &[5, 2]),
    ];
    for (scheme, words, says) in cases {
        let proxy = Fake::tcp(move |mut stream| async move {
            fake::something(&mut stream).await;
            let _ = stream.write_all(says).await;
        })
        .await;
        let looked = through(&format!("{scheme}://{}", proxy.address()), "https://a.test/", json!({})).await;
        assert_eq!(looked.words(), words, "{says:?}: {}", looked.detail());
    }
    for scheme in ["http", "socks5", "https"] {
        let proxy = Fake::tcp(silence).await;
        let looked = through(&format!("{scheme}://{}", proxy.address()), "https://a.test/", json!({})).await;
        assert_eq!(looked.words(), "down proxy timed_out");
        assert!(looked.detail().contains("of the proxy within 400ms"), "{}", looked.detail());
    }
    let cut = Fake::tcp(|mut stream| async {
        fake::something(&mut stream).await;
        reset(stream);
    })
    .await;
    assert_eq!(through(&cut.url("/"), "https://a.test/", json!({})).await.words(), "down proxy reset");
    // A head without end takes no more than its limit.
    let endless = Fake::tcp(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    })
    .await;
    let looked = through(&endless.url("/"), "https://a.test/", json!({})).await;
    assert_eq!(
        (looked.words().as_str(), looked.detail()),
        ("down proxy protocol_error", "the head of the proxy's answer is too large")
    );
    // A tunnel that leads to nobody: the target's silence, at its phase.
    let hole = Fake::tcp(|mut stream| async move {
        request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        silence(stream).await;
    })
    .await;
    assert_eq!(through(&hole.url("/"), "https://a.test/", json!({})).await.words(), "down tls timed_out");
}

async fn real(program: &str, start: impl Fn(u16, &std::path::Path) -> Command, url: impl Fn(u16) -> String) {
    if peer(program).is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut proxy = Started::new(&mut start(port, folder.path()), folder.path());
    proxy.wait_for("listener", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
    let authority = Arc::new(Authority::new());
    let config = authority.server(Server { name: "localhost", ..Server::default() });
    let site = Fake::tls(config, |stream| async move { answers(stream, &fake::ok("hello")).await }).await;
    let more = json!({"tls": {"ca_file": authority.file()}});
    let target = format!("https://localhost:{}/", site.port);
    let looked = through(&url(port), &target, more.clone()).await;
    assert_eq!(looked.words(), "up", "{}\n{}", looked.detail(), proxy.log());
    assert!(looked.phases.get(Phase::Proxy).is_some_and(|took| took < Duration::from_millis(300)));
    let plain = Fake::tcp(|stream| async { answers(stream, &fake::ok("hello")).await }).await;
    assert_eq!(through(&url(port), &plain.url("/"), json!({})).await.words(), "up");
    let wrong = url(port).replace("me:right@", "me:wrong@");
    assert_eq!(through(&wrong, &target, more).await.words(), "down proxy unauthorized");
    let looked = through(&url(port), &format!("https://127.0.0.1:{}/", closed_port().await), json!({})).await;
    assert!(["down proxy refused", "down proxy unreachable"].contains(&looked.words().as_str()), "{}", looked.words());
}

#[tokio::test]
async fn through_tinyproxy() {
    let start = |port: u16, folder: &std::path::Path| {
        let config = folder.join("tinyproxy.conf");
        let text =
            format!("Port {port}\nListen 127.0.0.1\nTimeout 10\nMaxClients 10\nBasicAuth me right\nAllow 127.0.0.1\n");
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new("tinyproxy");
        command.args(["-d", "-c"]).arg(config);
        command
    };
    real("tinyproxy", start, |port| format!("http://me:right@127.0.0.1:{port}")).await;
}

#[tokio::test]
async fn through_microsocks() {
    let start = |port: u16, _: &std::path::Path| {
        let mut command = Command::new("microsocks");
        command.args(["-i", "127.0.0.1", "-p", &port.to_string(), "-u", "me", "-P", "right"]);
        command
    };
    real("microsocks", start, |port| format!("socks5://me:right@127.0.0.1:{port}")).await;
}
