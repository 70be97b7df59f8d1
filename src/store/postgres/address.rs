//! The address of a Postgres server: what it says, what it leaves out, and how it is shown.

use sqlx::{
    ConnectOptions as _,
    postgres::{PgConnectOptions, PgSslMode},
};
use url::{Host, Url};

use crate::store::StoreError;

/// What every session of ours tells the server. A leader that is cut off must not hold its lease's row: the server ends a
/// transaction that nobody goes on with, and a connection that does not answer. And every question of ours has its index: a
/// plan that was made while a day was empty must not read all of it when it is full.
const SESSION: [(&str, &str); 6] = [
    ("idle_in_transaction_session_timeout", "2000"),
    ("tcp_user_timeout", "5000"),
    ("lock_timeout", "5000"),
    ("statement_timeout", "60000"),
    ("enable_seqscan", "off"),
    ("jit", "off"),
];

/// Ways to connect as an address says: over TLS with the server's name verified, unless it is on this machine or the
/// address says otherwise.
pub(super) fn options(address: &str) -> Result<PgConnectOptions, StoreError> {
    let wrong = |why: String| StoreError::Address { url: "postgres://…".to_owned(), why };
    let url: Url = address.parse().map_err(|error: url::ParseError| wrong(error.to_string()))?;
    let asked = |names: &[&str]| url.query_pairs().find(|(name, _)| names.contains(&&**name)).map(|(_, value)| value);
    let options = PgConnectOptions::from_url(&url).map_err(|error| match error {
        // Words of the parameter that is wrong; the password is none of them.
        sqlx::Error::Configuration(why) => wrong(match why.downcast::<sqlx::Error>() {
            Ok(error) => match *error {
                sqlx::Error::Configuration(why) => why.to_string(),
                error => error.to_string(),
            },
            Err(why) => why.to_string(),
        }),
        _ => wrong("it cannot be read".to_owned()),
    })?;
    let options = if asked(&["sslmode", "ssl-mode"]).is_none() && std::env::var_os("PGSSLMODE").is_none() {
        let here = options.get_socket().is_some() || is_here(options.get_host());
        options.ssl_mode(if here { PgSslMode::Prefer } else { PgSslMode::VerifyFull })
    } else {
        options
    };
    let options = if asked(&["application_name"]).is_none() { options.application_name("usoryou") } else { options };
    Ok(options.options(SESSION).disable_statement_logging())
}

/// Host, port and database.
pub(super) fn shown(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    match options.get_socket() {
        Some(socket) => format!("{}/{database}", socket.display()),
        None => format!("{}:{}/{database}", options.get_host(), options.get_port()),
    }
}

fn is_here(host: &str) -> bool {
    match Host::parse(host) {
        Ok(Host::Ipv4(address)) => address.is_loopback(),
        Ok(Host::Ipv6(address)) => address.is_loopback(),
        _ => host == "localhost" || host.starts_with('/') || host == "::1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(address: &str) -> String {
        format!("{:?}", options(address).unwrap().get_ssl_mode())
    }

    #[test]
    fn a_server_elsewhere_is_verified_unless_the_address_says_otherwise() {
        assert_eq!(mode("postgres://u:p@db.example.com/usoryou"), "VerifyFull");
        assert_eq!(mode("postgres://u:p@10.0.0.7/usoryou"), "VerifyFull");
        assert_eq!(mode("postgres://u:p@db.example.com/usoryou?sslmode=require"), "Require");
        assert_eq!(mode("postgres://u:p@127.0.0.1:5433/usoryou"), "Prefer");
        assert_eq!(mode("postgres://u:p@[::1]:5433/usoryou"), "Prefer");
        assert_eq!(mode("postgres:///usoryou?host=/run/postgresql"), "Prefer");
    }

    #[test]
    fn a_password_is_never_shown() {
        let given = options("postgres://u:hunter2@db.example.com:6432/usoryou").unwrap();
        assert_eq!(shown(&given), "db.example.com:6432/usoryou");
        for wrong in
            ["postgres://u:hunter2@db:port/x", "postgres://u:hunter2@db/x?sslmode=hunter2x", "postgres://u:hunter2@[/x"]
        {
            let error = options(wrong).unwrap_err().to_string();
            assert!(error.starts_with("cannot use the store `postgres://…`: "), "{error}");
            assert!(!error.contains("u:hunter2"), "{error}");
        }
    }
}
