//! The OpenAPI 3.1 document, made from the route table and the schemas in `schemas.json`. `openapi.json` beside `Cargo.toml` is its
//! golden copy, from which the web UI's types are checked.

use crate::auth::COOKIE;
use crate::problem::code;
use crate::route::{Body, Kind, MERGE_PATCH, Param, Route, Takes};
use perch_base::ErrorKind;
use perch_base::ids::CameraId;
use perch_domain::access::{
    DEVICE_NAME_LENGTH, DeviceKind, NAME_LENGTH, PASSWORD_LENGTH, Permission, Role, name_pattern,
};
use perch_domain::account_name::{ACCOUNT_NAME_LENGTH, account_name_pattern};
use perch_domain::archive::{EventKind, GapCause, MAX_RANGE_US, WhereHeld};
use perch_domain::certificate_facts::CertificateKind;
use perch_domain::cut_off::CUT_OFF_FOR;
use perch_domain::discovery::{FoundBy, Lacking};
use perch_domain::doctor::LiveWay;
use perch_domain::health::CameraState;
use perch_domain::lease::LEASE;
use perch_domain::log::MAX_LINE;
use perch_domain::media::{Stream, VideoCodec};
use perch_domain::medium::{MediumKind, Wear};
use perch_domain::motion::Cause;
use perch_domain::pairing::DIGITS;
use perch_domain::picture_controls::ControlGroup;
use perch_domain::probe::Weight;
use perch_domain::push::range::RangeState;
use perch_domain::push::{PushKind, PushState};
use perch_domain::recording::{RecordMode, RecordingState};
use perch_domain::status::{Notice, Overall};
use perch_domain::summary::SummaryAbout;
use perch_domain::switched_off::OffBy;
use perch_domain::sync::hours::HourState;
use perch_domain::sync::profile::ProbeGrade;
use perch_domain::sync::status::CopyingState;
use perch_domain::sync::target::CopyWhat;
use perch_domain::talkback::Echo;
use perch_domain::update::{Outcome, Phase};
use serde_json::{Map, Value, json};

/// The shapes. Where `enum` or `pattern` is a name, the words or the rule of that type of the box are put in.
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
            // A live session ends after so many seconds without its viewer's word.
            "x-lease-s": LEASE.as_secs(),
            // Who is cut off sees nothing for so many seconds.
            "x-cut-off-s": CUT_OFF_FOR.as_secs(),
            // No question may span more than this.
            "x-longest-range-s": MAX_RANGE_US / 1_000_000,
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
    fill(&mut schemas);
    for (schema, length) in [("NewUser", ACCOUNT_NAME_LENGTH), ("NewStreamPassword", NAME_LENGTH)] {
        schemas[schema]["properties"]["name"]["maxLength"] = (*length.end()).into();
    }
    for name in ["Device", "ChangedDevice"] {
        schemas[name]["properties"]["name"]["maxLength"] = (*DEVICE_NAME_LENGTH.end()).into();
    }
    if let Some(notices) = schemas["Notice"]["oneOf"].as_array_mut() {
        for (notice, name) in notices.iter_mut().zip(Notice::NAMES) {
            notice["properties"]["type"] = json!({ "const": name });
        }
    }
    for name in ["NewUser", "NewPassword"] {
        let password = &mut schemas[name]["properties"]["password"];
        password["minLength"] = (*PASSWORD_LENGTH.start()).into();
        password["maxLength"] = (*PASSWORD_LENGTH.end()).into();
    }
    let otp = &mut schemas["PairRequest"]["properties"]["otp"];
    otp["description"] = format!("{} to {} digits; spaces and dashes are ignored", DIGITS.start(), DIGITS.end()).into();
    schemas
}

/// Puts in what `schemas.json` names.
fn fill(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            for (key, value) in members {
                let known = value.as_str().and_then(|name| match key.as_str() {
                    "enum" => words(name),
                    "pattern" => pattern(name).map(Value::from),
                    _ => None,
                });
                match known {
                    Some(known) => *value = known,
                    None => fill(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(fill),
        _ => {}
    }
}

/// The words of a type, as its values are written.
fn words(name: &str) -> Option<Value> {
    Some(match name {
        "CameraState" => json!(CameraState::ALL),
        "CertificateKind" => json!(CertificateKind::ALL),
        "Cause" => json!(Cause::ALL),
        "DeviceKind" => json!(DeviceKind::ALL),
        "Echo" => json!(Echo::ALL),
        "ErrorKind" => ErrorKind::ALL.iter().map(|kind| code(*kind)).collect(),
        "EventKind" => json!(EventKind::ALL),
        "FoundBy" => json!(FoundBy::ALL),
        "LiveWay" => json!(LiveWay::ALL),
        "GapCause" => json!(GapCause::ALL),
        "WhereHeld" => json!(WhereHeld::ALL),
        "Lacking" => json!(Lacking::ALL),
        "MediumKind" => json!(MediumKind::ALL),
        "Wear" => json!(Wear::ALL),
        "Weight" => json!(Weight::ALL),
        "PushKind" => json!(PushKind::ALL),
        "PushState" => json!(PushState::ALL),
        "RangeState" => json!(RangeState::ALL),
        "CopyingState" => json!(CopyingState::ALL),
        "CopyWhat" => json!(CopyWhat::ALL),
        "HourState" => json!(HourState::ALL),
        "ProbeGrade" => json!(ProbeGrade::ALL),
        "ControlGroup" => json!(ControlGroup::ALL),
        "TroubleCause" => json!(perch_domain::trouble::TroubleCause::ALL),
        "OffKind" => json!(OffBy::KINDS),
        "SummaryPart" => json!(SummaryAbout::PARTS),
        "Outcome" => json!(Outcome::ALL),
        "Overall" => json!(Overall::ALL),
        "Permission" => json!(Permission::OF_CALLERS),
        "Phase" => json!(Phase::ALL),
        "RecordMode" => json!(RecordMode::ALL),
        "RecordingState" => json!(RecordingState::ALL),
        "Role" => json!(Role::ALL),
        "Stream" => json!(Stream::ALL),
        "VideoCodec" => json!(VideoCodec::ALL),
        _ => return None,
    })
}

/// The rule of a name; other patterns stand in `schemas.json` as they are.
fn pattern(name: &str) -> Option<String> {
    match name {
        "CameraId" => Some(CameraId::pattern()),
        "AccountName" => Some(account_name_pattern()),
        "StreamPasswordName" => Some(name_pattern()),
        _ => None,
    }
}

fn operation(route: &Route) -> Value {
    let mut parameters: Vec<Value> = parts(route.path)
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": part_schema(route.path, name) }))
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
        Takes::Json(schema) | Takes::Large { schema, .. } => Some(json!({ JSON: { "schema": reference(schema) } })),
        Takes::Patch(schema) => {
            let content = json!({ "schema": reference(schema) });
            Some(json!({ JSON: content, MERGE_PATCH: content }))
        }
        Takes::Text(media) | Takes::File { media_type: media, .. } => Some(json!({ media: {} })),
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

fn part_schema(path: &str, name: &str) -> Value {
    match name {
        "name" if path.starts_with("/api/v1/users/") => json!({ "type": "string", "pattern": account_name_pattern() }),
        "camera" => reference("CameraId"),
        "device" => reference("DeviceId"),
        "lease" => reference("LeaseId"),
        "event" => reference("EventId"),
        "view" => json!({ "type": "string", "enum": ["main", "main-mute", "sub", "sub-mute"] }),
        "file" if path.ends_with("/live/{view}/{file}") => {
            json!({ "type": "string", "pattern": "^[0-9]+(\\.mp4|(\\.[0-9]+)?\\.m4s)$" })
        }
        "file" => json!({ "type": "string", "pattern": "^[0-9]+\\.mp4$" }),
        _ => json!({ "type": "string", "pattern": name_pattern() }),
    }
}

fn param_schema(param: &Param) -> Value {
    match param.kind {
        Kind::Schema(name) => reference(name),
        Kind::Word { one_of, default: None } => json!({ "type": "string", "enum": one_of }),
        Kind::Word { one_of, default } => json!({ "type": "string", "enum": one_of, "default": default }),
        Kind::Text { max } => json!({ "type": "string", "maxLength": max }),
        Kind::Line => json!({ "type": "integer", "minimum": 1, "maximum": MAX_LINE }),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schema: &Value) {
        match schema {
            Value::Object(members) => {
                for (key, value) in members {
                    assert!(key != "enum" || value.as_array().is_some_and(|words| !words.is_empty()), "enum: {value}");
                    assert!(key != "pattern" || value.as_str().is_some_and(|p| p.starts_with('^')), "pattern: {value}");
                    check(value);
                }
            }
            Value::Array(items) => items.iter().for_each(check),
            _ => {}
        }
    }

    #[test]
    fn every_name_in_the_schemas_is_known() {
        let all = schemas();
        check(&all);
        assert_eq!(all["Notice"]["oneOf"].as_array().map(Vec::len), Some(Notice::NAMES.len()));
    }
}
