//! Where the box's streams are found by RTSP: the path of each, and the address that a person types into a player.

use crate::media::Stream;
use perch_base::ids::CameraId;

/// The path of a camera's stream: `/front`, and `/front/sub` for the small one.
pub fn path(camera: &CameraId, stream: Stream) -> String {
    match stream {
        Stream::Main => format!("/{camera}"),
        Stream::Sub => format!("/{camera}/sub"),
    }
}

/// The camera that a path names: its first part.
pub fn camera_of(path: &str) -> Option<CameraId> {
    let first = path.strip_prefix('/')?.split('/').next()?;
    CameraId::new(first).ok()
}

/// The camera's stream that is found at exactly this [`path`].
pub fn stream_of(at: &str) -> Option<(CameraId, Stream)> {
    let camera = camera_of(at)?;
    let stream = Stream::ALL.into_iter().find(|stream| path(&camera, *stream) == at)?;
    Some((camera, stream))
}

/// How a player reaches the box, and as whom.
#[derive(Clone, Copy, Debug)]
pub struct Player<'a> {
    /// Over TLS.
    pub is_tls: bool,
    /// The name of its stream password.
    pub name: &'a str,
    /// The password.
    pub password: &'a str,
    /// The host as it stands in a URL.
    pub host: &'a str,
    /// The port.
    pub port: u16,
}

impl Player<'_> {
    /// The address of a stream (RFC 2326, section 3.2), with name and password in it.
    pub fn url(&self, camera: &CameraId, stream: Stream) -> String {
        let Self { is_tls, name, password, host, port } = self;
        let scheme = if *is_tls { "rtsps" } else { "rtsp" };
        format!("{scheme}://{name}:{password}@{host}:{port}{}", path(camera, stream))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera(text: &str) -> CameraId {
        CameraId::new(text).expect("an id")
    }

    #[test]
    fn a_path_names_its_camera() {
        for stream in Stream::ALL {
            // Some players ask for a track, or with a slash, behind the path.
            for behind in ["", "/", "/stream=0"] {
                assert_eq!(camera_of(&(path(&camera("front"), stream) + behind)), Some(camera("front")), "{stream}");
            }
        }
        for stream in Stream::ALL {
            assert_eq!(stream_of(&path(&camera("front"), stream)), Some((camera("front"), stream)));
            assert_eq!(stream_of(&(path(&camera("front"), stream) + "/track")), None);
        }
        for none in ["", "/", "front", "//front", "/Front", "/fr ont/sub", "*"] {
            assert_eq!(camera_of(none), None, "{none:?}");
        }
        assert_ne!(path(&camera("sub"), Stream::Main), path(&camera("sub"), Stream::Sub));
    }

    #[test]
    fn what_is_typed_into_a_player() {
        let plain = Player { is_tls: false, name: "nvr", password: "00ff", host: "192.0.2.7", port: 8554 };
        let tls = Player { is_tls: true, host: "[fd00::2]", port: 8322, ..plain };
        for (player, stream, want) in [
            (plain, Stream::Main, "rtsp://nvr:00ff@192.0.2.7:8554/front"),
            (plain, Stream::Sub, "rtsp://nvr:00ff@192.0.2.7:8554/front/sub"),
            (tls, Stream::Sub, "rtsps://nvr:00ff@[fd00::2]:8322/front/sub"),
        ] {
            assert_eq!(player.url(&camera("front"), stream), want);
        }
    }
}
