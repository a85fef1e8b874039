//! What each setting is for, a sentence each: the page's forms say it, and nothing is asked for that has none.

const SENTENCES: &[(&str, &str)] = &[
    ("box.name", "What the box is called."),
    ("box.data_dir", "The folder of recordings, index and keys."),
    (
        "box.time_zone",
        "The time zone of schedules and of times in pictures, such as Europe/Zurich; not set: that of the system.",
    ),
    ("http.listen", "Where the page and the API answer; \"[::]:8443\" is IPv6 and IPv4."),
    ("http.plain_listen", "Where one page without encryption prepares for the browser's warning; not set: nowhere."),
    ("http.hostnames", "Further names and addresses by which the box is reached, such as box.example.org."),
    ("acme.domain", "A domain of yours that leads to this box, for a certificate that every browser trusts."),
    ("acme.contact", "A mail address that the certificate's authority may write to."),
    ("acme.directory", "The authority that is asked for the certificate."),
    (
        "acme.ca_file",
        "The certificates that the authority's own server must prove itself by, where this system knows it not.",
    ),
    ("acme.challenge", "How the domain is shown to be yours: at its port 443, at its port 80, or in its name service."),
    ("acme.dns_hook", "The address that sets the records of dns-01, such as https://dns.example.org/hook."),
    ("acme.dns_hook_secret_file", "The file that holds the bearer token of that address."),
    ("rtsp.listen", "Where RTSP players are answered."),
    ("rtsp.tls_listen", "Where RTSP players are answered with encryption (rtsps); not set: nowhere."),
    ("webrtc.udp_listen", "The one UDP port of all live sessions; \"[::]:8189\" is IPv6 and IPv4."),
    ("webrtc.addresses", "Further addresses that are offered to who watches, such as the router's public one."),
    (
        "webrtc.interfaces",
        "Network interfaces by which viewers may come besides those of the house, such as a VPN's: tailscale0, wg0.",
    ),
    (
        "webrtc.relay_only",
        "Live pictures go by the TURN servers alone: viewers are not told the box's own addresses, and those in the house see nothing without one.",
    ),
    (
        "webrtc.stun",
        "STUN servers, by which the box and viewers learn their addresses from outside, such as stun:host:3478.",
    ),
    (
        "webrtc.turn[].url",
        "A TURN server that relays live pictures, for viewers and for the box, such as turn:host:3478; the first that works is the box's.",
    ),
    (
        "webrtc.turn[].ca_file",
        "The certificates by which a TURN server with TLS proves itself to the box, where this system knows it not.",
    ),
    (
        "webrtc.max_viewers",
        "So many live pictures and voices are served at once by WebRTC, and so many pictures over HTTPS; whoever comes then is told so.",
    ),
    ("webrtc.max_viewers_per_person", "So many of them for one person, on all of their devices together."),
    (
        "webrtc.turn[].secret_file",
        "The file that holds the secret that the TURN server shares; a second line, the one before it while it is changed.",
    ),
    (
        "webrtc.vp8",
        "Whether the small stream is encoded once more as VP8 while somebody watches whose browser offers no H.264; board: where the board has the power for it.",
    ),
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
    (
        "camera[].talkback.sink",
        "Where people who talk through this camera are heard: alsa:DEVICE, camera for a network camera's own loudspeaker, or test, which only measures.",
    ),
    (
        "camera[].talkback.echo",
        "What keeps them from hearing themselves: cancel takes the echo out, duck turns the microphone down.",
    ),
    ("camera[].talkback.max_s", "How long somebody may talk at a time."),
    (
        "camera[].talkback.players",
        "The names of stream passwords whose players may speak by RTSP (ONVIF backchannel); none: nobody by RTSP.",
    ),
    (
        "camera[].talkback.on_event.play",
        "What the loudspeaker plays when an event begins: chime, or the name of a stored announcement; not set: nothing.",
    ),
    ("camera[].talkback.on_event.kinds", "For which kinds of event; none: for all."),
    ("camera[].talkback.on_event.quiet_s", "How long nothing more is played for events after that."),
    (
        "camera[].talkback.on_event.days",
        "The days on which it is played: mon, tue, wed, thu, fri, sat, sun; none: every day.",
    ),
    ("camera[].talkback.on_event.from", "From when on it is played, such as 22:00; not set: all day."),
    (
        "camera[].talkback.on_event.to",
        "Until when it is played, such as 06:00: of the next day where that is no later than its beginning.",
    ),
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
    (
        "camera[].controls",
        "What the camera itself is set to, such as brightness, exposure or its infrared filter, where it has that.",
    ),
    (
        "camera[].onvif",
        "Where a network camera is asked for its picture settings (ONVIF); not set: looked for at its address.",
    ),
    (
        "camera[].push[].url",
        "Where the camera is pushed to: rtmp://host/app/KEY, rtsp://…, srt://host:port?streamid=…, or https://… for WHIP.",
    ),
    ("camera[].push[].stream", "Which stream is pushed there."),
    ("camera[].push[].password_file", "The file that holds the secret that stands as {password} in that address."),
    ("camera[].privacy", "What is painted over before the pictures are encoded: nobody sees it, live or recorded."),
    ("camera[].record.mode", "What is recorded: always, around motion, or nothing."),
    ("camera[].record.segment_max_s", "How long one file is at most."),
    ("camera[].record.pre_roll_s", "How much is kept from before an event."),
    ("camera[].record.post_roll_s", "How much is kept from after an event."),
    ("camera[].record.gap_s", "An event is over after so long without motion."),
    ("camera[].record.chapter_s", "Motion that goes on is cut into events of at most so long."),
    ("profile{}.name", "What the profile is called."),
    ("profile{}.cameras{}.off", "Whether the camera is switched off in this profile."),
    (
        "profile{}.cameras{}.record.mode",
        "What is recorded of the camera in this profile; not set: as the camera has it.",
    ),
    (
        "profile{}.cameras{}.motion.enabled",
        "Whether motion is looked for in this profile; not set: as the camera has it.",
    ),
    ("schedule[].days", "The days on which it begins: mon, tue, wed, thu, fri, sat, sun; none: every day."),
    ("schedule[].from", "When it begins, such as 22:00."),
    ("schedule[].to", "When it ends, such as 06:00: of the next day where that is no later than its beginning."),
    ("schedule[].profile", "The profile that is active then."),
    ("schedule[].off", "The cameras that are switched off then: true for all, or a list of ids."),
];

/// The sentence of a key without numbers in brackets.
pub fn of(key: &str) -> Option<&'static str> {
    SENTENCES.iter().find(|(of, _)| *of == key).map(|(_, sentence)| *sentence)
}

/// All keys that have one.
pub fn keys() -> impl Iterator<Item = &'static str> {
    SENTENCES.iter().map(|(key, _)| *key)
}
