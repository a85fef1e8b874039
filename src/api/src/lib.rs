//! Floor 2: the only HTTP of the box, with its JSON and its TLS, and the embedded web UI. It decides who may ask and in which form; what is
//! answered comes from the ports of `domain`.

#![forbid(unsafe_code)]

mod auth;
mod authority;
mod bundle;
mod config;
mod connection;
mod door;
mod first_byte;
mod guard;
mod headers;
mod input;
mod leash;
mod lifeline;
mod openapi;
mod plain;
mod plain_page;
mod problem;
mod revoke;
mod route;
mod routes;
mod server;
mod socket;
mod state;
mod streams;
mod tls;
mod ui;

pub use auth::COOKIE;
pub use config::{AccessChange, Config, HttpConfig, OnAccessChange, Ports, pairing_url};
pub use lifeline::Lifeline;
pub use revoke::Revocations;
pub use route::{About, Body, Gives, Kind, Param, Route, Takes};
pub use routes::ROUTES;
pub use server::Server;

/// The OpenAPI document of all routes; `version` is the daemon's.
pub fn openapi(version: &str) -> serde_json::Value {
    openapi::document(ROUTES, version)
}
