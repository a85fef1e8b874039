//! The imaging service of a device: what picture settings one of its cameras has, what they are, and setting them (ONVIF Imaging Service
//! Specification, 5.2 and 5.3).

use crate::device::{DEVICE, SCHEMA, Talk};
use crate::http::Secures;
use crate::xml;
use perch_base::clock::SharedClock;
use perch_base::markup::escaped;
use perch_base::time::{MonoTime, Timestamp};
use perch_base::{Error, ErrorKind, Result};
use perch_domain::onvif::{Asked, Imaging, on_host};
use perch_domain::picture_controls::onvif::{ImagingSetting, paths};
use roxmltree::{Document, Node};

const IMAGING: &str = "http://www.onvif.org/ver20/imaging/wsdl";
/// Words that are read of one setting.
const MOST_WORDS: usize = 16;

fn none() -> Error {
    Error::new(ErrorKind::Unsupported, "its picture settings cannot be changed by ONVIF")
}

/// What the camera at `stream` has. Errors like those of the port.
pub(crate) async fn read(
    secures: &dyn Secures,
    asked: &Asked,
    stream: &str,
    clock: &SharedClock,
    now: (MonoTime, Timestamp),
) -> Result<Imaging> {
    let (mut talk, _) = Talk::begin(secures, asked, clock, now).await?;
    let service = talk.imaging_service().await?;
    let token = talk.picture_of(stream).await?;
    let question = |name: &str| {
        let token = escaped(&token);
        format!("<{name} xmlns=\"{IMAGING}\"><VideoSourceToken>{token}</VideoSourceToken></{name}>")
    };
    let options = talk.call(&service, &question("GetOptions")).await?;
    let is = talk.call(&service, &question("GetImagingSettings")).await?;
    let settings = described(&xml::parse(&options)?, &xml::parse(&is)?);
    if settings.is_empty() {
        return Err(none());
    }
    Ok(Imaging { service, token, settings })
}

/// Sets these, in this order. Errors like those of the port.
pub(crate) async fn set(
    secures: &dyn Secures,
    asked: &Asked,
    imaging: &Imaging,
    changes: &[(&'static str, String)],
    clock: &SharedClock,
    now: (MonoTime, Timestamp),
) -> Result<()> {
    let (mut talk, _) = Talk::begin(secures, asked, clock, now).await?;
    let token = escaped(&imaging.token);
    let question = format!(
        "<SetImagingSettings xmlns=\"{IMAGING}\"><VideoSourceToken>{token}</VideoSourceToken>\
         <ImagingSettings>{}</ImagingSettings><ForcePersistence>true</ForcePersistence></SetImagingSettings>",
        written(changes)
    );
    talk.call(&imaging.service, &question).await.map(drop)
}

/// The changes as elements; those of one group, which stand together, in one.
fn written(changes: &[(&'static str, String)]) -> String {
    let mut out = String::new();
    let mut open = "";
    for (path, value) in changes {
        let (group, name) = path.split_once('/').unwrap_or(("", path));
        if group != open {
            if !open.is_empty() {
                out += &format!("</{open}>");
            }
            if !group.is_empty() {
                out += &format!("<{group} xmlns=\"{SCHEMA}\">");
            }
            open = group;
        }
        out += &format!("<{name} xmlns=\"{SCHEMA}\">{}</{name}>", escaped(value));
    }
    if !open.is_empty() {
        out += &format!("</{open}>");
    }
    out
}

impl Talk<'_> {
    async fn imaging_service(&mut self) -> Result<String> {
        let (host, url) = (self.host(), self.url());
        let on_it = |named: &str| on_host(named, &host, &["http", "https"]);
        let services =
            format!("<GetServices xmlns=\"{DEVICE}\"><IncludeCapability>false</IncludeCapability></GetServices>");
        match self.call(&url, &services).await {
            Ok(text) => {
                let document = xml::parse(&text)?;
                let mut all = xml::all(document.root(), "Service").take(64);
                let one = all.find(|service| xml::text(*service, &["Namespace"]) == IMAGING);
                if let Some(found) = one.and_then(|service| on_it(&xml::text(service, &["XAddr"]))) {
                    return Ok(found);
                }
            }
            // Older devices do not know that question.
            Err(e) if e.kind() == ErrorKind::Unauthenticated => return Err(e),
            Err(_) => {}
        }
        let capabilities =
            format!("<GetCapabilities xmlns=\"{DEVICE}\"><Category>Imaging</Category></GetCapabilities>");
        let text = self.call(&url, &capabilities).await?;
        let document = xml::parse(&text)?;
        on_it(&xml::text(document.root(), &["Capabilities", "Imaging", "XAddr"])).ok_or_else(none)
    }

    /// Token of what the stream at this address shows; of the first profile, where none has that address.
    async fn picture_of(&mut self, stream: &str) -> Result<String> {
        let (media, is_second) = self.media_service().await?;
        let profiles = self.profiles(&media, is_second).await?;
        let path = |address: &str| {
            let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
            rest.find(['/', '?']).map_or(String::new(), |at| rest[at..].to_owned())
        };
        let (wanted, mut all) = (path(stream), profiles.iter());
        let its = all.find(|profile| profile.address.as_deref().is_some_and(|address| path(address) == wanted));
        its.or(profiles.first()).map(|profile| profile.sight.clone()).ok_or_else(none)
    }
}

/// What a device says of its settings and of what they may be: a setting is there where both say so.
fn described(options: &Document<'_>, is: &Document<'_>) -> Vec<ImagingSetting> {
    let (Some(options), Some(is)) =
        (xml::at(options.root(), &["ImagingOptions"]), xml::at(is.root(), &["ImagingSettings"]))
    else {
        return Vec::new();
    };
    paths().filter_map(|path| one(path, options, is)).collect()
}

fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|child| child.is_element() && child.tag_name().name() == name)
}

fn one(path: &'static str, options: Node<'_, '_>, is: Node<'_, '_>) -> Option<ImagingSetting> {
    let (group, name) = path.split_once('/').unwrap_or(("", path));
    let (options, is) = match group {
        "" => (options, is),
        group => (child(options, group)?, child(is, group)?),
    };
    let value = child(is, name).map(|node| xml::own_text(node)).unwrap_or_default();
    // Words stand in elements that are repeated, whose names are the setting's, or its plural.
    let of_words = match name {
        "IrCutFilter" => "IrCutFilterModes",
        "AutoFocusMode" => "AutoFocusModes",
        name => name,
    };
    let found = options.children().filter(|node| node.is_element() && node.tag_name().name() == of_words);
    let words: Vec<String> =
        found.map(|node| xml::own_text(node)).filter(|word| !word.is_empty()).take(MOST_WORDS).collect();
    let range = child(options, name).and_then(|range| {
        let (min, max) = (xml::number::<f64>(range, &["Min"])?, xml::number::<f64>(range, &["Max"])?);
        (min.is_finite() && max.is_finite() && min < max).then_some((min, max))
    });
    (range.is_some() || !words.is_empty()).then_some(ImagingSetting { path, value, range, words })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_where_a_device_says_what_they_may_be() {
        let options = "<r><ImagingOptions><Brightness><Min>0</Min><Max>100</Max></Brightness><Contrast><Min>9</Min><Max>1</Max></Contrast>\
             <IrCutFilterModes>ON</IrCutFilterModes><IrCutFilterModes>AUTO</IrCutFilterModes>\
             <Exposure><Mode>AUTO</Mode><Mode>MANUAL</Mode><ExposureTime><Min>10</Min><Max>nan</Max></ExposureTime></Exposure>\
             </ImagingOptions></r>";
        let is = "<r><ImagingSettings><Brightness>50</Brightness><IrCutFilter>AUTO</IrCutFilter><Exposure><Mode>AUTO</Mode></Exposure>\
             </ImagingSettings></r>";
        let found = described(&xml::parse(options).expect("read"), &xml::parse(is).expect("read"));
        let short: Vec<_> =
            found.iter().map(|one| (one.path, one.value.as_str(), one.range, one.words.len())).collect();
        let want = [
            ("Brightness", "50", Some((0.0, 100.0)), 0),
            ("Exposure/Mode", "AUTO", None, 2),
            ("IrCutFilter", "AUTO", None, 2),
        ];
        assert_eq!(short, want);
        for junk in ["<a/>", "<ImagingOptions/>", "<ImagingSettings/>"] {
            assert!(described(&xml::parse(junk).expect("read"), &xml::parse(is).expect("read")).is_empty());
        }
    }

    #[test]
    fn what_is_set_stands_in_its_group_once() {
        let changes =
            [("Brightness", "40".to_owned()), ("Exposure/Mode", "MANUAL".into()), ("Exposure/Gain", "<3>".into())];
        let text = format!("<a>{}</a>", written(&changes));
        let document = xml::parse(&text).expect("read");
        assert_eq!(xml::all(document.root(), "Exposure").count(), 1);
        assert_eq!(xml::text(document.root(), &["Exposure", "Gain"]), "<3>");
        assert_eq!(xml::text(document.root(), &["Brightness"]), "40");
    }
}
