//! Which of a camera's lines are taken, and what is said of the rest.

use super::sound;
use crate::format::{Direction, LineKind, PayloadType, SdpLine};
use perch_domain::ingest::{PictureCodec, SoundCodec};

/// Which lines of a camera are worth a SETUP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// The best line of pictures.
    pub picture: Option<usize>,
    /// The best line of sound that comes from the camera and can be decoded.
    pub sound: Option<usize>,
    /// Why none of the lines of sound that come from the camera is taken; a sentence without a full stop.
    pub no_sound: Option<String>,
    /// Why nothing can be taken; then there is no picture.
    pub refusal: Option<String>,
}

/// How a payload type's pictures are encoded, where they can be taken.
pub(crate) fn picture_codec(payload: &PayloadType) -> Option<PictureCodec> {
    match payload.encoding.as_str() {
        "H264" => Some(PictureCodec::H264),
        "H265" | "HEVC" => Some(PictureCodec::H265),
        "JPEG" => Some(PictureCodec::Jpeg),
        _ => None,
    }
}

/// The payload type of a picture line that is taken.
pub(crate) fn picture_payload(line: &SdpLine) -> Option<(&PayloadType, PictureCodec)> {
    line.payload_types.iter().find_map(|payload| picture_codec(payload).map(|codec| (payload, codec)))
}

/// How good a sound is; `None` where it cannot be decoded.
fn rank(payload: &PayloadType) -> Option<u8> {
    Some(match sound::format(payload).codec {
        SoundCodec::Opus => 7,
        SoundCodec::Aac { .. } => 6,
        SoundCodec::L16 => 5,
        SoundCodec::MpegAudio { .. } => 4,
        SoundCodec::G722 => 3,
        SoundCodec::Pcmu | SoundCodec::Pcma => 2,
        SoundCodec::G726 { .. } => 1,
        SoundCodec::Other(_) => return None,
    })
}

/// The payload type of a sound line that is taken: the best, and of several as good the first.
pub(crate) fn sound_payload(line: &SdpLine) -> Option<&PayloadType> {
    let ranked = line.payload_types.iter().filter_map(|payload| rank(payload).map(|rank| (rank, payload)));
    ranked.rev().max_by_key(|(rank, _)| *rank).map(|(_, payload)| payload)
}

fn names(line: &SdpLine) -> String {
    let mut names: Vec<String> = Vec::new();
    for payload in line.payload_types.iter().take(8) {
        let name = sound::tame(&payload.encoding);
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() { "a format without a name".into() } else { names.join(", ") }
}

/// Which lines are worth a SETUP: the first of pictures that can be taken, and, with `sound`, the best of sound.
pub(crate) fn choose(lines: &[SdpLine], sound: bool) -> Chosen {
    let mut chosen = Chosen::default();
    let from_camera = |kind: LineKind| {
        let is_it = move |(_, line): &(usize, &SdpLine)| line.kind == kind && line.direction == Direction::FromCamera;
        lines.iter().enumerate().filter(is_it)
    };
    chosen.picture = from_camera(LineKind::Video).find(|(_, line)| picture_payload(line).is_some()).map(|(n, _)| n);
    if chosen.picture.is_none() {
        let other: Vec<String> = from_camera(LineKind::Video).take(4).map(|(_, line)| names(line)).collect();
        chosen.refusal = Some(match (other.is_empty(), lines.iter().any(|line| line.kind == LineKind::Video)) {
            (true, false) => "offers no pictures: check the path in its address".into(),
            (true, true) => "offers a line of pictures and sends nothing on it: check the path in its address".into(),
            _ => format!(
                "sends its pictures as {}, which cannot be taken: set its video codec to H.264, H.265 or MJPEG",
                other.join(", ")
            ),
        });
        return chosen;
    }
    if sound {
        let decodable = from_camera(LineKind::Audio).filter_map(|(n, line)| Some((n, rank(sound_payload(line)?)?)));
        // The first of several as good.
        chosen.sound = decodable.rev().max_by_key(|(_, rank)| *rank).map(|(n, _)| n);
        if chosen.sound.is_none()
            && let Some((_, line)) = from_camera(LineKind::Audio).next()
        {
            let at_rate = line.payload_types.iter().find_map(|p| sound::impossible_rate(p).map(|hz| (p, hz)));
            let why = match at_rate {
                Some((payload, hz)) => format!(
                    "it comes as {} of {hz} samples a second, which cannot be; set its sample rate to 8000 or 16000 Hz",
                    sound::tame(&payload.encoding)
                ),
                None => format!(
                    "it comes as {}, which cannot be decoded; set its audio codec to AAC, Opus or G.711",
                    names(line)
                ),
            };
            chosen.no_sound = Some(format!("the camera's sound is left out: {why}"));
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(kind: LineKind, direction: Direction, encodings: &[&str]) -> SdpLine {
        let payload = |(n, encoding): (usize, &&str)| PayloadType {
            number: 96 + n as u8,
            encoding: (*encoding).into(),
            clock_hz: if kind == LineKind::Video { 90_000 } else { 8_000 },
            channels: 1,
            parameters: Vec::new(),
        };
        let payload_types = encodings.iter().enumerate().map(payload).collect();
        SdpLine { kind, direction, payload_types, control: None, frame_rate: None }
    }

    use Direction::{FromCamera, ToCamera};
    use LineKind::{Audio, Video};

    #[test]
    fn the_first_picture_and_the_best_sound_are_taken_and_speakers_skipped() {
        let lines = [
            line(Audio, ToCamera, &["OPUS"]),
            line(LineKind::Other, FromCamera, &["VND.ONVIF.METADATA"]),
            line(Video, FromCamera, &["MP4V-ES"]),
            line(Video, FromCamera, &["H265"]),
            line(Video, FromCamera, &["H264"]),
            line(Audio, FromCamera, &["PCMU"]),
            line(Audio, FromCamera, &["TELEPHONE-EVENT", "MPEG4-GENERIC"]),
            line(Audio, FromCamera, &["MPEG4-GENERIC"]),
        ];
        let chosen = choose(&lines, true);
        assert_eq!((chosen.picture, chosen.sound, chosen.no_sound, chosen.refusal), (Some(3), Some(6), None, None));
        assert_eq!(sound_payload(&lines[6]).map(|p| p.number), Some(97));
        assert_eq!(choose(&lines, false).sound, None);
    }

    #[test]
    fn what_cannot_be_taken_is_said_with_what_to_change() {
        let lines = [line(Video, FromCamera, &["H264"]), line(Audio, FromCamera, &["G723"])];
        let chosen = choose(&lines, true);
        assert_eq!((chosen.picture, chosen.sound), (Some(0), None));
        assert!(chosen.no_sound.is_some_and(|why| why.contains("G723") && why.contains("AAC")));
        for encoding in ["PCMA", "MPEG4-GENERIC", "G726-32", "AAL2-G726-40"] {
            let mut sound = line(Audio, FromCamera, &[encoding]);
            sound.payload_types[0].clock_hz = 1;
            let why = choose(&[lines[0].clone(), sound], true).no_sound.expect("left out");
            assert!(why.contains(&format!("{encoding} of 1 samples a second")) && !why.contains("codec"), "{why}");
        }
        let chosen = choose(&[line(Video, FromCamera, &["<b>MP4V-ES</b>"])], true);
        assert!(chosen.refusal.is_some_and(|r| r.contains("H.264") && r.contains("bMP4V-ES") && !r.contains('<')));
        assert!(choose(&[], true).refusal.is_some_and(|r| r.contains("no pictures")));
    }
}
