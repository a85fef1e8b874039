//! Embeds the built web UI (`web/dist`) as a table of files, each also gzip-compressed where that makes it smaller.

use flate2::{Compression, write::GzEncoder};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::{env, fs};

const PLACEHOLDER: &str = "<!doctype html><html lang=\"en\" data-claimed=\"__PERCH_CLAIMED__\"><meta charset=\"utf-8\"><title>Perch</title>\
<h1>The web UI was not built</h1><p>Run <code>make demo</code>, or build it in <code>web</code> and compile again.</p></html>\n";

fn main() -> io::Result<()> {
    let dist = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../../web/dist");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    // Must exist to be watched; a read-only checkout only loses the watching.
    let _ = fs::create_dir_all(&dist);
    println!("cargo:rerun-if-changed={}", dist.display());
    println!("cargo:rerun-if-changed=build.rs");

    let mut files = Vec::new();
    walk(&dist, "", &mut files)?;
    if !files.iter().any(|(name, _)| name == "index.html") {
        files = vec![("index.html".into(), PLACEHOLDER.into())];
    }
    files.sort();
    let mut table = String::from("static FILES: &[File] = &[\n");
    for (i, (name, data)) in files.iter().enumerate() {
        let plain = out.join(format!("ui-{i}"));
        fs::write(&plain, data)?;
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(data)?;
        let packed = encoder.finish()?;
        let gzip = if packed.len() * 10 < data.len() * 9 {
            let path = out.join(format!("ui-{i}.gz"));
            fs::write(&path, packed)?;
            format!("Some(include_bytes!({path:?}))")
        } else {
            "None".into()
        };
        let _ = writeln!(table, "    File {{ path: {name:?}, plain: include_bytes!({plain:?}), gzip: {gzip} }},");
    }
    table.push_str("];\n");
    fs::write(out.join("ui.rs"), table)
}

/// Collects every regular file below `dir` under its path relative to the root, with `/` between parts.
fn walk(dir: &Path, prefix: &str, files: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(&entry.path(), &format!("{name}/"), files)?;
        } else if kind.is_file() && !name.ends_with(".map") {
            files.push((name, fs::read(entry.path())?));
        }
    }
    Ok(())
}
