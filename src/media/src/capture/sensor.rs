//! The controls of a camera on the board's ribbon cable: properties of its running source element, which GStreamer describes.

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use perch_base::sync::lock;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::picture_controls::libcamera::{PropertyKind, SensorProperty, is_offered};
use perch_domain::settings::Scalar;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// The element that takes pictures of such a camera.
pub(super) const ELEMENT: &str = "libcamerasrc";

/// The source of the running attempt, and what it was set to.
#[derive(Default)]
pub(super) struct Sensor(Mutex<Running>);

#[derive(Default)]
struct Running {
    element: glib::WeakRef<gst::Element>,
    set: BTreeMap<String, Scalar>,
}

impl Sensor {
    /// An attempt takes its pictures by this element.
    pub fn runs(&self, element: &gst::Element) {
        *lock(&self.0) = Running { element: element.downgrade(), set: BTreeMap::new() };
    }

    /// What it has, with what it was set to; while nothing runs, what such an element has. Empty where there is none.
    pub fn properties(&self) -> Vec<SensorProperty> {
        let (running, set) = {
            let now = lock(&self.0);
            (now.element.upgrade(), now.set.clone())
        };
        let Some(element) = running.or_else(|| gst::ElementFactory::make(ELEMENT).build().ok()) else {
            return Vec::new();
        };
        let all = element.list_properties();
        let one = |spec: &glib::ParamSpec| {
            let is_open = spec.flags().contains(glib::ParamFlags::READWRITE);
            let kind = kind(spec.value_type()).filter(|_| is_open && is_offered(spec.name()))?;
            Some(SensorProperty { property: spec.name().to_owned(), kind, value: set.get(spec.name()).cloned() })
        };
        all.iter().filter_map(one).collect()
    }

    /// Sets one of them. Errors with `NotFound` while nothing runs, and with `Conflict` where the element does not take it.
    pub fn set(&self, property: &str, value: &Scalar) -> Result<()> {
        let gone = || Error::new(ErrorKind::NotFound, "the camera gives no pictures now");
        let mut now = lock(&self.0);
        let element = now.element.upgrade().ok_or_else(gone)?;
        let refused = || Error::new(ErrorKind::Conflict, "the camera does not take it");
        let spec = element.find_property(property).ok_or_else(refused)?;
        element.set_property_from_value(property, &as_type(value, spec.value_type()).ok_or_else(refused)?);
        now.set.insert(property.to_owned(), value.clone());
        Ok(())
    }
}

fn kind(of: glib::Type) -> Option<PropertyKind> {
    if of == glib::Type::BOOL {
        return Some(PropertyKind::Flag);
    }
    if [glib::Type::F32, glib::Type::F64, glib::Type::I32].contains(&of) {
        return Some(PropertyKind::Number);
    }
    let words = glib::EnumClass::with_type(of)?;
    Some(PropertyKind::Words(words.values().iter().map(|word| word.nick().to_owned()).collect()))
}

fn as_type(value: &Scalar, of: glib::Type) -> Option<glib::Value> {
    match value {
        Scalar::Flag(flag) if of == glib::Type::BOOL => Some(flag.to_value()),
        Scalar::Number(n) if of == glib::Type::F64 => Some(n.to_value()),
        Scalar::Number(n) if of == glib::Type::F32 => Some((*n as f32).to_value()),
        Scalar::Number(n) if of == glib::Type::I32 => Some((n.round() as i32).to_value()),
        Scalar::Text(word) => glib::EnumClass::with_type(of)?.to_value_by_nick(word),
        Scalar::Flag(_) | Scalar::Number(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_element_has_is_offered_and_set() {
        crate::init().expect("GStreamer");
        let sensor = Sensor::default();
        let nothing = sensor.set("brightness", &Scalar::Number(0.5)).expect_err("nothing runs");
        assert_eq!(nothing.kind(), ErrorKind::NotFound);
        // An element with properties of these names, as libcamera needs a camera's driver.
        let element = gst::ElementFactory::make("videobalance").build().expect("of the base plug-ins");
        sensor.runs(&element);
        let names = || sensor.properties().into_iter().map(|p| (p.property, p.kind, p.value)).collect::<Vec<_>>();
        let number =
            |name: &str, value: Option<f64>| (name.to_owned(), PropertyKind::Number, value.map(Scalar::Number));
        let all = names();
        assert!(all.contains(&number("brightness", None)) && all.contains(&number("contrast", None)), "{all:?}");
        assert!(all.iter().all(|(name, ..)| is_offered(name)), "{all:?}");
        sensor.set("brightness", &Scalar::Number(0.5)).expect("set");
        assert_eq!(element.property::<f64>("brightness"), 0.5);
        assert!(names().contains(&number("brightness", Some(0.5))));
        for (property, value) in [
            ("brightness", Scalar::Flag(true)),
            ("brightness", Scalar::Text("x".into())),
            ("none", Scalar::Number(1.0)),
        ] {
            assert_eq!(sensor.set(property, &value).expect_err("refused").kind(), ErrorKind::Conflict, "{property}");
        }
        drop(element);
        assert!(sensor.set("brightness", &Scalar::Number(0.1)).is_err(), "the attempt is over");
    }

    #[test]
    fn words_are_those_of_the_enumeration() {
        crate::init().expect("GStreamer");
        let element = gst::ElementFactory::make("videotestsrc").build().expect("of the base plug-ins");
        let spec = element.find_property("pattern").expect("has patterns");
        let Some(PropertyKind::Words(words)) = kind(spec.value_type()) else { panic!("{spec:?}") };
        assert!(words.contains(&"snow".to_owned()), "{words:?}");
        assert!(as_type(&Scalar::Text("snow".into()), spec.value_type()).is_some());
        assert!(as_type(&Scalar::Text("rain of frogs".into()), spec.value_type()).is_none());
    }
}
