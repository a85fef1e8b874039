//! The OpenAPI 3.1 document, made from the route table and the schemas in `schemas.json`. `openapi.json` beside `Cargo.toml` is its
//! golden copy, from which the web UI's types are checked.

use crate::auth::COOKIE;
use crate::route::{Body, Kind, Param, Route, Takes};
use perch_domain::access::{PASSWORD_LENGTH, Permission};
use perch_domain::pairing::DIGITS;
use serde_json::{Map, Value, json};

const SCHEMAS: &str = include_str!("schemas.json");

const JSON: &str = "application/json";

/// The document of these routes; `version` is the daemon's.
pub fn document(routes: &[Route], version: &str) -> Value {
    let mut paths = Map::new();
    for route in routes {
        let entry = paths.entry(route.path).or_insert_with(|| json!({}));
        entry[route.method.as_str().to_ascii_lowercase()] = operation(route);
    }
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
                "cookie": { "type": "apiKey", "in": "cookie", "name": COOKIE },
            },
            "responses": {
                "Problem": {
                    "description": "What is wrong, and what to do",
                    "content": { "application/problem+json": { "schema": reference("Problem") } },
                },
            },
            "schemas": schemas(),
        },
    })
}

/// The schemas with the limits that the box's own rules set.
fn schemas() -> Value {
    // The text is ours and a test reads it.
    let mut schemas: Value = serde_json::from_str(SCHEMAS).unwrap_or_default();
    for name in ["NewUser", "NewPassword"] {
        let password = &mut schemas[name]["properties"]["password"];
        password["minLength"] = (*PASSWORD_LENGTH.start()).into();
        password["maxLength"] = (*PASSWORD_LENGTH.end()).into();
    }
    let otp = &mut schemas["PairRequest"]["properties"]["otp"];
    otp["description"] = format!("{} to {} digits; spaces and dashes are ignored", DIGITS.start(), DIGITS.end()).into();
    schemas
}

fn operation(route: &Route) -> Value {
    let mut parameters: Vec<Value> = parts(route.path)
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": part_schema(name) }))
        .collect();
    parameters.extend(route.query.iter().map(
        |param| json!({ "name": param.name, "in": "query", "required": param.required, "schema": param_schema(param) }),
    ));
    let mut success = json!({ "description": route.summary });
    if let Some(content) = content(&route.gives.body) {
        success["content"] = content;
    }
    let mut responses = Map::new();
    responses.insert(route.gives.status.to_string(), success);
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
    let takes = match route.takes {
        Takes::Nothing => None,
        Takes::Json(schema) => Some(json!({ JSON: { "schema": reference(schema) } })),
        Takes::Text(media) => Some(json!({ media: {} })),
        Takes::Bytes { .. } => Some(json!({ "application/octet-stream": {} })),
    };
    if let Some(content) = takes {
        out["requestBody"] = json!({ "required": true, "content": content });
    }
    if route.permission == Permission::Public {
        out["security"] = json!([]);
    }
    out
}

fn content(body: &Body) -> Option<Value> {
    match body {
        Body::Empty => None,
        Body::Json(schema) => Some(json!({ JSON: { "schema": reference(schema) } })),
        Body::Document => Some(json!({ JSON: {} })),
        Body::Events(schema) => Some(json!({ "text/event-stream": { "schema": reference(schema) } })),
        Body::Media(media) => Some(json!({ *media: {} })),
    }
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn part_schema(name: &str) -> Value {
    match name {
        "camera" => reference("CameraId"),
        "device" => reference("DeviceId"),
        "lease" => reference("LeaseId"),
        "event" => reference("EventId"),
        "file" => json!({ "type": "string", "pattern": "^[0-9]+\\.mp4$" }),
        _ => json!({ "type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$" }),
    }
}

fn param_schema(param: &Param) -> Value {
    match param.kind {
        Kind::Schema(name) => reference(name),
        Kind::Word { one_of, default: None } => json!({ "type": "string", "enum": one_of }),
        Kind::Word { one_of, default } => json!({ "type": "string", "enum": one_of, "default": default }),
        Kind::Number { min, max, default: None } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Number { min, max, default } => {
            json!({ "type": "integer", "minimum": min, "maximum": max, "default": default })
        }
    }
}

/// `GET /api/v1/cameras/{camera}/snapshot.jpg` is `get_cameras_camera_snapshot_jpg`.
fn operation_id(route: &Route) -> String {
    let path = route.path.trim_start_matches("/api/").trim_start_matches("v1/");
    let words: String = path.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let words: Vec<_> = words.split('_').filter(|w| !w.is_empty()).collect();
    format!("{}_{}", route.method.as_str().to_ascii_lowercase(), words.join("_"))
}
