//! What one connection to the RTSP server is doing, and when it has to end: without a password, without playing, or stuck. Who has to
//! give way to others is decided in [`crate::admission`].

use perch_base::time::MonoTime;
use std::fmt;
use std::time::Duration;

/// How long a reader may take over what.
#[derive(Clone, Copy, Debug)]
pub struct ReaderLimits {
    /// To give a valid password.
    pub login: Duration,
    /// Between two requests once it signed in, while it does not play: a DESCRIBE alone holds an encoder.
    pub play: Duration,
    /// Without taking anything while it plays over its connection.
    pub stuck: Duration,
    /// A stream that has given nothing for so long gives a reader nothing to take.
    pub quiet: Duration,
    /// Wrong passwords.
    pub refusals: u32,
}

impl ReaderLimits {
    /// Of the RTSP server.
    pub const RTSP: Self = Self {
        login: Duration::from_secs(10),
        play: Duration::from_secs(60),
        // The server holds as much for a reader as ten seconds of packets.
        stuck: Duration::from_secs(10),
        quiet: Duration::from_secs(2),
        refusals: 8,
    };
}

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReaderFault {
    /// It gave no valid password in time.
    NoPassword,
    /// It gave too many wrong ones.
    WrongPasswords,
    /// It signed in and does not play.
    NotPlaying,
    /// What it plays will never give it anything again.
    StreamEnded,
    /// It plays and takes nothing.
    Stuck,
}

impl fmt::Display for ReaderFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPassword => "it gave no valid password",
            Self::WrongPasswords => "it gave too many wrong passwords",
            Self::NotPlaying => "it does not play",
            Self::StreamEnded => "its stream ended",
            Self::Stuck => "it stopped reading",
        })
    }
}

/// What is seen of a connection from outside.
#[derive(Clone, Copy, Debug)]
pub struct Sighting {
    /// Bytes that its peer acknowledged since it began; `None` where the system does not say.
    pub acked_bytes: Option<u64>,
    /// How long the stream that it plays has given nothing; `None`: that stream ended, or it plays none.
    pub stream_idle: Option<Duration>,
}

/// The machine of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    limits: ReaderLimits,
    since: MonoTime,
    asked_at: MonoTime,
    is_signed_in: bool,
    refusals: u32,
    playing: Option<Playing>,
}

#[derive(Clone, Copy, Debug)]
struct Playing {
    /// Its packets come over this connection, else over UDP, which nobody acknowledges.
    is_interleaved: bool,
    acked_bytes: u64,
    progress_at: MonoTime,
}

impl Reader {
    /// A connection that was accepted now.
    pub fn new(limits: ReaderLimits, now: MonoTime) -> Self {
        Self { limits, since: now, asked_at: now, is_signed_in: false, refusals: 0, playing: None }
    }

    /// A request came.
    pub fn asks(&mut self, now: MonoTime) {
        self.asked_at = now;
    }

    /// It gave a valid password.
    pub fn signs_in(&mut self) {
        self.is_signed_in = true;
    }

    /// It gave a wrong password. Says when it has to end for that.
    pub fn is_refused(&mut self) -> Option<ReaderFault> {
        self.refusals += 1;
        (self.refusals >= self.limits.refusals).then_some(ReaderFault::WrongPasswords)
    }

    /// It plays; `acked_bytes` as in [`Sighting`].
    pub fn plays(&mut self, is_interleaved: bool, acked_bytes: Option<u64>, now: MonoTime) {
        self.playing = Some(Playing { is_interleaved, acked_bytes: acked_bytes.unwrap_or(0), progress_at: now });
    }

    /// It plays no more; whether it did.
    pub fn rests(&mut self) -> bool {
        self.playing.take().is_some()
    }

    /// Whether it plays.
    pub fn is_playing(&self) -> bool {
        self.playing.is_some()
    }

    /// Whether it has to end, looked at each second or so.
    pub fn look(&mut self, seen: Sighting, now: MonoTime) -> Option<ReaderFault> {
        let limits = self.limits;
        if !self.is_signed_in && now.since(self.since) > limits.login {
            return Some(ReaderFault::NoPassword);
        }
        let Some(playing) = &mut self.playing else {
            return (now.since(self.asked_at) > limits.play).then_some(ReaderFault::NotPlaying);
        };
        let Some(stream_idle) = seen.stream_idle else { return Some(ReaderFault::StreamEnded) };
        let takes = seen.acked_bytes.is_none_or(|acked_bytes| acked_bytes > playing.acked_bytes);
        if takes || stream_idle > limits.quiet || !playing.is_interleaved {
            playing.acked_bytes = seen.acked_bytes.unwrap_or(0);
            playing.progress_at = now;
        }
        (now.since(playing.progress_at) > limits.stuck).then_some(ReaderFault::Stuck)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: ReaderLimits = ReaderLimits {
        login: Duration::from_secs(10),
        play: Duration::from_secs(60),
        stuck: Duration::from_secs(10),
        quiet: Duration::from_secs(2),
        refusals: 3,
    };

    fn s(seconds: i64) -> MonoTime {
        MonoTime(seconds * 1_000_000)
    }

    #[derive(Clone, Copy, Debug)]
    enum Does {
        Asks,
        SignsIn,
        Plays { is_interleaved: bool },
        Rests,
    }
    use Does::*;

    const TCP: Does = Plays { is_interleaved: true };
    const UDP: Does = Plays { is_interleaved: false };

    fn obey(reader: &mut Reader, does: Does, now: MonoTime) {
        match does {
            Asks => reader.asks(now),
            SignsIn => reader.signs_in(),
            Plays { is_interleaved } => reader.plays(is_interleaved, Some(0), now),
            Rests => drop(reader.rests()),
        }
    }

    #[test]
    fn when_a_reader_ends() {
        use ReaderFault::*;
        /// What it did at which second, what is seen of it at second `t`, and the first fault.
        type Row = (&'static str, &'static [(i64, Does)], fn(u64) -> Sighting, Option<(i64, ReaderFault)>);
        let takes: fn(u64) -> Sighting =
            |t| Sighting { acked_bytes: Some(t * 1000 + 1), stream_idle: Some(Duration::ZERO) };
        let takes_nothing: fn(u64) -> Sighting =
            |_| Sighting { acked_bytes: Some(0), stream_idle: Some(Duration::ZERO) };
        let takes_until_20: fn(u64) -> Sighting =
            |t| Sighting { acked_bytes: Some(t.min(20) * 1000), stream_idle: Some(Duration::ZERO) };
        let camera_is_down: fn(u64) -> Sighting =
            |_| Sighting { acked_bytes: Some(0), stream_idle: Some(Duration::from_secs(9)) };
        let nobody_knows: fn(u64) -> Sighting = |_| Sighting { acked_bytes: None, stream_idle: Some(Duration::ZERO) };
        let ends_at_30: fn(u64) -> Sighting =
            |t| Sighting { acked_bytes: Some(t), stream_idle: (t < 30).then_some(Duration::ZERO) };
        let rows: &[Row] = &[
            ("silent", &[], takes, Some((11, NoPassword))),
            ("asks on without a password", &[(3, Asks), (8, Asks)], takes, Some((11, NoPassword))),
            ("signs in and says no more", &[(4, Asks), (4, SignsIn)], takes, Some((65, NotPlaying))),
            ("each request gives it time", &[(4, SignsIn), (50, Asks)], takes, Some((111, NotPlaying))),
            ("reads", &[(1, SignsIn), (2, TCP)], takes, None),
            ("never reads", &[(1, SignsIn), (2, TCP)], takes_nothing, Some((13, Stuck))),
            ("stops reading", &[(1, SignsIn), (2, TCP)], takes_until_20, Some((31, Stuck))),
            ("over UDP", &[(1, SignsIn), (2, UDP)], takes_nothing, None),
            ("its camera is down", &[(1, SignsIn), (2, TCP)], camera_is_down, None),
            ("the system does not say", &[(1, SignsIn), (2, TCP)], nobody_knows, None),
            ("its stream ends", &[(1, SignsIn), (2, TCP)], ends_at_30, Some((30, StreamEnded))),
            ("pauses", &[(1, SignsIn), (2, TCP), (5, Rests), (5, Asks)], takes_nothing, Some((66, NotPlaying))),
        ];
        for (what, story, seen, want) in rows {
            let mut reader = Reader::new(LIMITS, s(0));
            let found = (0..300).find_map(|second| {
                for (at, does) in story.iter().filter(|(at, _)| *at == second) {
                    obey(&mut reader, *does, s(*at));
                }
                reader.look(seen(second as u64), s(second)).map(|fault| (second, fault))
            });
            assert_eq!(found, *want, "{what}");
        }
    }

    #[test]
    fn wrong_passwords_are_counted() {
        let mut reader = Reader::new(LIMITS, s(0));
        let said: Vec<_> = (0..4).map(|_| reader.is_refused()).collect();
        let end = Some(ReaderFault::WrongPasswords);
        assert_eq!(said, [None, None, end, end]);
    }

    proptest! {
        /// Whatever it did before: one that takes what it is given stays, and one that does nothing ends in time.
        #[test]
        fn who_reads_stays_and_who_does_nothing_ends(
            story in prop::collection::vec((0..4u8, any::<bool>(), 0..9_000u64), 0..40),
        ) {
            let mut reader = Reader::new(LIMITS, s(0));
            let mut now = s(0);
            for (does, is_interleaved, wait_ms) in story {
                now = now + Duration::from_millis(wait_ms);
                obey(&mut reader, [Asks, SignsIn, Plays { is_interleaved }, Rests][usize::from(does)], now);
            }
            let mut plays = reader;
            plays.signs_in();
            plays.plays(true, Some(0), now);
            for second in 1..100u64 {
                let seen = Sighting { acked_bytes: Some(second), stream_idle: Some(Duration::ZERO) };
                prop_assert_eq!(plays.look(seen, now + Duration::from_secs(second)), None);
            }
            reader.rests();
            let end = now + LIMITS.login + LIMITS.play;
            let seen = Sighting { acked_bytes: None, stream_idle: None };
            prop_assert!(reader.look(seen, end).is_some());
        }
    }
}
