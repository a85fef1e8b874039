//! From a camera's byte stream to messages and interleaved packets (RFC 2326 10.12), found again behind foreign bytes. Whoever reads
//! appends to [`Splitter::buffer`]; packets leave it without a copy.

use super::message::{Message, Start};
use bytes::{Buf, Bytes, BytesMut};

/// Bytes of a head that are waited for.
const LONGEST_HEAD: usize = 32 * 1024;
/// Bytes of a body that are taken.
const LONGEST_BODY: usize = 1024 * 1024;
/// Bytes of a first line that are waited for, and of a method.
const LONGEST_START: usize = 4 * 1024;
const LONGEST_METHOD: usize = 20;
/// Bytes behind which it is seen whether an answer's first line has a status.
const LONGEST_STATUS: usize = 24;
/// Bytes at the end of which it cannot be said yet whether a head ends there.
const HEAD_END: usize = 8;
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
    Lines(Lines),
}

/// How far the lines of an SDP were looked at.
#[derive(Clone, Copy, Debug, Default)]
struct Lines {
    /// Bytes of whole lines, and bytes in which the end of the next one was looked for.
    whole: usize,
    searched: usize,
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
    /// So many bytes from the front on were searched: no head ends there, and no two packets follow each other. They are not searched
    /// again, however often something that may begin there turns out to be none.
    headless: usize,
    chainless: usize,
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
        matches!(self.head, Some((_, Body::Lines(_))))
    }

    /// Foreign bytes so far, and how many times some were met.
    pub fn foreign(&self) -> (u64, u64) {
        self.foreign
    }

    /// Forgets everything: a new connection.
    pub fn clear(&mut self) {
        self.advance(self.buffer.len());
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
            self.advance(breaks);
            let first = *self.buffer.first()?;
            if first == b'$' {
                match self.frame(ask, is_stuck) {
                    Frame::Whole(channel, length) => {
                        self.is_lost = false;
                        self.advance(FRAME_HEAD);
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
                        None if self.buffer.len() < LONGEST_HEAD && !is_stuck => {
                            match self.chain(LONGEST_HEAD, false, ask) {
                                Some(at) => {
                                    self.skip(at);
                                    continue;
                                }
                                None => return None,
                            }
                        }
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
                if let Some(at) = self.chain(whole, is_stuck, ask) {
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
        if let Some(at) = self.chain(whole, false, ask) {
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

    /// The first place behind the front and before `until` where two packets that belong here follow each other, or one ends with the
    /// buffer. A packet that is not whole yet is waited for: what stands behind it is looked at `through` it only.
    fn chain(&mut self, until: usize, through: bool, ask: &Ask<'_>) -> Option<usize> {
        let until = until.min(self.buffer.len());
        let mut at = self.chainless.max(1);
        while at < until {
            at += self.buffer.get(at..until)?.iter().position(|b| *b == b'$').unwrap_or(until - at);
            if at == until {
                break;
            }
            let is_open = match self.look(at, ask) {
                Look::Frame(whole) if at + whole > self.buffer.len() => true,
                Look::Frame(whole) if at + whole == self.buffer.len() => return Some(at),
                Look::Frame(whole) if !matches!(self.look(at + whole, ask), Look::No) => return Some(at),
                Look::Frame(_) | Look::No => false,
                Look::Short => true,
            };
            if is_open && !through {
                break;
            }
            at += 1;
        }
        if !through {
            self.chainless = self.chainless.max(at);
        }
        None
    }

    /// Goes on behind foreign bytes, to what may begin something. False: nothing in the buffer does.
    fn resume(&mut self, ask: &Ask<'_>) -> bool {
        let mut at = 1;
        while at < self.buffer.len() {
            let may = match self.buffer.get(at) {
                Some(b'$') => !matches!(self.look(at, ask), Look::No),
                // A message stands at the beginning of a line, or behind something foreign that ends in none.
                Some(b'R' | b'r' | b'H') if self.begins_answer(at) != Some(false) => true,
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
        self.advance(count);
        self.foreign.0 = self.foreign.0.saturating_add(count as u64);
        if !self.is_lost {
            self.foreign.1 = self.foreign.1.saturating_add(1);
        }
        self.is_lost = true;
    }

    fn take_bytes(&mut self, count: usize) -> Bytes {
        let count = count.min(self.buffer.len());
        self.searched(count);
        self.buffer.split_to(count).freeze()
    }

    fn advance(&mut self, count: usize) {
        let count = count.min(self.buffer.len());
        self.searched(count);
        self.buffer.advance(count);
    }

    /// So many bytes leave the front.
    fn searched(&mut self, count: usize) {
        self.headless = self.headless.saturating_sub(count);
        self.chainless = self.chainless.saturating_sub(count);
    }

    /// Whether the first line of an answer stands at a place; `None`: it cannot be said yet. Few bytes are looked at.
    fn begins_answer(&self, at: usize) -> Option<bool> {
        let text = self.buffer.get(at..).unwrap_or_default();
        let text = text.get(..LONGEST_STATUS).unwrap_or(text);
        let is_name = |name: &[u8]| {
            let n = text.len().min(name.len());
            text.get(..n).is_some_and(|text| name.get(..n).is_some_and(|name| text.eq_ignore_ascii_case(name)))
        };
        if !is_name(b"RTSP/") && !is_name(b"HTTP/") {
            return Some(false);
        }
        // A version, and three digits: what a message is read by.
        let mut words = text.splitn(2, |b| matches!(b, b' ' | b'\t'));
        let (version, rest) = (words.next()?, words.next());
        if version.iter().any(|b| !b.is_ascii_graphic()) {
            return Some(false);
        }
        let Some(rest) = rest else { return if text.len() < LONGEST_STATUS { None } else { Some(false) } };
        let blanks = rest.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        let digits = rest.get(blanks..).unwrap_or_default();
        let status = digits.get(..3).unwrap_or(digits);
        if !status.iter().all(u8::is_ascii_digit) || status.first() == Some(&b'0') {
            return Some(false);
        }
        match status.len() {
            3 => Some(true),
            _ if text.len() < LONGEST_STATUS => None,
            _ => Some(false),
        }
    }

    /// Whether the first line of a message stands at a place; `None`: it cannot be said yet.
    fn begins_message(&self, at: usize) -> Option<bool> {
        match self.begins_answer(at) {
            Some(false) => {}
            is_answer => return is_answer,
        }
        let text = self.buffer.get(at..).unwrap_or_default();
        // A request: METHOD URL RTSP/1.0
        let is_method = |b: &&u8| b.is_ascii_uppercase() || **b == b'_';
        let method = text.iter().take(LONGEST_METHOD + 1).take_while(is_method).count();
        if method > LONGEST_METHOD || text.is_empty() {
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
    fn head_end(&mut self) -> Option<(usize, usize)> {
        let text = self.buffer.get(..self.buffer.len().min(LONGEST_HEAD))?;
        let mut at = self.headless;
        self.headless = at.max(text.len().saturating_sub(HEAD_END));
        loop {
            at += text.get(at..)?.iter().position(|b| *b == b'\n')? + 1;
            let rest = text.get(at..)?;
            let blank = match rest {
                [b'\n', ..] => 1,
                [b'\r', b'\n', ..] => 2,
                [b'\r', b'\r', b'\n', ..] => 3,
                [b'$', ..] => 0,
                _ if rest.get(..5).is_some_and(|r| r.eq_ignore_ascii_case(b"RTSP/")) => 0,
                _ => continue,
            };
            self.headless = at - 1;
            return Some((at, at + blank));
        }
    }

    /// Takes a head, and makes ready for its body. False: it is none.
    fn take_head(&mut self, end: usize, next: usize) -> bool {
        let Some(mut message) = self.buffer.get(..end).and_then(Message::parse) else { return false };
        self.advance(next);
        self.is_lost = false;
        let body = match (message.content_length(), &message.start) {
            // It is not waited for: whatever of it comes is foreign.
            (Some(n), _) if n > LONGEST_BODY => {
                message.too_large = true;
                Body::Length(0)
            }
            (Some(n), _) => Body::Length(n),
            (None, Start::Response(200..=299)) if message.is_sdp() => Body::Lines(Lines::default()),
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
            Body::Lines(mut lines) => match lines.end(&self.buffer) {
                Some(end) => end,
                None if self.buffer.len() > LONGEST_BODY => {
                    message.too_large = true;
                    0
                }
                None => {
                    self.head = Some((message, Body::Lines(lines)));
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

impl Lines {
    /// Where they end: at the first that is none. `None`: they may go on.
    fn end(&mut self, text: &[u8]) -> Option<usize> {
        loop {
            let rest = text.get(self.whole..).unwrap_or_default();
            self.whole += rest.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
            match text.get(self.whole..).unwrap_or_default() {
                [] | [_] => return None,
                [kind, b'=', ..] if kind.is_ascii_lowercase() => {}
                _ => return Some(self.whole),
            }
            let from = self.whole.max(self.searched);
            self.searched = text.len();
            self.whole = from + text.get(from..)?.iter().position(|b| matches!(b, b'\r' | b'\n'))?;
            self.searched = self.whole;
        }
    }
}

#[cfg(test)]
#[path = "splitter_tests.rs"]
mod tests;
