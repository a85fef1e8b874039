//! The pipelines as text: the files of `pipelines/`, their headers, and how a text becomes a bin. Only checked numbers enter a
//! text; what people name (paths, URLs, devices) is set as a property on a parsed element, so it cannot be syntax.

use gstreamer as gst;
use gstreamer::prelude::*;
use perch_base::{Error, ErrorKind, Result, ResultExt};
use perch_domain::exchange;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// No pipeline file is larger, bytes.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Why no H.264 is decoded.
pub(crate) const NO_H264: &str = "no decoder for H.264 is installed: the package gstreamer1.0-libav has one";
/// Why no H.265 is decoded.
pub(crate) const NO_H265: &str = "no decoder for H.265 is installed: install the package gstreamer1.0-libav, \
     set the camera to H.264, or name a second stream of it in H.264 as sub_source";

macro_rules! embedded {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../../pipelines/", $name, ".gst")))),+]
    };
}

/// The repository's files, by path without `.gst`.
const EMBEDDED: &[(&str, &str)] = embedded![
    "audio/alsa",
    "audio/duck",
    "audio/echo",
    "audio/opus",
    "audio/network-aac",
    "audio/network-aac-faad",
    "audio/network-g722",
    "audio/network-g726",
    "audio/network-l16",
    "audio/network-mpa",
    "audio/network-pcma",
    "audio/network-pcmu",
    "audio/source",
    "audio/test",
    "branch/anew",
    "branch/h264",
    "branch/jpeg",
    "branch/luma",
    "branch/luma-queue",
    "branch/main",
    "branch/overlay",
    "branch/passed",
    "branch/sub",
    "branch/sub-turned",
    "branch/turn",
    "branch/vp8",
    "talk/alsa",
    "talk/camera",
    "talk/pcmu",
    "talk/receive",
    "talk/test",
    "decode/avdec_h264",
    "decode/avdec_h265",
    "decode/openh264dec",
    "encoder/openh264enc",
    "encoder/v4l2h264enc",
    "encoder/v4l2h264enc-dmabuf",
    "encoder/vp8enc",
    "encoder/x264enc",
    "push/aac",
    "push/h264",
    "push/h265",
    "push/opus",
    "push/rtmp",
    "push/rtp-h264",
    "push/rtp-opus",
    "push/rtp-vp8",
    "push/rtsp",
    "push/srt",
    "push/vp8",
    "push/whip",
    "source/file",
    "source/frames",
    "source/libcamera",
    "source/network-jpeg",
    "source/test",
    "source/test-plain",
    "source/v4l2-h264",
    "source/v4l2-mjpeg",
    "source/v4l2-mjpeg-hw",
    "source/v4l2-raw",
    "still/h264",
    "still/h264-openh264dec",
    "still/h265",
    "still/jpeg",
    "still/vp8",
];

/// A number that a text takes: `# param NAME: int UNIT MIN..MAX = DEFAULT - meaning`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipelineParam {
    /// The placeholder's name.
    pub name: String,
    /// Its unit, for people.
    pub unit: String,
    /// Smallest value.
    pub min: i64,
    /// Largest value.
    pub max: i64,
    /// What a trial takes.
    pub default: i64,
}

/// One pipeline file.
#[derive(Clone, Debug)]
pub struct PipelineFile {
    name: String,
    params: Vec<PipelineParam>,
    properties: Vec<(String, String)>,
    needs: Vec<String>,
    trials: Vec<String>,
    text: String,
}

/// Every pipeline file, the box's own and those that replace them.
#[derive(Clone, Debug)]
pub struct Library {
    files: BTreeMap<String, PipelineFile>,
}

impl Library {
    /// The embedded files; a file `overrides/<group>/<name>.gst` replaces the one of the same name. A folder that is not there
    /// replaces nothing. Errors with [`ErrorKind::Invalid`] for a file that is not well formed or replaces nothing.
    pub fn load(overrides: Option<&Path>) -> Result<Self> {
        let mut files = BTreeMap::new();
        for (name, text) in EMBEDDED {
            files.insert((*name).to_owned(), PipelineFile::parse(name, text)?);
        }
        let Some(folder) = overrides.filter(|f| f.is_dir()) else { return Ok(Self { files }) };
        for group in list(folder)?.into_iter().filter(|p| p.is_dir()) {
            for path in list(&group)?.into_iter().filter(|p| p.extension().is_some_and(|e| e == "gst")) {
                let part =
                    |p: Option<&std::ffi::OsStr>| p.map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
                let name = format!("{}/{}", part(group.file_name()), part(path.file_stem()));
                let file = PipelineFile::parse(&name, &read(&path)?)?;
                if files.insert(name, file).is_none() {
                    return Err(Error::invalid(format!(
                        "{}: replaces no pipeline: its folder and name must be one of the box's own",
                        path.display()
                    )));
                }
                tracing::info!(file = %path.display(), "pipeline replaced");
            }
        }
        Ok(Self { files })
    }

    /// The box's pipelines as installed: read once, with the owner's replacements in `/etc/perch/pipelines`.
    pub fn installed() -> Result<Arc<Self>> {
        static INSTALLED: OnceLock<Arc<Library>> = OnceLock::new();
        if let Some(library) = INSTALLED.get() {
            return Ok(library.clone());
        }
        let library = Arc::new(Self::load(Some(&exchange::PIPELINES.path()))?);
        Ok(INSTALLED.get_or_init(|| library).clone())
    }

    /// The names of all files, such as `source/test`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The file called `name`.
    pub fn file(&self, name: &str) -> Result<&PipelineFile> {
        self.files.get(name).ok_or_else(|| Error::internal(format!("there is no pipeline {name}")))
    }

    /// Whether every element is installed that the file called `name` needs.
    pub(crate) fn is_installed(&self, name: &str) -> bool {
        self.file(name).is_ok_and(|file| file.needs().iter().all(|element| crate::has_element(element)))
    }

    /// The first of `names` whose elements are all installed.
    pub fn first_installed<'a>(&self, names: &[&'a str]) -> Option<&'a str> {
        names.iter().find(|name| self.is_installed(name)).copied()
    }

    /// Builds the bin of `name` with a sink or source pad for each end that the text leaves open.
    pub fn bin(&self, name: &str, numbers: &[(&str, i64)], strings: &[(&str, &str)]) -> Result<gst::Bin> {
        self.file(name)?.bin(numbers, strings, true)
    }

    /// Like [`Self::bin`] for a text whose pads come later: the caller links them and makes the outer pads.
    pub fn open_bin(&self, name: &str, numbers: &[(&str, i64)], strings: &[(&str, &str)]) -> Result<gst::Bin> {
        self.file(name)?.bin(numbers, strings, false)
    }
}

impl PipelineFile {
    /// Reads header and text. Errors with [`ErrorKind::Invalid`] and the line.
    pub fn parse(name: &str, content: &str) -> Result<Self> {
        let mut file = Self {
            name: name.to_owned(),
            params: Vec::new(),
            properties: Vec::new(),
            needs: Vec::new(),
            trials: Vec::new(),
            text: String::new(),
        };
        for (n, line) in content.lines().enumerate() {
            let Some(header) = line.strip_prefix('#') else {
                file.text.push_str(line);
                file.text.push('\n');
                continue;
            };
            let bad = |rule: &str| Error::invalid(format!("pipeline {name} line {}: `{line}`: {rule}", n + 1));
            let header = header.trim();
            if let Some(rest) = header.strip_prefix("param ") {
                file.params.push(
                    param(rest).ok_or_else(|| bad("must be `# param NAME: int UNIT MIN..MAX = DEFAULT - meaning`"))?,
                );
            } else if let Some(rest) = header.strip_prefix("property ") {
                let (property, element) =
                    rest.split_once(" on ").ok_or_else(|| bad("must be `# property NAME on ELEMENT`"))?;
                file.properties.push((property.trim().to_owned(), element.trim().to_owned()));
            } else if let Some(rest) = header.strip_prefix("needs:") {
                file.needs.extend(rest.split_whitespace().map(str::to_owned));
            } else if let Some(rest) = header.strip_prefix("try:") {
                file.trials.push(rest.trim().to_owned());
            }
        }
        if file.text.trim().is_empty() {
            return Err(Error::invalid(format!("pipeline {name}: has no text")));
        }
        file.expand(&file.defaults())?;
        Ok(file)
    }

    /// The numbers that the text takes.
    pub fn params(&self) -> &[PipelineParam] {
        &self.params
    }

    /// The `# try:` lines.
    pub fn trials(&self) -> &[String] {
        &self.trials
    }

    /// Elements that not every machine has.
    pub fn needs(&self) -> &[String] {
        &self.needs
    }

    /// Every parameter with its default.
    pub fn defaults(&self) -> Vec<(&str, i64)> {
        self.params.iter().map(|p| (p.name.as_str(), p.default)).collect()
    }

    /// The text with its numbers; `{{` and `}}` are braces. Errors with [`ErrorKind::Invalid`], naming number and rule.
    pub fn expand(&self, numbers: &[(&str, i64)]) -> Result<String> {
        let bad = |what: String| Error::invalid(format!("pipeline {}: {what}", self.name));
        let mut out = String::with_capacity(self.text.len() + 32);
        let mut used = vec![false; self.params.len()];
        let mut rest = self.text.as_str();
        while let Some(at) = rest.find(['{', '}']) {
            out.push_str(&rest[..at]);
            let brace = &rest[at..];
            if brace.starts_with("{{") || brace.starts_with("}}") {
                out.push_str(&brace[..1]);
                rest = &brace[2..];
                continue;
            }
            let name = brace.strip_prefix('{').and_then(|b| b.split_once('}')).map(|(name, _)| name);
            let name =
                name.ok_or_else(|| bad("a `{` and a `}` do not match; write `{{` and `}}` for braces".into()))?;
            let place = self.params.iter().position(|p| p.name == name);
            let place = place.ok_or_else(|| bad(format!("`{{{name}}}` is not described by a `# param` line")))?;
            let p = &self.params[place];
            used[place] = true;
            let value = numbers.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
            let value = value.ok_or_else(|| bad(format!("`{name}` was not given")))?;
            if !(p.min..=p.max).contains(&value) {
                return Err(bad(format!("{name} = {value} {}: must be {} to {}", p.unit, p.min, p.max)));
            }
            out.push_str(&value.to_string());
            rest = &brace[name.len() + 2..];
        }
        out.push_str(rest);
        match used.iter().position(|u| !u) {
            Some(n) => Err(bad(format!("`# param {}` is not used in the text", self.params[n].name))),
            None => Ok(out),
        }
    }

    fn bin(&self, numbers: &[(&str, i64)], strings: &[(&str, &str)], pads: bool) -> Result<gst::Bin> {
        let text = self.expand(numbers)?;
        let bin = gst::parse::bin_from_description_full(&text, pads, None, gst::ParseFlags::FATAL_ERRORS)
            .context(ErrorKind::Invalid, || format!("pipeline {} cannot be built", self.name))?
            .downcast::<gst::Bin>()
            .map_err(|element| {
                let what = format!("it is a {}", element.type_());
                Error::internal(format!("pipeline {} is not a bin", self.name)).with_inside(what)
            })?;
        bin.set_property("name", unique_name(&self.name));
        for (property, value) in strings {
            let declared = self.properties.iter().find(|(p, _)| p == property);
            let (_, element) =
                declared.ok_or_else(|| Error::internal(format!("pipeline {} takes no `{property}`", self.name)))?;
            let element = self::element(&bin, element)?;
            let text_property =
                element.find_property(property).is_some_and(|p| p.value_type() == gst::glib::Type::STRING);
            if !text_property {
                return Err(Error::invalid(format!("pipeline {}: `{property}` is not a text property", self.name)));
            }
            element.set_property(property, value);
        }
        Ok(bin)
    }
}

/// A bin's name: the file that it was made from, and a number, since neighbours must not share a name.
fn unique_name(file: &str) -> String {
    static MADE: AtomicU64 = AtomicU64::new(0);
    format!("{file}#{}", MADE.fetch_add(1, Ordering::Relaxed))
}

/// The file that `bin`, or an element that is named after it, was made from.
pub(crate) fn file_of(bin: &impl IsA<gst::Object>) -> String {
    let name = bin.name();
    name.split('#').next().unwrap_or_default().to_owned()
}

/// What a text breaks that a replaced file may break: [`ErrorKind::Invalid`] with the file and the rule.
pub(crate) fn unfit(bin: &impl IsA<gst::Object>, rule: &str) -> Error {
    Error::invalid(format!("pipeline {}: {rule}", file_of(bin)))
}

/// The pad called `name` of `bin`, an open end of its text: `sink` where it begins, `src` where it ends. Errors like [`unfit`].
pub(crate) fn open_end(bin: &gst::Bin, name: &str) -> Result<gst::Pad> {
    let what = if name == "sink" { "begin" } else { "end" };
    bin.static_pad(name).ok_or_else(|| unfit(bin, &format!("must {what} with an open end")))
}

/// The element called `name` in `bin`. Errors with [`ErrorKind::Invalid`], naming the file: one that was replaced may lack it.
pub fn element(bin: &gst::Bin, name: &str) -> Result<gst::Element> {
    bin.by_name(name).ok_or_else(|| unfit(bin, &format!("needs an element `name={name}`")))
}

/// The pad called `pad` of the element called `name` in `bin`. Errors like [`element`].
pub(crate) fn pad_of(bin: &gst::Bin, name: &str, pad: &str) -> Result<gst::Pad> {
    let found = element(bin, name)?.static_pad(pad);
    found.ok_or_else(|| unfit(bin, &format!("the element `name={name}` needs a {pad} pad")))
}

/// The element called `name` in `bin`, which must be a `kind`. Errors with [`ErrorKind::Invalid`]: a replaced file may have another.
pub(crate) fn typed<T: IsA<gst::Element>>(bin: &gst::Bin, name: &str, kind: &str) -> Result<T> {
    element(bin, name)?.downcast().map_err(|other: gst::Element| {
        unfit(bin, &format!("the element `name={name}` must be {kind}"))
            .with_inside(format!("it is a {}", other.type_()))
    })
}

fn param(text: &str) -> Option<PipelineParam> {
    let (name, rest) = text.split_once(':')?;
    let (rule, _meaning) = rest.split_once(" - ")?;
    let mut words = rule.split_whitespace();
    if words.next()? != "int" {
        return None;
    }
    let unit = words.next()?.to_owned();
    let (min, max) = words.next()?.split_once("..")?;
    if words.next()? != "=" {
        return None;
    }
    let p = PipelineParam {
        name: name.trim().to_owned(),
        unit,
        min: min.parse().ok()?,
        max: max.parse().ok()?,
        default: words.next()?.parse().ok()?,
    };
    (words.next().is_none() && (p.min..=p.max).contains(&p.default)).then_some(p)
}

fn list(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let entries =
        std::fs::read_dir(folder).context(ErrorKind::Io, || format!("{} cannot be read", folder.display()))?;
    let mut paths: Vec<_> = entries.filter_map(|e| e.ok().map(|e| e.path())).collect();
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<String> {
    let unreadable = || format!("{} cannot be read", path.display());
    let bytes = std::fs::metadata(path).context(ErrorKind::Io, unreadable)?.len();
    if bytes > MAX_FILE_BYTES {
        return Err(Error::invalid(format!("{}: {bytes} bytes: must be {MAX_FILE_BYTES} at most", path.display())));
    }
    std::fs::read_to_string(path).context(ErrorKind::Io, unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_parses_with_its_defaults_and_every_trial_parses() {
        crate::init().expect("starts");
        let library = Library::load(None).expect("well formed");
        for name in library.names() {
            let file = library.file(name).expect("listed");
            assert!(!file.trials().is_empty(), "{name} has no trial");
            if !library.is_installed(name) {
                eprintln!("{name} is not built here: it needs {:?}", file.needs());
                file.expand(&file.defaults()).expect("expands");
                continue;
            }
            file.bin(&file.defaults(), &[], false).unwrap_or_else(|e| panic!("{name}: {e}"));
            for trial in file.trials() {
                let text = trial.strip_prefix("gst-launch-1.0 ").expect("a gst-launch line");
                gst::parse::launch_full(text, None, gst::ParseFlags::FATAL_ERRORS)
                    .unwrap_or_else(|e| panic!("{name}: {trial}: {e}"));
            }
        }
    }

    #[test]
    fn the_folder_holds_what_is_embedded() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines");
        let mut on_disk = Vec::new();
        for group in list(&root).expect("readable").into_iter().filter(|p| p.is_dir()) {
            for f in list(&group).expect("readable") {
                let stem = f.file_stem().expect("named").to_string_lossy();
                on_disk.push(format!("{}/{stem}", group.file_name().expect("named").to_string_lossy()));
            }
        }
        on_disk.sort();
        let mut embedded: Vec<_> = EMBEDDED.iter().map(|(n, _)| (*n).to_owned()).collect();
        embedded.sort();
        assert_eq!(on_disk, embedded);
    }

    /// What is too much for the box is dropped, and counted, before it costs anything: a driver that waits loses pictures unseen.
    #[test]
    fn pictures_of_a_driver_wait_before_they_are_converted() {
        let library = Library::load(None).expect("well formed");
        let costs = ["videorate", "videoconvert", "videoscale", "jpegdec", "v4l2jpegdec"];
        for name in library.names().filter(|name| name.starts_with("source/v4l2-")) {
            let text = &library.file(name).expect("listed").text;
            let first = text.split_whitespace().position(|word| costs.contains(&word));
            let queue = text.split_whitespace().position(|word| word == "name=waiting");
            assert!(first.is_none_or(|first| queue.is_some_and(|queue| queue < first)), "{name}: {text}");
        }
    }

    #[test]
    fn numbers_are_checked_and_texts_must_match_their_headers() {
        let file =
            PipelineFile::parse("a/b", "# param n: int px 1..9 = 2 - width\nx={n} {{y}}\n").expect("well formed");
        assert_eq!(file.expand(&[("n", 7)]).expect("in range").trim(), "x=7 {y}");
        for n in [0, 10] {
            assert!(file.expand(&[("n", n)]).expect_err("out of range").to_string().contains("must be 1 to 9"));
        }
        for bad in ["", "x={n}", "# param n: int px 1..9 = 2 - width\nx", "# param n: int\nx={n}", "x={", "x=}"] {
            assert!(PipelineFile::parse("a/b", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn overrides_replace_by_name_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(dir.path().join("source")).expect("made");
        let own = dir.path().join("source/test-plain.gst");
        std::fs::write(&own, "videotestsrc").expect("written");
        let library = Library::load(Some(dir.path())).expect("fine");
        assert_eq!(library.file("source/test-plain").expect("there").text.trim(), "videotestsrc");
        std::fs::write(dir.path().join("source/other.gst"), "videotestsrc").expect("written");
        assert!(Library::load(Some(dir.path())).is_err());
        assert!(Library::load(Some(Path::new("/nonexistent"))).is_ok());
    }

    #[test]
    fn what_a_replaced_file_lacks_is_said_with_its_name() {
        crate::init().expect("starts");
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(dir.path().join("decode")).expect("made");
        std::fs::write(dir.path().join("decode/avdec_h264.gst"), "identity name=valve").expect("written");
        let library = Library::load(Some(dir.path())).expect("fine");
        let [bin, other] = [0, 1].map(|_| library.open_bin("decode/avdec_h264", &[], &[]).expect("built"));
        assert_ne!(bin.name(), other.name(), "both may stand in one pipeline");
        let said = |e: Error| (e.kind(), e.message().to_owned());
        let invalid = |rule: &str| (ErrorKind::Invalid, format!("pipeline decode/avdec_h264: {rule}"));
        let missing = element(&bin, "enc").expect_err("it has none");
        assert_eq!(said(missing), invalid("needs an element `name=enc`"));
        let other_kind = typed::<gst::Bin>(&bin, "valve", "a bin").expect_err("an identity");
        assert_eq!(said(other_kind), invalid("the element `name=valve` must be a bin"));
        let no_pad = pad_of(&bin, "valve", "video").expect_err("no such pad");
        assert_eq!(said(no_pad), invalid("the element `name=valve` needs a video pad"));
        assert_eq!(said(open_end(&bin, "sink").expect_err("closed")), invalid("must begin with an open end"));
        assert!(pad_of(&bin, "valve", "sink").is_ok());
    }
}
