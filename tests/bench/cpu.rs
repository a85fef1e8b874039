//! Reads what a process costs from /proc: CPU time by thread name (nanoseconds, from schedstat) and resident memory.

use std::collections::BTreeMap;
use std::time::Instant;

/// CPU nanoseconds by thread name at one moment.
#[derive(Clone, Debug)]
pub struct Reading {
    at: Instant,
    threads: BTreeMap<u32, (String, u64)>,
}

/// What a process cost between two readings, as a share of one core (1.0 = one core).
#[derive(Clone, Debug)]
pub struct Cost {
    pub total: f64,
    pub by_thread: BTreeMap<String, f64>,
}

/// Reads all threads of `pid`.
pub fn read(pid: u32) -> Reading {
    let mut threads = BTreeMap::new();
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the process runs");
    for task in tasks.flatten() {
        let Some(tid) = task.file_name().to_str().and_then(|s| s.parse().ok()) else { continue };
        let (Ok(name), Ok(sched)) =
            (std::fs::read_to_string(task.path().join("comm")), std::fs::read_to_string(task.path().join("schedstat")))
        else {
            continue;
        };
        let ns = sched.split(' ').next().and_then(|s| s.parse().ok()).unwrap_or(0);
        threads.insert(tid, (name.trim().trim_end_matches(char::is_numeric).to_owned(), ns));
    }
    Reading { at: Instant::now(), threads }
}

/// The cost since `before`. Threads that ended in between are not counted.
pub fn since(pid: u32, before: &Reading) -> Cost {
    let now = read(pid);
    let wall = now.at.duration_since(before.at).as_nanos() as f64;
    let mut by_thread = BTreeMap::new();
    let mut total = 0.0;
    for (tid, (name, ns)) in &now.threads {
        let earlier = before.threads.get(tid).map_or(0, |(_, ns)| *ns);
        let share = ns.saturating_sub(earlier) as f64 / wall;
        total += share;
        *by_thread.entry(name.clone()).or_insert(0.0) += share;
    }
    Cost { total, by_thread }
}

/// Resident memory in MB (10^6 bytes).
pub fn resident_mb(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).expect("the process runs");
    let pages: f64 = text.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("statm has pages");
    pages * 4096.0 / 1e6
}
