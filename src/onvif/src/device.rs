//! What one device is asked: its time, who it is, its media service, and its profiles with their addresses. User and password are tried once.

use crate::http::{self, Answer, Secures, unavailable};
use crate::soap::{self, envelope, refused};
use crate::xml;
use ::http::StatusCode;
use perch_base::authority::Authority;
use perch_base::clock::SharedClock;
use perch_base::markup::escaped;
use perch_base::secret::{hex, random_bytes};
use perch_base::time::{MonoTime, Timestamp};
use perch_base::{Error, ErrorKind, Result};
use perch_domain::onvif::{Asked, OnvifDevice, OnvifProfile, codec, on_host};
use perch_domain::sign_in::{Credentials, SignIn, Verdict};
use perch_domain::text::as_told;
use roxmltree::{Document, Node};

/// Profiles that are asked for their address.
const MOST_PROFILES: usize = 16;
pub(crate) const DEVICE: &str = "http://www.onvif.org/ver10/device/wsdl";
const MEDIA: &str = "http://www.onvif.org/ver10/media/wsdl";
const MEDIA2: &str = "http://www.onvif.org/ver20/media/wsdl";
pub(crate) const SCHEMA: &str = "http://www.onvif.org/ver10/schema";

/// One talk with a device.
pub(crate) struct Talk<'a> {
    asked: &'a Asked,
    clock: &'a SharedClock,
    secures: &'a dyn Secures,
    /// The device's civil time when the box's steady one was this: its password proofs hold for its own clock.
    time: (MonoTime, Timestamp),
    /// Signs in by HTTP where the device wants that.
    sign_in: Option<SignIn>,
}

/// What the device's clock says, which everybody may ask. Errors like [`ask`].
pub(crate) async fn time_of(secures: &dyn Secures, url: &str) -> Result<Option<Timestamp>> {
    let question = format!("<GetSystemDateAndTime xmlns=\"{DEVICE}\"/>");
    let answer = http::post(secures, url, envelope(&question, None), None).await?;
    let document = xml::parse(&answer.body)?;
    let told = xml::at(document.root(), &["UTCDateTime"]);
    // One that wants a password for that is a device all the same.
    if told.is_none() && xml::all(document.root(), "Envelope").next().is_none() {
        return Err(unavailable("what answers there is no ONVIF service"));
    }
    Ok(told.and_then(read_time))
}

fn read_time(node: Node<'_, '_>) -> Option<Timestamp> {
    let n = |path: &[&'static str]| xml::number::<u32>(node, path);
    let (year, month, day) = (n(&["Date", "Year"])?, n(&["Date", "Month"])?, n(&["Date", "Day"])?);
    let (hour, minute, second) = (n(&["Time", "Hour"])?, n(&["Time", "Minute"])?, n(&["Time", "Second"])?);
    Timestamp::parse(&format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")).ok()
}

/// Asks a device for itself and its streams; `now` is the box's steady and civil time. Errors with `Unauthenticated`, `Unavailable`, `Unsupported` and
/// `Invalid`, each with a sentence whose subject is the device.
pub(crate) async fn ask(
    secures: &dyn Secures,
    asked: &Asked,
    clock: &SharedClock,
    now: (MonoTime, Timestamp),
) -> Result<OnvifDevice> {
    let (mut talk, told) = Talk::begin(secures, asked, clock, now).await?;
    let clock_ahead_s = told.map(|told| (told.micros_since(now.1) as f64 / 1e6).round());

    let text = talk.call(&asked.url, &format!("<GetDeviceInformation xmlns=\"{DEVICE}\"/>")).await?;
    let document = xml::parse(&text)?;
    let said = |name| as_told(&xml::text(document.root(), &["GetDeviceInformationResponse", name]));
    let (maker, model, firmware) = (said("Manufacturer"), said("Model"), said("FirmwareVersion"));

    let (media, is_second) = talk.media_service().await?;
    let profiles = talk.profiles(&media, is_second).await?;
    Ok(OnvifDevice { maker, model, firmware, clock_ahead_s, profiles })
}

impl<'a> Talk<'a> {
    /// Begins one, and hears what the device's clock says. Errors like [`ask`].
    pub(crate) async fn begin(
        secures: &'a dyn Secures,
        asked: &'a Asked,
        clock: &'a SharedClock,
        now: (MonoTime, Timestamp),
    ) -> Result<(Self, Option<Timestamp>)> {
        let told = time_of(secures, &asked.url).await?;
        Ok((Self { asked, clock, secures, time: (now.0, told.unwrap_or(now.1)), sign_in: None }, told))
    }

    /// The device service.
    pub(crate) fn url(&self) -> String {
        self.asked.url.clone()
    }

    pub(crate) fn host(&self) -> String {
        Authority::of(&self.asked.url).map_or_else(String::new, |(_, at)| at.host.to_owned())
    }

    /// Asks a service; returns the answer, which is no fault.
    pub(crate) async fn call(&mut self, url: &str, body: &str) -> Result<String> {
        let mut answer = self.send(url, body).await?;
        if answer.status == StatusCode::UNAUTHORIZED && self.sign_in.is_none() && !self.asked.user.is_empty() {
            let mut sign_in = self.new_sign_in();
            let challenges = answer.headers.get_all("www-authenticate").iter().filter_map(|value| value.to_str().ok());
            // Not Basic: the password does not go out in clear.
            let digests = challenges.filter(|value| value.to_ascii_lowercase().contains("digest"));
            if sign_in.challenged(digests) == Verdict::Unknown {
                return Err(refused());
            }
            self.sign_in = Some(sign_in);
            answer = self.send(url, body).await?;
        }
        if answer.status == StatusCode::UNAUTHORIZED {
            return Err(refused());
        }
        let document = xml::parse(&answer.body);
        if let Some(fault) = document.as_ref().ok().and_then(soap::fault) {
            return Err(fault);
        }
        document.map(drop)?;
        if !answer.status.is_success() {
            let inside = format!("HTTP status {}", answer.status.as_u16());
            return Err(unavailable("its ONVIF service refuses what it is asked").with_inside(inside));
        }
        Ok(answer.body)
    }

    fn new_sign_in(&self) -> SignIn {
        let who = Credentials { user: self.asked.user.clone(), password: self.asked.password.clone() };
        SignIn::new(Some(who), hex(&random_bytes::<16>()))
    }

    async fn send(&mut self, url: &str, body: &str) -> Result<Answer> {
        let (token, authorization) = match &mut self.sign_in {
            Some(sign_in) => (None, sign_in.authorization("POST", &http::path_of(url))),
            None if self.asked.user.is_empty() => (None, None),
            None => {
                let created = self.time.1.plus_micros(self.clock.mono().micros_since(self.time.0));
                let password = self.asked.password.expose();
                (Some(soap::token(&self.asked.user, password, &random_bytes::<16>(), created)), None)
            }
        };
        http::post(self.secures, url, envelope(body, token.as_deref()), authorization.as_deref()).await
    }

    /// Where the device's streams are asked for, and whether that is the second media service, which knows H.265.
    pub(crate) async fn media_service(&mut self) -> Result<(String, bool)> {
        let host = self.host();
        let on_it = |named: &str| on_host(named, &host, &["http", "https"]);
        let url = self.asked.url.clone();
        let services =
            format!("<GetServices xmlns=\"{DEVICE}\"><IncludeCapability>false</IncludeCapability></GetServices>");
        match self.call(&url, &services).await {
            Ok(text) => {
                let document = xml::parse(&text)?;
                let of = |space: &str| {
                    let mut all = xml::all(document.root(), "Service").take(64);
                    let one = all.find(|service| xml::text(*service, &["Namespace"]) == space)?;
                    on_it(&xml::text(one, &["XAddr"]))
                };
                if let Some(found) = of(MEDIA2).map(|url| (url, true)).or_else(|| of(MEDIA).map(|url| (url, false))) {
                    return Ok(found);
                }
            }
            // Older devices do not know that question.
            Err(e) if e.kind() == ErrorKind::Unauthenticated => return Err(e),
            Err(_) => {}
        }
        let capabilities = format!("<GetCapabilities xmlns=\"{DEVICE}\"><Category>Media</Category></GetCapabilities>");
        let text = self.call(&url, &capabilities).await?;
        let document = xml::parse(&text)?;
        let found = on_it(&xml::text(document.root(), &["Capabilities", "Media", "XAddr"]));
        found.map(|url| (url, false)).ok_or_else(|| Error::new(ErrorKind::Unsupported, "it has no ONVIF media service"))
    }

    pub(crate) async fn profiles(&mut self, media: &str, is_second: bool) -> Result<Vec<OnvifProfile>> {
        let question = match is_second {
            true => format!("<GetProfiles xmlns=\"{MEDIA2}\"><Type>All</Type></GetProfiles>"),
            false => format!("<GetProfiles xmlns=\"{MEDIA}\"/>"),
        };
        let text = self.call(media, &question).await?;
        let mut described = described(&xml::parse(&text)?);
        let host = self.host();
        let mut failed = None;
        for (token, profile) in &mut described {
            let token = escaped(token);
            let question = match is_second {
                true => format!(
                    "<GetStreamUri xmlns=\"{MEDIA2}\"><Protocol>RTSP</Protocol><ProfileToken>{token}</ProfileToken></GetStreamUri>"
                ),
                false => format!(
                    "<GetStreamUri xmlns=\"{MEDIA}\"><StreamSetup><Stream xmlns=\"{SCHEMA}\">RTP-Unicast</Stream>\
                     <Transport xmlns=\"{SCHEMA}\"><Protocol>RTSP</Protocol></Transport></StreamSetup>\
                     <ProfileToken>{token}</ProfileToken></GetStreamUri>"
                ),
            };
            match self.call(media, &question).await {
                Ok(text) => {
                    let document = xml::parse(&text)?;
                    profile.address = on_host(&xml::text(document.root(), &["Uri"]), &host, &["rtsp", "rtsps"]);
                }
                Err(e) => failed = Some(e),
            }
        }
        let profiles: Vec<_> = described.into_iter().map(|(_, profile)| profile).collect();
        match failed {
            Some(e) if profiles.iter().all(|profile| profile.address.is_none()) => Err(e),
            _ => Ok(profiles),
        }
    }
}

/// The profiles of an answer with their tokens, of both media services.
fn described(document: &Document<'_>) -> Vec<(String, OnvifProfile)> {
    let profiles = xml::all(document.root(), "Profiles").take(MOST_PROFILES);
    let read = |node: Node<'_, '_>| {
        let token = node.attribute("token").filter(|token| token.len() <= 256)?.to_owned();
        let video = xml::at(node, &["VideoEncoderConfiguration"]).or_else(|| xml::at(node, &["VideoEncoder"]));
        let source = [["VideoSourceConfiguration", "SourceToken"], ["VideoSource", "SourceToken"]]
            .map(|path| xml::text(node, &path))
            .concat();
        let side = |name| {
            video.and_then(|video| xml::number(video, &["Resolution", name])).filter(|n: &u32| (1..=65_535).contains(n))
        };
        let profile = OnvifProfile {
            sight: if source.is_empty() { token.clone() } else { source },
            codec: video.and_then(|video| codec(&xml::text(video, &["Encoding"]))),
            width: side("Width"),
            height: side("Height"),
            fps: video
                .and_then(|video| xml::number(video, &["RateControl", "FrameRateLimit"]))
                .filter(|fps: &f64| (0.1..=1000.0).contains(fps)),
            bitrate_kbps: video.and_then(|video| xml::number(video, &["RateControl", "BitrateLimit"])),
            address: None,
        };
        Some((token, profile))
    };
    profiles.filter_map(read).collect()
}
