//! The checks of Firebase's products that ask over HTTP, against a provider that answers as it is told.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use rcgen::{KeyPair, PKCS_RSA_SHA256, PublicKeyData as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use usoryou::{model::Kind, protocol::Attempt};

use crate::support::{
    fake::{self, Fake, request, silence},
    looking::{Looked, TIMEOUT, check, here, look, net, turn},
    realtime::realtime,
};

/// A request as the provider saw it.
#[derive(Debug, Clone)]
struct Asked {
    head: String,
    body: String,
}

impl Asked {
    fn first_line(&self) -> &str {
        self.head.lines().next().unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// A provider, and all that it was asked.
struct Provider {
    fake: Fake,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Provider {
    /// Answers each request with what `answer` says: status and body.
    async fn new(answer: impl Fn(&Asked) -> (u16, String) + Send + Sync + 'static) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (notes, answer) = (Arc::clone(&asked), Arc::new(answer));
        let fake = Fake::tcp(move |mut stream| {
            let (notes, answer) = (Arc::clone(&notes), Arc::clone(&answer));
            async move {
                while let Some(head) = request(&mut stream).await {
                    let length = head.to_ascii_lowercase();
                    let length = length.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
                    let mut body = vec![0; length.unwrap_or(0)];
                    stream.read_exact(&mut body).await.unwrap();
                    let one = Asked { head, body: String::from_utf8(body).unwrap() };
                    let (status, body) = answer(&one);
                    notes.lock().unwrap().push(one);
                    let length = body.len();
                    let kind = if body.starts_with('<') { "text/html" } else { "application/json" };
                    let whole = format!(
                        "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
                    );
                    if stream.write_all(whole.as_bytes()).await.is_err() {
                        return;
                    }
                }
            }
        })
        .await;
        Self { fake, asked }
    }

    /// One answer to everything.
    async fn saying(status: u16, body: &str) -> Self {
        let body = body.to_owned();
        Self::new(move |_| (status, body.clone())).await
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// The four checks at a place, without a credential.
fn strangers(url: &str) -> [Value; 5] {
    [
        json!({"firebase_auth": {"base_url": url}}),
        json!({"firebase_auth": {"flow": "refresh", "token_url": url}}),
        json!({"firebase_messaging": {"project": "p", "base_url": url}}),
        json!({"firebase_storage": {"bucket": "b", "base_url": url}}),
        json!({"firestore": {"project": "p", "base_url": url}}),
    ]
}

#[tokio::test]
async fn without_a_credential_the_providers_own_words_are_a_sign_of_life() {
    let table = [
        (400, r#"{"error":{"code":400,"message":"MISSING_PASSWORD"}}"#, "up"),
        (401, r#"{"error":{"code":401,"status":"UNAUTHENTICATED"}}"#, "up"),
        (403, r#"{"error":{"code":403,"status":"PERMISSION_DENIED"}}"#, "up"),
        (404, r#"{"error":{"code":404,"status":"NOT_FOUND"}}"#, "up"),
        (200, "<html>Welcome to our Wi-Fi</html>", "down transfer body_unexpected"),
        (403, "<html>blocked by your administrator</html>", "down transfer body_unexpected"),
        (302, "", "down first_byte status_unexpected"),
        (429, r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED"}}"#, "down first_byte rate_limited"),
        (500, r#"{"error":{"code":500,"status":"INTERNAL"}}"#, "down first_byte status_unexpected"),
        (503, r#"{"error":{"code":503,"status":"UNAVAILABLE"}}"#, "down first_byte not_serving"),
        (503, "<html>", "down first_byte status_unexpected"),
    ];
    for (status, body, wanted) in table {
        let provider = Provider::saying(status, body).await;
        for file in strangers(&provider.fake.url("")) {
            let looked = look(&net(&[]), file.clone()).await;
            assert_eq!(looked.words(), wanted, "{status} {body} {file}: {looked:?}");
            assert_eq!(looked.facts.http_status, Some(status));
        }
    }
}

#[tokio::test]
async fn places_that_do_not_answer() {
    let silent = Fake::tcp(silence).await;
    let endless = Fake::tcp(|mut stream| async move {
        request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n{\"a\":\"").await;
        while stream.write_all(&[b'x'; 8192]).await.is_ok() {}
    })
    .await;
    let closed = format!("http://127.0.0.1:{}", fake::closed_port().await);
    for (silent, endless, closed) in std::iter::zip(strangers(&silent.url("")), strangers(&endless.url("")))
        .zip(strangers(&closed))
        .map(|((a, b), c)| (a, b, c))
    {
        assert_eq!(look(&net(&[]), silent).await.words(), "down first_byte timed_out");
        // More than anybody reads, but it began as it should.
        assert_eq!(look(&net(&[]), endless).await.words(), "up");
        assert_eq!(look(&net(&[]), closed).await.words(), "down connect refused");
    }
}

fn auth(provider: &Provider, more: Value) -> Value {
    let url = provider.fake.url("");
    let mut file = json!({"base_url": url, "token_url": url, "api_key": "k3y"});
    file.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"firebase_auth": file})
}

#[tokio::test]
async fn a_user_signs_in_and_the_token_is_renewed() {
    let provider = Provider::new(|asked| {
        if asked.first_line().starts_with("POST /v1/accounts:signInWithPassword?key=k3y ") {
            let body: Value = serde_json::from_str(&asked.body).unwrap();
            assert_eq!(body, json!({"email": "probe@a.test", "password": "s3cret", "returnSecureToken": true}));
            (200, json!({"idToken": "id", "refreshToken": "re+fresh", "expiresIn": "3600"}).to_string())
        } else if asked.first_line().starts_with("POST /v1/token?key=k3y ") {
            assert_eq!(asked.body, "grant_type=refresh_token&refresh_token=re%2Bfresh");
            (200, json!({"access_token": "a", "expires_in": "3600", "refresh_token": "re+fresh"}).to_string())
        } else {
            (404, "{}".to_owned())
        }
    })
    .await;
    let user = json!({"email": "probe@a.test", "password": "s3cret"});
    assert_eq!(look(&net(&[]), auth(&provider, user.clone())).await.words(), "up");
    assert_eq!(provider.asked().len(), 1);
    let mut both = user;
    both["flow"] = "both".into();
    assert_eq!(look(&net(&[]), auth(&provider, both)).await.words(), "up");
    assert_eq!(provider.asked().len(), 3);
    let renewal = auth(&provider, json!({"flow": "refresh", "refresh_token": "re+fresh"}));
    let renewing = check(&net(&[]), renewal);
    assert_eq!(turn(&net(&[]), &*renewing, 0).await.words(), "up");
    assert!(!renewing.target().contains("k3y"), "{}", renewing.target());
    let bare = renewing.without_credential().unwrap();
    assert!(bare.without_credential().is_none());
}

#[tokio::test]
async fn refusals_have_their_kinds() {
    let table = [
        (400, "INVALID_LOGIN_CREDENTIALS", "down first_byte unauthorized"),
        (400, "API_KEY_INVALID", "down first_byte unauthorized"),
        (400, "TOO_MANY_ATTEMPTS_TRY_LATER : try later", "down first_byte rate_limited"),
        (429, "QUOTA_EXCEEDED", "down first_byte rate_limited"),
        (503, "UNAVAILABLE", "down first_byte not_serving"),
        (400, "OPERATION_NOT_ALLOWED", "down first_byte status_unexpected"),
    ];
    for (status, message, wanted) in table {
        let body = json!({"error": {"code": status, "message": message}}).to_string();
        let provider = Provider::saying(status, &body).await;
        let looked = look(&net(&[]), auth(&provider, json!({"email": "p@a.test", "password": "s3cret"}))).await;
        assert_eq!(looked.words(), wanted, "{looked:?}");
        assert!(looked.detail().contains(message.split(' ').next().unwrap()), "{looked:?}");
    }
    // Success in form alone.
    let provider = Provider::saying(200, "{}").await;
    let looked = look(&net(&[]), auth(&provider, json!({"email": "p@a.test", "password": "s3cret"}))).await;
    assert_eq!(looked.words(), "down transfer body_unexpected");
}

/// The key file of a service account, and what verifies its signatures.
fn service_account(token_url: &str) -> (String, Vec<u8>) {
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let file = json!({
        "type": "service_account", "client_email": "probe@p.test", "private_key_id": "kid-1",
        "private_key": key.serialize_pem(), "token_uri": token_url,
    });
    (file.to_string(), key.der_bytes().to_vec())
}

fn decoded(text: &str) -> Vec<u8> {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (mut bits, mut held, mut bytes) = (0u32, 0, Vec::new());
    for letter in text.bytes() {
        let six = letters.iter().position(|known| *known == letter).expect("a letter of base64url");
        bits = bits << 6 | u32::try_from(six).unwrap();
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 255).unwrap());
        }
    }
    bytes
}

fn messaging(provider: &Provider, account: &str) -> Value {
    json!({"firebase_messaging": {"project": "p", "service_account": account, "base_url": provider.fake.url("")}})
}

#[tokio::test]
async fn a_service_account_gets_a_token_with_a_signed_claim_and_keeps_it() {
    let tokens = Provider::saying(200, r#"{"access_token":"t0ken","expires_in":3600,"token_type":"Bearer"}"#).await;
    let (account, public) = service_account(&tokens.fake.url("/token"));
    let provider = Provider::new(|asked| {
        assert!(asked.first_line().starts_with("POST /v1/projects/p/messages:send "), "{}", asked.head);
        assert_eq!(asked.header("authorization"), Some("Bearer t0ken"));
        let body: Value = serde_json::from_str(&asked.body).unwrap();
        assert_eq!(body, json!({"validate_only": true, "message": {"topic": "usoryou"}}));
        (200, r#"{"name":"projects/p/messages/fake_message_id"}"#.to_owned())
    })
    .await;
    let net = net(&[]);
    let check = check(&net, messaging(&provider, &account));
    for _ in 0..3 {
        assert_eq!(turn(&net, &*check, 0).await.words(), "up");
    }
    assert_eq!(provider.asked().len(), 3);
    let asked = tokens.asked();
    assert_eq!(asked.len(), 1, "the token is kept");
    let form: Vec<(String, String)> = url::form_urlencoded::parse(asked[0].body.as_bytes()).into_owned().collect();
    assert_eq!(form[0].1, "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let (signed, signature) = form[1].1.rsplit_once('.').unwrap();
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
    key.verify(signed.as_bytes(), &decoded(signature)).expect("the signature fits");
    let (head, claims) = signed.split_once('.').unwrap();
    let part = |text: &str| serde_json::from_slice::<Value>(&decoded(text)).unwrap();
    assert_eq!(part(head), json!({"alg": "RS256", "typ": "JWT", "kid": "kid-1"}));
    let claims = part(claims);
    assert_eq!(claims["iss"], "probe@p.test");
    assert_eq!(claims["scope"], "https://www.googleapis.com/auth/firebase.messaging");
    assert_eq!(claims["aud"], tokens.fake.url("/token"));
    let (from, until) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    assert!((chrono::Utc::now().timestamp() - from).abs() < 60 && until - from == 3600);
}

#[tokio::test]
async fn a_place_of_tokens_that_fails_blocks_and_is_named() {
    let provider = Provider::saying(200, "{}").await;
    let run = async |url: String| -> Looked {
        let (account, _) = service_account(&url);
        look(&net(&[]), messaging(&provider, &account)).await
    };
    let down = Provider::saying(503, "{}").await;
    let looked = run(down.fake.url("/token")).await;
    assert_eq!(looked.words(), "inconclusive first_byte blocked");
    assert!(looked.detail().contains(&down.fake.url("/token")), "{looked:?}");
    let silent = Fake::tcp(silence).await;
    let looked = run(silent.url("/token")).await;
    assert_eq!(looked.words(), "inconclusive first_byte blocked");
    assert!(looked.detail().contains(&silent.url("/token")), "{looked:?}");
    let closed = format!("http://127.0.0.1:{}/token", fake::closed_port().await);
    assert_eq!(run(closed).await.words(), "inconclusive connect blocked");
    // A refusal is about our credential.
    let refuses = Provider::saying(400, r#"{"error":"invalid_grant","error_description":"Invalid JWT"}"#).await;
    let looked = run(refuses.fake.url("/token")).await;
    assert_eq!(looked.words(), "down first_byte unauthorized");
    assert!(looked.detail().contains("invalid_grant"), "{looked:?}");
    assert!(provider.asked().is_empty(), "without a token nothing is asked");
}

#[tokio::test]
async fn a_token_that_is_refused_is_not_kept() {
    let tokens = Provider::saying(200, r#"{"access_token":"t0ken","expires_in":3600}"#).await;
    let (account, _) = service_account(&tokens.fake.url("/token"));
    let provider = Provider::saying(401, r#"{"error":{"code":401,"status":"UNAUTHENTICATED"}}"#).await;
    let net = net(&[]);
    let check = check(&net, messaging(&provider, &account));
    for _ in 0..2 {
        assert_eq!(turn(&net, &*check, 0).await.words(), "down first_byte unauthorized");
    }
    assert_eq!(tokens.asked().len(), 2);
    assert_eq!(turn(&net, &*check.without_credential().unwrap(), 0).await.words(), "up");
}

#[tokio::test]
async fn objects_and_documents() {
    let provider = Provider::new(|asked| match asked.first_line().split(' ').nth(1).unwrap() {
        "/v0/b/p.appspot.com/o/probe%2Fa%20b.txt?alt=media" => (200, "hello".to_owned()),
        "/v0/b/p.appspot.com/o/captive?alt=media" => (200, "<html>".to_owned()),
        "/v1/projects/p/databases/(default)/documents/probe/one?key=k3y" => {
            assert_eq!(asked.header("authorization"), Some("Bearer t0ken"));
            assert_eq!(asked.header("google-cloud-resource-prefix"), Some("projects/p/databases/(default)"));
            (200, r#"{"name":"projects/p/databases/(default)/documents/probe/one","fields":{}}"#.to_owned())
        }
        other => (404, json!({"error": {"status": "NOT_FOUND", "message": other}}).to_string()),
    })
    .await;
    let url = provider.fake.url("");
    let run = async |file: Value| look(&net(&[]), file).await.words();
    let storage = |more: Value| {
        let mut file = json!({"bucket": "p.appspot.com", "base_url": url});
        file.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"firebase_storage": file})
    };
    assert_eq!(run(storage(json!({"object": "probe/a b.txt", "public": true}))).await, "up");
    assert_eq!(run(storage(json!({"object": "gone", "public": true}))).await, "down first_byte status_unexpected");
    assert_eq!(run(storage(json!({"object": "captive", "public": true}))).await, "down transfer body_unexpected");
    assert_eq!(run(storage(json!({"object": "probe/a b.txt", "auth": {"token": "x"}}))).await, "up");
    let firestore = |document: &str| {
        json!({"firestore": {"project": "p", "document": document, "base_url": url, "api_key": "k3y",
               "auth": {"token": "t0ken"}}})
    };
    assert_eq!(run(firestore("probe/one")).await, "up");
    assert_eq!(run(firestore("probe/gone")).await, "down first_byte status_unexpected");
}

#[tokio::test]
async fn a_sign_in_that_ends_while_a_session_is_asked_is_made_anew_with_another_token() {
    let given = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&given);
    let tokens = Provider::new(move |_| {
        (200, format!(r#"{{"access_token":"t{}","expires_in":3600}}"#, count.fetch_add(1, Relaxed)))
    })
    .await;
    let shown = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&shown);
    let database = realtime(move |mut peer| {
        let notes = Arc::clone(&notes);
        async move {
            peer.hello().await;
            while let Some(said) = peer.heard().await {
                let body = &said["d"]["b"];
                if said["d"]["a"] == "gauth" {
                    notes.lock().unwrap().push(body["cred"].as_str().unwrap().to_owned());
                    peer.reply(&said, "ok").await;
                } else if said["t"] == "c" {
                    // Instead of an answer to the ping.
                    peer.say(json!({"t": "d", "d": {"a": "ac", "b": {"s": "permission_denied"}}})).await;
                }
            }
        }
    })
    .await;
    let (account, _) = service_account(&tokens.fake.url("/token"));
    let (net, url) = (net(&[]), database.url("/?ns=probe"));
    let check = check(&net, json!({"firebase_realtime": {"url": url, "auth": {"service_account": account}}}));
    let begin = || Attempt::begin(Arc::clone(&net), here(), 0, TIMEOUT);
    for _ in 0..2 {
        let mut session = check.hold().unwrap().open(&mut begin()).await.unwrap();
        let refused = session.ping(&mut begin()).await.unwrap_err();
        assert_eq!(refused.kind, Kind::Unauthorized, "{refused}");
    }
    assert_eq!(*shown.lock().unwrap(), ["t0", "t1"], "what was revoked is not shown again");
}
