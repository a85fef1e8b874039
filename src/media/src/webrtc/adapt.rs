//! What each viewer is sent, looked at a few times a second: the estimates of the sessions go to `domain::rate`, and what it decides is
//! done: another feed at its next keyframe, fewer pictures, another bit rate of a small stream's encoder.

use super::cameras::{CameraKey, KeyedCamera};
use super::demux::Key;
use super::feed::{CONSUMER, FEEDS, FeedId, Feeds};
use super::machine::Outbox;
use super::session::Session;
use perch_base::time::MonoTime;
use perch_domain::media::Stream;
use perch_domain::rate::{Costs, Ration, RationCause, SubEncoderRate};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Opus as the box encodes it, with its headers.
const SOUND_BPS: u64 = 64_000;
/// A viewer that is to get less waits for the keyframe of that so long; then no more pictures are sent that its connection does not carry.
const STOPS_AFTER: Duration = Duration::from_secs(1);

/// What outlives one look: what the encoders of the small streams are asked for, by camera.
#[derive(Debug, Default)]
pub struct Adaptation(HashMap<CameraKey, SubEncoderRate>);

/// The viewers of a small stream.
#[derive(Default)]
struct SubViewers {
    count: usize,
    needs_bps: Vec<u64>,
}

impl Adaptation {
    /// Looks at each session that is connected.
    pub fn look(
        &mut self,
        mono: MonoTime,
        sessions: &mut BTreeMap<Key, Session>,
        feeds: &mut Feeds,
        out: &mut dyn Outbox,
    ) {
        let mut watchers: HashMap<CameraKey, SubViewers> = HashMap::new();
        let uses_small = |s: &&Session| s.feed.stream == Some(Stream::Sub) || s.is_changing_to(Stream::Sub);
        // Who is sent keyframes or sound alone does not keep it up.
        for session in sessions.values().filter(uses_small).filter(|s| s.rate.ration() >= Ration::Sub) {
            watchers.entry(session.feed.camera).or_default().count += 1;
        }
        for session in sessions.values_mut().filter(|session| session.connected() && session.talk.is_none()) {
            let camera = session.feed.camera;
            let others = watchers.get(&camera).map_or(0, |w| w.count);
            let is_alone = others <= usize::from(session.feed.stream == Some(Stream::Sub));
            let costs = costs(feeds, camera, is_alone);
            let change = session.look(mono, &costs, out);
            let need = session.rate.sub_need_bps(&costs).filter(|_| session.feed.stream == Some(Stream::Sub));
            watchers.entry(camera).or_default().needs_bps.extend(need);
            match change {
                Some(ration) => give(feeds, session, ration, mono, out),
                None => session.stop_what_is_too_much(mono, STOPS_AFTER),
            }
        }
        self.ask_encoders(mono, &watchers, feeds);
        feeds.forget_meters();
    }

    fn ask_encoders(&mut self, mono: MonoTime, watchers: &HashMap<CameraKey, SubViewers>, feeds: &Feeds) {
        self.0.retain(|camera, _| watchers.contains_key(camera));
        for (camera, viewers) in watchers {
            let id = FeedId { camera: *camera, stream: Some(Stream::Sub) };
            let Some(set_bps) = feeds.camera(id).and_then(|camera| camera.live.hub.sub_set_bps()) else { continue };
            let rate = self.0.entry(*camera).or_insert_with(|| SubEncoderRate::new(set_bps));
            // One that is not there yet needs all there is.
            let waiting = viewers.count > viewers.needs_bps.len();
            let needs = viewers.needs_bps.iter().copied().chain(waiting.then_some(set_bps));
            if let Some(bps) = rate.look(mono, needs) {
                tracing::debug!(kbps = bps / 1000, "the small stream's encoder is asked for another bit rate");
                feeds.set_enough(id, (bps < set_bps).then_some(bps));
            }
        }
    }
}

/// What the streams of a camera cost. `is_alone`: nobody but the one who asks is sent the small one by us.
pub fn costs(feeds: &Feeds, camera: CameraKey, is_alone: bool) -> Costs {
    let meter = |stream| feeds.meter(FeedId { camera, stream: Some(stream) });
    let live = FEEDS.into_iter().find_map(|stream| feeds.camera(FeedId { camera, stream }));
    let hub = live.map(|camera| &camera.live.hub);
    let least = hub.filter(|hub| is_alone && hub.consumers(Stream::Sub).iter().all(|name| name == CONSUMER));
    let least = least.and_then(|hub| hub.sub_set_bps()).map(|set| SubEncoderRate::new(set).least_bps());
    Costs {
        main_bps: meter(Stream::Main).and_then(|m| m.bps()),
        sub_bps: meter(Stream::Sub).and_then(|m| m.bps()),
        sub_least_bps: least,
        keyframes_bps: meter(Stream::Sub).and_then(|m| m.keyframes_bps()),
        sound_bps: live.filter(|camera| camera.live.has_audio).map(|_| SOUND_BPS),
    }
}

/// Gives a session another ration.
fn give(feeds: &mut Feeds, session: &mut Session, ration: Ration, mono: MonoTime, out: &mut dyn Outbox) {
    let Some(camera) = feeds.camera(session.feed).cloned() else { return };
    let available_kbps = session.rate.available_bps().map(|bps| bps / 1000);
    let (lease, why) = (session.lease, session.rate.cause().as_str());
    tracing::debug!(%lease, available_kbps, why, "viewer is sent {} from now on", ration.as_str());
    let waiting = session.next_feed.take();
    let falls = ration < session.gate.ration() && session.rate.cause() == RationCause::Connection;
    if falls {
        session.hold_back(mono, ration == Ration::Sub && camera.live.hub.commandable(Stream::Sub), out);
    }
    if ration == Ration::Sound {
        session.gate.set(ration);
        change_feed(feeds, session, &camera, None);
    } else if session.feed.stream == Some(ration.stream()) {
        if session.gate.set(ration) {
            camera.live.hub.request_keyframe(ration.stream());
        }
    } else {
        session.next_feed = Some((feeds.acquire(&camera, ration.stream()), Some(mono)));
        camera.live.hub.request_keyframe(ration.stream());
    }
    if let Some((waiting, _)) = waiting {
        feeds.release(waiting);
    }
}

/// Gives a session another feed at once: the one before goes where nobody else uses it, and its encoder with it.
pub fn change_feed(feeds: &mut Feeds, session: &mut Session, camera: &Arc<KeyedCamera>, stream: Option<Stream>) {
    let before = std::mem::replace(&mut session.feed, feeds.acquire(camera, stream));
    feeds.release(before);
}
