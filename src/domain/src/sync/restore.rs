//! Which of the objects that a listing shows are brought back, and as what. Nothing but their names is known.

use super::keys::{BoxId, CopyName, KeyForm, KeySpace, NameKey, ShortHash};
use crate::archive::TimeRange;
use crate::media::Stream;
use perch_base::Result;
use perch_base::ids::CameraId;
use perch_base::time::{DAY_US, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// The longest that a recording lasts, with room: one that began so much before the range may reach into it.
const LONGEST_US: i64 = 2 * 3_600_000_000;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct RestoreAsk {
    /// Recordings that reach into this time.
    pub range: TimeRange,
    /// Only this camera's.
    pub camera: Option<CameraId>,
    /// Only this box's.
    pub box_id: Option<BoxId>,
}

impl RestoreAsk {
    /// Whether an object may be of use: of this box and camera, and of about this time.
    pub fn may_want(&self, one: &ToFetch) -> bool {
        let is_other_camera = one.name.camera().is_some_and(|c| self.camera.as_ref().is_some_and(|camera| c != camera));
        let is_other_box = self.box_id.is_some_and(|id| id != one.box_id);
        let (start, from) = (one.name.start(), self.range.from.plus_micros(-2 * DAY_US));
        !is_other_camera && !is_other_box && from <= start && start < self.range.to
    }
}

/// An object that is to be fetched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ToFetch {
    /// Whose it is.
    pub box_id: BoxId,
    /// What it is.
    pub name: CopyName,
    /// Where it is.
    pub key: String,
    /// Whether it is encrypted.
    pub is_sealed: bool,
}

/// A recording of which only pieces are there: the box was gone before it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// Which picture it is of: the small one goes first where a line does not carry the large one.
    pub stream: Stream,
    /// Its header, and its fragments up to the first that is missing, in order.
    pub parts: Vec<ToFetch>,
    /// How many more there are behind one that is missing.
    pub left_over: usize,
}

/// All that is to be done, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestorePlan {
    /// Whole objects: manifests first, then recordings, events and stills by time.
    pub whole: Vec<ToFetch>,
    /// Recordings that must be put together.
    pub unfinished: Vec<Unfinished>,
    /// Boxes that something is from.
    pub boxes: Vec<BoxId>,
}

/// What a key below `prefix` names, of whichever box and in whichever form; `names` are the keys of names that the owner has.
pub fn read_any(prefix: &str, names: &[NameKey], key: &str) -> Result<Option<ToFetch>> {
    let forms = [KeyForm::Plain, KeyForm::Sealed].into_iter().chain(names.iter().cloned().map(KeyForm::Opaque));
    for form in forms {
        // Which box it is, is read from the key itself.
        let space = KeySpace::new(prefix, BoxId::of(&[]), form)?;
        if let Some((box_id, name)) = space.read_of_any_box(key) {
            let is_sealed = space.is_sealed();
            return Ok(Some(ToFetch { box_id, name, key: key.to_owned(), is_sealed }));
        }
    }
    Ok(None)
}

/// Which of the objects that were found are brought back.
pub fn plan_restore(ask: &RestoreAsk, found: Vec<ToFetch>) -> RestorePlan {
    let mut plan = RestorePlan::default();
    let mut boxes = BTreeSet::new();
    let mut parts: BTreeMap<(BoxId, CameraId, Timestamp, Stream), BTreeMap<u32, ToFetch>> = BTreeMap::new();
    let mut finished = BTreeSet::new();
    // The recording that was running when the range begins, of each camera.
    let mut running: BTreeMap<(BoxId, CameraId), ToFetch> = BTreeMap::new();
    let TimeRange { from, to } = ask.range;
    for one in found {
        if !ask.may_want(&one) {
            continue;
        }
        let start = one.name.start();
        let is_within = from <= start && start < to;
        let may_reach_in = start < from && start >= from.plus_micros(-LONGEST_US);
        let is_wanted = match &one.name {
            // Its name says the day alone; one may be about the hours before.
            CopyName::Manifest { .. } => start < to && start >= from.plus_micros(-2 * DAY_US),
            CopyName::Part { camera, start, stream, number, .. } => {
                if is_within || may_reach_in {
                    let of = parts.entry((one.box_id, camera.clone(), *start, *stream)).or_default();
                    of.insert(*number, one.clone());
                }
                false
            }
            CopyName::Recording { camera, .. } => {
                finished.insert((one.box_id, camera.clone(), start));
                if may_reach_in {
                    let before = running.entry((one.box_id, camera.clone())).or_insert_with(|| one.clone());
                    if before.name.start() < start {
                        *before = one.clone();
                    }
                }
                is_within
            }
            CopyName::Facts { .. } | CopyName::Event { .. } | CopyName::Still { .. } => is_within,
        };
        if is_wanted {
            boxes.insert(one.box_id);
            plan.whole.push(one);
        }
    }
    boxes.extend(running.values().map(|one| one.box_id));
    plan.whole.extend(running.into_values());
    let rank = |one: &ToFetch| (!matches!(one.name, CopyName::Manifest { .. }), one.name.start());
    plan.whole.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.cmp(b)));
    for ((box_id, camera, start, stream), parts) in parts {
        if finished.contains(&(box_id, camera, start)) {
            continue;
        }
        let all = parts.len();
        let in_order = parts.into_iter().zip(0..).take_while(|((number, _), n)| number == n);
        let parts: Vec<_> = in_order.map(|((_, part), _)| part).collect();
        // A header alone shows nothing, and fragments without it neither.
        if parts.len() > 1 {
            boxes.insert(box_id);
            plan.unfinished.push(Unfinished { stream, left_over: all - parts.len(), parts });
        }
    }
    plan.boxes = boxes.into_iter().collect();
    plan
}

/// The hash that a whole object's content must have, where its name says so.
pub fn promised_hash(name: &CopyName) -> Option<ShortHash> {
    match name {
        CopyName::Recording { hash, .. } | CopyName::Part { hash, .. } | CopyName::Manifest { hash, .. } => Some(*hash),
        CopyName::Facts { .. } | CopyName::Event { .. } | CopyName::Still { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perch_base::ids::EventId;
    use perch_base::secret::sha256;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(&format!("2026-05-01T{text}Z")).expect("a time")
    }

    fn hash(text: &str) -> ShortHash {
        ShortHash::of(&sha256(text.as_bytes()))
    }

    fn camera(id: &str) -> CameraId {
        CameraId::new(id).expect("an id")
    }

    fn recording(id: &str, start: &str) -> CopyName {
        CopyName::Recording { camera: camera(id), start: at(start), hash: hash(start) }
    }

    fn part(start: &str, number: u32) -> CopyName {
        CopyName::Part { camera: camera("front"), start: at(start), stream: Stream::Main, number, hash: hash(start) }
    }

    fn small(start: &str, number: u32) -> CopyName {
        CopyName::Part { camera: camera("front"), start: at(start), stream: Stream::Sub, number, hash: hash(start) }
    }

    fn manifest(number: u64) -> CopyName {
        CopyName::Manifest { from: at("00:00:00"), number, hash: hash("m") }
    }

    /// As they are read from keys of this form.
    fn found(box_id: BoxId, form: &KeyForm, all: &[CopyName]) -> Vec<ToFetch> {
        let space = KeySpace::new("home", box_id, form.clone()).expect("a prefix");
        let names = [NameKey::from_bytes([7; 32])];
        let read = |name| read_any("home", &names, &space.key(name)).expect("a prefix").expect("ours");
        all.iter().map(read).collect()
    }

    fn ask(from: &str, to: &str) -> RestoreAsk {
        RestoreAsk { range: TimeRange::new(at(from), at(to)).expect("a range"), camera: None, box_id: None }
    }

    #[test]
    fn names_alone_restore_a_range_in_every_form() {
        let box_id = BoxId::of(b"key");
        let event = EventId(at("12:00:30").0);
        let all = [
            recording("front", "11:57:00"),
            recording("front", "11:59:30"),
            recording("front", "12:00:30"),
            recording("back", "12:00:10"),
            CopyName::Event { camera: camera("front"), id: event },
            CopyName::Still { camera: camera("front"), id: event },
            recording("front", "13:00:00"),
            manifest(7),
        ];
        for form in [KeyForm::Plain, KeyForm::Sealed, KeyForm::Opaque(NameKey::from_bytes([7; 32]))] {
            let found = found(box_id, &form, &all);
            assert!(found.iter().all(|one| one.box_id == box_id && one.is_sealed == (form != KeyForm::Plain)));
            let plan = plan_restore(&ask("12:00:00", "13:00:00"), found.clone());
            let names: Vec<_> = plan.whole.iter().map(|one| one.name.clone()).collect();
            let want = [7, 1, 3, 2, 4, 5].map(|n: usize| all[n].clone());
            assert_eq!(names[..3], want[..3], "manifests first, and the recording that was running at the start");
            assert_eq!(names.iter().collect::<BTreeSet<_>>(), want.iter().collect());
            assert_eq!(plan.boxes, [box_id]);
            let one = RestoreAsk { camera: Some(camera("back")), ..ask("12:00:00", "13:00:00") };
            assert_eq!(plan_restore(&one, found.clone()).whole.len(), 2, "and its manifests");
            let other = RestoreAsk { box_id: Some(BoxId::of(b"other")), ..ask("12:00:00", "13:00:00") };
            assert_eq!(plan_restore(&other, found.clone()), RestorePlan::default());
            let of_use: Vec<_> = found.iter().filter(|one| one.name != all[6]).cloned().collect();
            let ask = ask("12:00:00", "13:00:00");
            assert_eq!(found.into_iter().filter(|one| ask.may_want(one)).collect::<Vec<_>>(), of_use);
        }
        assert_eq!(read_any("home", &[], "home/notes.txt").expect("a prefix"), None);
        assert!(read_any("../x", &[], "x").is_err());
    }

    #[test]
    fn what_was_cut_short_is_put_together_as_far_as_it_goes() {
        let all = [
            // The box was gone; one fragment did not arrive.
            part("12:00:00", 2),
            part("12:00:00", 0),
            part("12:00:00", 1),
            part("12:00:00", 4),
            // Its whole file is there.
            part("12:01:00", 0),
            part("12:01:00", 1),
            recording("front", "12:01:00"),
            // No header, or nothing else.
            part("12:02:00", 1),
            part("12:03:00", 0),
            part("14:00:00", 0),
            part("14:00:00", 1),
            // What the line carried of it.
            small("12:00:00", 0),
            small("12:00:00", 1),
            small("12:01:00", 0),
            small("12:01:00", 1),
        ];
        let plan = plan_restore(&ask("12:00:10", "13:00:00"), found(BoxId::of(b"key"), &KeyForm::Plain, &all));
        let streams: Vec<_> = plan.unfinished.iter().map(|one| (one.stream, one.parts.len())).collect();
        assert_eq!(streams, [(Stream::Main, 3), (Stream::Sub, 2)], "{plan:?}");
        let names: Vec<_> = plan.unfinished[0].parts.iter().map(|part| part.name.clone()).collect();
        assert_eq!((names, plan.unfinished[0].left_over), (vec![all[1].clone(), all[2].clone(), all[0].clone()], 1));
        assert_eq!(plan.whole.len(), 1);
        assert_eq!(promised_hash(&all[6]), Some(hash("12:01:00")));
    }
}
