//! What each setting is for, a sentence each: the page's forms say it, and nothing is asked for that has none.

const SENTENCES: &[(&str, &str)] = &[
    ("box.name", "What the box is called."),
    ("box.data_dir", "The folder of recordings, index and keys."),
    ("http.listen", "Where the page and the API answer; \"[::]:8443\" is IPv6 and IPv4."),
    ("http.plain_listen", "Where one page without encryption prepares for the browser's warning; not set: nowhere."),
    ("http.hostnames", "Further names and addresses by which the box is reached, such as box.example.org."),
    ("rtsp.listen", "Where RTSP players are answered."),
    ("rtsp.tls_listen", "Where RTSP players are answered with encryption (rtsps); not set: nowhere."),
    ("webrtc.udp_listen", "The one UDP port of all live sessions."),
    ("webrtc.addresses", "Further addresses that are offered to who watches, such as the router's public one."),
    ("webrtc.stun", "STUN servers, such as stun:host:3478."),
    ("webrtc.turn[].url", "A TURN server that relays live pictures, such as turn:host:3478."),
    ("webrtc.turn[].secret_file", "The file that holds the secret that the TURN server shares."),
    ("access.otp_digits", "How many digits a one-time password has."),
    ("access.otp_ttl_s", "How long a one-time password can be used."),
    ("access.session_idle_s", "A browser that was not used for so long has to sign in again."),
    ("access.session_max_s", "A browser has to sign in again after so long at the latest."),
    ("recording.max_bytes", "How much all recordings may take; 0: as much as the disk has."),
    ("recording.min_free_bytes", "How much of the disk is left free."),
    ("recording.max_days", "How long recordings without an event are kept; 0: until space runs out."),
    ("recording.event_max_days", "How long recordings of events are kept; 0: until space runs out."),
    ("update.url", "Where newer versions of the card image are looked for; not set: nowhere."),
    ("update.check_every_h", "How often it is looked for a newer version."),
    ("camera[].id", "Names the camera in addresses and folders: a to z, 0 to 9, - and _."),
    ("camera[].name", "What the camera is called."),
    ("camera[].room", "The room or place that it belongs to; cameras of one room are listed together."),
    ("camera[].source", "Where its pictures come from: rtsp://…, v4l2:…, libcamera, file:… or test."),
    ("camera[].password_file", "The file that holds the password that stands as {password} in the camera's addresses."),
    ("camera[].sub_password_file", "The same for `sub_source`, where that has a password of its own."),
    ("camera[].transport", "How a network camera's packets travel."),
    ("camera[].tls.ca_file", "The certificates that an encrypted camera must prove itself by."),
    ("camera[].tls.sha256", "The fingerprint of the one certificate that an encrypted camera may show."),
    ("camera[].sub_source", "The address of a network camera's second, smaller stream."),
    ("camera[].aspect", "The shape of a network camera's pictures, such as 16:9, where it tells it wrong."),
    ("camera[].codec", "How the box encodes; VP8 is live only."),
    ("camera[].width", "Width of the pictures."),
    ("camera[].height", "Height of the pictures."),
    ("camera[].fps", "Pictures a second of the box and its own cameras; network cameras keep theirs."),
    ("camera[].bitrate_kbps", "How much the box's encoder may make."),
    ("camera[].sub.width", "Width of the small stream."),
    ("camera[].sub.height", "Height of the small stream."),
    ("camera[].sub.fps", "Pictures a second of the small stream."),
    ("camera[].sub.bitrate_kbps", "How much the small stream may take."),
    ("camera[].audio.source", "Where its sound comes from: source (the camera), alsa:DEVICE, test or none."),
    ("camera[].audio.gain_db", "How much louder or quieter the sound is made."),
    ("camera[].motion.enabled", "Whether motion is looked for."),
    ("camera[].motion.sensitivity", "How little motion counts: 0 only the plainest, 1 the faintest."),
    ("camera[].motion.min_area", "The smallest part of the picture that counts."),
    ("camera[].motion.fps", "How many pictures a second are looked at."),
    ("camera[].motion.zones", "Where motion counts; nowhere drawn: everywhere."),
    ("camera[].motion.masks", "Where motion never counts."),
    (
        "camera[].encode",
        "Whether the box encodes a network camera's pictures anew, so that they can be masked; it costs processor time.",
    ),
    ("camera[].rotation", "How far the pictures are turned clockwise, in degrees: 0, 90, 180 or 270."),
    ("camera[].mirror", "Whether left and right are exchanged, before the pictures are turned."),
    ("camera[].overlay.time", "Whether day and time of day are written into the pictures."),
    ("camera[].overlay.name", "Whether the camera's name is written into the pictures."),
    ("camera[].privacy", "What is painted over before the pictures are encoded: nobody sees it, live or recorded."),
    ("camera[].record.mode", "What is recorded: always, around motion, or nothing."),
    ("camera[].record.segment_max_s", "How long one file is at most."),
    ("camera[].record.pre_roll_s", "How much is kept from before an event."),
    ("camera[].record.post_roll_s", "How much is kept from after an event."),
    ("camera[].record.gap_s", "An event is over after so long without motion."),
    ("camera[].record.chapter_s", "Motion that goes on is cut into events of at most so long."),
];

/// The sentence of a key without numbers in brackets.
pub fn of(key: &str) -> Option<&'static str> {
    SENTENCES.iter().find(|(of, _)| *of == key).map(|(_, sentence)| *sentence)
}

/// All keys that have one.
pub fn keys() -> impl Iterator<Item = &'static str> {
    SENTENCES.iter().map(|(key, _)| *key)
}
