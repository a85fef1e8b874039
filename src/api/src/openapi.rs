//! The OpenAPI 3.1 document, made from the route table and the schemas in `schemas.json`. `openapi.json` beside `Cargo.toml` is its
//! golden copy, from which the web UI's types are checked.

use crate::routes::{ROUTES, Route};
use perch_domain::access::Permission;
use serde_json::{Map, Value, json};

const SCHEMAS: &str = include_str!("schemas.json");

/// What goes in and out of one route. A schema's name, or none where the body is not JSON.
struct Shape {
    query: &'static [&'static str],
    takes: Option<(&'static str, Option<&'static str>)>,
    status: u16,
    gives: Option<(&'static str, Option<&'static str>)>,
}

const JSON: &str = "application/json";
const SDP: &str = "application/sdp";

/// The document; `version` is the daemon's.
pub fn document(version: &str) -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let entry = paths.entry(route.path).or_insert_with(|| json!({}));
        entry[route.method.as_str().to_ascii_lowercase()] = operation(route);
    }
    // The text is ours and a test reads it.
    let schemas: Value = serde_json::from_str(SCHEMAS).unwrap_or_default();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Perch",
            "version": version,
            "description": "A surveillance box. Times are RFC 3339 in UTC. Errors are application/problem+json.",
        },
        "security": [{ "bearer": [] }, { "cookie": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer" },
                "cookie": { "type": "apiKey", "in": "cookie", "name": crate::COOKIE },
            },
            "responses": {
                "Problem": {
                    "description": "What is wrong, and what to do",
                    "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
                },
            },
            "schemas": schemas,
        },
    })
}

fn operation(route: &Route) -> Value {
    let shape = shape(route);
    let mut parameters: Vec<Value> = parts(route.path)
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": part_schema(name) }))
        .collect();
    parameters.extend(shape.query.iter().map(|name| {
        let required = matches!(*name, "from" | "to") && route.path != "/api/v1/events";
        json!({ "name": name, "in": "query", "required": required, "schema": query_schema(name) })
    }));
    let mut success = json!({ "description": route.summary });
    if let Some(content) = shape.gives {
        success["content"] = media(content);
    }
    let mut responses = Map::new();
    responses.insert(shape.status.to_string(), success);
    responses.insert("default".into(), json!({ "$ref": "#/components/responses/Problem" }));
    let mut out = json!({
        "summary": route.summary,
        "operationId": operation_id(route),
        "x-permission": route.permission,
        "responses": responses,
    });
    if !parameters.is_empty() {
        out["parameters"] = parameters.into();
    }
    if let Some(content) = shape.takes {
        out["requestBody"] = json!({ "required": true, "content": media(content) });
    }
    if route.permission == Permission::Public {
        out["security"] = json!([]);
    }
    out
}

fn media((media_type, schema): (&str, Option<&str>)) -> Value {
    match schema {
        Some(name) => json!({ media_type: { "schema": { "$ref": format!("#/components/schemas/{name}") } } }),
        None => json!({ media_type: {} }),
    }
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn part_schema(name: &str) -> Value {
    match name {
        "camera" => json!({ "$ref": "#/components/schemas/CameraId" }),
        "device" => json!({ "$ref": "#/components/schemas/DeviceId" }),
        "lease" => json!({ "$ref": "#/components/schemas/LeaseId" }),
        "event" => json!({ "$ref": "#/components/schemas/EventId" }),
        "file" => json!({ "type": "string", "pattern": "^[0-9]+\\.mp4$" }),
        _ => json!({ "type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$" }),
    }
}

fn query_schema(name: &str) -> Value {
    match name {
        "from" | "to" | "at" => json!({ "$ref": "#/components/schemas/Time" }),
        "camera" => json!({ "$ref": "#/components/schemas/CameraId" }),
        "cursor" => json!({ "$ref": "#/components/schemas/EventId" }),
        "kind" => json!({ "type": "string", "enum": ["motion"] }),
        "stream" => json!({ "type": "string", "enum": ["main", "sub", "auto"], "default": "auto" }),
        "limit" => json!({ "type": "integer", "minimum": 1, "maximum": 200, "default": 50 }),
        "width" => json!({ "type": "integer", "minimum": 16, "maximum": 7680 }),
        _ => json!({ "type": "string" }),
    }
}

/// `GET /api/v1/cameras/{camera}/snapshot.jpg` is `get_cameras_camera_snapshot_jpg`.
fn operation_id(route: &Route) -> String {
    let path = route.path.trim_start_matches("/api/").trim_start_matches("v1/");
    let words: String = path.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let words: Vec<_> = words.split('_').filter(|w| !w.is_empty()).collect();
    format!("{}_{}", route.method.as_str().to_ascii_lowercase(), words.join("_"))
}

#[rustfmt::skip]
fn shape(route: &Route) -> Shape {
    let gives = |status, media, schema| Shape { query: &[], takes: None, status, gives: Some((media, schema)) };
    let json = |schema| gives(200, JSON, Some(schema));
    let makes = |takes, schema| Shape { takes: Some((JSON, Some(takes))), ..gives(201, JSON, Some(schema)) };
    let empty = Shape { query: &[], takes: None, status: 204, gives: None };
    match (route.method.as_str(), route.path) {
        ("POST", "/api/v1/pair") => makes("PairRequest", "Paired"),
        ("POST", "/api/v1/session") => Shape { takes: Some((JSON, Some("SignIn"))), ..empty },
        ("GET", "/api/v1/me") => json("Me"),
        ("GET", "/api/v1/devices") => json("Devices"),
        ("POST", "/api/v1/pairing-codes") => makes("PairingCodeRequest", "PairingCode"),
        ("GET", "/api/v1/users") => json("Users"),
        ("POST", "/api/v1/users") => makes("NewUser", "User"),
        ("PATCH", "/api/v1/users/{name}") => Shape { takes: Some((JSON, Some("ChangedUser"))), ..json("User") },
        ("PUT", "/api/v1/users/{name}/password") => Shape { takes: Some((JSON, Some("NewPassword"))), ..empty },
        ("GET", "/api/v1/stream-passwords") => json("StreamPasswords"),
        ("POST", "/api/v1/stream-passwords") => makes("NewStreamPassword", "MadeStreamPassword"),
        ("GET", "/api/v1/cameras") => json("Cameras"),
        ("GET", "/api/v1/cameras/{camera}") => json("Camera"),
        ("GET", "/api/v1/cameras/{camera}/snapshot.jpg") => Shape { query: &["at", "width"], ..gives(200, "image/jpeg", None) },
        ("POST", "/api/v1/cameras/{camera}/whep") => {
            Shape { query: &["stream"], takes: Some((SDP, None)), ..gives(201, SDP, None) }
        }
        ("GET", "/api/v1/ice-servers") => json("IceServers"),
        ("GET", "/api/v1/live") => json("LiveSessions"),
        ("PATCH", "/api/v1/live/{lease}") => Shape { takes: Some(("application/trickle-ice-sdpfrag", None)), ..empty },
        ("GET", "/api/v1/events") => {
            Shape { query: &["camera", "kind", "from", "to", "cursor", "limit"], ..json("EventPage") }
        }
        ("GET", "/api/v1/events/stream") => gives(200, "text/event-stream", Some("Notice")),
        ("GET", "/api/v1/events/{event}") => json("Event"),
        ("GET", "/api/v1/events/{event}/thumbnail.jpg") => gives(200, "image/jpeg", None),
        ("GET", "/api/v1/cameras/{camera}/timeline") => Shape { query: &["from", "to"], ..json("Timeline") },
        ("GET", "/api/v1/cameras/{camera}/playback.m3u8") => {
            Shape { query: &["from", "to"], ..gives(200, "application/vnd.apple.mpegurl", None) }
        }
        ("GET", "/api/v1/cameras/{camera}/export.mp4") => Shape { query: &["from", "to"], ..gives(200, "video/mp4", None) },
        ("GET", "/api/v1/cameras/{camera}/segments/{file}") => gives(200, "video/mp4", None),
        ("GET", "/api/v1/status") => json("Status"),
        ("GET", "/api/v1/update") => json("UpdateState"),
        ("POST", "/api/v1/update") => {
            Shape { takes: Some(("application/octet-stream", None)), ..gives(201, JSON, Some("Bundle")) }
        }
        ("POST", "/api/v1/update/install") => {
            Shape { takes: Some((JSON, Some("Install"))), ..gives(202, JSON, Some("UpdateState")) }
        }
        ("GET", "/api/v1/ca.pem") => gives(200, "application/x-pem-file", None),
        ("GET", "/api/openapi.json") => gives(200, JSON, None),
        ("GET", "/metrics" | "/healthz") => gives(200, "text/plain", None),
        _ => empty,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every schema that is named somewhere in `value`.
    fn refs(value: &Value, out: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                if let Some(name) = map.get("$ref").and_then(Value::as_str) {
                    out.push(name.to_owned());
                }
                map.values().for_each(|v| refs(v, out));
            }
            Value::Array(list) => list.iter().for_each(|v| refs(v, out)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document("0");
        let mut all = Vec::new();
        refs(&document, &mut all);
        for name in all {
            let pointer = name.trim_start_matches('#');
            assert!(document.pointer(pointer).is_some(), "{name}");
        }
    }

    #[test]
    fn every_get_says_what_it_gives() {
        for route in ROUTES.iter().filter(|r| r.method == http::Method::GET) {
            assert!(shape(route).gives.is_some(), "{}", route.path);
        }
    }
}
