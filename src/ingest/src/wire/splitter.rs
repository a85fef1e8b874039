//! From a camera's byte stream to messages and interleaved packets (RFC 2326 10.12), found again behind foreign bytes. Whoever reads
//! appends to [`Splitter::buffer`]; packets leave it without a copy.

use super::message::{Message, Start};
use bytes::{Buf, Bytes, BytesMut};

/// Bytes of a head that are waited for.
const LONGEST_HEAD: usize = 32 * 1024;
/// Bytes of a body that are taken.
const LONGEST_BODY: usize = 1024 * 1024;
/// Bytes of a first line that are waited for.
const LONGEST_START: usize = 4 * 1024;
/// Channel, length.
const FRAME_HEAD: usize = 4;
/// Bytes of a packet that are looked at: an RTP header (RFC 3550 5.1).
const PACKET_HEAD: usize = 12;
/// What is left to be read into before new room is made, and how much that is.
const ROOM_LEFT: usize = 8 * 1024;
const ROOM: usize = 64 * 1024;

/// What a packet's channel and first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// A packet of that channel.
    Good,
    /// A known channel, but no packet that belongs there.
    Foreign,
    /// Nobody knows the channel.
    Unknown,
}

/// Says what a packet looks like, from its channel and its first bytes: at least 12, or all it has.
pub(crate) type Ask<'a> = dyn Fn(u8, &[u8]) -> Fit + 'a;

/// A piece of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// An answer or a request.
    Message(Message),
    /// A packet.
    Packet {
        /// Its channel.
        channel: u8,
        /// What it carries.
        data: Bytes,
    },
}

/// What a body ends with.
#[derive(Debug)]
enum Body {
    /// So many bytes.
    Length(usize),
    /// What is no line of an SDP: its length was not said.
    Lines,
}

/// What stands at a place.
enum Look {
    /// A packet that belongs here, with its whole length.
    Frame(usize),
    /// Too few bytes to say.
    Short,
    /// Something else.
    No,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    buffer: BytesMut,
    /// A head whose body is awaited.
    head: Option<(Message, Body)>,
    /// Foreign bytes were met: a packet must look good to be believed.
    is_lost: bool,
    /// Bytes that belong to nothing, and times they were met.
    foreign: (u64, u64),
}

impl Splitter {
    /// Where the next bytes go: always with some room.
    pub fn buffer(&mut self) -> &mut BytesMut {
        if self.buffer.capacity() - self.buffer.len() < ROOM_LEFT {
            self.buffer.reserve(ROOM);
        }
        &mut self.buffer
    }

    /// Whether something has begun that is not whole.
    pub fn is_waiting(&self) -> bool {
        self.head.is_some() || !self.buffer.is_empty()
    }

    /// Whether a message's body is awaited.
    pub fn is_in_body(&self) -> bool {
        self.head.is_some()
    }

    /// Whether that body's end is only found by what follows, or by silence.
    pub fn is_open_ended(&self) -> bool {
        matches!(self.head, Some((_, Body::Lines)))
    }

    /// Foreign bytes so far, and how many times some were met.
    pub fn foreign(&self) -> (u64, u64) {
        self.foreign
    }

    /// Forgets everything: a new connection.
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.head = None;
        self.is_lost = false;
    }

    /// The body that is awaited, as far as it came: nothing more will.
    pub fn cut_body(&mut self) -> Option<Message> {
        let (mut message, _) = self.head.take()?;
        message.body = self.take_bytes(self.buffer.len());
        Some(message)
    }

    /// The next piece, if it is whole.
    pub fn next(&mut self, ask: &Ask<'_>) -> Option<Piece> {
        self.step(ask, false)
    }

    /// The next piece after what stands first did not become whole for a long time: it is given up for whatever is found behind it.
    pub fn unstick(&mut self, ask: &Ask<'_>) -> Option<Piece> {
        self.step(ask, true)
    }

    fn step(&mut self, ask: &Ask<'_>, mut is_stuck: bool) -> Option<Piece> {
        loop {
            if self.head.is_some() {
                return self.body(ask).map(Piece::Message);
            }
            let breaks = self.buffer.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
            self.buffer.advance(breaks);
            let first = *self.buffer.first()?;
            if first == b'$' {
                match self.frame(ask, is_stuck) {
                    Frame::Whole(channel, length) => {
                        self.is_lost = false;
                        self.buffer.advance(FRAME_HEAD);
                        let data = self.take_bytes(length);
                        return Some(Piece::Packet { channel, data });
                    }
                    Frame::Wait => return None,
                    Frame::Bad => {}
                }
            } else {
                match self.begins_message(0) {
                    Some(true) => match self.head_end() {
                        Some((end, next)) if self.take_head(end, next) => continue,
                        Some(_) => {}
                        None if self.buffer.len() < LONGEST_HEAD && !is_stuck => match self.chain(1, ask) {
                            Some(at) => {
                                self.skip(at);
                                continue;
                            }
                            None => return None,
                        },
                        None => {}
                    },
                    None if !is_stuck => return None,
                    _ => {}
                }
            }
            // Foreign bytes: on to the next that may begin something.
            is_stuck = false;
            if !self.resume(ask) {
                return None;
            }
        }
    }

    /// What stands at the front, where a `$` does.
    fn frame(&mut self, ask: &Ask<'_>, is_stuck: bool) -> Frame {
        let Some((channel, length)) = self.frame_head(0) else {
            return if is_stuck { Frame::Bad } else { Frame::Wait };
        };
        let whole = FRAME_HEAD + length;
        let shown = self.buffer.get(FRAME_HEAD..whole.min(self.buffer.len())).unwrap_or_default();
        if shown.len() < length.min(PACKET_HEAD) {
            return if is_stuck { Frame::Bad } else { Frame::Wait };
        }
        let is_good = ask(channel, shown) == Fit::Good;
        if self.buffer.len() < whole {
            // A length that nothing will fill must not swallow what follows: at most it is long, and what it swallows looks good.
            if is_stuck || !is_good {
                if self.is_lost && !is_good {
                    return Frame::Bad;
                }
                if let Some(at) = self.chain(1, ask) {
                    self.skip(at);
                    return self.frame(ask, false);
                }
            }
            return if is_stuck { Frame::Bad } else { Frame::Wait };
        }
        // Makers' own packets on a channel that was not agreed come several at once.
        let is_next = self.may_begin(whole, ask) || !is_good && self.buffer.get(whole) == Some(&b'$');
        let ends_well = self.buffer.len() == whole || is_next;
        if ends_well && (is_good || !self.is_lost) {
            return Frame::Whole(channel, length);
        }
        if let Some(at) = self.chain(1, ask).filter(|at| *at < whole) {
            // The packet was cut short, or its head was none: others begin inside.
            self.skip(at);
            return self.frame(ask, false);
        }
        if is_good { Frame::Whole(channel, length) } else { Frame::Bad }
    }

    /// Channel and length behind a `$`.
    fn frame_head(&self, at: usize) -> Option<(u8, usize)> {
        match self.buffer.get(at..at + FRAME_HEAD)? {
            [b'$', channel, high, low] => Some((*channel, usize::from(u16::from_be_bytes([*high, *low])))),
            _ => None,
        }
    }

    /// Whether a packet that belongs here begins at a place.
    fn look(&self, at: usize, ask: &Ask<'_>) -> Look {
        match self.buffer.get(at) {
            None => return Look::Short,
            Some(b'$') => {}
            Some(_) => return Look::No,
        }
        let Some((channel, length)) = self.frame_head(at) else { return Look::Short };
        let from = at + FRAME_HEAD;
        let shown = self.buffer.get(from..(from + length).min(self.buffer.len())).unwrap_or_default();
        if length < 4 {
            return Look::No;
        }
        if shown.len() < length.min(PACKET_HEAD) {
            return if ask(channel, &[]) == Fit::Unknown { Look::No } else { Look::Short };
        }
        if ask(channel, shown) == Fit::Good { Look::Frame(FRAME_HEAD + length) } else { Look::No }
    }

    /// Whether a place may be the beginning of something: cheap, for where a packet ends.
    fn may_begin(&self, at: usize, ask: &Ask<'_>) -> bool {
        match self.buffer.get(at) {
            Some(b'$') => self.buffer.get(at + 1).is_none_or(|channel| ask(*channel, &[]) != Fit::Unknown),
            Some(b'\r' | b'\n') => true,
            _ => self.begins_message(at) != Some(false),
        }
    }

    /// The first place from `from` on where two packets that belong here follow each other, or one ends with the buffer.
    fn chain(&self, from: usize, ask: &Ask<'_>) -> Option<usize> {
        let mut at = from;
        loop {
            at += self.buffer.get(at..)?.iter().position(|b| *b == b'$')?;
            if let Look::Frame(whole) = self.look(at, ask) {
                let end = at + whole;
                if end == self.buffer.len() || end < self.buffer.len() && !matches!(self.look(end, ask), Look::No) {
                    return Some(at);
                }
            }
            at += 1;
        }
    }

    /// Goes on behind foreign bytes, to what may begin something. False: nothing in the buffer does.
    fn resume(&mut self, ask: &Ask<'_>) -> bool {
        let mut at = 1;
        while at < self.buffer.len() {
            let may = match self.buffer.get(at) {
                Some(b'$') => !matches!(self.look(at, ask), Look::No),
                // A message stands at the beginning of a line, or behind something foreign that ends in none.
                Some(b'R' | b'r' | b'H') => self.begins_message(at) != Some(false),
                Some(b'A'..=b'Z') if matches!(self.buffer.get(at - 1), Some(b'\n')) => {
                    self.begins_message(at) != Some(false)
                }
                _ => false,
            };
            if may {
                break;
            }
            at += 1;
        }
        self.skip(at.min(self.buffer.len()));
        !self.buffer.is_empty()
    }

    /// Leaves foreign bytes out.
    fn skip(&mut self, count: usize) {
        self.buffer.advance(count.min(self.buffer.len()));
        self.foreign.0 = self.foreign.0.saturating_add(count as u64);
        if !self.is_lost {
            self.foreign.1 = self.foreign.1.saturating_add(1);
        }
        self.is_lost = true;
    }

    fn take_bytes(&mut self, count: usize) -> Bytes {
        self.buffer.split_to(count.min(self.buffer.len())).freeze()
    }

    /// Whether the first line of a message stands at a place; `None`: it cannot be said yet.
    fn begins_message(&self, at: usize) -> Option<bool> {
        let text = self.buffer.get(at..).unwrap_or_default();
        for name in ["RTSP/", "HTTP/"] {
            let n = text.len().min(name.len());
            if text.get(..n).is_some_and(|t| t.eq_ignore_ascii_case(&name.as_bytes()[..n])) {
                if n == name.len() {
                    return Some(true);
                }
                return None;
            }
        }
        // A request: METHOD URL RTSP/1.0
        let method = text.iter().take_while(|b| b.is_ascii_uppercase() || **b == b'_').count();
        if method > 20 || text.is_empty() {
            return Some(false);
        }
        match text.get(method) {
            None => return None,
            Some(b' ') if method >= 3 => {}
            Some(_) => return Some(false),
        }
        let line = text.iter().take(LONGEST_START).position(|b| *b < b' ' || *b > b'~');
        match line {
            None if text.len() < LONGEST_START => None,
            None => Some(false),
            Some(end) => {
                let is_end = matches!(text.get(end), Some(b'\r' | b'\n'));
                Some(is_end && text[..end].windows(6).any(|w| w.eq_ignore_ascii_case(b" RTSP/")))
            }
        }
    }

    /// Where the head at the front ends, and where what follows begins: behind an empty line, or where something else begins, as some
    /// cameras leave that line out.
    fn head_end(&self) -> Option<(usize, usize)> {
        let text = self.buffer.get(..self.buffer.len().min(LONGEST_HEAD))?;
        let mut at = 0;
        loop {
            at += text.get(at..)?.iter().position(|b| *b == b'\n')? + 1;
            let rest = text.get(at..)?;
            let blank = match rest {
                [b'\n', ..] => 1,
                [b'\r', b'\n', ..] => 2,
                [b'\r', b'\r', b'\n', ..] => 3,
                [b'$', ..] => return Some((at, at)),
                _ if rest.get(..5).is_some_and(|r| r.eq_ignore_ascii_case(b"RTSP/")) => return Some((at, at)),
                _ => continue,
            };
            return Some((at, at + blank));
        }
    }

    /// Takes a head, and makes ready for its body. False: it is none.
    fn take_head(&mut self, end: usize, next: usize) -> bool {
        let Some(mut message) = self.buffer.get(..end).and_then(Message::parse) else { return false };
        self.buffer.advance(next);
        self.is_lost = false;
        let body = match (message.content_length(), &message.start) {
            // It is not waited for: whatever of it comes is foreign.
            (Some(n), _) if n > LONGEST_BODY => {
                message.too_large = true;
                Body::Length(0)
            }
            (Some(n), _) => Body::Length(n),
            (None, Start::Response(200..=299)) if message.is_sdp() => Body::Lines,
            (None, _) => Body::Length(0),
        };
        self.head = Some((message, body));
        true
    }

    /// The message whose body is awaited, if that is whole.
    fn body(&mut self, ask: &Ask<'_>) -> Option<Message> {
        let (mut message, body) = self.head.take()?;
        let length = match body {
            Body::Length(length) => length,
            Body::Lines => match sdp_end(&self.buffer) {
                Some(end) => end,
                None if self.buffer.len() > LONGEST_BODY => {
                    message.too_large = true;
                    0
                }
                None => {
                    self.head = Some((message, Body::Lines));
                    return None;
                }
            },
        };
        if length > 0 && !message.is_sdp() {
            match self.look(0, ask) {
                // A length without a body: the next packet stands in its place.
                Look::Frame(_) => return Some(message),
                Look::Short => {
                    self.head = Some((message, Body::Length(length)));
                    return None;
                }
                Look::No => {}
            }
        }
        if self.buffer.len() < length {
            self.head = Some((message, Body::Length(length)));
            return None;
        }
        message.body = self.take_bytes(length);
        Some(message)
    }
}

/// What a `$` at the front begins.
enum Frame {
    Whole(u8, usize),
    Wait,
    Bad,
}

/// Where lines of an SDP end: at the first that is none. `None`: they may go on.
fn sdp_end(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|r| !r.is_empty()) {
        let blank = rest.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        let rest = rest.get(blank..)?;
        match rest {
            [] | [_] => return None,
            [kind, b'=', ..] if kind.is_ascii_lowercase() => {}
            _ => return Some(at + blank),
        }
        at += blank + rest.iter().position(|b| matches!(b, b'\r' | b'\n'))?;
    }
    None
}

#[cfg(test)]
#[path = "splitter_tests.rs"]
mod tests;
