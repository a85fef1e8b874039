//! What is logged, at the finest level, holds no secret.

use crate::support::*;
use http::Method;
use perch_domain::identity::IdentityPort;
use std::io::Write;
use std::sync::{Arc, Mutex};
use tracing_subscriber::EnvFilter;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("log").extend_from_slice(data);
        Ok(data.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_reaches_the_log() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("perch_api=trace"))
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .init();
    let rig = Rig::start().await;
    let pair = |otp: &str| format!(r#"{{"otp":"{otp}","device_name":"x"}}"#);
    let paired = rig.call(Method::POST, "/api/v1/pair", "", &pair(OTP)).await;
    let token = paired.json()["token"].as_str().expect("token").to_owned();
    rig.call(Method::POST, "/api/v1/pair", "", &pair("87654321")).await.problem(403);
    let account = format!(r#"{{"name":"anna","password":"{PASSWORD}","role":"viewer"}}"#);
    rig.call(Method::POST, "/api/v1/users", &token, &account).await;
    for (name, password) in [("anna", PASSWORD), ("anna", "a wrong password"), ("a typed-in password", "x")] {
        let body = serde_json::json!({ "username": name, "password": password }).to_string();
        rig.call(Method::POST, "/api/v1/session", "", &body).await;
    }
    let vlc = rig.call(Method::POST, "/api/v1/stream-passwords", &token, r#"{"name":"vlc"}"#).await;
    let code = rig.call(Method::POST, "/api/v1/pairing-codes", &token, r#"{"role":"viewer"}"#).await;
    let change = [
        ("PUT", "/api/v1/privacy", r#"{"on":true,"cameras":["front"]}"#),
        ("PUT", "/api/v1/profile", r#"{"name":"away"}"#),
        ("PUT", "/api/v1/privacy", r#"{"on":false,"cameras":["front"]}"#),
        ("PUT", "/api/v1/profile", r#"{"name":null}"#),
        ("PATCH", "/api/v1/users/anna", r#"{"role":"viewer"}"#),
    ];
    for (method, path, body) in change {
        let method = method.parse().expect("a method");
        assert!(rig.call(method, path, &token, body).await.status.is_success(), "{path}");
    }
    let stray = "f00dfeed".repeat(8);
    rig.get(&format!("/api/v1/me?token={stray}"), &stray).await.problem(401);
    rig.get(&format!("/pair?otp={OTP}"), "").await;
    let text = String::from_utf8(log.0.lock().expect("log").clone()).expect("text");
    let key = rig.identity.certificate().key_pem.expose().clone();
    let stream = vlc.json()["password"].as_str().expect("password").to_owned();
    assert_eq!(code.json()["otp"], OTP);
    for secret in [
        &token,
        OTP,
        "87654321",
        PASSWORD,
        "a wrong password",
        "a typed-in",
        &stream,
        &stray,
        key.lines().nth(1).expect("key"),
    ] {
        assert!(!text.contains(secret), "{secret} is in the log");
    }
    for entry in ["a device was paired", "a wrong one-time password was tried", "a sign-in failed", "/api/v1/pair"] {
        assert!(text.contains(entry), "{entry} is not in the log");
    }
    // Whoever did something is named as people name them.
    for (what, line) in text.lines().filter_map(|line| Some((line.split_once(" by=")?.1, line))) {
        assert!(what.starts_with("\"phone\"") || what.starts_with("phone") || what.starts_with("\"anna\""), "{line}");
    }
    for what in
        ["cameras are switched", "a profile is chosen", "what an account may do was changed", "an account was made"]
    {
        assert!(text.lines().any(|line| line.contains(what) && line.contains(" by=")), "{what}: {text}");
    }
    // What the page shows is for people.
    for line in text.lines().filter(|line| line.contains(" INFO ") || line.contains(" WARN ")) {
        assert!(!line.contains("Some(") && !line.contains("None"), "{line}");
    }
    assert!(text.contains("a device was paired device=\"x\""), "by its name: {text}");
    // What is logged says which request it is of, and which device asks.
    let named = "request{method=POST route=\"/api/v1/users\" device=";
    assert!(text.contains(named), "{named} is not in the log: {text}");
}
