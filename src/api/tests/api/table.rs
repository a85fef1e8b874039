//! Walks the route table as nobody, as a stranger, as a viewer, as a viewer of another camera and as an administrator; and compares
//! it with the OpenAPI document.

use crate::support::*;
use http::{Method, StatusCode};
use perch_api::{ROUTES, openapi};
use perch_domain::access::{Permission, Role};

/// The path of a route with things in it that exist where that harms nothing.
pub fn fill(path: &str) -> String {
    let hex = "0123456789abcdef0123456789abcdef";
    [
        ("{camera}", "front"),
        ("{device}", hex),
        ("{lease}", hex),
        ("{announcement}", hex),
        ("{event}", "7"),
        ("{push}", "1"),
        ("{view}", "main"),
        ("{file}", "1.mp4"),
        ("{name}", "nobody"),
        ("{version}", "1"),
    ]
    .iter()
    .fold(path.to_owned(), |p, (part, value)| p.replace(part, value))
}

/// What anybody may call. A new public route must be added here by hand.
const PUBLIC: [(&str, &str); 7] = [
    ("POST", "/api/v1/pair"),
    ("POST", "/api/v1/session"),
    ("GET", "/api/v1/ca.pem"),
    ("GET", "/api/v1/ca.crt"),
    ("GET", "/api/v1/ca.mobileconfig"),
    ("GET", "/api/v1/trust-probe"),
    ("GET", "/healthz"),
];

/// A viewer passes the gate of these and is refused by what they are asked about: somebody else's device and password.
const OTHERS: [(&str, &str); 3] = [
    ("DELETE", "/api/v1/devices/{device}"),
    ("PATCH", "/api/v1/devices/{device}"),
    ("PUT", "/api/v1/users/{name}/password"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_route_refuses_whom_it_should() {
    let rig = Rig::start().await;
    rig.fake.device(Role::Admin, None);
    let wrong = "0".repeat(64);
    for route in ROUTES {
        let (path, method) = (fill(route.path), route.method.clone());
        let name = (method.as_str(), route.path);
        let body = if method == Method::GET { "" } else { "{}" };
        // The event stream does not end: only its status is of interest.
        let status = async |token: &str| {
            let auth = format!("Bearer {token}");
            let mut headers = vec![("content-type", "application/json")];
            if !token.is_empty() {
                headers.push(("authorization", &auth));
            }
            rig.open(request(method.as_str(), &path, &headers, body)).await.status()
        };
        let public = PUBLIC.contains(&name);
        assert_eq!(public, route.permission == Permission::Public, "{name:?}");
        for token in ["", &wrong] {
            let got = status(token).await;
            assert_eq!(got != StatusCode::UNAUTHORIZED, public, "{name:?} without a credential: {got}");
        }
        let viewer = status(&rig.fake.device(Role::Viewer, None).1).await;
        let may = Role::Viewer.holds(route.permission) && !OTHERS.contains(&name);
        assert_eq!(viewer != StatusCode::FORBIDDEN, may, "{name:?} as viewer: {viewer}");
        let others = status(&rig.fake.device_with(&only(&[yard()]), None).1).await;
        let is_of_front = ["{camera}", "{event}"].iter().any(|part| route.path.contains(part));
        let want = if may && is_of_front { StatusCode::NOT_FOUND } else { viewer };
        assert_eq!(others, want, "{name:?} as viewer of another camera");
        let admin = status(&rig.fake.device(Role::Admin, None).1).await;
        for got in [viewer, admin] {
            assert_ne!(got, StatusCode::UNAUTHORIZED, "{name:?}");
            assert!(!got.is_server_error() && got != StatusCode::METHOD_NOT_ALLOWED, "{name:?}: {got}");
        }
        assert_ne!(admin, StatusCode::FORBIDDEN, "{name:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn me_says_what_the_gate_lets_through() {
    let rig = Rig::start().await;
    for role in [Role::Viewer, Role::Admin] {
        let me = rig.get("/api/v1/me", &rig.fake.device(role, None).1).await.json();
        let said = me["permissions"].as_array().expect("a list");
        for route in ROUTES.iter().filter(|r| r.permission != Permission::Public) {
            let is_said = said.contains(&serde_json::json!(route.permission));
            assert_eq!(is_said, role.holds(route.permission), "{} as {role:?}: {said:?}", route.path);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_in_the_table_is_hidden_from_strangers() {
    let rig = Rig::start().await;
    let (_, token) = rig.fake.device(Role::Viewer, None);
    for path in ["/api", "/api/", "/api/v1", "/api/v2/me", "/api/v1/nothing", "/api/v1/me/", "/api/v1/../../etc/passwd"]
    {
        rig.get(path, "").await.problem(401);
        rig.get(path, &token).await.problem(404);
    }
    rig.call(Method::DELETE, "/api/v1/me", "", "").await.problem(401);
    let wrong = rig.call(Method::DELETE, "/api/v1/me", &token, "").await;
    wrong.problem(405);
    assert_eq!(wrong.header("allow"), "GET,HEAD");
    rig.call(Method::OPTIONS, "/api/v1/cameras/front/whep", "", "").await.problem(401);
    rig.call(Method::POST, "/", "", "{}").await.problem(405);
    assert_eq!(rig.call(Method::HEAD, "/api/v1/me", "", "").await.status, 401);
    assert_eq!(rig.call(Method::HEAD, "/api/v1/me", &token, "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_the_url_is_no_credential() {
    let rig = Rig::start().await;
    let (_, token) = rig.fake.device(Role::Admin, None);
    for key in ["token", "access_token", "auth", "key"] {
        rig.get(&format!("/api/v1/me?{key}={token}"), "").await.problem(401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_sees_no_source_and_nobody_sees_a_secret() {
    let rig = Rig::start().await;
    let (admin, viewer) = (rig.fake.device(Role::Admin, None).1, rig.fake.device(Role::Viewer, None).1);
    for path in ["/api/v1/cameras", "/api/v1/cameras/front", "/api/v1/status"] {
        let (a, v) = (rig.get(path, &admin).await, rig.get(path, &viewer).await);
        assert!(String::from_utf8_lossy(&a.body).contains("rtsp://cam"), "{path}");
        assert!(!String::from_utf8_lossy(&v.body).contains("rtsp://cam"), "{path}");
        assert_eq!(v.header("cache-control"), "no-store");
    }
    let metrics = rig.get("/metrics", &viewer).await;
    let text = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(text.contains("perch_camera_live{camera=\"front\"} 1\n") && !text.contains("rtsp://"), "{text}");
}

#[test]
fn the_document_and_the_table_say_the_same() {
    let document = openapi("0.0.0");
    let paths = document["paths"].as_object().expect("paths");
    let listed: usize = paths.values().map(|p| p.as_object().expect("methods").len()).sum();
    assert_eq!(listed, ROUTES.len());
    for route in ROUTES {
        let operation = &paths[route.path][route.method.as_str().to_ascii_lowercase()];
        assert_eq!(operation["x-permission"], serde_json::json!(route.permission), "{}", route.path);
    }
    let mut text = serde_json::to_string_pretty(&document).expect("JSON");
    text.push('\n');
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    if std::env::var_os("PERCH_BLESS").is_some() {
        std::fs::write(&golden, &text).expect("written");
    }
    let kept = std::fs::read_to_string(&golden).unwrap_or_default();
    assert!(kept == text, "openapi.json is stale: run this test with PERCH_BLESS=1 and look at the difference");
}

/// Where `value` differs from a JSON schema of the document: a member that the schema does not name, a required one that is
/// missing, a type or a word that it does not allow.
pub fn differences(
    document: &serde_json::Value,
    schema: &serde_json::Value,
    value: &serde_json::Value,
    at: &str,
) -> Vec<String> {
    if let Some(name) = schema["$ref"].as_str() {
        let target = document.pointer(name.trim_start_matches('#')).expect("a schema");
        return differences(document, target, value, at);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let tries: Vec<_> = choices.iter().map(|s| differences(document, s, value, at)).collect();
        return tries.into_iter().min_by_key(Vec::len).unwrap_or_default();
    }
    let types: Vec<_> = match &schema["type"] {
        serde_json::Value::String(one) => vec![one.as_str()],
        serde_json::Value::Array(several) => several.iter().filter_map(|t| t.as_str()).collect(),
        _ => vec![],
    };
    let is = match value {
        serde_json::Value::Null => "null",
        serde_json::Value::Bool(_) => "boolean",
        serde_json::Value::Number(n) if n.is_i64() || n.is_u64() => "integer",
        serde_json::Value::Number(_) => "number",
        serde_json::Value::String(_) => "string",
        serde_json::Value::Array(_) => "array",
        serde_json::Value::Object(_) => "object",
    };
    let mut out = Vec::new();
    let fits = types.contains(&is) || (is == "integer" && types.contains(&"number"));
    if !types.is_empty() && !fits {
        out.push(format!("{at}: {is} instead of {types:?}"));
    }
    if schema["enum"].as_array().is_some_and(|words| !words.contains(value)) {
        out.push(format!("{at}: {value} is none of {}", schema["enum"]));
    }
    if !schema["const"].is_null() && schema["const"] != *value {
        out.push(format!("{at}: {value} is not {}", schema["const"]));
    }
    if let Some(members) = value.as_object().filter(|_| types.contains(&"object")) {
        for (name, inner) in members {
            match schema["properties"].get(name) {
                Some(schema) => out.extend(differences(document, schema, inner, &format!("{at}.{name}"))),
                None if schema["additionalProperties"] == true => {}
                None => out.push(format!("{at}.{name}: is not in the document")),
            }
        }
        let required = schema["required"].as_array().into_iter().flatten().filter_map(|n| n.as_str());
        out.extend(required.filter(|n| !members.contains_key(*n)).map(|n| format!("{at}.{n}: is missing")));
    }
    for (i, item) in value.as_array().into_iter().flatten().enumerate() {
        out.extend(differences(document, &schema["items"], item, &format!("{at}[{i}]")));
    }
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_what_the_document_says() {
    let rig = Rig::start().await;
    let (device, token) = rig.fake.device(Role::Admin, None);
    rig.fake.watches(device, front());
    let document = openapi("0.0.0");
    let mut looked_at = 0;
    for route in ROUTES.iter().filter(|r| r.method == Method::GET) {
        let operation = &document["paths"][route.path]["get"];
        let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
        if schema.is_null() {
            continue;
        }
        let range = "?from=2026-01-01T00:00:00Z&to=2026-01-01T00:10:00Z";
        let asked = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|p| p["required"] == true && p["name"] == "from");
        let path = format!("{}{}", fill(route.path), if asked { range } else { "" });
        let answer = rig.get(&path, &token).await;
        assert_eq!(answer.status, 200, "{path}: {:?}", answer.body);
        let found = differences(&document, schema, &answer.json(), route.path);
        assert!(found.is_empty(), "{found:#?}");
        looked_at += 1;
    }
    assert!(looked_at >= 12, "{looked_at} routes");
    let (camera, health) = (front(), perch_domain::health::CameraHealth::starting(perch_base::time::Timestamp(0)));
    let notices = [
        perch_domain::status::Notice::Event { event: event() },
        perch_domain::status::Notice::Health { camera, health },
    ];
    for notice in notices {
        let schema = serde_json::json!({ "$ref": "#/components/schemas/Notice" });
        let value = serde_json::to_value(&notice).expect("JSON");
        assert_eq!(differences(&document, &schema, &value, "notice"), Vec::<String>::new());
    }
    // It can tell a difference.
    let (camera, wrong) =
        (serde_json::json!({ "$ref": "#/components/schemas/CameraHealth" }), serde_json::json!({ "state": "odd" }));
    assert!(differences(&document, &camera, &wrong, "x").len() >= 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_served() {
    let rig = Rig::start().await;
    let (_, token) = rig.fake.device(Role::Viewer, None);
    let document = rig.get("/api/openapi.json", &token).await.json();
    assert_eq!((&document["openapi"], &document["info"]["version"]), (&"3.1.0".into(), &"9.9.9".into()));
    let h2 = rig.send_h2("/api/v1/me", &token).await;
    assert_eq!((h2.status, &h2.json()["ca_sha256"]), (StatusCode::OK, &rig.ca_sha256.clone().into()));
}
