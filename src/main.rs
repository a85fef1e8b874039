//! Arguments, logging, exit codes: 0 done, 1 failed, 2 refused (config or arguments).

#![forbid(unsafe_code)]

use clap::Parser;
use perch::cli::{Cli, Command, DoctorAbout};
use perch::commands;
use perch_base::{ErrorKind, Result};
use std::io::IsTerminal;
use std::process::ExitCode;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_log(matches!(cli.command, Command::Run(_)));
    match run(cli) {
        Ok(code) => code,
        Err(e) => {
            perch::print::err(format_args!("perch: {e}"));
            match e.kind() {
                ErrorKind::Invalid => ExitCode::from(2),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        Command::Run(config) => commands::run::run(config.path().as_deref()),
        Command::Check { config, sync: true } => commands::check::stores(config.path().as_deref()),
        Command::Check { config, sync: false } => commands::check::run(config.path().as_deref()),
        Command::Pair { config, role, cameras, limits } => {
            commands::pair::run(config.path().as_deref(), role.into(), &cameras.ids, &limits)
        }
        Command::User { config, action } => commands::people::user(config.path().as_deref(), action),
        Command::StreamPassword { config, action } => {
            commands::people::stream_password(config.path().as_deref(), action)
        }
        Command::Export { config, camera, from, to, out } => {
            commands::export::run(config.path().as_deref(), &camera, &from, &to, &out)
        }
        Command::Update { source, force, no_restart } => {
            commands::update::run(&commands::update::Wanted { source: &source, force, no_restart })
        }
        Command::Backup { config, out } => commands::backup::make(config.path().as_deref(), &out),
        Command::RestoreSettings { config, file } => commands::backup::take(config.path().as_deref(), &file),
        Command::Doctor { config, about: DoctorAbout::Live } => commands::doctor::live(config.path().as_deref()),
        Command::Reload(config) => commands::reload::run(config.path().as_deref()),
        Command::Setup { owned: true, root, .. } => commands::setup::tell_owned(&root),
        Command::Setup { boot_dir: Some(boot_dir), root, wait_s, wishes: false, .. } => {
            commands::setup::run(&boot_dir, &root, wait_s)
        }
        Command::Setup { root, .. } => commands::wishes::run(&root),
        Command::Restore { config, asked } => commands::restore::run(config.path().as_deref(), &asked),
        Command::Verify { path, key, from, to } => commands::verify::run(&commands::verify::VerifyAsk {
            path: &path,
            key: key.as_deref(),
            from: from.as_deref(),
            to: to.as_deref(),
        }),
        Command::Motion { file, json, fps, sensitivity } => commands::motion::run(&file, json, fps, sensitivity),
    }
}

/// The daemon logs what it does, commands only what goes wrong; `PERCH_LOG` sets another level. What the page
/// shows, the daemon keeps beside.
fn start_log(daemon: bool) {
    let default = if daemon { "info" } else { "warn" };
    let filter = tracing_subscriber::EnvFilter::try_from_env("PERCH_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    let printed = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        // It would be told to standard error, which is what cannot be written then, and by what panics.
        .log_internal_errors(false)
        .with_filter(filter);
    // What libraries say is for who debugs them.
    let ours = Targets::new().with_target("perch", LevelFilter::INFO);
    let kept = daemon.then(|| perch::kept_log::kept().clone().with_filter(ours));
    tracing_subscriber::registry().with(printed).with(kept).init();
}
