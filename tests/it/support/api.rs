//! An HTTP site whose answers a test decides request by request, and which remembers what it was asked.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::fake::{Fake, request};

/// One request.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    pub path: String,
    /// As it came.
    pub head: String,
    pub body: String,
    /// Number of the connection on which it came, from 0.
    pub connection: usize,
}

impl Asked {
    /// The value of a header; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        let fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next().unwrap_or("")
    }
}

/// What to answer: status, header lines (each with its line end) and body; `None` says nothing at all.
pub type Answer = Option<(u16, String, String)>;

/// An answer in JSON.
pub fn json(status: u16, body: &str) -> Answer {
    Some((status, "Content-Type: application/json\r\n".to_owned(), body.to_owned()))
}

/// The site; it stops when dropped.
pub struct Api {
    pub fake: Fake,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Api {
    /// Answers what `answer` says; requests are numbered from 0.
    pub async fn start(answer: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static) -> Self {
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (answer, heard) = (Arc::new(answer), Arc::clone(&asked));
        let connections = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let fake = Fake::tcp(move |mut stream| {
            let (answer, heard) = (Arc::clone(&answer), Arc::clone(&heard));
            let connection = connections.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            async move {
                while let Some(head) = request(&mut stream).await {
                    let mut words = head.split(' ').map(str::to_owned);
                    let (method, path) = (words.next().unwrap(), words.next().unwrap());
                    let mut one = Asked { method, path, head, body: String::new(), connection };
                    let mut body = vec![0; one.header("content-length").parse().unwrap_or(0)];
                    stream.read_exact(&mut body).await.unwrap();
                    one.body = String::from_utf8(body).unwrap();
                    let number = {
                        let mut heard = heard.lock().unwrap();
                        heard.push(one.clone());
                        heard.len() - 1
                    };
                    let Some((status, headers, body)) = answer(&one, number) else {
                        return std::future::pending().await;
                    };
                    let length = body.len();
                    let text = format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
                    if stream.write_all(text.as_bytes()).await.is_err() {
                        return;
                    }
                }
            }
        })
        .await;
        Self { fake, asked }
    }

    pub fn url(&self, path: &str) -> String {
        self.fake.url(path)
    }

    /// Everything that it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The paths of the same.
    pub fn paths(&self) -> Vec<String> {
        self.asked().into_iter().map(|one| one.path).collect()
    }
}
