//! What a session is given, and what it has its shell do.

use super::quirks::Quirks;
use crate::wire::url::CameraUrl;
use bytes::Bytes;
use perch_base::Result;
use perch_domain::ingest::Transport;
use std::net::IpAddr;

/// What a session is given.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The camera's URL.
    pub url: CameraUrl,
    /// How packets travel.
    pub transport: Transport,
    /// Whether sound is asked for.
    pub sound: bool,
    /// Whether the camera is spoken to, and nothing of it taken.
    pub speaks: bool,
    /// Random letters and digits, for keep_alive-in.
    pub client_nonce: String,
    /// The camera's address: a redirect may name it in place of its name.
    pub peer: IpAddr,
    /// What is known of the camera.
    pub quirks: Quirks,
}

/// How a camera wants to be spoken to (RFC 3551, section 4.5.14).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SpeechCodec {
    /// G.711 mu-law.
    #[default]
    Pcmu,
    /// G.711 A-law.
    Pcma,
}

/// What the shell does.
#[derive(Debug)]
pub(crate) enum Output {
    /// Sends it in the connection.
    Send(Bytes),
    /// Connects anew, to that URL's host and port, and calls [`super::Session::connected`].
    Connect(CameraUrl),
    /// Opens two ports for a track and calls [`super::Session::opened`].
    OpenPorts(usize),
    /// Hears packets that come to a track's two ports from the camera or this address, and sends to the camera's ports.
    Hear {
        /// The track.
        track: usize,
        /// The camera's ports of RTP and RTCP.
        to: Option<(u16, u16)>,
        /// Where packets come from, if the camera says so.
        source: Option<IpAddr>,
    },
    /// Joins a group for a track and hears it.
    Join {
        /// The track.
        track: usize,
        /// The group.
        group: IpAddr,
        /// Its ports of RTP and RTCP.
        ports: (u16, u16),
        /// Where packets come from, if the camera says so.
        source: Option<IpAddr>,
    },
    /// Sends it to the camera's port of RTP, or of RTCP, for a track.
    Datagram {
        /// The track.
        track: usize,
        /// To the port of RTCP.
        is_rtcp: bool,
        /// What.
        data: Bytes,
    },
    /// The session is over.
    End(Result<()>),
}
