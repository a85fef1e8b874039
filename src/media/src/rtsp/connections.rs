//! Who is connected: one [`Connection`] a reader, with its own challenge and its own sessions, and the sweep that closes those
//! that are silent, stuck or cut off.

use super::digest::{Credentials, DigestVerdict, Logins, challenge};
use super::factory::Mount;
use super::mounts::{CameraStreams, Mounts};
use super::{requests, socket};
use gstreamer_rtsp_server::{self as rtsp_server, glib};
use perch_base::clock::SharedClock;
use perch_base::ids::CameraId;
use perch_base::secret::{hex, random_bytes};
use perch_base::time::MonoTime;
use perch_domain::access::{Object, Permission, StreamLogin};
use perch_domain::admission::{Admission, AdmissionVerdict, ConnectionId, Limits, Trust};
use rtsp_server::prelude::*;
use socket2::Socket;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

/// Readers at most: connections that gave a valid password.
const MAX_READERS: usize = 64;
/// Connections at most. A recorder that opens all its streams at once is served; those beyond [`MAX_READERS`] with a valid password
/// get the answer that there are too many.
const LIMITS: Limits = Limits {
    strangers: 128,
    crowd: 96,
    few: 8,
    per_household: 64,
    per_site: 96,
    known: 2 * MAX_READERS,
    per_owner: 2 * MAX_READERS,
    head_start: Duration::from_secs(2),
    busy_start: Duration::from_secs(2),
};
/// A connection must give a valid password within this time.
const LOGIN_WITHIN: Duration = Duration::from_secs(10);
/// A connection that signed in and does not play must ask for something within this time: a DESCRIBE alone holds an encoder.
const PLAY_WITHIN: Duration = Duration::from_secs(60);
/// A TCP reader that takes nothing for this long is closed. The server holds as much for it as ten seconds of packets.
const STUCK_AFTER: Duration = Duration::from_secs(10);
/// Wrong passwords on one connection.
const MAX_REFUSALS: u32 = 8;
/// Sessions of one connection. Players use one; a second helps those that set up again before they tear down.
const MAX_SESSIONS: u32 = 2;

/// One connection.
pub(super) struct Connection {
    client: glib::WeakRef<rtsp_server::RTSPClient>,
    /// Sessions live in a pool of their own connection, so no other connection can name them.
    pool: rtsp_server::RTSPSessionPool,
    pub(super) nonce: String,
    since: MonoTime,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    socket: Option<Socket>,
    peer: String,
    /// Its place among all; `None` before it was let in.
    place: Option<ConnectionId>,
    /// The stream password it gave, with the cameras that this opens.
    login: Option<StreamLogin>,
    refusals: u32,
    /// When it asked for something last.
    asked_at: Option<MonoTime>,
    /// What it asked for last.
    asked_for: Option<Arc<Mount>>,
    playing: Option<Playing>,
}

struct Playing {
    mount: Arc<Mount>,
    interleaved: bool,
    acked: u64,
    progress_at: MonoTime,
}

impl State {
    fn user(&self) -> Option<&str> {
        self.login.as_ref().map(|login| login.name.as_str())
    }
}

impl Connection {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a valid password was given.
    pub(super) fn signed_in(&self) -> bool {
        self.lock().login.is_some()
    }

    /// Whether its password opens what `path` names, see [`camera_of`].
    pub(super) fn may_watch(&self, path: &str) -> bool {
        let state = self.lock();
        state.login.as_ref().is_some_and(|login| match camera_of(path) {
            Some(camera) => login.may(Permission::Watch, Object::Camera(&camera)),
            // What names no camera is the library's to refuse, for those who may know which there are.
            None => login.cameras.is_all(),
        })
    }

    /// Ends the connection soon, from any thread.
    pub(super) fn close(&self) {
        if let Some(socket) = &self.lock().socket {
            socket::shut(socket);
        }
    }
}

/// All connections and the passwords they are checked against.
pub(super) struct Connections {
    clock: SharedClock,
    mounts: Mounts,
    logins: RwLock<Logins>,
    map: Mutex<HashMap<usize, Arc<Connection>>>,
    /// Who is let in and who gives way. Never locked together with a connection.
    admission: Mutex<Admission<String>>,
}

impl Connections {
    pub(super) fn new(clock: SharedClock, mounts: Mounts) -> Arc<Self> {
        let admission = Mutex::new(Admission::new(LIMITS));
        Arc::new(Self { clock, mounts, logins: RwLock::default(), map: Mutex::default(), admission })
    }

    /// The stream at `path` or above it.
    pub(super) fn mount(&self, path: &str) -> Option<Arc<Mount>> {
        self.mounts.find(path)
    }

    /// Adds a camera or changes it; connections of one that changed end.
    pub(super) fn set_camera(&self, camera: CameraStreams) {
        let gone = self.mounts.set(camera);
        self.end_readers_of(&gone);
    }

    /// Removes a camera and ends its connections.
    pub(super) fn remove_camera(&self, id: &CameraId) {
        let gone = self.mounts.remove(id);
        self.end_readers_of(&gone);
    }

    fn end_readers_of(&self, gone: &[Arc<Mount>]) {
        for connection in self.all() {
            let state = connection.lock();
            let uses = |mount: &Arc<Mount>| gone.iter().any(|g| Arc::ptr_eq(g, mount));
            if state.asked_for.as_ref().is_some_and(uses) || state.playing.as_ref().is_some_and(|p| uses(&p.mount)) {
                tracing::info!(
                    peer = state.peer,
                    user = state.user(),
                    "RTSP connection closed: its camera was removed or changed"
                );
                drop(state);
                connection.close();
            }
        }
    }

    /// Readers that play.
    pub(super) fn playing(&self) -> usize {
        self.all().iter().filter(|c| c.lock().playing.is_some()).count()
    }

    /// Open connections.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Replaces the passwords and ends the connections of users whose password went, changed or opens other cameras now.
    pub(super) fn set_passwords(&self, new: Logins) {
        let mut logins = self.logins.write().unwrap_or_else(PoisonError::into_inner);
        *logins = new;
        for connection in self.all() {
            let login = connection.lock().login.clone();
            if let Some(login) = login.filter(|login| logins.get(&login.name) != Some(login)) {
                tracing::info!(user = login.name, "RTSP reader closed: its password was removed or changed");
                connection.close();
            }
        }
    }

    /// Ends every connection.
    pub(super) fn close_all(&self) {
        self.all().iter().for_each(|c| c.close());
    }

    /// A connection was made; its socket is not there yet.
    pub(super) fn add(self: &Arc<Self>, client: &rtsp_server::RTSPClient) {
        let pool = rtsp_server::RTSPSessionPool::new();
        pool.set_max_sessions(MAX_SESSIONS);
        client.set_session_pool(Some(&pool));
        client.set_drop_backlog(true);
        let connection = Arc::new(Connection {
            client: client.downgrade(),
            pool,
            nonce: hex(&random_bytes::<16>()),
            since: self.clock.mono(),
            state: Mutex::default(),
        });
        self.lock().insert(key(client), connection.clone());

        let here = Arc::downgrade(self);
        let with = move |client: &rtsp_server::RTSPClient, f: &dyn Fn(&Self, &Connection)| {
            if let Some(here) = here.upgrade()
                && let Some(connection) = here.of(client)
            {
                f(&here, &connection);
            }
        };
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
        let asked = Arc::downgrade(&connection);
        requests::ask_before_sessions(client, move || {
            let stranger = asked.upgrade().filter(|c| !c.signed_in())?;
            Some(challenge(&stranger.nonce, false))
        });
        client.connect_closed(move |client| {
            with(client, &|here, c| {
                here.rests(c);
                here.lock().remove(&key(client));
                here.with_place(c, |admission, id| admission.left(id));
                let state = c.lock();
                tracing::debug!(peer = state.peer, user = state.user(), "RTSP connection ended");
            });
        });
    }

    /// A connection's socket is there.
    pub(super) fn connected(&self, client: &rtsp_server::RTSPClient) {
        let (Some(connection), Some(socket)) = (self.of(client), socket::of(client)) else { return };
        let peer = socket::peer(&socket);
        if let Err(e) = socket::tune(&socket) {
            tracing::warn!(peer, "RTSP socket without time limits: {e}");
        }
        let place = match socket::address(&socket).map(|from| self.admission().arrive(from, self.clock.mono())) {
            Some(AdmissionVerdict::Accept { id, gives_way }) => {
                self.send_away(gives_way);
                Some(id)
            }
            Some(AdmissionVerdict::Refuse) | None => {
                tracing::debug!(peer, "RTSP connection refused: too many from there have not signed in");
                socket::shut(&socket);
                None
            }
        };
        let mut state = connection.lock();
        state.peer = peer;
        state.place = place;
        state.socket = Some(socket);
    }

    /// Closes the connection that gives way to another.
    fn send_away(&self, gives_way: Option<ConnectionId>) {
        let Some(id) = gives_way else { return };
        for connection in self.all().iter().filter(|c| c.lock().place == Some(id)) {
            tracing::debug!("an RTSP connection that has not signed in gives way to another");
            connection.close();
        }
    }

    fn admission(&self) -> MutexGuard<'_, Admission<String>> {
        self.admission.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_place(&self, connection: &Connection, f: impl FnOnce(&mut Admission<String>, ConnectionId)) {
        let place = connection.lock().place;
        if let Some(id) = place {
            f(&mut self.admission(), id);
        }
    }

    /// The connection of `client`.
    pub(super) fn of(&self, client: &rtsp_server::RTSPClient) -> Option<Arc<Connection>> {
        self.lock().get(&key(client)).cloned()
    }

    /// A request came.
    pub(super) fn asks(&self, connection: &Connection) {
        connection.lock().asked_at = Some(self.clock.mono());
        self.with_place(connection, |admission, id| admission.speaks(id));
    }

    /// A request that is let through is for `mount`.
    pub(super) fn asks_for(&self, connection: &Connection, mount: &Arc<Mount>) {
        connection.lock().asked_for = Some(mount.clone());
    }

    /// Checks a request's credentials; accepted ones name the connection's user.
    pub(super) fn login(&self, connection: &Connection, given: &Credentials<'_>, method: &str) -> DigestVerdict {
        // Held while the user is noted, so that `set_passwords` cannot miss it.
        let logins = self.logins.read().unwrap_or_else(PoisonError::into_inner);
        let verdict = logins.check(given, method, &connection.nonce);
        if matches!(verdict, DigestVerdict::Accepted) {
            self.trust(connection, given.username);
        }
        let mut state = connection.lock();
        match verdict {
            DigestVerdict::Accepted => {
                if state.user() != Some(given.username) {
                    tracing::info!(user = given.username, peer = state.peer, "RTSP reader signed in");
                }
                state.login = logins.get(given.username).cloned();
            }
            DigestVerdict::Stale => {}
            DigestVerdict::Refused => {
                state.refusals += 1;
                tracing::warn!(user = given.username, peer = state.peer, "RTSP password refused");
                if let Some(socket) = state.socket.as_ref().filter(|_| state.refusals >= MAX_REFUSALS) {
                    socket::shut(socket);
                }
            }
        }
        verdict
    }

    fn trust(&self, connection: &Connection, user: &str) {
        let mut gives_way = None;
        self.with_place(connection, |admission, id| {
            if let Trust::Known { gives_way: other } = admission.trust(id, &user.to_owned(), self.clock.mono()) {
                gives_way = other;
            }
        });
        self.send_away(gives_way);
    }

    /// Whether one more reader would be too many; `connection` itself counts once it signed in.
    pub(super) fn is_full(&self, connection: &Connection) -> bool {
        let others = self.all().into_iter().filter(|c| !std::ptr::eq(&**c, connection));
        others.filter(|c| c.signed_in()).count() >= MAX_READERS
    }

    fn plays(&self, connection: &Connection, client: &rtsp_server::RTSPClient, ctx: &rtsp_server::RTSPContext) {
        let mount = ctx.uri().and_then(requests::path).and_then(|path| self.mount(&path));
        let Some(mount) = mount else {
            // Its camera went away between its last two requests: it would wait for pictures in vain.
            connection.close();
            return;
        };
        let interleaved = (0..=u8::MAX).any(|channel| client.stream_transport(channel).is_some());
        let played = {
            let mut state = connection.lock();
            let acked = state.socket.as_ref().and_then(socket::bytes_acked).unwrap_or(0);
            tracing::info!(path = mount.path, user = state.user(), peer = state.peer, interleaved, "RTSP reader plays");
            let progress_at = self.clock.mono();
            state.playing.replace(Playing { mount: mount.clone(), interleaved, acked, progress_at }).is_some()
        };
        if !played {
            self.with_place(connection, |admission, id| {
                admission.starts(id);
                admission.is_read(id);
            });
        }
        if let Some(feed) = mount.feed() {
            feed.play();
        }
    }

    fn rests(&self, connection: &Connection) {
        let Some(was) = connection.lock().playing.take() else { return };
        self.with_place(connection, |admission, id| admission.ends(id, true, self.clock.mono()));
        let others =
            self.all().iter().any(|c| c.lock().playing.as_ref().is_some_and(|p| Arc::ptr_eq(&p.mount, &was.mount)));
        if let Some(feed) = was.mount.feed().filter(|_| !others) {
            feed.park();
        }
    }

    /// Closes who is late, stuck or cut off, and ends expired sessions. To be called every second.
    pub(super) fn sweep(&self) {
        let now = self.clock.mono();
        for connection in self.all() {
            connection.pool.cleanup();
            let reason = self.why_close(&connection, now);
            if let Some(reason) = reason {
                let state = connection.lock();
                match state.user() {
                    Some(user) => tracing::warn!(peer = state.peer, user, "RTSP connection closed: {reason}"),
                    // Anybody can cause as many as they like.
                    None => tracing::debug!(peer = state.peer, "RTSP connection closed: {reason}"),
                }
                drop(state);
                connection.close();
            }
        }
        let gone: Vec<_> = self.lock().extract_if(|_, c| c.client.upgrade().is_none()).collect();
        for (_, connection) in gone {
            self.with_place(&connection, |admission, id| admission.left(id));
        }
    }

    fn why_close(&self, connection: &Connection, now: MonoTime) -> Option<&'static str> {
        let mut state = connection.lock();
        if state.login.is_none() && now.since(connection.since) > LOGIN_WITHIN {
            return Some("it gave no valid password");
        }
        let acked = state.socket.as_ref().and_then(socket::bytes_acked);
        let asked_at = state.asked_at.unwrap_or(connection.since);
        let Some(playing) = state.playing.as_mut() else {
            return (now.since(asked_at) > PLAY_WITHIN).then_some("it does not play");
        };
        let feed = playing.mount.feed();
        if feed.as_ref().is_none_or(|feed| feed.is_dead()) {
            return Some("its stream ended");
        }
        let idle = feed.is_some_and(|feed| feed.idle_for() > Duration::from_secs(2));
        if acked.is_none_or(|acked| acked > playing.acked) || idle || !playing.interleaved {
            playing.acked = acked.unwrap_or(0);
            playing.progress_at = now;
        }
        (now.since(playing.progress_at) > STUCK_AFTER).then_some("it stopped reading")
    }

    fn all(&self) -> Vec<Arc<Connection>> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<usize, Arc<Connection>>> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The camera that a path names: its first part.
fn camera_of(path: &str) -> Option<CameraId> {
    let first = path.strip_prefix('/')?.split('/').next()?;
    CameraId::new(first).ok()
}

fn key(client: &rtsp_server::RTSPClient) -> usize {
    client.as_ptr() as usize
}
