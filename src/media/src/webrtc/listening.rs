//! A viewer who only listens for a while, such as a phone that is locked: no picture is sent, none taken from the camera for it, and nothing is
//! sent to learn what its connection would carry. Its session, and its sound, go on.

use super::adapt::{change_feed, costs};
use super::feed::Feeds;
use super::gate::RationGate;
use super::machine::Outbox;
use super::session::{Session, SessionPhase, SessionWish};
use perch_base::time::MonoTime;
use perch_domain::rate::Ration;

/// Sends sound alone from now on, or pictures again, which begin like those of a session that has just connected. A session that speaks is left
/// as it is.
pub fn set(feeds: &mut Feeds, session: &mut Session, sound_only: bool, now: MonoTime, out: &mut dyn Outbox) {
    let Some(camera) = feeds.camera(session.feed).cloned().filter(|_| session.rate.is_sound_only() != sound_only)
    else {
        return;
    };
    let ration = session.rate.set_sound_only(now, sound_only);
    tracing::debug!(lease = %session.lease, "viewer {}", if sound_only { "only listens" } else { "looks again" });
    if let Some((waiting, _)) = session.next_feed.take() {
        feeds.release(waiting);
    }
    // The gate remembers what it left out: the first picture is a whole one.
    session.leave_out_waiting();
    session.gate = RationGate::new(ration);
    change_feed(feeds, session, &camera, (ration != Ration::Sound).then(|| ration.stream()));
    // Pictures leave as fast as the estimate says, and one that is new looks at once for what it is to.
    let costs = costs(feeds, camera.key, false);
    session.look_for(now, &costs, out);
    session.estimate_anew(now, session.rate.fresh_estimate_bps(&costs), out);
    if session.connected() {
        session.phase = SessionPhase::AwaitsKeyframe;
        if !sound_only {
            session.hurry();
            session.wishes.push(SessionWish::Join);
        }
    }
}
