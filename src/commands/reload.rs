//! `perch reload`: has the running box read its config file again, and says what became of it.

use crate::config::{Config, unnamed};
use crate::reload_line::{ReloadAnswer, ask};
use perch_base::Result;
use std::path::Path;
use std::process::ExitCode;

/// The file is wrong.
const WRONG: u8 = 2;

/// Asks and prints the answer.
pub fn run(config: Option<&Path>) -> Result<ExitCode> {
    // However wrong it is: the box is to say so.
    let text = Config::text_of(config.unwrap_or(&unnamed())).unwrap_or_default();
    let answer = match ask(&Config::data_dir_of(&text)) {
        Ok(answer) => answer,
        Err(e) => {
            // Whether it could start with it is worth knowing all the same.
            Config::load(config)?;
            return Err(e);
        }
    };
    Ok(match answer {
        ReloadAnswer::Taken { diff, effects, not_followed, waits_for_start, warnings } => {
            print(&diff, &effects, &waits_for_start);
            warnings.iter().for_each(|warning| complain!("{warning}"));
            not_followed.iter().for_each(|why| complain!("Does not follow yet: {why}"));
            if not_followed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        ReloadAnswer::Refused { is_wrong, why } => {
            complain!("perch: {why}\nNothing was changed: what ran goes on.");
            if is_wrong { ExitCode::from(WRONG) } else { ExitCode::FAILURE }
        }
    })
}

fn print(diff: &str, effects: &[String], waits_for_start: &[String]) {
    let lines: Vec<_> = diff.lines().filter(|line| !line.starts_with("---") && !line.starts_with("+++")).collect();
    match lines.is_empty() {
        true => say!("The box goes by its file already."),
        false => say!("The box goes by its file now.\n{}", lines.join("\n")),
    }
    effects.iter().for_each(|effect| say!("- {effect}"));
    if !waits_for_start.is_empty() {
        say!("Waits for the next start: {}", waits_for_start.join(", "));
    }
}
