//! Which redirects of a camera are followed, and where to.

use super::errors::unavailable;
use crate::wire::message::Message;
use crate::wire::url::CameraUrl;
use perch_base::{Error, Result};
use std::net::IpAddr;

/// Redirects that are followed before pictures come.
pub(super) const MOST: u8 = 3;

/// Those of a session.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Redirects {
    followed: u8,
}

impl Redirects {
    /// Whether an answer of this status sends the box elsewhere (RFC 2326 11.3, and HTTP's own).
    pub fn is_meant(status: u16) -> bool {
        matches!(status, 301 | 302 | 303 | 305 | 307 | 308)
    }

    /// Where an answer of the camera at `url`, whose address is `peer`, sends the box. Errors with `Invalid` where it does not say so or the
    /// box does not go there, with `Unavailable` where there is no end to it.
    pub fn follow(&mut self, message: &Message, url: &CameraUrl, peer: IpAddr) -> Result<CameraUrl> {
        let nowhere = || Error::invalid("it redirects the box and does not say where to");
        let location = message.header("location").filter(|l| !l.is_empty()).ok_or_else(nowhere)?;
        let to = url.redirected(location, peer)?;
        self.followed += 1;
        if self.followed > MOST {
            return Err(unavailable("it redirects the box from one address to the next, and no picture comes"));
        }
        Ok(to)
    }
}
