//! How the API asks for all that.

use super::decide::ModesView;
use super::terms::ProfileName;
use super::words::PrivacyRequest;
use crate::ports::Later;
use perch_base::Result;

/// What is switched off, and which profile is active.
pub trait ModesPort: Send + Sync {
    /// As it is now.
    fn modes(&self) -> ModesView;
    /// Switches cameras off, or on again; what runs follows before it returns, and it holds after a kill too. Errors with `Invalid`, and
    /// with `Unavailable` where it cannot be kept: cameras are off then all the same, for as long as the box runs.
    fn privacy(&self, request: PrivacyRequest) -> Later<'_, Result<ModesView>>;
    /// Makes a profile the active one on behalf of somebody; `None` leaves that to the schedules. Errors likewise.
    fn choose_profile(&self, id: Option<ProfileName>, by: String) -> Later<'_, Result<ModesView>>;
}
