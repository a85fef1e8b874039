//! What becomes of a network camera's pictures: which are published, where the stream breaks off, what of a second stream is refused. Pure: the
//! session's sink hands in what comes and obeys.

use crate::ingest::{Picture, PictureCodec, Shape};
use crate::losses::{PictureCount, Pictures};
use crate::media::{Packet, Stream, Track, VideoCodec};
use crate::viewer_codecs::is_refresh;
use perch_base::time::MonoTime;
use perch_base::{Error, ErrorKind, Result};

/// Bytes of one picture at most; a larger one is left out.
pub const MAX_PICTURE_BYTES: usize = 16 << 20;

/// What is to be done with a picture, in this order.
#[derive(Debug)]
pub enum Step {
    /// What comes does not join what was published: say so to whoever has it.
    BreakOff,
    /// Hand it to everybody.
    Publish(Packet),
    /// Encode it: a JPEG file, or what is to be decoded first.
    Encode(Picture),
    /// It leads on from nothing; that the camera sends something is known all the same.
    Sign,
    /// Nothing more is taken of this stream, and this is why.
    Refuse(Error),
}

/// What is known of a session's pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// How they are encoded.
    pub codec: PictureCodec,
    /// Their size and shape, once a picture said so.
    pub shape: Option<Shape>,
    /// When one came last that is shown in another order than it travels in.
    pub reordered: Option<MonoTime>,
    /// When it was last seen that browsers can begin with none: they are refreshed bit by bit.
    pub gradual: Option<MonoTime>,
}

/// Judges the pictures of one session.
#[derive(Clone, Debug)]
pub struct PictureGate {
    stream: Stream,
    /// Whether all is encoded anew, and nothing published.
    encodes: bool,
    known: Option<Known>,
    /// Whether what comes leads on from a picture that was published.
    leads_on: bool,
    /// Starts since the last one that browsers begin with.
    gradual_starts: u32,
    count: PictureCount,
    /// When a picture was published last, and when one came that could not be.
    seen: (Option<MonoTime>, Option<MonoTime>),
}

impl PictureGate {
    /// Of a session with this stream of a camera.
    pub fn new(stream: Stream) -> Self {
        let count = PictureCount::default();
        Self { stream, encodes: false, known: None, leads_on: false, gradual_starts: 0, count, seen: (None, None) }
    }

    /// The same, whose pictures are all to be encoded anew: none is to be published.
    pub fn encoding(self) -> Self {
        Self { encodes: true, ..self }
    }

    /// The camera offers pictures like this. Errors with `Unsupported` where they cannot be its second stream.
    pub fn offer(&mut self, codec: PictureCodec) -> Result<()> {
        if self.stream == Stream::Sub && codec == PictureCodec::Jpeg {
            return Err(unsupported("is neither H.264 nor H.265: set the second stream to H.264 in the camera"));
        }
        self.known = Some(Known { codec, shape: None, reordered: None, gradual: None });
        Ok(())
    }

    /// Whether what is published is not the small stream itself, which is H.264 for everybody: the box makes that of it.
    pub fn is_to_be_encoded(&self) -> bool {
        self.stream == Stream::Sub && self.known.is_some_and(|known| known.codec == PictureCodec::H265)
    }

    /// A picture came at `now`. Nothing becomes of one that comes before the offer.
    pub fn picture(&mut self, now: MonoTime, picture: Picture) -> Vec<Step> {
        // What viewers are sent as it comes must be what they can show.
        let is_shown_small = self.stream == Stream::Sub && !self.is_to_be_encoded();
        let Some(known) = &mut self.known else { return Vec::new() };
        if picture.decoded != picture.shown {
            known.reordered = Some(now);
        }
        if known.reordered.is_some() && is_shown_small {
            let why = "has B-frames, which cannot be shown live: switch them off for the second stream";
            return vec![Step::Refuse(unsupported(why))];
        }
        let is_hole = match picture.break_before {
            true => self.count.anew(picture.decoded),
            false => self.count.picture(picture.decoded, picture.lost_before),
        };
        let has_changed = picture.shape.is_some_and(|shape| known.shape.replace(shape) != Some(shape));
        let is_sane = (1..=MAX_PICTURE_BYTES).contains(&picture.data.len());
        let codec = match known.codec {
            PictureCodec::H264 => VideoCodec::H264,
            PictureCodec::H265 => VideoCodec::H265,
            // That one came shows when the encoder has made something of it.
            PictureCodec::Jpeg => {
                let encode = is_sane.then_some(Step::Encode(picture));
                return [Step::Sign].into_iter().chain(encode).collect();
            }
        };
        if picture.start {
            let is_whole = is_refresh(codec, &picture.data);
            self.gradual_starts = if is_whole { 0 } else { self.gradual_starts.saturating_add(1) };
            // One alone may stand for a refresh that was lost, or be the first after a camera's refresh that was before us.
            if self.gradual_starts > 1 {
                known.gradual = Some(now);
            }
        }
        if known.gradual.is_some() && is_shown_small {
            let why = "has no keyframes that browsers begin with: switch intra refresh off for the second stream";
            return vec![Step::Refuse(unsupported(why))];
        }
        // Where a few were lost, or an encoder begins anew at once, decoders make do with what they have, and the file goes on.
        // What follows on a start that is left out leads on from that.
        let breaks_off = self.leads_on && (is_hole || has_changed || picture.start && !is_sane);
        self.leads_on &= !breaks_off;
        let mut steps = Vec::with_capacity(2);
        // What is encoded anew goes on.
        if breaks_off && !self.encodes {
            steps.push(Step::BreakOff);
        }
        self.leads_on |= picture.start && is_sane;
        if self.leads_on && is_sane {
            self.seen.0 = Some(now);
            match self.encodes {
                // That one came shows when the encoder has made something of it.
                true => steps.extend([Step::Sign, Step::Encode(picture)]),
                false => steps.push(Step::Publish(packet_of(picture, codec))),
            }
        } else {
            self.awaits(now);
            steps.push(Step::Sign);
        }
        steps
    }

    /// A picture came at `now` that is not handed in, as it leads on from nothing.
    pub fn awaits(&mut self, now: MonoTime) {
        self.seen.1 = Some(now);
    }

    /// What is known of the pictures. `None` before the offer.
    pub fn known(&self) -> Option<Known> {
        self.known
    }

    /// How many came, and how many were lost.
    pub fn counted(&self) -> Pictures {
        self.count.pictures()
    }

    /// When one was published last, and when one came that could not be.
    pub fn seen(&self) -> (Option<MonoTime>, Option<MonoTime>) {
        self.seen
    }
}

fn unsupported(why: &str) -> Error {
    Error::new(ErrorKind::Unsupported, why)
}

fn packet_of(picture: Picture, codec: VideoCodec) -> Packet {
    let Picture { data, shown, decoded, start, .. } = picture;
    let shown_later = shown.since(decoded);
    Packet { codec: Some(codec), shown_later, ..Packet::new(Track::Video, data, decoded, start) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const IDR: &[u8] = &[0, 0, 0, 1, 0x65, 0x88];
    const SLICE: &[u8] = &[0, 0, 0, 1, 0x41, 0x9a];

    /// One picture each 40 ms: a start unless `word` begins with `p`, of a gradual refresh where it is `g`.
    fn picture(n: i64, word: &str) -> Picture {
        let at = MonoTime(n * 40_000);
        let whole = word.contains('i');
        Picture {
            data: Bytes::from_static(if whole { IDR } else { SLICE }),
            shown: at + std::time::Duration::from_millis(if word.contains('b') { 40 } else { 0 }),
            decoded: at,
            start: whole || word.contains('g'),
            break_before: word.contains('!'),
            lost_before: word.contains('-'),
            shape: word.contains('s').then_some(Shape {
                width: 320,
                height: 240,
                pixel: (1, 1),
                interlaced: false,
                orientation: Default::default(),
            }),
        }
    }

    fn word(step: &Step) -> &'static str {
        match step {
            Step::BreakOff => "break",
            Step::Publish(packet) if packet.keyframe => "KEY",
            Step::Publish(_) => "pic",
            Step::Encode(_) => "encode",
            Step::Sign => "sign",
            Step::Refuse(_) => "refuse",
        }
    }

    fn words(steps: &[Step]) -> String {
        steps.iter().map(word).collect::<Vec<_>>().join("+")
    }

    /// What becomes of pictures that come each 40 ms; of a number, time passes instead.
    fn judged(gate: &mut PictureGate, words_in: &str) -> String {
        let mut n = 0;
        let mut out = Vec::new();
        for word in words_in.split(' ') {
            if let Ok(pause) = word.parse::<i64>() {
                n += pause;
                continue;
            }
            out.push(words(&gate.picture(MonoTime(n * 40_000), picture(n, word))));
            n += 1;
        }
        out.join(" ")
    }

    #[test]
    fn a_picture_is_published_that_leads_on_from_a_start() {
        for (what, stream, codec, pictures, want) in [
            ("plain", Stream::Main, PictureCodec::H264, "is p p i p", "KEY pic pic KEY pic"),
            ("no start yet", Stream::Main, PictureCodec::H264, "p p is p", "sign sign KEY pic"),
            ("a few are lost", Stream::Main, PictureCodec::H264, "i p p 9 p- p", "KEY pic pic pic pic"),
            ("a hole", Stream::Main, PictureCodec::H264, "i p 90 p- p i", "KEY pic break+sign sign KEY"),
            ("a hole before a start", Stream::Main, PictureCodec::H264, "i p 90 i- p", "KEY pic break+KEY pic"),
            ("a pause is no hole", Stream::Main, PictureCodec::H264, "i p 90 p", "KEY pic pic"),
            ("another source at once", Stream::Main, PictureCodec::H264, "i p p! p i!", "KEY pic pic pic KEY"),
            ("one after a while", Stream::Main, PictureCodec::H264, "i p 90 p! p i", "KEY pic break+sign sign KEY"),
            ("it jumps where nothing was", Stream::Main, PictureCodec::H264, "p! i! p", "sign KEY pic"),
            ("it is told once", Stream::Main, PictureCodec::H264, "i p 90 p! 90 p! i", "KEY pic break+sign sign KEY"),
            ("another size", Stream::Main, PictureCodec::H264, "i p is p", "KEY pic break+KEY pic"),
            ("the same size", Stream::Main, PictureCodec::H264, "is p is p", "KEY pic KEY pic"),
            ("B-frames", Stream::Main, PictureCodec::H265, "ib p pb", "KEY pic pic"),
            ("a gradual refresh", Stream::Main, PictureCodec::H264, "g p g p", "KEY pic KEY pic"),
            ("the second stream", Stream::Sub, PictureCodec::H264, "p i p 90 p! i", "sign KEY pic break+sign KEY"),
            ("B-frames of it", Stream::Sub, PictureCodec::H264, "i p pb", "KEY pic refuse"),
            ("H.265 of it", Stream::Sub, PictureCodec::H265, "p i pb p 90 p! i", "sign KEY pic pic break+sign KEY"),
            ("one refresh may be lost", Stream::Sub, PictureCodec::H264, "i g i g g", "KEY KEY KEY KEY refuse"),
            ("JPEG", Stream::Main, PictureCodec::Jpeg, "i i! i-", "sign+encode sign+encode sign+encode"),
        ] {
            // What is encoded anew is judged alike, and nothing of it is published.
            if stream == Stream::Main && codec != PictureCodec::Jpeg {
                let mut anew = PictureGate::new(stream).encoding();
                anew.offer(codec).expect("usable");
                let want = want.replace("break+", "").replace("KEY", "sign+encode").replace("pic", "sign+encode");
                assert_eq!(judged(&mut anew, pictures), want, "{what}, encoded anew");
            }
            let mut gate = PictureGate::new(stream);
            gate.offer(codec).expect("taken");
            assert_eq!(judged(&mut gate, pictures), want, "{what}");
        }
    }

    #[test]
    fn what_is_empty_or_too_large_is_left_out_and_the_rest_goes_on() {
        let mut gate = PictureGate::new(Stream::Main);
        gate.offer(PictureCodec::H264).expect("taken");
        let of = |bytes: usize, n, word| Picture { data: Bytes::from(vec![1; bytes]), ..picture(n, word) };
        for (n, bytes, kind, want) in [
            (0, MAX_PICTURE_BYTES + 1, "i", "sign"),
            (1, 9, "p", "sign"),
            (2, MAX_PICTURE_BYTES, "i", "KEY"),
            (3, 0, "p", "sign"),
            (4, 9, "p", "pic"),
            (5, MAX_PICTURE_BYTES + 1, "i", "break+sign"),
            (6, 9, "p", "sign"),
            (7, 0, "i", "sign"),
            (8, 9, "i", "KEY"),
            (9, 9, "p", "pic"),
        ] {
            assert_eq!(words(&gate.picture(MonoTime(n), of(bytes, n, kind))), want, "{n}");
        }
        let mut jpeg = PictureGate::new(Stream::Main);
        jpeg.offer(PictureCodec::Jpeg).expect("taken");
        assert_eq!(words(&jpeg.picture(MonoTime(0), of(0, 0, "i"))), "sign");
    }

    #[test]
    fn what_is_known_of_them_stays_known() {
        let mut gate = PictureGate::new(Stream::Main);
        assert!(gate.picture(MonoTime(0), picture(0, "i")).is_empty() && gate.known().is_none(), "no offer yet");
        gate.offer(PictureCodec::H265).expect("taken");
        judged(&mut gate, "is pb g g p");
        let known = gate.known().expect("known");
        let at = |n: i64| Some(MonoTime(n * 40_000));
        assert_eq!((known.codec, known.reordered, known.gradual), (PictureCodec::H265, at(1), at(3)));
        assert_eq!(known.shape.map(|shape| shape.width), Some(320));
        assert_eq!(gate.counted().came, 5);
        gate.awaits(MonoTime(9));
        assert_eq!(gate.seen(), (Some(MonoTime(4 * 40_000)), Some(MonoTime(9))));
    }

    #[test]
    fn a_second_stream_in_h265_is_encoded_and_one_of_jpeg_refused() {
        for (stream, codec, is_encoded) in [
            (Stream::Main, PictureCodec::H264, Some(false)),
            (Stream::Main, PictureCodec::H265, Some(false)),
            (Stream::Main, PictureCodec::Jpeg, Some(false)),
            (Stream::Sub, PictureCodec::H264, Some(false)),
            (Stream::Sub, PictureCodec::H265, Some(true)),
            (Stream::Sub, PictureCodec::Jpeg, None),
        ] {
            let mut gate = PictureGate::new(stream);
            match (gate.offer(codec), is_encoded) {
                (Ok(()), Some(is_encoded)) => assert_eq!(gate.is_to_be_encoded(), is_encoded, "{stream} {codec:?}"),
                (Err(why), None) => assert!(why.message().contains("neither H.264 nor H.265"), "{why}"),
                (offered, _) => panic!("{stream} {codec:?}: {offered:?}"),
            }
        }
    }

    #[test]
    fn a_packet_is_decoded_and_shown_as_the_picture_says() {
        let mut gate = PictureGate::new(Stream::Main);
        gate.offer(PictureCodec::H265).expect("taken");
        let steps = gate.picture(MonoTime(0), picture(2, "gb"));
        let [Step::Publish(packet)] = &steps[..] else { panic!("published: {steps:?}") };
        assert_eq!((packet.pts, packet.shown()), (MonoTime(80_000), MonoTime(120_000)));
        assert_eq!((packet.codec, packet.keyframe), (Some(VideoCodec::H265), true));
    }
}
