//! What the box signs, and `perch verify` on a machine that knows nothing of the box.

use crate::support::home::{Home, Ran, camera, perch};
use crate::support::{ffmpeg, s, wait_until};
use perch_base::age::{self, Recipient};
use perch_base::clock::{Clock, SystemClock};
use perch_base::time::Timestamp;
use perch_domain::evidence::{ContentHash, EvidenceKey, ManifestHead, ManifestLine, RecordedFile, StatementHead, sign};
use perch_domain::media::Stream;
use perch_domain::sync::keys::{CopyName, KeyForm, KeySpace, NameKey, ShortHash, parse_copied};
use perch_pki::BoxKey;
use perch_test_stores::{Line, LineFault, Rights, TestStore};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn verify(args: &[&str]) -> Ran {
    let args = [&["verify"], args].concat();
    Ran::of(perch(&args), "")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).expect("read");
    bytes[at] ^= 1;
    fs::write(file, bytes).expect("written");
}

/// Recorded files as copies lie in a folder, with a manifest for each of them.
fn copies(recorded: &[PathBuf], key: &BoxKey, dir: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let (mut files, mut manifests, mut previous) = (Vec::new(), Vec::new(), None);
    for path in recorded {
        let bytes = fs::read(path).expect("read");
        let sha256 = ContentHash::of(&bytes);
        let (camera, start) = parse_copied(text(path)).expect("named by its time");
        let name = CopyName::Recording { camera: camera.clone(), start, hash: ShortHash::of(&sha256.0) };
        files.push(dir.join(name.path()));
        let end = Timestamp(start.0 + 1_000_000);
        let line = RecordedFile { camera, start, end, bytes: bytes.len() as u64, sha256, event: None };
        let head = ManifestHead::new(key.public_key(), previous, (start, end), end);
        let (number, of) = (head.number, head.clone());
        let signed = sign(&StatementHead::Manifest(head), &[ManifestLine::Recording(line)], key).expect("signed");
        let hash = ContentHash::of(&signed);
        let name = CopyName::Manifest { from: start, number, hash: ShortHash::of(&hash.0) };
        manifests.push(dir.join(name.path()));
        for (file, content) in [files.last(), manifests.last()].into_iter().flatten().zip([bytes, signed]) {
            fs::create_dir_all(file.parent().expect("a folder")).expect("made");
            fs::write(file, content).expect("written");
        }
        previous = Some(of.as_previous(hash));
    }
    (files, manifests)
}

#[test]
fn exports_and_copies_are_checked_without_the_box() {
    let more = "record = { mode = \"continuous\", segment_max_s = 5, pre_roll_s = 1 }\nmotion = { enabled = false }";
    let home = Home::new(&camera("front", "test", more));
    let mut running = home.boot();
    wait_until("some files are recorded", s(150), || (home.recordings("front").len() > 3).then_some(()));
    let now = SystemClock.utc();
    let (from, to) = (now.plus_micros(-3_600_000_000).to_string(), now.plus_micros(3_600_000_000).to_string());
    let by_command = home.dir().join("command.mp4");
    let args = ["export", "--camera", "front", "--from", &from, "--to", &to, "--out", text(&by_command)];
    home.run(&args, "").ok();
    let by_page = home.dir().join("page.mp4");
    let path = format!("/api/v1/cameras/front/export.mp4?from={from}&to={to}");
    fs::write(&by_page, &running.paired().get(&path).expect(200).body).expect("written");
    running.terminate();

    let key = BoxKey::open(home.data()).expect("the box's own");
    let public = key.public_key().to_string();
    for file in [&by_command, &by_page] {
        assert!(ffmpeg::probe_file(file).duration > 3.0, "it plays");
        let out = verify(&[text(file)]).ok();
        assert!(out.contains("camera front") && out.contains(&public) && out.contains("your box's key"), "{out}");
        verify(&[text(file), "--key", &public]).ok();
        verify(&[text(file), "--key", &key.public_key().box_id().to_string()]).ok();
        let ran = verify(&[text(file), "--key", &"0".repeat(64)]);
        assert!(ran.code == Some(1) && ran.out.contains("Wrong: it is signed by another box"), "{ran:?}");
        flip(file, 5000);
        let ran = verify(&[text(file)]);
        assert!(ran.code == Some(1) && ran.out.contains("pictures or sound were changed"), "{ran:?}");
        let bytes = fs::read(file).expect("read");
        fs::write(file, &bytes[..bytes.len() - 1]).expect("written");
        let ran = verify(&[text(file)]);
        assert!(ran.code == Some(1) && ran.out.contains("was not received whole"), "{ran:?}");
    }

    // The newest file may not be closed well; the others are as the box recorded them.
    let mut recorded = home.recordings("front");
    recorded.sort();
    let dir = home.dir().join("copies");
    let (files, manifests) = copies(&recorded[..3], &key, &dir);
    let out = verify(&[text(&dir), "--key", &public]).ok();
    assert!(out.contains("Manifests: 3, from 1 to 3.") && out.contains("as they were recorded: 3."), "{out}");
    verify(&[text(&manifests[1])]).ok();
    // A stranger's folder leads nowhere else.
    std::os::unix::fs::symlink("/", dir.join("elsewhere")).expect("linked");
    verify(&[text(&dir)]).ok();

    let fails = |words: &[&str]| {
        let ran = verify(&[text(&dir)]);
        assert!(ran.code == Some(1) && words.iter().all(|w| ran.out.contains(w)), "{words:?}: {ran:?}");
    };
    flip(&files[1], 3000);
    fails(&["Wrong (1)", files[1].file_name().and_then(|n| n.to_str()).expect("text"), "changed: camera front"]);
    flip(&files[1], 3000);
    let gone = fs::read(&files[1]).expect("read");
    fs::remove_file(&files[1]).expect("removed");
    fails(&["Wrong (1)", "missing: camera front", "(manifest 2)"]);
    fs::write(&files[1], gone).expect("written");
    let [first, second] = [0, 1].map(|n| fs::read(&manifests[n]).expect("read"));
    fs::write(&manifests[0], &second).expect("written");
    fs::write(&manifests[1], &first).expect("written");
    fails(&["Wrong (2)", "it has number 2, and is called otherwise", "it has number 1"]);
    fs::write(&manifests[0], &first).expect("written");
    fs::write(&manifests[1], &second).expect("written");
    // Whichever bit it is: it is that manifest that is wrong, and no other.
    let middle = fs::read(&manifests[2]).expect("read").len() / 2;
    flip(&manifests[2], middle);
    fails(&["Wrong (1)", "  manifest _manifests/", "/00000003-"]);
    flip(&manifests[2], middle);
    fs::remove_file(&manifests[1]).expect("removed");
    fails(&["manifest 2 is missing", "no manifest here is about"]);
    let ran = verify(&[text(&home.dir().join("nothing"))]);
    assert!(ran.code == Some(1) && ran.err.contains("cannot be read"), "{ran:?}");
    assert_eq!(verify(&[text(&dir), "--key", "front"]).code, Some(2));
}

/// Short recordings of a real box, a key, and a folder of copies in a form: what a NAS or a bucket holds.
struct Copied {
    home: Home,
    key: BoxKey,
    recorded: Vec<PathBuf>,
    identity: PathBuf,
    owner: Recipient,
}

impl Copied {
    fn new() -> Self {
        let more =
            "record = { mode = \"continuous\", segment_max_s = 5, pre_roll_s = 1 }\nmotion = { enabled = false }";
        let home = Home::new(&camera("front", "test", more));
        let mut running = home.boot();
        wait_until("some files are recorded", s(150), || (home.recordings("front").len() > 3).then_some(()));
        running.terminate();
        let mut recorded = home.recordings("front");
        recorded.sort();
        recorded.truncate(3);
        let identity = home.dir().join("key.txt");
        let made = Command::new("age-keygen").arg("-o").arg(&identity).output().expect("age is installed");
        assert!(made.status.success(), "{made:?}");
        let text = fs::read_to_string(&identity).expect("read");
        let public = text.lines().find_map(|line| line.strip_prefix("# public key: ")).expect("it says it");
        let owner = Recipient::parse(public).expect("as age writes it");
        let key = BoxKey::open(home.data()).expect("the box's own");
        Self { home, key, recorded, identity, owner }
    }

    /// Lays all of it down, with manifests, and of one more recording only pieces.
    fn lay(&self, form: &KeyForm, folder: &Path) {
        let plain = self.home.dir().join("as-restored");
        let (files, manifests) = copies(&self.recorded, &self.key, &plain);
        let space = KeySpace::new("home", self.key.public_key().box_id(), form.clone()).expect("a prefix");
        let put = |key: String, content: &[u8], is_sealed: bool| {
            let file = folder.join(key);
            fs::create_dir_all(file.parent().expect("a folder")).expect("made");
            let content = if is_sealed { age::seal(&[self.owner], content).expect("sealed") } else { content.to_vec() };
            fs::write(file, content).expect("written");
        };
        for file in files.iter().chain(&manifests) {
            let path = file.strip_prefix(&plain).expect("below");
            let name = CopyName::parse(text(path)).expect("a copy's name");
            put(space.key(&name), &fs::read(file).expect("read"), space.is_sealed());
        }
        let bytes = fs::read(&self.recorded[0]).expect("read");
        let (camera, start) = parse_copied(text(&self.recorded[0])).expect("named by its time");
        let start = Timestamp(start.0 - 600_000_000);
        let marks: Vec<_> = (4..bytes.len()).filter(|i| bytes[*i..].starts_with(b"moof")).map(|i| i - 4).collect();
        let ends = marks.iter().skip(1).copied().chain([bytes.len()]);
        let parts = [(0, marks[0])].into_iter().chain(marks.iter().copied().zip(ends));
        for ((from, to), number) in parts.take(3).zip(0..) {
            let hash = ShortHash::of(&ContentHash::of(&bytes[from..to]).0);
            let name = CopyName::Part { camera: camera.clone(), start, stream: Stream::Main, number, hash };
            put(space.key(&name), &bytes[from..to], space.is_sealed());
        }
        if let (Some(key), KeyForm::Opaque(names)) = (space.name_key(), form) {
            put(key, names.expose(), true);
        }
    }

    fn restore(&self, folder: &Path, out: &Path, more: &[&str]) -> Ran {
        self.restore_from(&["--folder", text(folder)], &["--out", text(out)], more)
    }

    fn restore_from(&self, from: &[&str], to: &[&str], more: &[&str]) -> Ran {
        let now = SystemClock.utc();
        let (begin, end) = (now.plus_micros(-3_600_000_000).to_string(), now.plus_micros(3_600_000_000).to_string());
        let args = ["restore", "--prefix", "home", "--from", &begin, "--to", &end];
        let mut command = perch(&[&args, from, to, more].concat());
        command.env("AWS_ACCESS_KEY_ID", "owner").env("AWS_SECRET_ACCESS_KEY", "of-the-tests");
        Ran::of(command, "")
    }
}

#[test]
fn copies_are_restored_from_their_names_alone_and_a_stranger_gets_nothing() {
    let copied = Copied::new();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    // The same folders as buckets, over a line that breaks every 150 kB.
    let keys = [("owner", "of-the-tests", Rights::ReadOnly)];
    let store = runtime.block_on(TestStore::start(copied.home.dir(), &keys));
    let line = runtime.block_on(Line::to(store.address));
    line.set(LineFault::CutAnswersAfter(150_000));
    let endpoint = line.endpoint();
    let identity = text(&copied.identity).to_owned();
    let box_id = copied.key.public_key().box_id().to_string();
    let recorded = fs::read(&copied.recorded[0]).expect("read");
    let frame = &recorded[recorded.len() - 200..recorded.len() - 150];
    let forms =
        [("plain", KeyForm::Plain), ("sealed", KeyForm::Sealed), ("opaque", KeyForm::Opaque(NameKey::random()))];
    for (what, form) in forms {
        let (folder, out) = (copied.home.dir().join(what), copied.home.dir().join(format!("{what}-restored")));
        copied.lay(&form, &folder);
        let is_sealed = form != KeyForm::Plain;
        if is_sealed {
            let ran = copied.restore(&folder, &copied.home.dir().join("stranger"), &[]);
            assert!(ran.code == Some(1) && (ran.out + &ran.err).contains("--identity FILE"), "{what}");
            let names: Vec<_> =
                all_files(&folder).iter().map(|f| text(f.strip_prefix(&folder).expect("below")).to_owned()).collect();
            assert!(
                what == "sealed"
                    || names.iter().all(|n| !n.contains("front") && !n.contains("mp4") && !n.contains(&box_id)),
                "{names:?}"
            );
            for file in all_files(&folder) {
                let bytes = fs::read(&file).expect("read");
                let says = [&b"perch_manifest"[..], b"recording", b"\"camera\"", frame];
                assert!(bytes.starts_with(b"age-encryption.org/v1\n"), "{} is encrypted", file.display());
                let mut says = says.iter().filter(|w| bytes.windows(w.len()).any(|b| b == **w));
                assert!(says.next().is_none(), "{} says what it is", file.display());
            }
        }
        let more: &[&str] = if is_sealed { &["--identity", &identity] } else { &[] };
        let said = copied.restore(&folder, &out, more).ok();
        assert!(said.contains("Brought back: 6 files") && said.contains("as they were recorded: 3."), "{what}: {said}");
        let restored: Vec<_> = all_files(&out.join(&box_id).join("front"));
        let finished = restored.iter().filter(|f| !text(f).ends_with("unfinished.mp4"));
        for (file, recorded) in finished.zip(&copied.recorded) {
            assert!(fs::read(file).expect("read") == fs::read(recorded).expect("read"), "byte for byte");
        }
        let cut_short = restored.iter().find(|f| text(f).ends_with("unfinished.mp4")).expect("put together");
        assert!(ffmpeg::probe_file(cut_short).duration > 0.3, "what arrived plays");
        let again = copied.restore(&folder, &out, more).ok();
        assert!(again.contains("Brought back: 0 files; 6 were there already."), "{again}");

        // The store of the tests lays long names elsewhere, and only those that came over its own line are found there.
        if what == "opaque" {
            continue;
        }
        let bucket = ["--endpoint", &endpoint, "--bucket", what];
        let of_bucket = copied.home.dir().join(format!("{what}-from-bucket"));
        let said = copied.restore_from(&bucket, &["--list"], more).ok();
        assert!(said.contains(" 4 recordings, 1 of them cut short") && said.contains("before: 3."), "{what}: {said}");
        let said = copied.restore_from(&bucket, &["--out", text(&of_bucket)], more).ok();
        assert!(said.contains("Brought back: 6 files") && said.contains("as they were recorded: 3."), "{what}: {said}");
        let [of_folder, of_bucket] = [&out, &of_bucket].map(|root| {
            let files = all_files(root).into_iter();
            let files = files.map(|f| (f.strip_prefix(root).expect("below").to_owned(), fs::read(&f).expect("read")));
            files.collect::<Vec<_>>()
        });
        assert!(of_folder == of_bucket, "{what}: the same files, byte for byte");
        if is_sealed {
            let ran = copied.restore_from(&bucket, &["--list"], &[]);
            assert!(ran.code == Some(1) && (ran.out + &ran.err).contains("--identity FILE"), "{what}");
        }
    }
    what_is_wrong_with_restored_copies_is_named(&copied.home.dir().join("plain-from-bucket").join(&box_id));
    // What is wrong is one sentence, and no secret.
    line.set(LineFault::None);
    let out = copied.home.dir().join("nowhere");
    let ran = copied.restore_from(&["--endpoint", &endpoint, "--bucket", "no-such"], &["--out", text(&out)], &[]);
    assert!(ran.code == Some(1) && ran.err.contains("no such bucket"), "{ran:?}");
    let wrong = copied.home.dir().join("wrong-key");
    fs::write(&wrong, "not-the-secret\n").expect("written");
    let more = ["--secret-key-file", text(&wrong)];
    let ran = copied.restore_from(&["--endpoint", &endpoint, "--bucket", "plain"], &["--out", text(&out)], &more);
    assert!(ran.code == Some(1) && ran.err.contains("access key") && !ran.err.contains("not-the-secret"), "{ran:?}");
    let ran = copied.restore_from(&[], &["--out", text(&out)], &[]);
    assert!(ran.code == Some(2) && ran.err.contains("--folder DIR, or --endpoint URL"), "{ran:?}");
    assert!(!out.exists());

    // The owner's own program opens what the box encrypted.
    let sealed = all_files(&copied.home.dir().join("sealed")).into_iter().find(|f| text(f).ends_with(".mp4.age"));
    let opened = Command::new("age").args(["-d", "-i", &identity]).arg(sealed.expect("a recording")).output();
    let opened = opened.expect("age is installed");
    let is_one = copied.recorded.iter().any(|file| fs::read(file).expect("read") == opened.stdout);
    let is_part = opened.stdout.starts_with(b"\0\0\0");
    assert!(opened.status.success() && (is_one || is_part), "{}", String::from_utf8_lossy(&opened.stderr));

    // What was changed on its way is named, and everything else comes.
    let (plain, out) = (copied.home.dir().join("plain"), copied.home.dir().join("changed"));
    let victim = all_files(&plain).into_iter().find(|f| text(f).ends_with(".mp4") && !text(f).contains("parts"));
    flip(&victim.expect("a recording"), 2000);
    let ran = copied.restore(&plain, &out, &[]);
    assert!(
        ran.code == Some(1) && ran.out.contains("not what its name says") && ran.out.contains("missing: camera front"),
        "{ran:?}"
    );
    assert!(ran.out.contains("Brought back: 5 files"), "{ran:?}");

    // A box that is refilled shows them again.
    let sealed = copied.home.dir().join("sealed");
    let new = Home::new(&camera("front", "test", "record = { mode = \"off\" }\nmotion = { enabled = false }"));
    let now = SystemClock.utc();
    let (from, to) = (now.plus_micros(-3_600_000_000).to_string(), now.plus_micros(3_600_000_000).to_string());
    let args = [
        "restore",
        "--folder",
        text(&sealed),
        "--prefix",
        "home",
        "--from",
        &from,
        "--to",
        &to,
        "--into-box",
        "--identity",
        &identity,
    ];
    let said = new.run(&args, "").ok();
    assert!(said.contains("when it starts next"), "{said}");
    // What is on the box is its own, and stays.
    let own = new.recordings("front");
    own.iter().for_each(|file| flip(file, 2000));
    let before: Vec<_> = own.iter().map(|file| fs::read(file).expect("read")).collect();
    let ran = new.run(&args, "");
    assert!(ran.code == Some(1) && ran.out.contains("with other content, and stays"), "{ran:?}");
    assert!(own.iter().zip(&before).all(|(file, before)| fs::read(file).expect("read") == *before));
    own.iter().for_each(|file| flip(file, 2000));
    let running = new.boot();
    let admin = running.paired();
    let path = format!("/api/v1/cameras/front/timeline?from={from}&to={to}");
    wait_until("the recordings are on the timeline", s(60), || {
        let spans = admin.json(&path)["spans"].as_array().map_or(0, Vec::len);
        (spans >= 2).then_some(())
    });
}

/// One flipped byte, one missing recording, two manifests in each other's place, in what came from a store.
fn what_is_wrong_with_restored_copies_is_named(dir: &Path) {
    let (manifests, others): (Vec<_>, Vec<_>) = all_files(dir).into_iter().partition(|f| text(f).ends_with(".jsonl"));
    let of: Vec<_> = others.iter().filter(|f| text(f).ends_with(".mp4") && !text(f).contains("unfinished")).collect();
    let name = |file: &Path| file.file_name().and_then(|n| n.to_str()).expect("text").to_owned();
    let fails = |words: &[&str]| {
        let ran = verify(&[text(dir)]);
        assert!(ran.code == Some(1) && words.iter().all(|w| ran.out.contains(w)), "{words:?}: {ran:?}");
    };
    let out = verify(&[text(dir)]).ok();
    assert!(out.contains("not finished, which no manifest is about (1)"), "what was cut short is named: {out}");
    flip(of[1], 3000);
    fails(&["Wrong (1)", &name(of[1]), "changed: camera front"]);
    flip(of[1], 3000);
    let gone = fs::read(of[0]).expect("read");
    fs::remove_file(of[0]).expect("removed");
    fails(&["Wrong (1)", "missing: camera front", "(manifest 1)"]);
    fs::write(of[0], gone).expect("written");
    let [first, second] = [0, 1].map(|n| fs::read(&manifests[n]).expect("read"));
    fs::write(&manifests[0], &second).expect("written");
    fs::write(&manifests[1], &first).expect("written");
    fails(&["Wrong (2)", &name(&manifests[0]), "it has number 2, and is called otherwise", &name(&manifests[1])]);
    fs::write(&manifests[0], &first).expect("written");
    fs::write(&manifests[1], &second).expect("written");
    verify(&[text(dir)]).ok();
}

fn all_files(dir: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("read").path();
        match path.is_dir() {
            true => out.extend(all_files(&path)),
            false => out.push(path),
        }
    }
    out.sort();
    out
}
