//! Everything with a socket or a process, in one binary that is linked once. Each module is a part of the product;
//! `support` holds the fake servers that misbehave on request.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on must stop")]
#![expect(unreachable_pub, reason = "what `support` offers is public to the other modules, and there is nobody else")]

mod support;

mod ask;
mod breaking;
mod channels;
mod chart;
mod check;
mod config;
mod confirm;
mod demo;
mod dns_icmp;
mod docs;
mod feeds;
mod firebase;
mod firebase_peers;
mod firebase_realtime;
mod firestore;
mod fleet;
mod grpc;
mod http;
#[cfg(feature = "http3")]
mod http3;
mod hubs;
mod image;
mod metrics;
mod mqtt;
mod openapi;
mod probe_endpoint;
mod proxy;
mod readme;
mod replay;
mod run;
mod scenario;
mod scenarios;
mod simulation;
mod slack_command;
mod solo;
mod sse;
mod store;
mod tcp_tls;
mod telling;
mod uplink;
mod web;
mod websocket;
