//! The one route table: every answer of the box over HTTPS besides the files of the web UI (which are public and hold nothing secret).

use super::{
    announcements, backup, cameras, copies, cut_off, events, live, log, machine, modes, people, playback, probe,
    push_range, recordings, session, settings, system, talk, update, web_live,
};
use crate::route::About::{Camera, TheBox};
use crate::route::Takes::{Bytes, File, Json, Large, Nothing, Patch, Text};
use crate::route::{Body, Gives, Kind, Param, Route};
use crate::routes::web_live::MJPEG;
use axum::routing::{delete, get, patch, post, put};
use http::Method;
use perch_domain::access::DEVICE_NAME_LENGTH;
use perch_domain::access::Permission::{Keep, LookBack, ManageBox, ManagePeople, Own, Public, ReadStatus, Talk, Watch};
use perch_domain::archive::{EventFilter, EventKind};
use perch_domain::authority_files::AuthorityFile;
use perch_domain::log::{Level, MAX_WORD_CHARS};
use perch_domain::mjpeg::MOST_PICTURES;
use perch_domain::rate::DataBudget;
use perch_domain::still::WIDTHS;
use perch_domain::stream_choice::StreamChoice;
use perch_domain::talk::WhenBusy;
use perch_domain::update::MAX_BUNDLE_BYTES;

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;
const PATCH: Method = Method::PATCH;
const DELETE: Method = Method::DELETE;

const NO_CONTENT: Gives = Gives { status: 204, body: Body::Empty };
const EVENTS: Gives = Gives { status: 200, body: Body::Events("Notice") };
const DOCUMENT: Gives = Gives { status: 200, body: Body::Document };

const fn json(status: u16, schema: &'static str) -> Gives {
    Gives { status, body: Body::Json(schema) }
}

const fn media(status: u16, media_type: &'static str) -> Gives {
    Gives { status, body: Body::Media(media_type) }
}

const fn may(name: &'static str, kind: Kind) -> Param {
    Param { name, required: false, kind }
}

const fn must(name: &'static str, kind: Kind) -> Param {
    Param { name, required: true, kind }
}

const TIME: Kind = Kind::Schema("Time");
const AT: Param = may("at", TIME);
const FROM: Param = may("from", TIME);
const TO: Param = may("to", TIME);
const START: Param = must("from", TIME);
const END: Param = must("to", TIME);
const CAMERA: Param = may("camera", Kind::Schema("CameraId"));
const CURSOR: Param = may("cursor", Kind::Schema("EventId"));
const KIND: Param = may("kind", Kind::Word { one_of: &EventKind::WORDS, default: None });
const STREAM: Param =
    may("stream", Kind::Word { one_of: StreamChoice::WORDS, default: Some(StreamChoice::Auto.as_str()) });
const SOUND: Param = may("sound", Kind::Word { one_of: &["on", "off"], default: Some("on") });
/// Of a blocking reload (draft-pantos-hls-rfc8216bis, 6.2.5).
const HLS_MSN: Param = may("_HLS_msn", Kind::Number { min: 0, max: u32::MAX, default: None });
const FPS: Param = may("fps", Kind::Number { min: 1, max: MOST_PICTURES, default: Some(2) });
const HLS_PART: Param = may("_HLS_part", Kind::Number { min: 0, max: u32::MAX, default: None });
const WHEN_BUSY: Param = may("when_busy", Kind::Word { one_of: &WhenBusy::WORDS, default: Some("refuse") });
const BUDGET: Param = may(
    "budget_mb_per_hour",
    Kind::Number { min: *DataBudget::RANGE.start(), max: *DataBudget::RANGE.end(), default: None },
);
const PICTURE: Param = may("picture", Kind::Word { one_of: &["true", "false"], default: Some("true") });
const LEAST_EVENTS: u32 = *EventFilter::LIMITS.start() as u32;
const MOST_EVENTS: u32 = *EventFilter::LIMITS.end() as u32;
const LIMIT: Param = may("limit", Kind::Number { min: LEAST_EVENTS, max: MOST_EVENTS, default: Some(50) });
const WIDTH: Param = may("width", Kind::Number { min: *WIDTHS.start(), max: *WIDTHS.end(), default: None });

/// Such as `192.168.1.0/28,10.0.0.5`: 256 of a house at most.
const ADDRESSES: Param = may("addresses", Kind::Schema("Addresses"));
/// A backup of the largest size, in base64, and its password.
const MAX_RESTORE_BYTES: u64 = 6 << 20;
const MAX_WAV_BYTES: u64 = perch_domain::wav::MAX_BYTES as u64;
const LEVEL: Param = may("level", Kind::Word { one_of: &Level::WORDS, default: Some("info") });
const WHO: Param = may("who", Kind::Text { max: MAX_WORD_CHARS });
const WHAT: Param = may("what", Kind::Text { max: MAX_WORD_CHARS });
const BEFORE: Param = may("before", Kind::Line);
const AFTER: Param = may("after", Kind::Line);
const LINES: Param = may("limit", Kind::Number { min: 1, max: 500, default: Some(100) });
const RECORDINGS: Param = may("recordings", Kind::Word { one_of: &["keep", "delete"], default: Some("keep") });
const NAME: Param = must("name", Kind::Text { max: *DEVICE_NAME_LENGTH.end() });
const OR_NONE: Param = may("or_none", Kind::Word { one_of: &["true", "false"], default: Some("false") });
const DRY_RUN: Param = may("dry_run", Kind::Word { one_of: &["true", "false"], default: Some("false") });

/// All routes.
// A route is three lines, so that they can be read one below the other as a table.
#[rustfmt::skip]
pub const ROUTES: &[Route] = &[
    Route { method: POST, path: "/api/v1/pair", permission: Public, about: TheBox,
        summary: "Pair a device with a one-time password",
        query: &[], takes: Json("PairRequest"), gives: json(201, "Paired"), handler: || post(session::pair) },
    Route { method: POST, path: "/api/v1/session", permission: Public, about: TheBox,
        summary: "Sign in with name and password",
        query: &[], takes: Json("SignIn"), gives: NO_CONTENT, handler: || post(session::sign_in) },
    Route { method: DELETE, path: "/api/v1/session", permission: Own, about: TheBox,
        summary: "Sign this device out for good",
        query: &[], takes: Nothing, gives: NO_CONTENT, handler: || delete(session::sign_out) },
    Route { method: GET, path: "/api/v1/me", permission: Own, about: TheBox,
        summary: "Who am I, and which box is this",
        query: &[], takes: Nothing, gives: json(200, "Me"), handler: || get(session::me) },
    Route { method: PUT, path: "/api/v1/me/view", permission: Own, about: TheBox,
        summary: "In which order my account shows the cameras, and its favourites",
        query: &[], takes: Json("CameraView"), gives: NO_CONTENT, handler: || put(session::set_view) },
    Route { method: GET, path: "/api/v1/devices", permission: Own, about: TheBox,
        summary: "Trusted devices",
        query: &[], takes: Nothing, gives: json(200, "Devices"), handler: || get(people::devices) },
    Route { method: DELETE, path: "/api/v1/devices/{device}", permission: Own, about: TheBox,
        summary: "Revoke a device; its live streams end at once",
        query: &[], takes: Nothing, gives: NO_CONTENT, handler: || delete(people::revoke) },
    Route { method: PATCH, path: "/api/v1/devices/{device}", permission: Own, about: TheBox,
        summary: "Give a device another name",
        query: &[], takes: Json("ChangedDevice"), gives: json(200, "Device"), handler: || patch(people::rename) },
    Route { method: PUT, path: "/api/v1/devices/{device}/cut-off", permission: ManagePeople, about: TheBox,
        summary: "Cut a device off from all pictures for ten minutes; what it watches ends at once",
        query: &[], takes: Nothing, gives: json(200, "CutOff"), handler: || put(cut_off::device) },
    Route { method: DELETE, path: "/api/v1/devices/{device}/cut-off", permission: ManagePeople, about: TheBox,
        summary: "Let it in again",
        query: &[], takes: Nothing, gives: NO_CONTENT, handler: || delete(cut_off::let_device_in) },
    Route { method: POST, path: "/api/v1/pairing-codes", permission: ManagePeople, about: TheBox,
        summary: "Make a one-time password",
        query: &[], takes: Json("PairingCodeRequest"), gives: json(201, "PairingCode"), handler: || post(people::issue_code) },
    Route { method: GET, path: "/api/v1/users", permission: ManagePeople, about: TheBox,
        summary: "Accounts",
        query: &[], takes: Nothing, gives: json(200, "Users"), handler: || get(people::users) },
    Route { method: POST, path: "/api/v1/users", permission: ManagePeople, about: TheBox,
        summary: "Make an account",
        query: &[], takes: Json("NewUser"), gives: json(201, "User"), handler: || post(people::add_user) },
    Route { method: PATCH, path: "/api/v1/users/{name}", permission: ManagePeople, about: TheBox,
        summary: "Change an account's role and cameras; what its devices have open ends",
        query: &[], takes: Json("ChangedUser"), gives: json(200, "User"), handler: || patch(people::change_user) },
    Route { method: DELETE, path: "/api/v1/users/{name}", permission: ManagePeople, about: TheBox,
        summary: "Remove an account and its devices",
        query: &[], takes: Nothing, gives: NO_CONTENT, handler: || delete(people::remove_user) },
    Route { method: PUT, path: "/api/v1/users/{name}/password", permission: Own, about: TheBox,
        summary: "Set one's own password, or as administrator anybody's",
        query: &[], takes: Json("NewPassword"), gives: NO_CONTENT, handler: || put(people::set_password) },
    Route { method: GET, path: "/api/v1/stream-passwords", permission: ManagePeople, about: TheBox,
        summary: "Passwords for RTSP players",
        query: &[], takes: Nothing, gives: json(200, "StreamPasswords"), handler: || get(people::stream_passwords) },
    Route { method: POST, path: "/api/v1/stream-passwords", permission: ManagePeople, about: TheBox,
        summary: "Make a password for RTSP players, shown once",
        query: &[], takes: Json("NewStreamPassword"), gives: json(201, "MadeStreamPassword"), handler: || post(people::add_stream_password) },
    Route { method: DELETE, path: "/api/v1/stream-passwords/{name}", permission: ManagePeople, about: TheBox,
        summary: "Remove one and close its readers",
        query: &[], takes: Nothing, gives: NO_CONTENT, handler: || delete(people::remove_stream_password) },
    Route { method: PUT, path: "/api/v1/stream-passwords/{name}/cut-off", permission: ManagePeople, about: TheBox,
        summary: "Cut its readers off for ten minutes",
        query: &[], takes: Nothing, gives: json(200, "CutOff"), handler: || put(cut_off::readers) },
    Route { method: DELETE, path: "/api/v1/stream-passwords/{name}/cut-off", permission: ManagePeople, about: TheBox,
        summary: "Let them in again",
        query: &[], takes: Nothing, gives: NO_CONTENT, handler: || delete(cut_off::let_readers_in) },
    Route { method: GET, path: "/api/v1/cameras", permission: Watch, about: TheBox,
        summary: "All cameras",
        query: &[], takes: Nothing, gives: json(200, "Cameras"), handler: || get(cameras::list) },
    Route { method: POST, path: "/api/v1/cameras", permission: ManageBox, about: TheBox,
        summary: "Add a camera, while the others go on",
        query: &[DRY_RUN], takes: Json("CameraSettings"), gives: json(201, "SettingsChanged"), handler: || post(settings::add_camera) },
    Route { method: POST, path: "/api/v1/cameras/probe", permission: ManageBox, about: TheBox,
        summary: "Try a camera out before it is added: up to 30 s",
        query: &[], takes: Json("ProbeRequest"), gives: json(200, "Probed"), handler: || post(probe::probe) },
    Route { method: GET, path: "/api/v1/discovery", permission: ManageBox, about: TheBox,
        summary: "Cameras that are plugged in or answer in the network, and RTSP at addresses that are named",
        query: &[ADDRESSES], takes: Nothing, gives: json(200, "Found"), handler: || get(probe::discover) },
    Route { method: POST, path: "/api/v1/discovery/streams", permission: ManageBox, about: TheBox,
        summary: "The streams of one device, as it tells them or as its maker usually has them: up to 45 s",
        query: &[], takes: Json("StreamsRequest"), gives: json(200, "FoundStreams"), handler: || post(probe::streams) },
    Route { method: PATCH, path: "/api/v1/cameras/{camera}", permission: ManageBox, about: Camera,
        summary: "Change a camera's settings: a JSON merge patch",
        query: &[DRY_RUN], takes: Patch("CameraSettings"), gives: json(200, "SettingsChanged"), handler: || patch(settings::change_camera) },
    Route { method: DELETE, path: "/api/v1/cameras/{camera}", permission: ManageBox, about: Camera,
        summary: "Remove a camera; its recordings stay, or go",
        query: &[DRY_RUN, RECORDINGS], takes: Nothing, gives: json(200, "SettingsChanged"), handler: || delete(settings::remove_camera) },
    Route { method: GET, path: "/api/v1/settings", permission: ManageBox, about: TheBox,
        summary: "The whole configuration, without passwords",
        query: &[], takes: Nothing, gives: json(200, "Settings"), handler: || get(settings::read) },
    Route { method: PATCH, path: "/api/v1/settings", permission: ManageBox, about: TheBox,
        summary: "Change the configuration: a JSON merge patch, with If-Match",
        query: &[DRY_RUN], takes: Patch("Settings"), gives: json(200, "SettingsChanged"), handler: || patch(settings::merge) },
    Route { method: GET, path: "/api/v1/settings/schema", permission: ManageBox, about: TheBox,
        summary: "What may be set: type, unit, range, default and a sentence each",
        query: &[], takes: Nothing, gives: json(200, "SettingsSchema"), handler: || get(settings::schema) },
    Route { method: GET, path: "/api/v1/settings/versions", permission: ManageBox, about: TheBox,
        summary: "The last versions of the configuration",
        query: &[], takes: Nothing, gives: json(200, "SettingsVersions"), handler: || get(settings::versions) },
    Route { method: GET, path: "/api/v1/settings/versions/{version}", permission: ManageBox, about: TheBox,
        summary: "One version, and what differs today",
        query: &[], takes: Nothing, gives: json(200, "SettingsText"), handler: || get(settings::version) },
    Route { method: POST, path: "/api/v1/settings/versions/{version}/restore", permission: ManageBox, about: TheBox,
        summary: "Make the configuration what it was in a version",
        query: &[DRY_RUN], takes: Nothing, gives: json(200, "SettingsChanged"), handler: || post(settings::restore) },
    Route { method: GET, path: "/api/v1/modes", permission: Watch, about: TheBox,
        summary: "Profiles, and what is switched off by whom and until when",
        query: &[], takes: Nothing, gives: json(200, "Modes"), handler: || get(modes::modes) },
    Route { method: PUT, path: "/api/v1/privacy", permission: ManageBox, about: TheBox,
        summary: "Switch cameras off, or on again; off, nothing is captured and their devices are closed",
        query: &[], takes: Json("Privacy"), gives: json(200, "Modes"), handler: || put(modes::privacy) },
    Route { method: PUT, path: "/api/v1/profile", permission: ManageBox, about: TheBox,
        summary: "Make a profile the active one, or leave that to the schedules",
        query: &[], takes: Json("ChosenProfile"), gives: json(200, "Modes"), handler: || put(modes::profile) },
    Route { method: GET, path: "/api/v1/cameras/{camera}", permission: Watch, about: Camera,
        summary: "One camera",
        query: &[], takes: Nothing, gives: json(200, "Camera"), handler: || get(cameras::one) },
    Route { method: GET, path: "/api/v1/cameras/{camera}/snapshot.jpg", permission: Watch, about: Camera,
        summary: "A still, now, or as recorded at a moment or last before it; Perch-Picture-At says when it was taken. With `or_none=true` 204 where there is none now, instead of 503",
        query: &[AT, WIDTH, OR_NONE], takes: Nothing, gives: media(200, "image/jpeg"), handler: || get(cameras::snapshot) },
    Route { method: GET, path: "/api/v1/cameras/{camera}/sound-level", permission: Watch, about: Camera,
        summary: "How loud it is now; answers with the next fifth of a second, so that one may ask again and again",
        query: &[], takes: Nothing, gives: json(200, "SoundNow"), handler: || get(cameras::sound_level) },
    Route { method: GET, path: "/api/v1/cameras/{camera}/controls", permission: ManageBox, about: Camera,
        summary: "The picture settings that the camera itself has, and what they are: up to 40 s",
        query: &[], takes: Nothing, gives: json(200, "SourceControls"), handler: || get(cameras::controls) },
    Route { method: POST, path: "/api/v1/cameras/{camera}/whep", permission: Watch, about: Camera,
        summary: "Watch live (WHEP): offer in, answer out. With `picture=false` sound alone until a picture is asked for",
        query: &[STREAM, BUDGET, PICTURE], takes: Text(live::SDP), gives: media(201, live::SDP), handler: || post(live::watch) },
    Route { method: GET, path: "/api/v1/cameras/{camera}/live.m3u8", permission: Watch, about: Camera,
        summary: "Watch live by low-latency HLS, where WebRTC does not come through",
        query: &[STREAM, SOUND, HLS_MSN, HLS_PART], takes: Nothing, gives: media(200, "application/vnd.apple.mpegurl"), handler: || get(web_live::playlist) },
    Route { method: GET, path: "/api/v1/cameras/{camera}/live/{view}/{file}", permission: Watch, about: Camera,
        summary: "A piece of it, as its playlist names it",
        query: &[], takes: Nothing, gives: media(200, "video/mp4"), handler: || get(web_live::file) },
    Route { method: GET, path: "/api/v1/cameras/{camera}/stream.mjpeg", permission: Watch, about: Camera,
        summary: "Watch the small stream live as MJPEG, for dashboards and old tablets",
        query: &[FPS], takes: Nothing, gives: media(200, MJPEG), handler: || get(web_live::pictures) },
    Route { method: POST, path: "/api/v1/cameras/{camera}/whip", permission: Talk, about: Camera,
        summary: "Speak through it (WHIP): offer in, answer out; 409 says who speaks, and may queue or take over",
        query: &[WHEN_BUSY], takes: Text(live::SDP), gives: media(201, live::SDP), handler: || post(talk::speak) },
    Route { method: GET, path: "/api/v1/cameras/{camera}/talk", permission: Watch, about: Camera,
        summary: "Who speaks through it and how many wait",
        query: &[], takes: Nothing, gives: json(200, "Floor"), handler: || get(talk::floor) },
    Route { method: GET, path: "/api/v1/announcements", permission: Talk, about: TheBox,
        summary: "Stored announcements",
        query: &[], takes: Nothing, gives: json(200, "Announcements"), handler: || get(announcements::list) },
    Route { method: POST, path: "/api/v1/announcements", permission: ManageBox, about: TheBox,
        summary: "Store an announcement: a WAV file of 30 s at most",
        query: &[NAME], takes: File { media_type: announcements::WAV, max_bytes: MAX_WAV_BYTES }, gives: json(201, "Announcement"), handler: || post(announcements::add) },
    Route { method: GET, path: "/api/v1/announcements/{announcement}/sound.wav", permission: Talk, about: TheBox,
        summary: "Its sound",
        query: &[], takes: Nothing, gives: media(200, announcements::WAV), handler: || get(announcements::sound) },
    Route { method: DELETE, path: "/api/v1/announcements/{announcement}", permission: ManageBox, about: TheBox,
        summary: "Delete it",
        query: &[], takes: Nothing, gives: NO_CONTENT, handler: || delete(announcements::remove) },
    Route { method: POST, path: "/api/v1/cameras/{camera}/announce", permission: Talk, about: Camera,
        summary: "Play the chime or a stored announcement through it; 409 says who speaks",
        query: &[], takes: Json("Announce"), gives: NO_CONTENT, handler: || post(talk::announce) },
    Route { method: DELETE, path: "/api/v1/cameras/{camera}/talk", permission: Talk, about: Camera,
        summary: "Wait no more to speak",
        query: &[], takes: Nothing, gives: NO_CONTENT, handler: || delete(talk::leave) },
    Route { method: GET, path: "/api/v1/ice-servers", permission: Watch, about: TheBox,
        summary: "STUN and TURN servers for one's own ICE agent",
        query: &[], takes: Nothing, gives: json(200, "IceServers"), handler: || get(live::ice_servers) },
    Route { method: GET, path: "/api/v1/doctor/live", permission: ManageBox, about: TheBox,
        summary: "The connection doctor: the ways by which live pictures reach viewers, as they were tried just now from the box, in words; up to 10 s",
        query: &[], takes: Nothing, gives: json(200, "LiveDiagnosis"), handler: || get(live::examine) },
    Route { method: GET, path: "/api/v1/sync", permission: ManageBox, about: TheBox,
        summary: "Copies of recordings off the box: how they are, for each store of the settings",
        query: &[], takes: Nothing, gives: json(200, "CopyTargets"), handler: || get(copies::targets) },
    Route { method: POST, path: "/api/v1/sync/probe", permission: ManageBox, about: TheBox,
        summary: "Try a store out, one of the settings or another: what it honours, what the key may do, in words; nothing is kept",
        query: &[], takes: Json("StoreProbeRequest"), gives: json(200, "ProbedStore"), handler: || post(copies::probe) },
    Route { method: GET, path: "/api/v1/live", permission: Own, about: TheBox,
        summary: "Who is watching",
        query: &[], takes: Nothing, gives: json(200, "LiveSessions"), handler: || get(live::sessions) },
    Route { method: PATCH, path: "/api/v1/live/{lease}", permission: Watch, about: TheBox,
        summary: "Trickle ICE and ICE restart",
        query: &[], takes: Text(live::FRAGMENT), gives: NO_CONTENT, handler: || patch(live::trickle) },
    Route { method: POST, path: "/api/v1/live/{lease}/keepalive", permission: Watch, about: TheBox,
        summary: "Renew a lease",
        query: &[], takes: Nothing, gives: NO_CONTENT, handler: || post(live::keepalive) },
    Route { method: PUT, path: "/api/v1/live/{lease}/picture", permission: Watch, about: TheBox,
        summary: "Send sound alone while nobody looks, or the picture again, within the same session; renews its lease",
        query: &[], takes: Json("PictureWish"), gives: NO_CONTENT, handler: || put(live::picture) },
    Route { method: DELETE, path: "/api/v1/live/{lease}", permission: Watch, about: TheBox,
        summary: "End a live session",
        query: &[], takes: Nothing, gives: NO_CONTENT, handler: || delete(live::end) },
    Route { method: GET, path: "/api/v1/events", permission: LookBack, about: TheBox,
        summary: "Events, newest first",
        query: &[CAMERA, KIND, FROM, TO, CURSOR, LIMIT], takes: Nothing, gives: json(200, "EventPage"), handler: || get(events::page) },
    Route { method: GET, path: "/api/v1/events/stream", permission: Watch, about: TheBox,
        summary: "News as server-sent events",
        query: &[], takes: Nothing, gives: EVENTS, handler: || get(events::stream) },
    Route { method: GET, path: "/api/v1/events/{event}", permission: LookBack, about: TheBox,
        summary: "One event",
        query: &[], takes: Nothing, gives: json(200, "Event"), handler: || get(events::one) },
    Route { method: GET, path: "/api/v1/events/{event}/thumbnail.jpg", permission: LookBack, about: TheBox,
        summary: "An event's still",
        query: &[], takes: Nothing, gives: media(200, "image/jpeg"), handler: || get(events::thumbnail) },
    Route { method: PUT, path: "/api/v1/events/{event}/pin", permission: Keep, about: TheBox,
        summary: "Keep an event for ever",
        query: &[], takes: Nothing, gives: NO_CONTENT, handler: || put(events::pin) },
    Route { method: DELETE, path: "/api/v1/events/{event}/pin", permission: Keep, about: TheBox,
        summary: "Let an event go with the others",
        query: &[], takes: Nothing, gives: NO_CONTENT, handler: || delete(events::unpin) },
    Route { method: GET, path: "/api/v1/cameras/{camera}/timeline", permission: LookBack, about: Camera,
        summary: "What is recorded, and why not",
        query: &[START, END], takes: Nothing, gives: json(200, "Timeline"), handler: || get(cameras::timeline) },
    Route { method: GET, path: "/api/v1/cameras/{camera}/copies", permission: LookBack, about: Camera,
        summary: "How far the copies of its recordings are, by the hour; 32 days at most",
        query: &[START, END], takes: Nothing, gives: json(200, "CopyHours"), handler: || get(copies::hours) },
    Route { method: GET, path: "/api/v1/cameras/{camera}/playback.m3u8", permission: LookBack, about: Camera,
        summary: "A range as HLS",
        query: &[START, END], takes: Nothing, gives: media(200, "application/vnd.apple.mpegurl"), handler: || get(playback::playlist) },
    Route { method: GET, path: "/api/v1/cameras/{camera}/export.mp4", permission: LookBack, about: Camera,
        summary: "A range as one MP4",
        query: &[START, END], takes: Nothing, gives: media(200, "video/mp4"), handler: || get(playback::export) },
    Route { method: POST, path: "/api/v1/cameras/{camera}/push-range", permission: ManageBox, about: Camera,
        summary: "Send what is recorded in a range to an RTMP server, at its own pace; two at once in all",
        query: &[], takes: Json("PushRangeRequest"), gives: json(201, "RangePush"), handler: || post(push_range::begin) },
    Route { method: GET, path: "/api/v1/cameras/{camera}/push-range", permission: LookBack, about: Camera,
        summary: "Ranges that are being sent, and the last that were",
        query: &[], takes: Nothing, gives: json(200, "RangePushes"), handler: || get(push_range::list) },
    Route { method: DELETE, path: "/api/v1/cameras/{camera}/push-range/{push}", permission: ManageBox, about: Camera,
        summary: "Stop one, or forget one that is over",
        query: &[], takes: Nothing, gives: NO_CONTENT, handler: || delete(push_range::end) },
    Route { method: GET, path: "/api/v1/cameras/{camera}/segments/{file}", permission: LookBack, about: Camera,
        summary: "A recorded file, `{segment}.mp4`, by ranges",
        query: &[], takes: Nothing, gives: media(200, "video/mp4"), handler: || get(playback::segment) },
    Route { method: GET, path: "/api/v1/recordings", permission: ManageBox, about: TheBox,
        summary: "What is kept of each camera, those that are no more, too",
        query: &[], takes: Nothing, gives: json(200, "AllKept"), handler: || get(recordings::list) },
    Route { method: DELETE, path: "/api/v1/cameras/{camera}/recordings", permission: ManageBox, about: Camera,
        summary: "Delete everything recorded of a camera until now, pinned or not",
        query: &[DRY_RUN], takes: Nothing, gives: json(202, "Kept"), handler: || delete(recordings::delete) },
    Route { method: GET, path: "/api/v1/status", permission: ReadStatus, about: TheBox,
        summary: "The whole box",
        query: &[], takes: Nothing, gives: json(200, "Status"), handler: || get(system::status) },
    Route { method: GET, path: "/api/v1/log", permission: ManageBox, about: TheBox,
        summary: "The box's own log, the newest line first",
        query: &[FROM, TO, LEVEL, CAMERA, WHO, WHAT, BEFORE, AFTER, LINES], takes: Nothing, gives: json(200, "LogPage"), handler: || get(log::page) },
    Route { method: POST, path: "/api/v1/backup", permission: ManageBox, about: TheBox,
        summary: "A backup of settings and people, sealed with a password",
        query: &[], takes: Json("BackupRequest"), gives: media(200, "application/octet-stream"), handler: || post(backup::make) },
    Route { method: POST, path: "/api/v1/backup/restore", permission: ManageBox, about: TheBox,
        summary: "Take settings and people of a backup; the box starts again",
        query: &[DRY_RUN], takes: Large { schema: "RestoreRequest", max_bytes: MAX_RESTORE_BYTES }, gives: json(200, "Restored"), handler: || post(backup::take) },
    Route { method: GET, path: "/api/v1/backup/restore", permission: ManageBox, about: TheBox,
        summary: "The backup that waits for the next start, if one does",
        query: &[], takes: Nothing, gives: json(200, "WaitingRestore"), handler: || get(backup::waits) },
    Route { method: DELETE, path: "/api/v1/backup/restore", permission: ManageBox, about: TheBox,
        summary: "Do not take the backup that waits",
        query: &[], takes: Nothing, gives: NO_CONTENT, handler: || delete(backup::take_back) },
    Route { method: POST, path: "/api/v1/support-bundle", permission: ManageBox, about: TheBox,
        summary: "State, settings and log for who is asked for help, without secrets",
        query: &[], takes: Nothing, gives: media(200, "application/gzip"), handler: || post(backup::support) },
    Route { method: GET, path: "/api/v1/system", permission: ManageBox, about: TheBox,
        summary: "The system under the box, and what of it can be changed from here",
        query: &[], takes: Nothing, gives: json(200, "System"), handler: || get(machine::read) },
    Route { method: PATCH, path: "/api/v1/system", permission: ManageBox, about: TheBox,
        summary: "Have the system's name, time zone, Wi-Fi or SSH key changed",
        query: &[], takes: Json("SystemChange"), gives: json(202, "System"), handler: || patch(machine::change) },
    Route { method: POST, path: "/api/v1/system/restart", permission: ManageBox, about: TheBox,
        summary: "Start the box again, and nothing else",
        query: &[], takes: Nothing, gives: json(202, "Acted"), handler: || post(machine::restart) },
    Route { method: POST, path: "/api/v1/system/reboot", permission: ManageBox, about: TheBox,
        summary: "Start the whole system again",
        query: &[], takes: Nothing, gives: json(202, "Acted"), handler: || post(machine::reboot) },
    Route { method: POST, path: "/api/v1/system/shutdown", permission: ManageBox, about: TheBox,
        summary: "Switch the system off",
        query: &[], takes: Nothing, gives: json(202, "Acted"), handler: || post(machine::shutdown) },
    Route { method: GET, path: "/api/v1/update", permission: ReadStatus, about: TheBox,
        summary: "Version, and how an update goes",
        query: &[], takes: Nothing, gives: json(200, "UpdateState"), handler: || get(update::state) },
    Route { method: POST, path: "/api/v1/update", permission: ManageBox, about: TheBox,
        summary: "Upload an update; it is checked and kept for its installation",
        query: &[], takes: Bytes { max_bytes: MAX_BUNDLE_BYTES }, gives: json(201, "Bundle"), handler: || post(update::upload) },
    Route { method: POST, path: "/api/v1/update/install", permission: ManageBox, about: TheBox,
        summary: "Install the uploaded update, or one from an address; the box restarts",
        query: &[], takes: Json("Install"), gives: json(202, "UpdateState"), handler: || post(update::install) },
    Route { method: GET, path: AuthorityFile::Pem.path(), permission: Public, about: TheBox,
        summary: "The box's certificate authority, PEM",
        query: &[], takes: Nothing, gives: media(200, AuthorityFile::Pem.media_type()), handler: || get(system::ca_pem) },
    Route { method: GET, path: AuthorityFile::Der.path(), permission: Public, about: TheBox,
        summary: "The same in DER, as systems install it",
        query: &[], takes: Nothing, gives: media(200, AuthorityFile::Der.media_type()), handler: || get(system::ca_crt) },
    Route { method: GET, path: AuthorityFile::Profile.path(), permission: Public, about: TheBox,
        summary: "The same as a profile for iPhones and iPads",
        query: &[], takes: Nothing, gives: media(200, AuthorityFile::Profile.media_type()), handler: || get(system::ca_profile) },
    Route { method: GET, path: "/api/v1/certificate", permission: ReadStatus, about: TheBox,
        summary: "The certificates that the box shows: names, dates, fingerprints, and how a domain's stands",
        query: &[], takes: Nothing, gives: json(200, "Certificates"), handler: || get(system::certificate) },
    Route { method: GET, path: "/api/v1/trust-probe", permission: Public, about: TheBox,
        summary: "Answers any page: whether a browser trusts the box under another of its names",
        query: &[], takes: Nothing, gives: NO_CONTENT, handler: || get(system::trust_probe) },
    Route { method: GET, path: "/api/openapi.json", permission: Own, about: TheBox,
        summary: "This document",
        query: &[], takes: Nothing, gives: DOCUMENT, handler: || get(system::openapi) },
    Route { method: GET, path: "/metrics", permission: ReadStatus, about: TheBox,
        summary: "Figures for Prometheus",
        query: &[], takes: Nothing, gives: media(200, "text/plain"), handler: || get(system::metrics) },
    Route { method: GET, path: "/healthz", permission: Public, about: TheBox,
        summary: "Whether the box answers",
        query: &[], takes: Nothing, gives: media(200, "text/plain"), handler: || get(system::healthz) },
];
