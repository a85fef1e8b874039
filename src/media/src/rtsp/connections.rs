//! Who is connected: one [`Connection`] a reader, with its own challenge and its own sessions, and the sweep that closes those
//! that are silent, stuck or cut off.

use super::digest::{Credentials, DigestVerdict, Logins, challenge};
use super::factory::{KeptMedia, Mount};
use super::feed::Feed;
use super::mounts::{CameraStreams, Mounts};
use super::{requests, socket};
use gstreamer_rtsp_server::{self as rtsp_server, glib};
use perch_base::clock::SharedClock;
use perch_base::ids::CameraId;
use perch_base::net::household;
use perch_base::repeated::Repeated;
use perch_base::secret::{hex, random_bytes};
use perch_base::sync::lock;
use perch_base::time::{MonoTime, Timestamp};
use perch_domain::access::{Object, Permission, StreamLogin};
use perch_domain::admission::{Admission, AdmissionVerdict, ConnectionId, Limits, Trust};
use perch_domain::reader::{Reader, ReaderFault, ReaderLimits, Sighting};
use perch_domain::rtsp_address::{camera_of, stream_of};
use perch_domain::status::RtspReader;
use perch_domain::tally::Tally;
use perch_domain::viewers::has_room_for_reader;
use rtsp_server::prelude::*;
use socket2::Socket;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

/// Connections without a password are summed up so often: on a busy network each one would be noise.
const SUM_UP_EVERY: Duration = Duration::from_secs(60);
/// Sessions of one connection. Players use one; a second helps those that set up again before they tear down.
const MAX_SESSIONS: u32 = 2;

/// One connection: what never changes of it.
pub(super) struct Connection {
    key: usize,
    client: glib::WeakRef<rtsp_server::RTSPClient>,
    /// Sessions live in a pool of their own connection, so no other connection can name them.
    pool: rtsp_server::RTSPSessionPool,
    pub(super) nonce: String,
}

/// What changes of it.
struct Peer {
    connection: Arc<Connection>,
    reader: Reader,
    socket: Option<Socket>,
    address: String,
    /// Its place among all; `None` before it was let in.
    place: Option<ConnectionId>,
    /// The stream password it gave, with the cameras that this opens.
    login: Option<StreamLogin>,
    /// What it asked for last.
    asked_for: Option<Arc<Mount>>,
    /// What it asked for, until the library has taken hold of it.
    kept: Option<KeptMedia>,
    playing: Option<Playing>,
}

/// What a reader plays.
#[derive(Clone)]
struct Playing {
    mount: Arc<Mount>,
    /// It is gone once its media is.
    feed: Weak<Feed>,
    since: Timestamp,
}

impl Peer {
    fn new(connection: Arc<Connection>, now: MonoTime) -> Self {
        let reader = Reader::new(ReaderLimits::RTSP, now);
        Self {
            connection,
            reader,
            socket: None,
            address: String::new(),
            place: None,
            login: None,
            asked_for: None,
            kept: None,
            playing: None,
        }
    }

    fn user(&self) -> Option<&str> {
        self.login.as_ref().map(|login| login.name.as_str())
    }

    fn plays(&self, feed: &Weak<Feed>) -> bool {
        self.playing.as_ref().is_some_and(|playing| playing.feed.ptr_eq(feed))
    }

    /// Where it comes from.
    fn household(&self) -> Option<IpAddr> {
        self.socket.as_ref().and_then(socket::address).map(household)
    }

    /// Ends the connection soon: its own thread sees the end and cleans up.
    fn shut(&self) {
        if let Some(socket) = &self.socket {
            socket::shut(socket);
        }
    }

    fn acked_bytes(&self) -> Option<u64> {
        self.socket.as_ref().and_then(socket::acked_bytes)
    }
}

/// Who is connected. Neither the library nor a feed is called while it is locked.
struct State {
    peers: HashMap<usize, Peer>,
    /// Who is let in and who gives way.
    admission: Admission<String>,
    /// The passwords they are checked against.
    logins: Logins,
    without_password: Tally,
    /// What players meet at each of their requests, and do not give up.
    refusals: Repeated,
}

impl State {
    fn of(&mut self, connection: &Connection) -> Option<&mut Peer> {
        self.peers.get_mut(&connection.key)
    }

    fn remove(&mut self, connection: &Connection) -> Option<Peer> {
        let peer = self.peers.remove(&connection.key)?;
        if let Some(id) = peer.place {
            self.admission.left(id);
        }
        Some(peer)
    }

    /// Closes the connection that gives way to another.
    fn send_away(&mut self, gives_way: Option<ConnectionId>, now: MonoTime) {
        let Some(id) = gives_way else { return };
        if let Some(peer) = self.peers.values().find(|peer| peer.place == Some(id)) {
            tracing::debug!(peer = peer.address, user = peer.user(), "an RTSP connection gives way to another");
            if peer.login.is_none() {
                self.without_password.add(now);
            }
            peer.shut();
        }
    }
}

/// All connections.
pub(super) struct Connections {
    clock: SharedClock,
    mounts: Mounts,
    state: Mutex<State>,
}

impl Connections {
    pub(super) fn new(clock: SharedClock, mounts: Mounts) -> Arc<Self> {
        let state = State {
            peers: HashMap::new(),
            admission: Admission::new(Limits::RTSP),
            logins: Logins::default(),
            without_password: Tally::new(SUM_UP_EVERY),
            refusals: Repeated::default(),
        };
        Arc::new(Self { clock, mounts, state: Mutex::new(state) })
    }

    /// The stream at `path` or above it.
    pub(super) fn mount(&self, path: &str) -> Option<Arc<Mount>> {
        self.mounts.find(path)
    }

    /// Adds a camera or changes it; connections of one that cannot go on end.
    pub(super) fn set_camera(&self, camera: CameraStreams) {
        let gone = self.mounts.set(camera);
        self.end_readers_of(&gone);
    }

    /// Removes a camera that is switched off and ends its connections; whoever asks for it hears why.
    pub(super) fn switch_off(&self, id: &CameraId, why: &str) {
        let gone = self.mounts.switch_off(id, why);
        self.end_readers_of(&gone);
    }

    /// Why there is nothing to see at `path`, where its camera is switched off.
    pub(super) fn why_off(&self, path: &str) -> Option<String> {
        self.mounts.why_off(path)
    }

    /// Removes a camera and ends its connections.
    pub(super) fn remove_camera(&self, id: &CameraId) {
        let gone = self.mounts.remove(id);
        self.end_readers_of(&gone);
    }

    fn end_readers_of(&self, gone: &[Arc<Mount>]) {
        let is_gone = |mount: &Arc<Mount>| gone.iter().any(|g| Arc::ptr_eq(g, mount));
        for peer in self.lock().peers.values() {
            if peer.asked_for.as_ref().is_some_and(is_gone)
                || peer.playing.as_ref().is_some_and(|playing| is_gone(&playing.mount))
            {
                tracing::info!(
                    peer = peer.address,
                    user = peer.user(),
                    "RTSP connection closed: its camera was removed or changed"
                );
                peer.shut();
            }
        }
    }

    /// Readers that play.
    pub(super) fn playing(&self) -> usize {
        self.lock().peers.values().filter(|peer| peer.reader.is_playing()).count()
    }

    /// Who plays what.
    pub(super) fn who_reads(&self) -> Vec<RtspReader> {
        let reader = |peer: &Peer| {
            let playing = peer.playing.as_ref().filter(|_| peer.reader.is_playing())?;
            let (camera, stream) = stream_of(&playing.mount.path)?;
            Some(RtspReader {
                stream_password: peer.user()?.to_owned(),
                camera,
                stream,
                started_at: playing.since,
                remote: peer.address.clone(),
            })
        };
        let mut readers: Vec<_> = self.lock().peers.values().filter_map(reader).collect();
        readers.sort_by(|a, b| (a.started_at, &a.remote).cmp(&(b.started_at, &b.remote)));
        readers
    }

    /// Open connections.
    pub(super) fn len(&self) -> usize {
        self.lock().peers.len()
    }

    /// Replaces the passwords and ends the connections of users whose password went, changed or opens other cameras now.
    pub(super) fn set_passwords(&self, new: Logins) {
        let State { peers, logins, .. } = &mut *self.lock();
        *logins = new;
        for peer in peers.values() {
            if let Some(login) = peer.login.as_ref().filter(|login| logins.get(&login.name) != Some(login)) {
                tracing::info!(user = login.name, "RTSP reader closed: its password was removed, changed or cut off");
                peer.shut();
            }
        }
    }

    /// Ends every connection.
    pub(super) fn close_all(&self) {
        self.lock().peers.values().for_each(Peer::shut);
    }

    /// A connection was made; its socket is not there yet.
    pub(super) fn add(self: &Arc<Self>, client: &rtsp_server::RTSPClient) {
        let pool = rtsp_server::RTSPSessionPool::new();
        pool.set_max_sessions(MAX_SESSIONS);
        client.set_session_pool(Some(&pool));
        client.set_drop_backlog(true);
        let connection = Arc::new(Connection {
            key: key(client),
            client: client.downgrade(),
            pool,
            nonce: hex(&random_bytes::<16>()),
        });
        let now = self.clock.mono();
        let before = {
            let mut state = self.lock();
            // One that went without a word, whose place in memory this one has.
            let before = state.remove(&connection);
            state.peers.insert(connection.key, Peer::new(connection.clone(), now));
            before
        };
        drop(before);

        let here = Arc::downgrade(self);
        let with = move |client: &rtsp_server::RTSPClient, f: &dyn Fn(&Self, &Connection)| {
            if let Some(here) = here.upgrade()
                && let Some(connection) = here.of(client)
            {
                f(&here, &connection);
            }
        };
        client.connect_describe_request(glib::clone!(
            #[strong]
            with,
            move |client, _| with(client, &|here, c| here.keep(c, None))
        ));
        client.connect_setup_request(glib::clone!(
            #[strong]
            with,
            move |client, _| with(client, &|here, c| here.keep(c, None))
        ));
        client.connect_play_request(glib::clone!(
            #[strong]
            with,
            move |client, ctx| with(client, &|here, c| here.plays(c, client, ctx))
        ));
        client.connect_pause_request(glib::clone!(
            #[strong]
            with,
            move |client, _| with(client, &|here, c| here.rests(c))
        ));
        client.connect_teardown_request(glib::clone!(
            #[strong]
            with,
            move |client, _| with(client, &|here, c| here.rests(c))
        ));
        let here = Arc::downgrade(self);
        let asked = Arc::downgrade(&connection);
        requests::ask_before_sessions(client, move || {
            let (here, connection) = (here.upgrade()?, asked.upgrade()?);
            (!here.is_signed_in(&connection)).then(|| challenge(&connection.nonce, false))
        });
        client.connect_closed(move |client| {
            with(client, &|here, c| {
                here.rests(c);
                let gone = here.lock().remove(c);
                if let Some(peer) = gone {
                    tracing::debug!(peer = peer.address, user = peer.user(), "RTSP connection ended");
                }
            });
        });
    }

    /// A connection's socket is there.
    pub(super) fn connected(&self, client: &rtsp_server::RTSPClient) {
        let (Some(connection), Some(socket)) = (self.of(client), socket::of(client)) else { return };
        let address = socket::peer(&socket);
        let tuned = socket::tune(&socket);
        let now = self.clock.mono();
        let mut state = self.lock();
        if let Err(e) = tuned
            && state.refusals.is_news("socket", now)
        {
            tracing::warn!(peer = address, "RTSP socket without time limits: {e}");
        }
        let arrived = socket::address(&socket).map(|from| state.admission.arrive(from, now));
        let place = match arrived {
            Some(AdmissionVerdict::Accept { id, gives_way }) => {
                state.send_away(gives_way, now);
                Some(id)
            }
            Some(AdmissionVerdict::Refuse) | None => {
                tracing::debug!(peer = address, "RTSP connection refused: too many from there have not signed in");
                state.without_password.add(now);
                socket::shut(&socket);
                None
            }
        };
        if let Some(peer) = state.of(&connection) {
            (peer.address, peer.place, peer.socket) = (address, place, Some(socket));
        } else if let Some(id) = place {
            state.admission.left(id);
        }
    }

    /// The connection of `client`.
    pub(super) fn of(&self, client: &rtsp_server::RTSPClient) -> Option<Arc<Connection>> {
        self.lock().peers.get(&key(client)).map(|peer| peer.connection.clone())
    }

    /// Whether a valid password was given.
    fn is_signed_in(&self, connection: &Connection) -> bool {
        self.lock().of(connection).is_some_and(|peer| peer.login.is_some())
    }

    /// Whether its password opens what `path` names, see [`camera_of`].
    pub(super) fn may_watch(&self, connection: &Connection, path: &str) -> bool {
        let mut state = self.lock();
        let login = state.of(connection).and_then(|peer| peer.login.as_ref());
        login.is_some_and(|login| match camera_of(path) {
            Some(camera) => login.may(Permission::Watch, Object::Camera(&camera)),
            // What names no camera is the library's to refuse, for those who may know which there are.
            None => login.cameras.is_all(),
        })
    }

    /// Whether the readers of its password are cut off for now.
    pub(super) fn is_cut_off(&self, connection: &Connection) -> bool {
        let now = self.clock.mono();
        let mut state = self.lock();
        let login = state.of(connection).and_then(|peer| peer.login.as_ref());
        login.is_some_and(|login| login.is_cut_off(now))
    }

    /// A request came: what was kept for the one before is let go, however that was answered.
    pub(super) fn asks(&self, connection: &Connection) {
        self.keep(connection, None);
        let now = self.clock.mono();
        let State { peers, admission, .. } = &mut *self.lock();
        if let Some(peer) = peers.get_mut(&connection.key) {
            peer.reader.asks(now);
            if let Some(id) = peer.place {
                admission.speaks(id);
            }
        }
    }

    /// A request that is let through is for `mount`.
    pub(super) fn asks_for(&self, connection: &Connection, mount: &Arc<Mount>) {
        if let Some(peer) = self.lock().of(connection) {
            peer.asked_for = Some(mount.clone());
        }
    }

    /// Whether who signed in there may speak at `mount`; whoever may is known to its next media.
    pub(super) fn may_speak(&self, connection: &Connection, mount: &Mount) -> bool {
        let name = self.lock().of(connection).and_then(|peer| peer.user().map(str::to_owned));
        name.is_some_and(|name| mount.lets_speak(connection.key, &name))
    }

    /// Keeps a media for the request that is being answered, and lets go of the one before.
    pub(super) fn keep(&self, connection: &Connection, kept: Option<KeptMedia>) {
        let mut before = kept;
        if let Some(peer) = self.lock().of(connection) {
            std::mem::swap(&mut peer.kept, &mut before);
        }
        drop(before);
    }

    /// Checks a request's credentials; accepted ones name the connection's user.
    pub(super) fn login(&self, connection: &Connection, given: &Credentials<'_>, method: &str) -> DigestVerdict {
        let now = self.clock.mono();
        let mut state = self.lock();
        let State { peers, admission, logins, refusals, .. } = &mut *state;
        // Two MD5 sums of a line each: too little to let the lock go for, and `set_passwords` cannot miss whom it lets in.
        let verdict = logins.check(given, method, &connection.nonce);
        let Some(peer) = peers.get_mut(&connection.key) else { return verdict };
        match verdict {
            DigestVerdict::Accepted => {
                if peer.user() != Some(given.username) {
                    tracing::info!(user = given.username, peer = peer.address, "RTSP reader signed in");
                }
                peer.login = logins.get(given.username).cloned();
                peer.reader.signs_in();
                let trust = peer.place.map(|id| admission.trust(id, &given.username.to_owned(), now));
                if let Some(Trust::Known { gives_way }) = trust {
                    state.send_away(gives_way, now);
                }
            }
            DigestVerdict::Stale => {}
            DigestVerdict::Refused => {
                let known = logins.get(given.username).map(|login| login.name.as_str());
                let fault = peer.reader.is_refused();
                // A name that does not exist is no other failure than the next one.
                let (user, address) = (given.username, &peer.address);
                match (refusals.is_news(format_args!("{:?} {known:?} {fault:?}", peer.household()), now), fault) {
                    (true, Some(fault)) => tracing::warn!(user, peer = address, "RTSP connection closed: {fault}"),
                    (true, None) => tracing::warn!(user, peer = address, "RTSP password refused"),
                    (false, _) => tracing::debug!(user, peer = address, "RTSP password refused again"),
                }
                if fault.is_some() {
                    peer.shut();
                }
            }
        }
        verdict
    }

    /// Whether one more reader would be too many; `connection` itself counts once it signed in.
    pub(super) fn is_full(&self, connection: &Connection) -> bool {
        let state = self.lock();
        let others = state.peers.values().filter(|peer| peer.connection.key != connection.key);
        let is_full = !has_room_for_reader(others.filter(|peer| peer.login.is_some()).count());
        if is_full && state.refusals.is_news("full", self.clock.mono()) {
            tracing::warn!("RTSP readers are refused: too many are connected");
        }
        is_full
    }

    fn plays(&self, connection: &Connection, client: &rtsp_server::RTSPClient, ctx: &rtsp_server::RTSPContext) {
        let mount = ctx.uri().and_then(requests::path).and_then(|path| self.mount(&path));
        let Some(mount) = mount else {
            // Its camera went away between its last two requests: it would wait for pictures in vain.
            if let Some(peer) = self.lock().of(connection) {
                peer.shut();
            }
            return;
        };
        let _turn = mount.turn();
        let feed = requests::media(ctx).and_then(|media| mount.feed(&media));
        let interleaved = (0..=u8::MAX).any(|channel| client.stream_transport(channel).is_some());
        let now = self.clock.mono();
        {
            let State { peers, admission, .. } = &mut *self.lock();
            let Some(peer) = peers.get_mut(&connection.key) else { return };
            tracing::info!(
                path = mount.path,
                user = peer.user(),
                peer = peer.address,
                interleaved,
                "RTSP reader plays"
            );
            peer.reader.plays(interleaved, peer.acked_bytes(), now);
            let playing = Playing {
                mount: mount.clone(),
                feed: feed.as_ref().map(Arc::downgrade).unwrap_or_default(),
                since: self.clock.utc(),
            };
            let played = peer.playing.replace(playing).is_some();
            if let Some(id) = peer.place.filter(|_| !played) {
                admission.starts(id);
                admission.is_read(id);
            }
        }
        if let Some(feed) = feed {
            feed.play();
        }
    }

    fn rests(&self, connection: &Connection) {
        let now = self.clock.mono();
        let playing = {
            let mut state = self.lock();
            let Some(peer) = state.of(connection) else { return };
            peer.reader.rests();
            peer.playing.clone()
        };
        let Some(Playing { mount, feed, .. }) = playing else { return };
        let _turn = mount.turn();
        let is_last = {
            let State { peers, admission, .. } = &mut *self.lock();
            let Some(peer) = peers.get_mut(&connection.key) else { return };
            peer.playing = None;
            if let Some(id) = peer.place {
                admission.ends(id, true, now);
            }
            !peers.values().any(|peer| peer.plays(&feed))
        };
        if let Some(feed) = feed.upgrade().filter(|_| is_last) {
            feed.park();
        }
    }

    /// Closes who is late, stuck or cut off, and ends expired sessions. To be called every second.
    pub(super) fn sweep(&self) {
        let now = self.clock.mono();
        let all: Vec<_> = self.lock().peers.values().map(|p| (p.connection.clone(), p.playing.clone())).collect();
        for (connection, playing) in all {
            connection.pool.cleanup();
            let feed = playing.as_ref().and_then(|p| p.feed.upgrade()).filter(|feed| !feed.is_dead());
            self.look(&connection, playing.as_ref(), feed.map(|feed| feed.idle_for()), now);
            if connection.client.upgrade().is_none() {
                let gone = self.lock().remove(&connection);
                drop(gone);
            }
        }
        if let Some(connections) = self.lock().without_password.take(now) {
            tracing::info!(connections, "RTSP connections without a valid password were closed in the last minute");
        }
    }

    /// Closes the connection if it has to end; it plays `playing`, which gave nothing for `stream_idle`.
    fn look(&self, connection: &Connection, playing: Option<&Playing>, stream_idle: Option<Duration>, now: MonoTime) {
        let State { peers, without_password, refusals, .. } = &mut *self.lock();
        let Some(peer) = peers.get_mut(&connection.key) else { return };
        // It began to play, or something else, since the stream was looked at: the next look will tell.
        if peer.playing.as_ref().map(|p| p.feed.as_ptr()) != playing.map(|p| p.feed.as_ptr()) {
            return;
        }
        let seen = Sighting { acked_bytes: peer.acked_bytes(), stream_idle };
        let Some(fault) = peer.reader.look(seen, now) else { return };
        let (address, user) = (&peer.address, peer.user());
        if fault == ReaderFault::NoPassword {
            without_password.add(now);
            tracing::debug!(peer = address, "RTSP connection closed: {fault}");
        } else if refusals.is_news(format_args!("{:?} {user:?} {fault:?}", peer.household()), now) {
            tracing::warn!(peer = address, user, "RTSP connection closed: {fault}");
        } else {
            tracing::debug!(peer = address, user, "RTSP connection closed again: {fault}");
        }
        peer.shut();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn key(client: &rtsp_server::RTSPClient) -> usize {
    client.as_ptr() as usize
}
