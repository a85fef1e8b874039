//! What comes in the connection, in pieces, and what is given up because it never becomes whole.

use crate::wire::message::Message;
use crate::wire::splitter::{Ask, Piece, Splitter};
use bytes::BytesMut;
use perch_base::time::MonoTime;
use std::time::Duration;

/// A packet or head that is not whole after this time is given up.
const STUCK: Duration = Duration::from_secs(2);
/// A body is cut when nothing came for so long; one that only silence ends, sooner.
const QUIET_BODY: Duration = Duration::from_secs(4);
const QUIET_OPEN_BODY: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Inbound {
    splitter: Splitter,
    last_bytes: MonoTime,
    /// Since when what stands first is not whole.
    stuck_since: Option<MonoTime>,
}

impl Inbound {
    /// Where bytes go; [`Self::arrived`] follows.
    pub fn buffer(&mut self) -> &mut BytesMut {
        self.splitter.buffer()
    }

    /// Bytes were put into the buffer.
    pub fn arrived(&mut self, now: MonoTime) {
        self.last_bytes = now;
    }

    /// The next piece, if it is whole.
    pub fn next(&mut self, now: MonoTime, ask: &Ask<'_>) -> Option<Piece> {
        let piece = self.splitter.next(ask);
        let is_stuck = piece.is_none() && self.splitter.is_waiting();
        self.stuck_since = is_stuck.then(|| self.stuck_since.unwrap_or(now));
        piece
    }

    /// When what stands first is given up. A head comes as slowly as it likes before pictures do: there its request has a limit.
    pub fn stuck_at(&self, is_playing: bool) -> Option<MonoTime> {
        let since = self.stuck_since?;
        match (self.splitter.is_open_ended(), self.splitter.is_in_body()) {
            (true, _) => Some(self.last_bytes + QUIET_OPEN_BODY),
            (_, true) => Some(self.last_bytes + QUIET_BODY),
            _ => is_playing.then_some(since + STUCK),
        }
    }

    /// Gives up what stands first; a body is taken as far as it came.
    pub fn give_up(&mut self, ask: &Ask<'_>) -> Option<Piece> {
        self.stuck_since = None;
        match self.splitter.cut_body() {
            Some(message) => Some(Piece::Message(message)),
            None => self.splitter.unstick(ask),
        }
    }

    /// The body that was awaited, as far as it came: the connection is closed.
    pub fn cut_body(&mut self) -> Option<Message> {
        self.splitter.cut_body()
    }

    /// A new connection.
    pub fn clear(&mut self) {
        self.splitter.clear();
        self.stuck_since = None;
    }

    /// Foreign bytes so far, and how many times some were met.
    pub fn foreign(&self) -> (u64, u64) {
        self.splitter.foreign()
    }
}
