//! Deletes everything that was recorded of a camera, because somebody said so: what is pinned, too. The wish is kept until all of it is
//! gone, so that a kill in between costs nothing, and is fulfilled in small steps beside whoever records and looks back.

use crate::inspect::quarantined_since;
use crate::reading::Fail;
use crate::recordings::Wishes;
use crate::retention::OldEvent;
use crate::{Recordings, meta_rows};
use perch_base::ids::{CameraId, EventId, SegmentId};
use perch_base::sync::lock;
use perch_base::time::Timestamp;
use perch_base::{ErrorKind, Result, ResultExt};
use perch_domain::archive::KeptOfCamera;
use rusqlite::{Connection, OptionalExtension, params};

/// Where the wishes are kept, as JSON.
const KEY: &str = "to_forget";

/// Recordings, or events, that one step deletes.
const STEP: i64 = 64;

/// What one look is to find; how it is found is tested. A camera's last picture is shown for a while, so its last file ends up to a second
/// after the moment at which it went.
pub(crate) const NEXT_OF_CAMERA: &str =
    "SELECT id FROM segment WHERE camera = ?1 AND start < ?2 AND end <= ?2 + 1000000 AND state = 'sealed'
    ORDER BY start LIMIT ?3";
pub(crate) const EVENTS_OF_CAMERA: &str = "SELECT id, thumbnail FROM event WHERE camera = ?1 AND id < ?2
    AND NOT EXISTS (SELECT 1 FROM segment WHERE segment.event = event.id AND state IN ('open', 'sealed', 'deleting'))
    ORDER BY id LIMIT ?3";

/// How a step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForgetStep {
    /// There is no wish.
    Nothing,
    /// There is more to be done.
    Went,
    /// What is left cannot be done yet: the index is still being brought together with the files.
    Waits,
}

impl Recordings {
    /// What is recorded of this camera is to go once the camera is no longer configured ([`Self::forget_now`], or the next start): noted
    /// before the camera goes, so that a kill in between costs no wish.
    pub fn forget_once_gone(&self, camera: &CameraId) -> Result<()> {
        self.change_wishes(|wishes| {
            wishes.entry(camera.to_string()).or_insert(None);
        })
    }

    /// What was recorded of this camera until now is to go.
    pub fn forget_now(&self, camera: &CameraId) -> Result<()> {
        let now = self.now().0;
        self.change_wishes(|wishes| {
            wishes.insert(camera.to_string(), Some(now));
        })
    }

    /// Takes back what is not being done yet.
    pub fn forget_not(&self, camera: &CameraId) -> Result<()> {
        self.change_wishes(|wishes| wishes.retain(|id, until| id != camera.as_str() || until.is_some()))
    }

    /// After a start: a camera that is still configured did not go, and neither do its recordings; what others left goes.
    pub fn wishes_at_start(&self, configured: &[CameraId]) -> Result<()> {
        let now = self.now().0;
        self.change_wishes(|wishes| {
            wishes.retain(|id, until| until.is_some() || !configured.iter().any(|c| c.as_str() == id));
            wishes.values_mut().for_each(|until| *until = Some(until.unwrap_or(now)));
        })
    }

    fn change_wishes(&self, change: impl Fn(&mut Wishes)) -> Result<()> {
        let mut known = lock(&self.inner.to_forget);
        let changed = self.inner.db.write("keeping which recordings are to go", |tx| {
            let before = read_wishes(tx)?;
            let mut wishes = before.clone();
            change(&mut wishes);
            match wishes.is_empty() {
                _ if wishes == before => {}
                true => meta_rows::remove(tx, KEY)?,
                false => meta_rows::put(tx, KEY, &serde_json::to_string(&wishes).unwrap_or_default())?,
            }
            Ok(wishes)
        })?;
        *known = Some(changed);
        Ok(())
    }

    fn wishes(&self) -> Result<Wishes> {
        let mut known = lock(&self.inner.to_forget);
        if let Some(known) = &*known {
            return Ok(known.clone());
        }
        let found = self.inner.db.read("looking up which recordings are to go", read_wishes)?;
        *known = Some(found.clone());
        Ok(found)
    }

    /// Deletes a little of what is to go; one camera that waits, or fails, keeps no other waiting. Errors: `Unavailable` when the disk or the
    /// database cannot be written and so nothing went; the wish stays.
    pub fn forget_step(&self) -> Result<ForgetStep> {
        let (mut is_waiting, mut failed) = (false, None);
        for (camera, until) in self.wishes()? {
            let Some(until) = until else { continue };
            match self.forget_of(&camera, until) {
                Ok(ForgetStep::Went) => return Ok(ForgetStep::Went),
                Ok(step) => is_waiting |= step == ForgetStep::Waits,
                Err(e) => failed = failed.or(Some(e)),
            }
        }
        match (failed, is_waiting) {
            (Some(e), _) => Err(e),
            (None, true) => Ok(ForgetStep::Waits),
            (None, false) => Ok(ForgetStep::Nothing),
        }
    }

    /// Deletes a little of one camera.
    fn forget_of(&self, camera: &str, until: i64) -> Result<ForgetStep> {
        self.refuse_if_away()?;
        self.index().settle();
        self.unpin(camera, until)?;
        let ids = self.inner.db.read(format_args!("looking up what goes of {camera}"), |c| {
            let mut statement = c.prepare_cached(NEXT_OF_CAMERA)?;
            let rows = statement.query_map(params![camera, until, STEP], |r| Ok(SegmentId(r.get(0)?)))?;
            Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?)
        })?;
        if !ids.is_empty() {
            let went = self.erase(&ids, None)?;
            tracing::debug!(
                camera,
                deleted = went.deleted,
                freed_bytes = went.freed_bytes,
                "recordings deleted as was wished"
            );
            return Ok(ForgetStep::Went);
        }
        if self.forget_events(camera, until)? {
            return Ok(ForgetStep::Went);
        }
        self.forget_rest(camera, until)?;
        let is_open = |c: &Connection| {
            let sql = "SELECT EXISTS (SELECT 1 FROM segment WHERE camera = ?1 AND start < ?2 AND state IN ('open', 'deleting'))";
            c.prepare_cached(sql)?.query_row(params![camera, until], |r| r.get::<_, bool>(0))
        };
        let is_left = self.inner.db.read(format_args!("looking up what is left of {camera}"), |c| Ok(is_open(c)?))?;
        if self.taking_in().is_some() || is_left && self.is_written_by_nobody(camera) {
            return Ok(ForgetStep::Waits);
        }
        if self.is_written_by_nobody(camera) {
            self.inner.recordings.remove_empty(camera);
        }
        // What is being recorded now began before and stays: it ends after the moment of the wish.
        self.change_wishes(|wishes| wishes.retain(|id, at| id != camera || *at != Some(until)))?;
        tracing::info!(camera, "all recordings that were to go are deleted");
        Ok(ForgetStep::Went)
    }

    /// Whether nothing of the camera is being recorded by this process: what is open then is about to be sealed.
    fn is_written_by_nobody(&self, camera: &str) -> bool {
        !self.live().values().any(|live| live.segment.camera.as_str() == camera)
    }

    fn unpin(&self, camera: &str, until: i64) -> Result<()> {
        const PINNED: &str = "SELECT EXISTS (SELECT 1 FROM event WHERE camera = ?1 AND id < ?2 AND pinned = 1)";
        let what = format!("the pinned events of {camera} cannot be let go");
        let any = self.inner.db.read(&what, |c| {
            Ok(c.prepare_cached(PINNED)?.query_row(params![camera, until], |r| r.get::<_, bool>(0))?)
        })?;
        if !any {
            return Ok(());
        }
        self.inner.db.write(&what, |tx| {
            let sql = "UPDATE event SET pinned = 0 WHERE camera = ?1 AND id < ?2 AND pinned = 1";
            tx.prepare_cached(sql)?.execute(params![camera, until])?;
            Ok(())
        })
    }

    /// Whether there were any.
    fn forget_events(&self, camera: &str, until: i64) -> Result<bool> {
        let old = self.inner.db.read(format_args!("looking up the events of {camera}"), |c| {
            let mut statement = c.prepare_cached(EVENTS_OF_CAMERA)?;
            let rows = statement.query_map(params![camera, until, STEP], |r| {
                Ok(OldEvent { id: EventId(r.get(0)?), camera: camera.to_owned(), has_still: r.get(1)? })
            })?;
            Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?)
        })?;
        self.drop_events(&old)?;
        Ok(!old.is_empty())
    }

    /// Gaps, rows without files, and what could not be read and was set aside.
    fn forget_rest(&self, camera: &str, until: i64) -> Result<()> {
        self.inner.db.write(format_args!("the gaps of {camera} cannot be dropped"), |tx| {
            tx.prepare_cached("DELETE FROM gap WHERE camera = ?1 AND end <= ?2")?.execute(params![camera, until])?;
            let sql = "DELETE FROM segment WHERE camera = ?1 AND end <= ?2 AND state IN ('lost', 'quarantined')";
            tx.prepare_cached(sql)?.execute(params![camera, until])?;
            let sql = "DELETE FROM copy WHERE camera = ?1 AND end <= ?2 AND NOT EXISTS (SELECT 1 FROM segment WHERE segment.id = copy.segment)";
            tx.prepare_cached(sql)?.execute(params![camera, until])?;
            Ok(())
        })?;
        let failed = || "what could not be read and was set aside cannot be looked through";
        // A camera that came after the wish, with the same id, keeps its own.
        let is_due = |name: &str| quarantined_since(camera, name).is_some_and(|start| start.0 < until);
        for entry in std::fs::read_dir(self.inner.quarantine.path()).context(ErrorKind::Io, failed)?.flatten() {
            if let Some(name) = entry.file_name().to_str().filter(|name| is_due(name)) {
                self.inner.quarantine.remove(name).context(ErrorKind::Io, failed)?;
            }
        }
        Ok(())
    }

    /// What is kept of each camera, those that are no more, too.
    pub fn kept_of_all(&self) -> Result<Vec<KeptOfCamera>> {
        self.index().settle();
        let wishes = self.wishes()?;
        self.inner.db.read("looking up what is kept of each camera", |c| {
            let cameras = cameras(c)?;
            Ok(cameras.into_iter().map(|camera| kept_of(c, camera, &wishes)).collect::<rusqlite::Result<Vec<_>>>()?)
        })
    }

    /// What is kept of one camera.
    pub fn kept_of_camera(&self, camera: &CameraId) -> Result<KeptOfCamera> {
        self.index().settle();
        let wishes = self.wishes()?;
        self.inner
            .db
            .read(format_args!("looking up what is kept of {camera}"), |c| Ok(kept_of(c, camera.clone(), &wishes)?))
    }
}

fn read_wishes(c: &Connection) -> Result<Wishes, Fail> {
    let text = meta_rows::get(c, KEY)?;
    // What cannot be read is nobody's wish: nothing is deleted for it.
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
}

/// Every camera that has recordings or events, found step by step in the indices.
fn cameras(c: &Connection) -> rusqlite::Result<Vec<CameraId>> {
    let mut found = Vec::new();
    for table in ["segment", "event"] {
        let mut next = c.prepare_cached(&format!("SELECT min(camera) FROM {table} WHERE camera > ?1"))?;
        let mut at = String::new();
        while let Some(camera) = next.query_row([&at], |r| r.get::<_, Option<String>>(0)).optional()?.flatten() {
            found.extend(CameraId::new(&camera));
            at = camera;
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn kept_of(c: &Connection, camera: CameraId, wishes: &Wishes) -> rusqlite::Result<KeptOfCamera> {
    let sql = "SELECT count(*), coalesce(sum(size), 0), min(start), max(end) FROM segment
        WHERE camera = ?1 AND state IN ('open', 'sealed', 'deleting')";
    let (files, bytes, from, to): (i64, i64, Option<i64>, Option<i64>) =
        c.prepare_cached(sql)?.query_row([camera.as_str()], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))?;
    let (events, pinned): (i64, i64) = c
        .prepare_cached("SELECT count(*), coalesce(sum(pinned), 0) FROM event WHERE camera = ?1")?
        .query_row([camera.as_str()], |r| Ok((r.get(0)?, r.get(1)?)))?;
    let deleting = wishes.get(camera.as_str()).is_some_and(Option::is_some);
    let count = |n: i64| n.max(0) as u64;
    let (files, bytes, events, pinned) = (count(files), count(bytes), count(events), count(pinned));
    Ok(KeptOfCamera {
        camera,
        files,
        bytes,
        events,
        pinned,
        from: from.map(Timestamp),
        to: to.map(Timestamp),
        deleting,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;
    use crate::testing::open;

    fn id(id: &str) -> CameraId {
        CameraId::new(id).expect("an id")
    }

    /// A camera with so many recordings of 10 bytes each, every third in an event of its own, which is pinned; all with their files.
    fn fill(store: &Store, camera: &str, files: i64, from_us: i64) {
        let recordings = store.recordings();
        let folder = recordings.inner.recordings.path().join(camera).join("2026-01-01");
        std::fs::create_dir_all(&folder).expect("made");
        recordings
            .inner
            .db
            .write("filling", |tx| {
                for n in 0..files {
                    let (start, path) = (from_us + n * 10, format!("{camera}/2026-01-01/{n:09}Z.mp4"));
                    let event = (n % 3 == 0).then_some(start);
                    if event.is_some() {
                        tx.execute(
                            "INSERT INTO event (id, camera, kind, start, end, score, cause, boxes, pinned)
                             VALUES (?1, ?2, 'motion', ?1, ?1 + 9, 0.5, 'object', '[]', 1)",
                            params![start, camera],
                        )?;
                    }
                    tx.execute(
                        "INSERT INTO segment (camera, path, start, end, size, state, event) VALUES (?1, ?2, ?3, ?3 + 9, 10, 'sealed', ?4)",
                        params![camera, path, start, event],
                    )?;
                    std::fs::write(recordings.inner.recordings.path().join(&path), "0123456789").expect("written");
                }
                tx.execute("INSERT INTO gap (camera, start, end, cause) VALUES (?1, 1, 2, 'off')", [camera])?;
                Ok(())
            })
            .expect("filled");
    }

    fn files(store: &Store, camera: &str) -> usize {
        let folder = store.recordings().inner.recordings.path().join(camera).join("2026-01-01");
        std::fs::read_dir(folder).map_or(0, Iterator::count)
    }

    #[test]
    fn everything_of_a_camera_goes_step_by_step_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = open(&dir);
        let recordings = store.recordings();
        while recordings.reconcile_step().expect("compared") {}
        fill(&store, "door", 200, 1000);
        fill(&store, "yard", 5, 1003);
        let kept = recordings.kept_of_all().expect("asked");
        assert_eq!(kept.iter().map(|k| k.camera.as_str()).collect::<Vec<_>>(), ["door", "yard"]);
        assert_eq!((kept[0].files, kept[0].bytes, kept[0].events, kept[0].pinned), (200, 2000, 67, 67));
        assert_eq!(recordings.forget_step().expect("asked"), ForgetStep::Nothing);
        recordings.forget_now(&id("door")).expect("wished");
        assert!(recordings.kept_of_camera(&id("door")).expect("asked").deleting);
        assert_eq!(recordings.forget_step().expect("done"), ForgetStep::Went);
        assert_eq!(files(&store, "door"), 200 - STEP as usize, "a step is small");
        // Killed in between: the wish outlives it.
        *lock(&recordings.inner.to_forget) = None;
        let mut steps = 0;
        while recordings.forget_step().expect("done") != ForgetStep::Nothing {
            steps += 1;
            assert!(steps < 50, "it ends");
        }
        let left = recordings.kept_of_all().expect("asked");
        assert_eq!(left.iter().map(|k| (k.camera.as_str(), k.files, k.events)).collect::<Vec<_>>(), [("yard", 5, 2)]);
        assert_eq!((files(&store, "door"), files(&store, "yard")), (0, 5));
        let folder = |camera: &str| recordings.inner.recordings.path().join(camera);
        assert!(!folder("door").exists() && folder("yard").exists(), "nor an empty folder");
        let gaps: i64 = recordings
            .inner
            .db
            .read("counting", |c| Ok(c.query_row("SELECT count(*) FROM gap WHERE camera = 'door'", [], |r| r.get(0))?))
            .expect("counted");
        assert_eq!(gaps, 0);
    }

    #[test]
    fn what_is_recorded_after_the_wish_stays_and_a_camera_that_did_not_go_keeps_all() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = open(&dir);
        let recordings = store.recordings();
        while recordings.reconcile_step().expect("compared") {}
        let now = recordings.now().0;
        fill(&store, "door", 4, 1000);
        fill(&store, "yard", 4, 1003);
        fill(&store, "hall", 4, now + 1_000_000);
        for camera in ["door", "yard"] {
            recordings.forget_once_gone(&id(camera)).expect("wished");
        }
        assert_eq!(recordings.forget_step().expect("asked"), ForgetStep::Nothing, "they are configured still");
        recordings.forget_not(&id("yard")).expect("taken back");
        recordings.forget_once_gone(&id("yard")).expect("wished");
        // A start: door is gone from the config, yard is not.
        recordings.wishes_at_start(&[id("yard")]).expect("looked");
        recordings.forget_now(&id("hall")).expect("wished");
        while recordings.forget_step().expect("done") != ForgetStep::Nothing {}
        assert_eq!((files(&store, "door"), files(&store, "yard"), files(&store, "hall")), (0, 4, 4));
    }

    /// A camera that is not done with: a file is still to be sealed, by nobody.
    fn leave_open(store: &Store, camera: &str) {
        let sql =
            "INSERT INTO segment (camera, path, start, end, size, state) VALUES (?1, ?1 || '/x', 1, 2, 10, 'open')";
        let left = store.recordings().inner.db.write("filling", |tx| Ok(tx.execute(sql, [camera])?));
        left.expect("filled");
    }

    #[test]
    fn a_camera_that_waits_keeps_no_other_waiting() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = open(&dir);
        let recordings = store.recordings();
        while recordings.reconcile_step().expect("compared") {}
        fill(&store, "yard", 3, 1003);
        leave_open(&store, "attic");
        for camera in ["attic", "yard"] {
            recordings.forget_now(&id(camera)).expect("wished");
        }
        while recordings.forget_step().expect("done") == ForgetStep::Went {}
        assert_eq!(files(&store, "yard"), 0);
        assert_eq!(recordings.forget_step().expect("asked"), ForgetStep::Waits);
        assert_eq!(recordings.wishes().expect("asked").into_keys().collect::<Vec<_>>(), ["attic"]);
    }

    #[test]
    fn a_camera_that_fails_keeps_no_other_waiting() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = open(&dir);
        let recordings = store.recordings();
        while recordings.reconcile_step().expect("compared") {}
        fill(&store, "yard", 3, 1003);
        // A folder where a file is expected cannot be removed as one.
        let stuck = recordings.inner.quarantine.path().join("attic_2026-01-01_100000.000Z.mp4");
        std::fs::create_dir_all(stuck.join("x")).expect("made");
        for camera in ["attic", "yard"] {
            recordings.forget_now(&id(camera)).expect("wished");
        }
        while recordings.forget_step().is_ok_and(|step| step == ForgetStep::Went) {}
        assert_eq!(files(&store, "yard"), 0);
        assert!(recordings.forget_step().is_err(), "and it is said");
    }

    #[test]
    fn what_a_newer_camera_of_that_id_set_aside_stays() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = open(&dir);
        let recordings = store.recordings();
        while recordings.reconcile_step().expect("compared") {}
        let quarantine = recordings.inner.quarantine.path();
        let (old, new) = ("door_2026-01-01_100000.000Z.mp4.1", "door_2999-01-01_100000.000Z.mp4");
        for name in [old, new] {
            std::fs::write(quarantine.join(name), "x").expect("written");
        }
        recordings.forget_now(&id("door")).expect("wished");
        while recordings.forget_step().expect("done") != ForgetStep::Nothing {}
        assert!(!quarantine.join(old).exists() && quarantine.join(new).exists());
    }

    #[test]
    fn wishes_that_come_at_once_are_all_known() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = open(&dir);
        for round in 0..50 {
            let both = std::sync::Barrier::new(2);
            std::thread::scope(|threads| {
                for camera in ["door", "yard"] {
                    let (recordings, both) = (store.recordings().clone(), &both);
                    threads.spawn(move || {
                        both.wait();
                        recordings.forget_now(&id(&format!("{camera}-{round}"))).expect("wished");
                    });
                }
            });
            let written = store.recordings().inner.db.read("reading", read_wishes).expect("read");
            assert_eq!(store.recordings().wishes().expect("asked"), written, "in round {round}");
        }
    }
}
