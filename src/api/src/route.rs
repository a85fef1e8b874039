//! What a route is: what it answers to, what it needs, takes and gives, and its handler. The table of all is in `routes`.

use crate::state::Shared;
use axum::routing::MethodRouter;
use http::Method;
use perch_domain::access::Permission;

/// One route. Each field is said for each route: the router, the gate, the checks of what comes in and the OpenAPI document are made
/// from it.
#[derive(Debug)]
pub struct Route {
    /// The method; GET also answers HEAD.
    pub method: Method,
    /// The path, with `{parts}`.
    pub path: &'static str,
    /// What the caller must hold.
    pub permission: Permission,
    /// What the caller must hold it for.
    pub about: About,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// The keys of its query.
    pub query: &'static [Param],
    /// Its body.
    pub takes: Takes,
    /// Its answer when all is well.
    pub gives: Gives,
    /// Its handler.
    pub(crate) handler: fn() -> MethodRouter<Shared>,
}

/// What a permission is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The box as a whole; what the handler shows of single things is up to it.
    TheBox,
    /// The camera that the path names as `{camera}`.
    Camera,
}

/// A key of a query.
#[derive(Clone, Copy, Debug)]
pub struct Param {
    /// The key.
    pub name: &'static str,
    /// Whether it must be given.
    pub required: bool,
    /// What it may be.
    pub kind: Kind,
}

/// What the value of a query's key may be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// What this schema of the document says.
    Schema(&'static str),
    /// A word.
    Word {
        /// Which.
        one_of: &'static [&'static str],
        /// Where none is given.
        default: Option<&'static str>,
    },
    /// A text that is searched for.
    Text {
        /// Characters at most.
        max: usize,
    },
    /// The number of a line of the log, from 1 on.
    Line,
    /// A whole number.
    Number {
        /// The least.
        min: u32,
        /// The largest.
        max: u32,
        /// Where none is given.
        default: Option<u32>,
    },
}

/// The body of a request.
#[derive(Clone, Copy, Debug)]
pub enum Takes {
    /// None is read.
    Nothing,
    /// JSON as this schema of the document says, at most [`MAX_BODY_BYTES`] bytes.
    Json(&'static str),
    /// A JSON merge patch (RFC 7396) of what this schema of the document says, at most [`MAX_PATCH_BYTES`] bytes.
    Patch(&'static str),
    /// JSON as this schema says that is larger than others.
    Large {
        /// The schema.
        schema: &'static str,
        /// The most.
        max_bytes: u64,
    },
    /// Text of this media type, at most [`MAX_BODY_BYTES`] bytes.
    Text(&'static str),
    /// A small file of this media type, read at once.
    File {
        /// The media type.
        media_type: &'static str,
        /// The most.
        max_bytes: u64,
    },
    /// Bytes, read piece by piece.
    Bytes {
        /// The most.
        max_bytes: u64,
    },
}

/// The largest body that is read at once, bytes.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// The largest merge patch, bytes: whoever reads the settings of hundreds of cameras may send them back.
pub const MAX_PATCH_BYTES: usize = 1024 * 1024;

/// The media type of a merge patch.
pub const MERGE_PATCH: &str = "application/merge-patch+json";

impl Takes {
    /// The media type of a body that is read before the handler sees the request.
    pub fn read_at_once(&self) -> Option<&'static str> {
        match self {
            Self::Json(_) | Self::Patch(_) | Self::Large { .. } => Some("application/json"),
            Self::Text(media_type) | Self::File { media_type, .. } => Some(media_type),
            Self::Nothing | Self::Bytes { .. } => None,
        }
    }

    /// Another media type of the same body.
    pub fn or_as(&self) -> Option<&'static str> {
        matches!(self, Self::Patch(_)).then_some(MERGE_PATCH)
    }

    /// The largest body, bytes.
    pub fn max_bytes(&self) -> u64 {
        match self {
            Self::Bytes { max_bytes } | Self::Large { max_bytes, .. } | Self::File { max_bytes, .. } => *max_bytes,
            Self::Patch(_) => MAX_PATCH_BYTES as u64,
            Self::Nothing | Self::Json(_) | Self::Text(_) => MAX_BODY_BYTES as u64,
        }
    }
}

/// The answer when all is well.
#[derive(Clone, Copy, Debug)]
pub struct Gives {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: Body,
}

/// The body of an answer.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// There is none.
    Empty,
    /// JSON as this schema of the document says.
    Json(&'static str),
    /// The OpenAPI document itself.
    Document,
    /// Server-sent events whose data is JSON as this schema of the document says.
    Events(&'static str),
    /// Something of this media type.
    Media(&'static str),
}

impl Route {
    /// Whether it shows pictures or plays sound, of now or of before.
    pub fn shows_pictures(&self) -> bool {
        matches!(self.permission, Permission::Watch | Permission::LookBack) && matches!(self.gives.body, Body::Media(_))
    }

    /// Whether nobody gets it who is cut off: what shows pictures, and speaking.
    pub fn is_closed_by_cut_off(&self) -> bool {
        self.shows_pictures() || (self.permission == Permission::Talk && matches!(self.gives.body, Body::Media(_)))
    }

    /// Whether it asks for a name and a password where there is no credential: what shows MJPEG mostly has nothing else to give. Elsewhere
    /// browsers would ask people, too.
    pub fn asks_for_password(&self) -> bool {
        matches!(self.gives.body, Body::Media("multipart/x-mixed-replace"))
    }

    /// The key of its query called `name`.
    pub fn param(&self, name: &str) -> Option<&Param> {
        self.query.iter().find(|p| p.name == name)
    }
}
