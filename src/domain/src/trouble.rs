//! Why a camera gives no picture, as people say it of its kind: a network camera does not answer, one at USB is not plugged in. Each with
//! what to do about it. What GStreamer, the kernel or the camera itself said is not here: it stays the health's `reason`, for who looks further.

use perch_base::ErrorKind;
use serde::Serialize;

/// How a camera comes to the box.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// By the network.
    Network,
    /// By USB.
    Usb,
    /// By a ribbon cable.
    Ribbon,
    /// It is a file.
    File,
    /// It is made up by the box.
    Test,
}

perch_base::all_of!(SourceKind { Network, Usb, Ribbon, File, Test });

/// What keeps a camera from giving pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TroubleCause {
    /// Nothing is there that could be spoken to: no answer, no device, no file.
    Absent,
    /// It asks who we are, and does not let us in.
    Refused,
    /// It has no such stream, or the system lets nobody read it.
    NoSuchStream,
    /// The system does not let the box open it.
    Forbidden,
    /// Somebody else has it.
    Busy,
    /// Its pictures are of a kind that this box cannot take.
    NotUnderstood,
    /// It cannot be as it is set up.
    WrongSettings,
    /// It is there, and gives nothing.
    Silent,
    /// It gave pictures and stopped.
    Stalled,
    /// It sends pictures, and none that can be begun with.
    AwaitsKeyframe,
}

perch_base::all_of!(TroubleCause {
    Absent,
    Refused,
    NoSuchStream,
    Forbidden,
    Busy,
    NotUnderstood,
    WrongSettings,
    Silent,
    Stalled,
    AwaitsKeyframe,
});

impl TroubleCause {
    /// What an attempt's failure means.
    pub fn of_failure(kind: SourceKind, failure: ErrorKind) -> Self {
        match (failure, kind) {
            (ErrorKind::Unauthenticated, _) => Self::Refused,
            (ErrorKind::NotFound, SourceKind::Network) => Self::NoSuchStream,
            (ErrorKind::NotFound, _) | (ErrorKind::Io, SourceKind::Network) => Self::Absent,
            (ErrorKind::Forbidden, _) => Self::Forbidden,
            (ErrorKind::Conflict, _) => Self::Busy,
            (ErrorKind::Unsupported | ErrorKind::Corrupt, _) => Self::NotUnderstood,
            (ErrorKind::Invalid, SourceKind::File) => Self::NotUnderstood,
            (ErrorKind::Invalid, _) => Self::WrongSettings,
            _ => Self::Silent,
        }
    }

    /// What is said of the camera after its name ("does not answer"), and what to do about it, a sentence.
    fn words(self, kind: SourceKind) -> (&'static str, &'static str) {
        use SourceKind::{File, Network, Ribbon, Test, Usb};
        match (self, kind) {
            (Self::Absent, Network) => ("does not answer", "Is it powered, and in the box’s network?"),
            (Self::Absent, Usb) => ("is not plugged in", "Plug it in again, at the same port."),
            (Self::Absent, Ribbon) => (
                "is not found at its ribbon cable",
                "Switch the box off, and see that the cable sits firmly at both ends.",
            ),
            (Self::Absent, File) => ("has no file", "See in its settings whether the path is right."),
            (Self::Absent, Test) | (Self::Silent, _) => ("gives no picture", again(kind)),
            (Self::Stalled, _) => ("sends no pictures any more", again(kind)),
            (Self::Refused, _) => ("does not let the box in", "Check user and password in its settings."),
            (Self::NoSuchStream, _) => {
                ("has no stream at its address", "Check the path of its address in its settings.")
            }
            (Self::Forbidden, _) => ("may not be opened by the box", "Give the user that runs perch leave to open it."),
            (Self::Busy, Network) => ("is busy", "End other viewers of it; it may still be starting, too."),
            (Self::Busy, _) => ("is used by another program", "End the other program, or restart the box."),
            (Self::NotUnderstood, Network) => (
                "sends pictures that the box cannot take",
                "Set it to H.264 without encryption; the details say what it sends.",
            ),
            (Self::NotUnderstood, File) => {
                ("has a file that is no video the box can read", "The details say what it gives.")
            }
            (Self::NotUnderstood, _) => ("sends pictures that the box cannot take", "The details say what it gives."),
            (Self::WrongSettings, _) => ("cannot run as it is set up", "Check its settings; the details say which."),
            (Self::AwaitsKeyframe, _) => (
                "has not sent a picture that can be begun with",
                "Set a shorter keyframe interval in the camera: 2 s is good.",
            ),
        }
    }
}

/// What to do about a camera that is there and gives nothing.
fn again(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::Network => "The box tries again by itself. Start the camera again if that goes on.",
        SourceKind::Usb => "The box tries again by itself. Plug it in anew if that goes on.",
        SourceKind::Ribbon => "The box tries again by itself. Restart the box if that goes on.",
        SourceKind::File | SourceKind::Test => "The box tries again by itself.",
    }
}

/// Why a camera gives no picture, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// For programs.
    pub cause: TroubleCause,
    /// What is said of the camera after its name.
    pub what: &'static str,
    /// What to do, a sentence.
    pub remedy: &'static str,
}

impl Trouble {
    /// The words of a cause.
    pub fn new(kind: SourceKind, cause: TroubleCause) -> Self {
        let (what, remedy) = cause.words(kind);
        Self { cause, what, remedy }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_failure_means_by_the_kind_of_camera() {
        use SourceKind::*;
        for (kind, failure, want) in [
            (Network, ErrorKind::Io, "does not answer"),
            (Network, ErrorKind::Unauthenticated, "does not let the box in"),
            (Network, ErrorKind::NotFound, "has no stream at its address"),
            (Network, ErrorKind::Conflict, "is busy"),
            (Network, ErrorKind::Unsupported, "sends pictures that the box cannot take"),
            (Network, ErrorKind::Invalid, "cannot run as it is set up"),
            (Network, ErrorKind::Unavailable, "gives no picture"),
            (Usb, ErrorKind::NotFound, "is not plugged in"),
            (Usb, ErrorKind::Conflict, "is used by another program"),
            (Usb, ErrorKind::Forbidden, "may not be opened by the box"),
            (Usb, ErrorKind::Unavailable, "gives no picture"),
            (Ribbon, ErrorKind::NotFound, "is not found at its ribbon cable"),
            (File, ErrorKind::NotFound, "has no file"),
            (File, ErrorKind::Invalid, "has a file that is no video the box can read"),
        ] {
            assert_eq!(TroubleCause::of_failure(kind, failure).words(kind).0, want, "{kind:?} {failure:?}");
        }
    }

    #[test]
    fn each_cause_of_each_kind_has_words_that_end_as_sentences_do() {
        for kind in SourceKind::ALL {
            for cause in TroubleCause::ALL {
                let Trouble { what, remedy, .. } = Trouble::new(*kind, *cause);
                assert!(what.starts_with(char::is_lowercase) && !what.ends_with('.'), "{what}");
                assert!(remedy.starts_with(char::is_uppercase) && remedy.ends_with(['.', '?']), "{remedy}");
            }
        }
    }
}
