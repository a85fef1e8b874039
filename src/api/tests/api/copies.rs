//! Copies over HTTP: how they are, and trying stores out.

use crate::support::*;
use crate::table::differences;
use http::Method;
use perch_api::openapi;
use perch_base::{Error, Result};
use perch_domain::access::Role;
use perch_domain::evidence::PublicKey;
use perch_domain::ports::Later;
use perch_domain::sync::profile::{ProbeGrade, ProbeLine};
use perch_domain::sync::status::*;
use perch_domain::sync::target::{GivenTarget, SyncTarget};
use serde_json::json;

/// One target, `s3.example.org/copies`.
#[derive(Default)]
pub struct FakeCopies;

fn target() -> SyncTarget {
    let given = GivenTarget {
        endpoint: "https://s3.example.org",
        region: "auto",
        bucket: "copies",
        prefix: "",
        access_key: "S3CRETID",
        secret_key: "S3CRET",
    };
    SyncTarget::to_try(&given).expect("valid")
}

impl CopiesPort for FakeCopies {
    fn targets(&self) -> Result<CopyTargets> {
        let status = CopyTargetStatus { reason: "no way".into(), ..CopyTargetStatus::new(&target(), now()) };
        Ok(CopyTargets { targets: vec![status], evidence_key: Some(PublicKey([0xab; 32])) })
    }
    fn probe(&self, store: StoreToTry) -> Later<'_, Result<ProbedStore>> {
        Box::pin(async move {
            let what = match store {
                StoreToTry::Configured(name) if name == target().name() => name,
                StoreToTry::Configured(_) => return Err(Error::not_found("there is no such store in the settings")),
                StoreToTry::Given(store) => store.name(),
            };
            let line = ProbeLine { grade: ProbeGrade::Bad, what, fix: String::new() };
            Ok(ProbedStore { works: false, lines: vec![line], profile: None })
        })
    }
}

#[tokio::test]
async fn how_copies_are_is_for_whoever_manages_the_box() {
    let rig = Rig::start().await;
    let (_, admin) = rig.fake.device(Role::Admin, None);
    let (_, viewer) = rig.fake.device(Role::Viewer, None);
    rig.get("/api/v1/sync", &viewer).await.problem(403);
    let got = rig.get("/api/v1/sync", &admin).await;
    let schema = json!({"$ref": "#/components/schemas/CopyTargets"});
    assert_eq!(differences(&openapi("0.0.0"), &schema, &got.json(), "copies"), Vec::<String>::new());
    assert_eq!(got.json()["targets"][0]["name"], "s3.example.org/copies");
    assert_eq!(got.json()["evidence_key"], "ab".repeat(32));
    assert!(!got.json().to_string().contains("S3CRET"));
}

#[tokio::test]
async fn how_far_copies_are_is_for_whoever_looks_back() {
    let rig = Rig::start().await;
    let (_, admin) = rig.fake.device(Role::Admin, None);
    let (_, viewer) = rig.fake.device(Role::Viewer, None);
    let path = "/api/v1/cameras/front/copies?from=2026-05-01T00:00:00Z&to=2026-05-02T00:00:00Z";
    for (who, reason) in [(&admin, "s3.example.org/copies: no way"), (&viewer, "")] {
        let got = rig.get(path, who).await.json();
        let schema = json!({"$ref": "#/components/schemas/CopyHours"});
        assert_eq!(differences(&openapi("0.0.0"), &schema, &got, "hours"), Vec::<String>::new());
        assert_eq!((got["hours"][0]["state"].as_str(), got["reason"].as_str()), (Some("verified"), Some(reason)));
    }
    rig.get(&path.replace("front", "nowhere"), &admin).await.problem(404);
}

#[tokio::test]
async fn a_store_is_tried_out_by_name_or_as_given() {
    let rig = Rig::start().await;
    let (_, admin) = rig.fake.device(Role::Admin, None);
    let (_, viewer) = rig.fake.device(Role::Viewer, None);
    let path = "/api/v1/sync/probe";
    let given =
        r#"{"endpoint": "https://s3.example.org", "bucket": "other", "access_key": "id", "secret_key": "S3CRET"}"#;
    rig.call(Method::POST, path, &viewer, given).await.problem(403);
    for (body, want) in
        [(r#"{"name": "s3.example.org/copies"}"#, "s3.example.org/copies"), (given, "s3.example.org/other")]
    {
        let got = rig.call(Method::POST, path, &admin, body).await;
        assert_eq!(
            (got.status, got.json()["lines"][0]["what"].as_str()),
            (200.try_into().expect("a status"), Some(want))
        );
        let schema = json!({"$ref": "#/components/schemas/ProbedStore"});
        assert_eq!(differences(&openapi("0.0.0"), &schema, &got.json(), "probed"), Vec::<String>::new());
    }
    for (body, status, word) in [
        (r#"{"name": "elsewhere"}"#, 404, "store"),
        (r#"{"name": "s3.example.org/copies", "bucket": "x"}"#, 400, "name"),
        (
            r#"{"endpoint": "file:///etc/shadow", "bucket": "abc", "access_key": "a", "secret_key": "b"}"#,
            400,
            "endpoint",
        ),
        (
            r#"{"endpoint": "https://h", "bucket": "abc", "access_key": "a", "secret_key": "S3CRET\r\nx: y"}"#,
            400,
            "secret_key",
        ),
        ("{}", 400, "endpoint"),
    ] {
        let problem = rig.call(Method::POST, path, &admin, body).await.problem(status);
        let text = problem.to_string();
        assert!(text.contains(word) && !text.contains("S3CRET"), "{body}: {text}");
    }
}
