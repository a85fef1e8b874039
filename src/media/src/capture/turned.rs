//! Turns what a camera's pictures become: the small stream by an element behind its scaler, the detector's pictures once they are small.

use gstreamer as gst;
use gstreamer::prelude::*;
use perch_base::sync::lock;
use perch_domain::orientation::Orientation;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};

/// How the pictures of one pipeline are turned: the same as long as it lives, known with the first of them.
#[derive(Default)]
pub(super) struct Turned {
    number: AtomicU8,
    branches: Mutex<Vec<Branch>>,
}

/// A branch whose pictures are scaled to a size.
struct Branch {
    bin: gst::Bin,
    size: (u32, u32),
}

impl Turned {
    /// The element `turn` of this branch turns them, too, and `size` asks for so many columns and rows.
    pub fn add(&self, branch: &gst::Bin, size: (u32, u32)) {
        lock(&self.branches).push(Branch { bin: branch.clone(), size });
    }

    /// To be called before the first picture goes in.
    pub fn set(&self, orientation: Orientation) {
        self.number.store(orientation.number(), Ordering::SeqCst);
        for Branch { bin, size } in &*lock(&self.branches) {
            if let Some(element) = bin.by_name("turn") {
                flip(&element, orientation);
            }
            let (width, height) = orientation.of_sides(*size);
            let sides = i32::try_from(width).ok().zip(i32::try_from(height).ok());
            if let Some(((width, height), filter)) = sides.zip(bin.by_name("size")).filter(|_| *size != (width, height))
            {
                let square = gst::Fraction::new(1, 1);
                let caps = gst::Caps::builder("video/x-raw").field("width", width).field("height", height);
                set_caps(&filter, &caps.field("pixel-aspect-ratio", square).build());
            }
        }
    }

    /// How they are turned.
    pub fn orientation(&self) -> Orientation {
        Orientation::from_number(self.number.load(Ordering::SeqCst))
    }
}

/// A file that was replaced may hold something else there: that is left alone.
fn set_caps(filter: &gst::Element, caps: &gst::Caps) {
    if filter.find_property("caps").is_some_and(|p| p.value_type() == gst::Caps::static_type()) {
        filter.set_property("caps", caps);
    }
}

/// Has a `videoflip` turn like this. A file that was replaced may hold something else there: that is left alone.
pub(crate) fn flip(element: &gst::Element, orientation: Orientation) {
    let direction = match (orientation.mirrored, orientation.quarters) {
        (false, 0) => "identity",
        (false, 1) => "90r",
        (false, 2) => "180",
        (false, _) => "90l",
        (true, 0) => "horiz",
        (true, 1) => "ur-ll",
        (true, 2) => "vert",
        (true, _) => "ul-lr",
    };
    if element.find_property("video-direction").is_some() {
        element.set_property_from_str("video-direction", direction);
    }
}
