//! The shell around a session: sockets, TLS, time.

/// Sessions with network cameras.
#[derive(Clone, Debug, Default)]
pub struct Ingest;
