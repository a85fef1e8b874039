//! What routes take is what the document says: bodies field by field, queries key by key.

use crate::support::*;
use crate::table::{differences, fill};
use http::Method;
use perch_api::{Kind, ROUTES, Route, Takes, openapi};
use perch_domain::access::{PASSWORD_LENGTH, Role, check_password};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// A schema of the document, its references followed.
fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(name) => resolve(document, document.pointer(name.trim_start_matches('#')).expect("a schema")),
        None => schema,
    }
}

/// The types that a schema allows.
fn types<'a>(document: &'a Value, schema: &'a Value) -> Vec<&'a str> {
    let schema = resolve(document, schema);
    if let Some(choices) = schema["oneOf"].as_array() {
        return choices.iter().flat_map(|choice| types(document, choice)).collect();
    }
    match &schema["type"] {
        Value::String(one) => vec![one.as_str()],
        several => several.as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
    }
}

/// Something of the first type that a schema allows; whether it also keeps to the box's rules does not matter here.
fn sample(document: &Value, schema: &Value) -> Value {
    let schema = resolve(document, schema);
    if let Some(word) = schema["enum"].get(0) {
        return word.clone();
    }
    match types(document, schema).first().copied() {
        Some("boolean") => false.into(),
        Some("integer" | "number") => 1.into(),
        Some("array") => json!([]),
        Some("object") => object(document, schema),
        _ => "x".into(),
    }
}

fn object(document: &Value, schema: &Value) -> Value {
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties.map(|(name, inner)| (name.clone(), sample(document, inner))).collect::<Map<_, _>>().into()
}

/// Something of a type that a schema does not allow.
fn wrong(document: &Value, schema: &Value) -> Value {
    if types(document, schema).contains(&"object") { json!("x") } else { json!({}) }
}

/// Sends a body; what the box says of it where it is not of the form that the handler reads, else nothing.
async fn complaint(rig: &Rig, route: &Route, token: &str, body: &Value) -> Option<String> {
    let answer = rig.call(route.method.clone(), &fill(route.path), token, &body.to_string()).await;
    let detail = serde_json::from_slice::<Value>(&answer.body).ok()?["detail"].as_str()?.to_owned();
    detail.strip_prefix("The JSON body is wrong: ").map(str::to_owned)
}

/// The words in backticks.
fn quoted(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_what_the_document_says() {
    let rig = Rig::start().await;
    let document = openapi("0.0.0");
    let mut looked_at = 0;
    for route in ROUTES {
        let (Takes::Json(name) | Takes::Patch(name) | Takes::Large { schema: name, .. }) = route.takes else {
            continue;
        };
        let (_, token) = rig.fake.device(Role::Admin, None);
        let schema = &document["components"]["schemas"][name];
        // What is in it is the port's to say.
        if schema["additionalProperties"] == true {
            continue;
        }
        let properties = schema["properties"].as_object().expect("an object");
        let said = async |body: Value| complaint(&rig, route, &token, &body).await;
        // The handler names the fields that it knows.
        let unknown = said(json!({ "no such field": 1 })).await.expect("refused");
        let (_, known) = unknown.split_once("expected").unwrap_or_else(|| panic!("{name}: {unknown}"));
        assert_eq!(quoted(known), properties.keys().cloned().collect(), "{name}: {unknown}");
        let required: Vec<_> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let whole = object(&document, schema);
        assert_eq!(said(whole.clone()).await, None, "{name}: {whole}");
        for (field, inner) in properties {
            let mut without = whole.clone();
            without.as_object_mut().expect("an object").remove(field);
            let missing = said(without).await;
            assert_eq!(missing.is_some(), required.contains(&field.as_str()), "{name} without {field}: {missing:?}");
            let mut odd = whole.clone();
            odd[field] = wrong(&document, inner);
            assert!(said(odd.clone()).await.is_some(), "{name}: {odd} was taken");
            // What may be left out may be null as well for the handler; what may be null for the document must be.
            if types(&document, inner).contains(&"null") {
                let mut null = whole.clone();
                null[field] = Value::Null;
                assert_eq!(said(null).await, None, "{name}: {field} that is null");
            }
        }
        assert_eq!(differences(&document, schema, &whole, name), Vec::<String>::new(), "the sample fits");
        looked_at += 1;
    }
    assert!(looked_at >= 7, "{looked_at} routes");
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_are_what_the_document_says() {
    let rig = Rig::start().await;
    let (_, token) = rig.fake.device(Role::Admin, None);
    const GOOD: [(&str, &str); 5] = [
        ("Time", "2026-01-01T00:00:00Z"),
        ("CameraId", "front"),
        ("EventId", "7"),
        ("Addresses", "192.168.1.2"),
        ("", ""),
    ];
    for route in ROUTES.iter().filter(|r| !r.query.is_empty()) {
        let good = |kind: &Kind| match kind {
            Kind::Schema(schema) => GOOD.iter().find(|(name, _)| name == schema).expect("a sample").1.to_owned(),
            Kind::Word { one_of, .. } => one_of[0].to_owned(),
            Kind::Number { min, .. } => min.to_string(),
            Kind::Line => "5000000000".to_owned(),
            Kind::Text { .. } => "x".to_owned(),
        };
        // With everything that is required, and `key` as given; the last of two ends is later.
        let ask = async |key: &str, value: Option<&str>| {
            let others = route.query.iter().filter(|p| p.required && p.name != key);
            let mut pairs: Vec<_> = others.map(|p| (p.name, good(&p.kind))).collect();
            pairs.extend(value.map(|v| (key, v.to_owned())));
            for (name, value) in &mut pairs {
                if *name == "to" && value.ends_with("00:00:00Z") {
                    *value = value.replace("00:00:00Z", "00:10:00Z");
                }
            }
            let pairs: Vec<_> = pairs.into_iter().map(|(k, v)| format!("{k}={v}")).collect();
            let path = format!("{}?{}", fill(route.path), pairs.join("&"));
            let body = if route.method == Method::GET { "" } else { "v=0" };
            let kind = match route.takes {
                Takes::Text(media) | Takes::File { media_type: media, .. } => media,
                _ => "application/json",
            };
            let auth = format!("Bearer {token}");
            let headers = [("authorization", auth.as_str()), ("content-type", kind)];
            let answer = rig.send(request(route.method.as_str(), &path, &headers, body)).await;
            assert!(!answer.status.is_server_error(), "{path}: {:?}", answer.body);
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            let complains = answer.status == 400 && text.contains(&format!("`{key}`"));
            (complains, format!("{path}: {} {text}", answer.status))
        };
        for param in route.query {
            let (complains, what) = ask(param.name, Some(&good(&param.kind))).await;
            assert!(!complains, "{what}");
            let (complains, what) = ask(param.name, None).await;
            assert_eq!(complains, param.required, "{what}");
            let mut bad = vec!["~".to_owned(), "-1".to_owned()];
            if let Kind::Number { min, max, .. } = param.kind {
                assert!(!ask(param.name, Some(&max.to_string())).await.0, "{max} is the largest");
                bad.extend([(i64::from(min) - 1).to_string(), (i64::from(max) + 1).to_string()]);
            }
            if let Kind::Line = param.kind {
                bad.push("0".to_owned());
            }
            if let Kind::Word { one_of, .. } = param.kind {
                for word in one_of {
                    assert!(!ask(param.name, Some(word)).await.0, "{word}");
                }
            }
            if let Kind::Text { max } = param.kind {
                bad = vec!["x".repeat(max + 1)];
            }
            for value in bad {
                let (complains, what) = ask(param.name, Some(&value)).await;
                assert!(complains, "{what}");
            }
        }
    }
}

#[test]
fn the_document_and_the_box_ask_for_the_same_password() {
    let document = openapi("0.0.0");
    for name in ["NewUser", "NewPassword"] {
        let password = &document["components"]["schemas"][name]["properties"]["password"];
        let (least, most) = (password["minLength"].as_u64(), password["maxLength"].as_u64());
        assert_eq!((least, most), (Some(*PASSWORD_LENGTH.start() as u64), Some(*PASSWORD_LENGTH.end() as u64)));
    }
    for (n, fits) in [(9, false), (10, true), (256, true), (257, false)] {
        assert_eq!(check_password(&"ä".repeat(n)).is_ok(), fits, "{n} characters");
    }
}

/// Every schema that is named somewhere in `value`.
fn references(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            out.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|v| references(v, out));
        }
        Value::Array(list) => list.iter().for_each(|v| references(v, out)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = openapi("0.0.0");
    let mut all = Vec::new();
    references(&document, &mut all);
    assert!(all.len() > 50);
    for name in all {
        assert!(document.pointer(name.trim_start_matches('#')).is_some(), "{name}");
    }
}

#[test]
fn a_route_is_about_the_camera_that_its_path_names() {
    for route in ROUTES {
        let about = if route.path.contains("{camera}") { perch_api::About::Camera } else { perch_api::About::TheBox };
        assert_eq!(route.about, about, "{}", route.path);
        let gives_nothing = matches!(route.gives.body, perch_api::Body::Empty);
        assert_eq!(gives_nothing, route.gives.status == 204, "{}", route.path);
    }
}
