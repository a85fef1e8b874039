//! An allocation at a TURN server (RFC 8656): asked for, kept, used and given back. Sans-IO: takes frames and the time, and says what to
//! send. A peer is let through by a channel alone, which the server asks a permission for as well; one that is not used any more lapses.

use super::frames::{by_channel, channel_data};
use super::stun::{StunMessage, StunRequest, TransactionId, attribute, kind};
use md5::{Digest, Md5};
use perch_base::secret::{Secret, random_bytes};
use perch_base::time::MonoTime;
use perch_domain::relay::{IceFailure, MAX_RELAY_PEERS, PEER_IS_USED_FOR, REFUSED_PEER_RESTS, RENEW_PEER_AFTER};
use std::net::SocketAddr;
use std::time::Duration;

/// The first answer is waited for so long, each next one twice that.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// How often a request is sent by datagrams before it is given up.
const MOST_SENT: u32 = 5;
/// How long a request by a stream is waited for: as long as one by datagrams.
const STREAM_WAIT: Duration = Duration::from_millis(7750);
/// A channel lives so long (RFC 8656, section 12), and its number is not another peer's for half of that after.
const CHANNEL_LIVES: Duration = Duration::from_secs(600);
const CHANNEL_RESTS: Duration = Duration::from_secs(300);
/// A peer whose channel was not answered about is tried again after this.
const SILENT_PEER_RESTS: Duration = Duration::from_secs(5);
/// Refreshed so long before it lapses.
const REFRESH_BEFORE: Duration = Duration::from_secs(60);
/// Nonces that may turn out to be stale for one request, so that no server has us run in a circle.
const MOST_NONCES: u32 = 3;
const CHANNELS: std::ops::RangeInclusive<u16> = 0x4000..=0x4fff;

/// Where it is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllocationPhase {
    /// It is asked for.
    Asking,
    /// It relays.
    Held,
    /// It was given back.
    GivenBack,
    /// It is over, or never began.
    Over(IceFailure),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Allocate,
    Refresh,
    Bind(u16),
    GiveBack,
}

#[derive(Debug)]
struct Asked {
    id: TransactionId,
    purpose: Purpose,
    sent: u32,
    stale: u32,
    next: MonoTime,
    message: Vec<u8>,
}

#[derive(Debug)]
struct Channel {
    number: u16,
    peer: SocketAddr,
    bound_at: Option<MonoTime>,
    used_at: MonoTime,
    again_at: MonoTime,
    asked: bool,
}

impl Channel {
    fn is_open(&self, now: MonoTime) -> bool {
        self.bound_at.is_some_and(|at| now.since(at) < CHANNEL_LIVES / 2)
    }

    /// Whether its number and its peer still belong together at the server.
    fn is_kept(&self, now: MonoTime) -> bool {
        match self.bound_at {
            Some(at) => now.since(at) < CHANNEL_LIVES + CHANNEL_RESTS,
            None => self.asked || now < self.again_at,
        }
    }
}

/// One allocation.
#[derive(Debug)]
pub struct Allocation {
    /// By name and password; those that are tried next come after.
    credentials: Vec<(String, Secret)>,
    is_stream: bool,
    phase: AllocationPhase,
    realm: Vec<u8>,
    nonce: Vec<u8>,
    key: Option<Vec<u8>>,
    relayed: Option<SocketAddr>,
    refresh_at: MonoTime,
    asked: Vec<Asked>,
    channels: Vec<Channel>,
    next_channel: u16,
    out: Vec<Vec<u8>>,
}

impl Allocation {
    /// Asks for one, with the first of these credentials that is taken.
    pub fn ask(credentials: Vec<(String, Secret)>, is_stream: bool, now: MonoTime) -> Self {
        let mut allocation = Self {
            credentials,
            is_stream,
            phase: AllocationPhase::Asking,
            realm: Vec::new(),
            nonce: Vec::new(),
            key: None,
            relayed: None,
            refresh_at: now,
            asked: Vec::new(),
            channels: Vec::new(),
            next_channel: *CHANNELS.start(),
            out: Vec::new(),
        };
        allocation.request(Purpose::Allocate, 0, now);
        allocation
    }

    /// Where it is in its life.
    pub fn phase(&self) -> &AllocationPhase {
        &self.phase
    }

    /// The relayed address, once it is held.
    pub fn relayed(&self) -> Option<SocketAddr> {
        self.relayed
    }

    /// Whether nothing was sent by it for a while.
    pub fn is_idle(&self, now: MonoTime) -> bool {
        self.channels.iter().all(|channel| now.since(channel.used_at) >= PEER_IS_USED_FOR)
    }

    /// Takes what is to be sent to the server, a frame each.
    pub fn take_out(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.out)
    }

    /// When [`Self::tick`] is due.
    pub fn due(&self) -> MonoTime {
        let asked = self.asked.iter().map(|asked| asked.next).min();
        let refresh = (self.phase == AllocationPhase::Held).then_some(self.refresh_at);
        let opened = |c: &Channel| c.bound_at.filter(|_| !c.asked).map(|at| at + RENEW_PEER_AFTER);
        let renewed = self.channels.iter().filter_map(opened).min();
        let due = asked.into_iter().chain(refresh).chain(renewed).min();
        due.unwrap_or(MonoTime(i64::MAX))
    }

    /// Does what is due.
    pub fn tick(&mut self, now: MonoTime) {
        let (is_stream, mut late) = (self.is_stream, Vec::new());
        for asked in self.asked.iter_mut().filter(|asked| asked.next <= now) {
            if is_stream || asked.sent >= MOST_SENT {
                late.push(asked.id);
            } else {
                asked.next = now + FIRST_WAIT * 2u32.pow(asked.sent);
                asked.sent += 1;
                self.out.push(asked.message.clone());
            }
        }
        for id in late {
            if let Some(asked) = self.take_asked(&id) {
                self.refused(asked.purpose, IceFailure::Silent, now);
            }
        }
        if self.phase != AllocationPhase::Held {
            return;
        }
        if self.refresh_at <= now && !self.is_asked(Purpose::Refresh) {
            self.request(Purpose::Refresh, 0, now);
        }
        self.channels.retain(|channel| channel.is_kept(now));
        let is_due = |c: &Channel| {
            let is_old = c.bound_at.is_some_and(|at| now.since(at) >= RENEW_PEER_AFTER);
            is_old && !c.asked && c.again_at <= now && now.since(c.used_at) < PEER_IS_USED_FOR
        };
        let due: Vec<u16> = self.channels.iter().filter(|c| is_due(c)).map(|c| c.number).collect();
        for number in due {
            self.bind(number, now);
        }
    }

    /// Sends `data` to a peer, if it is let through already; else that is asked for, and `data` is lost, as any datagram may be.
    pub fn send(&mut self, peer: SocketAddr, data: &[u8], now: MonoTime) {
        if self.phase != AllocationPhase::Held {
            return;
        }
        let Some(channel) = self.channels.iter_mut().find(|channel| channel.peer == peer) else {
            return self.open(peer, now);
        };
        channel.used_at = now;
        let (number, is_open) = (channel.number, channel.is_open(now));
        let may_ask = !channel.asked && channel.again_at <= now;
        if is_open {
            self.out.push(by_channel(number, data, self.is_stream));
        } else if may_ask {
            self.bind(number, now);
        }
    }

    fn open(&mut self, peer: SocketAddr, now: MonoTime) {
        self.channels.retain(|channel| channel.is_kept(now));
        let is_like_ours = self.relayed.is_some_and(|relayed| relayed.is_ipv4() == peer.is_ipv4());
        if self.channels.len() >= MAX_RELAY_PEERS || !is_like_ours {
            return;
        }
        let number = self.next_channel;
        self.next_channel = if number == *CHANNELS.end() { *CHANNELS.start() } else { number + 1 };
        let channel = Channel { number, peer, bound_at: None, used_at: now, again_at: now, asked: false };
        self.channels.push(channel);
        self.bind(number, now);
    }

    fn bind(&mut self, number: u16, now: MonoTime) {
        if let Some(channel) = self.channels.iter_mut().find(|channel| channel.number == number) {
            channel.asked = true;
            self.request(Purpose::Bind(number), 0, now);
        }
    }

    /// Takes a frame of the server. `Some`: what a peer sent by it.
    pub fn receive<'a>(&mut self, frame: &'a [u8], now: MonoTime) -> Option<(SocketAddr, &'a [u8])> {
        if let Some((number, data)) = channel_data(frame) {
            let channel = self.channels.iter().find(|channel| channel.number == number)?;
            return Some((channel.peer, data));
        }
        let message = StunMessage::read(frame)?;
        if message.kind == kind::DATA {
            return Some((message.address(attribute::PEER)?, message.get(attribute::DATA)?));
        }
        let asked = self.take_asked(&message.id)?;
        match message.error_code() {
            Some(code) => self.failed(asked, code, &message, now),
            None if self.key.as_ref().is_none_or(|key| message.is_signed(key)) => self.done(&asked, &message, now),
            // Somebody else's word.
            None => self.asked.push(asked),
        }
        None
    }

    /// Gives it back.
    pub fn give_back(&mut self, now: MonoTime) {
        if self.phase == AllocationPhase::Held {
            self.asked.clear();
            self.request(Purpose::GiveBack, 0, now);
        }
    }

    fn done(&mut self, asked: &Asked, message: &StunMessage<'_>, now: MonoTime) {
        let lifetime = || Duration::from_secs(message.number(attribute::LIFETIME).unwrap_or(600).into());
        match asked.purpose {
            Purpose::Allocate => {
                let Some(relayed) = message.address(attribute::RELAYED) else {
                    self.phase = AllocationPhase::Over(IceFailure::Nonsense);
                    return;
                };
                self.relayed = Some(relayed);
                self.refresh_at = now + refresh_after(lifetime());
                self.phase = AllocationPhase::Held;
            }
            Purpose::Refresh => self.refresh_at = now + refresh_after(lifetime()),
            Purpose::Bind(number) => {
                if let Some(channel) = self.channels.iter_mut().find(|channel| channel.number == number) {
                    (channel.asked, channel.bound_at) = (false, Some(now));
                }
            }
            Purpose::GiveBack => self.phase = AllocationPhase::GivenBack,
        }
    }

    fn failed(&mut self, asked: Asked, code: u16, message: &StunMessage<'_>, now: MonoTime) {
        let (realm, nonce) = (message.get(attribute::REALM), message.get(attribute::NONCE));
        match (code, nonce) {
            // Who asks is wanted to be known, for the first time or with the next credentials.
            (401, Some(nonce)) if asked.purpose == Purpose::Allocate && !self.credentials.is_empty() => {
                let (user, word) = match self.key {
                    None => self.credentials[0].clone(),
                    Some(_) => {
                        self.credentials.remove(0);
                        match self.credentials.first() {
                            Some(next) => next.clone(),
                            None => return self.refused(asked.purpose, IceFailure::Unauthorized, now),
                        }
                    }
                };
                self.realm = realm.unwrap_or(&self.realm).to_vec();
                self.nonce = nonce.to_vec();
                let text = [user.as_bytes(), b":", &self.realm, b":", word.expose().as_bytes()].concat();
                self.key = Some(Md5::digest(&text).to_vec());
                self.request(asked.purpose, 0, now);
            }
            (438, Some(nonce)) if asked.stale < MOST_NONCES => {
                self.nonce = nonce.to_vec();
                self.request(asked.purpose, asked.stale + 1, now);
            }
            (401 | 441, _) => self.refused(asked.purpose, IceFailure::Unauthorized, now),
            (486 | 508, _) => self.refused(asked.purpose, IceFailure::Full, now),
            _ => self.refused(asked.purpose, IceFailure::Refused(code), now),
        }
    }

    fn refused(&mut self, purpose: Purpose, why: IceFailure, now: MonoTime) {
        match purpose {
            Purpose::Allocate | Purpose::Refresh => self.phase = AllocationPhase::Over(why),
            Purpose::GiveBack => self.phase = AllocationPhase::GivenBack,
            Purpose::Bind(number) => {
                let rest = if why == IceFailure::Silent { SILENT_PEER_RESTS } else { REFUSED_PEER_RESTS };
                if let Some(channel) = self.channels.iter_mut().find(|channel| channel.number == number) {
                    (channel.asked, channel.again_at) = (false, now + rest);
                }
            }
        }
    }

    fn request(&mut self, purpose: Purpose, stale: u32, now: MonoTime) {
        let id = random_bytes();
        let request = match purpose {
            // UDP is relayed (RFC 8656, section 18.7).
            Purpose::Allocate => StunRequest::new(kind::ALLOCATE, id).with(attribute::TRANSPORT, &[17, 0, 0, 0]),
            Purpose::Refresh => StunRequest::new(kind::REFRESH, id),
            Purpose::GiveBack => StunRequest::new(kind::REFRESH, id).with(attribute::LIFETIME, &[0; 4]),
            Purpose::Bind(number) => {
                let Some(channel) = self.channels.iter().find(|channel| channel.number == number) else { return };
                let [high, low] = number.to_be_bytes();
                let request =
                    StunRequest::new(kind::CHANNEL_BIND, id).with(attribute::CHANNEL_NUMBER, &[high, low, 0, 0]);
                request.with_address(attribute::PEER, channel.peer)
            }
        };
        let message = match (&self.key, self.credentials.first()) {
            (Some(key), Some((user, _))) => {
                let request = request.with(attribute::USERNAME, user.as_bytes());
                request.with(attribute::REALM, &self.realm).with(attribute::NONCE, &self.nonce).signed(key)
            }
            _ => request.done(),
        };
        let wait = if self.is_stream { STREAM_WAIT } else { FIRST_WAIT };
        self.out.push(message.clone());
        self.asked.push(Asked { id, purpose, sent: 1, stale, next: now + wait, message });
    }

    fn is_asked(&self, purpose: Purpose) -> bool {
        self.asked.iter().any(|asked| asked.purpose == purpose)
    }

    fn take_asked(&mut self, id: &TransactionId) -> Option<Asked> {
        let at = self.asked.iter().position(|asked| asked.id == *id)?;
        Some(self.asked.swap_remove(at))
    }
}

fn refresh_after(lifetime: Duration) -> Duration {
    lifetime.saturating_sub(REFRESH_BEFORE).max(lifetime / 2).max(Duration::from_secs(1))
}

#[cfg(test)]
#[path = "allocation_tests.rs"]
mod tests;
