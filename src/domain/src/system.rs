//! What an owner may change of the system under the box: restarts, name in the network, time zone, Wi-Fi, SSH key. On the card image root does
//! it, asked by a file that it checks again ([`crate::exchange::WISHES`]); elsewhere it is the system's own matter.

use crate::setup::{self, Plan, Value};
use perch_base::secret::Secret;
use perch_base::time::Timestamp;
use perch_base::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize};

/// What is said where the system is not the box's to change.
pub const NOT_OURS: &str = "this is not the card image: the system that perch runs on has its own ways to do this";

/// An action on the box or its system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The box alone ends and is started again.
    Restart,
    /// The whole system.
    Reboot,
    /// The whole system, until somebody takes its power away and gives it back.
    Shutdown,
}

impl Action {
    /// As the file of wishes says it; none: it is not asked of the system.
    fn word(self) -> Option<&'static str> {
        match self {
            Self::Restart => None,
            Self::Reboot => Some("reboot"),
            Self::Shutdown => Some("shutdown"),
        }
    }

    /// As [`Self::word`] says it.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Reboot, Self::Shutdown].into_iter().find(|action| action.word() == Some(word))
    }
}

/// What an owner wants changed of the system; what is not named stays.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SystemChange {
    /// The box's name in the network.
    pub hostname: Option<String>,
    /// A name such as Europe/Zurich.
    pub time_zone: Option<String>,
    /// The Wi-Fi network.
    pub wifi: Option<WifiChange>,
    /// The line of a `.pub` file; an empty one switches SSH off.
    pub ssh_key: Option<String>,
}

/// A Wi-Fi network.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WifiChange {
    /// Its name.
    pub ssid: String,
    /// Its password; none where it has none.
    #[serde(default, deserialize_with = "secret")]
    pub password: Option<Secret>,
    /// Two letters, by which allowed channels are used.
    pub country: String,
}

fn secret<'de, D: Deserializer<'de>>(text: D) -> std::result::Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(text)?.map(Secret::new))
}

/// What is asked of root.
#[derive(Clone, Debug)]
pub struct Wishes {
    /// The keys of `perch-setup.toml`.
    entries: Vec<(&'static str, Secret)>,
}

impl Wishes {
    /// A change, by the same rules as root's. Errors with `Invalid`, a line for each rule that is broken.
    pub fn to_change(change: &SystemChange) -> Result<Self> {
        let wifi = |part: fn(&WifiChange) -> Option<String>| change.wifi.as_ref().and_then(part);
        let texts = [
            ("hostname", change.hostname.clone()),
            ("timezone", change.time_zone.clone()),
            ("wifi.ssid", wifi(|wifi| Some(wifi.ssid.clone()))),
            ("wifi.password", wifi(|wifi| wifi.password.as_ref().map(|password| password.expose().clone()))),
            ("wifi.country", wifi(|wifi| Some(wifi.country.clone()))),
            ("ssh.authorized_key", change.ssh_key.clone()),
        ];
        let entries: Vec<_> = texts.into_iter().filter_map(|(key, text)| Some((key, Secret::new(text?)))).collect();
        if entries.is_empty() {
            return Err(Error::invalid("nothing is to be changed: name one of hostname, time_zone, wifi and ssh_key"));
        }
        let plan = setup::plan(
            &entries.iter().map(|(key, text)| ((*key).to_owned(), Value::Text(text.clone()))).collect::<Vec<_>>(),
        );
        match plan.refused.is_empty() {
            true => Ok(Self { entries }),
            false => Err(Error::invalid(plan.refused.join("\n"))),
        }
    }

    /// An action of the whole system.
    pub fn to_act(action: Action) -> Option<Self> {
        Some(Self { entries: vec![("action", Secret::new(action.word()?.to_owned()))] })
    }

    /// The text of the file: TOML.
    pub fn text(&self) -> Secret {
        let line = |(key, text): &(&str, Secret)| {
            // What JSON escapes, TOML escapes so too.
            let text = serde_json::Value::String(text.expose().clone());
            format!("{key} = {text}\n")
        };
        Secret::new(self.entries.iter().map(line).collect())
    }
}

/// What root takes of a file of wishes: whoever wrote it holds the user perch, and gets no account made.
pub fn taken(entries: &[(String, Value)]) -> (Plan, Option<Action>) {
    let mut action = None;
    let mut others = Vec::new();
    for (key, value) in entries {
        match value {
            Value::Text(word) if key == "action" => action = Action::parse(word.expose()),
            _ => others.push((key.clone(), value.clone())),
        }
    }
    let mut plan = setup::plan(&others);
    if plan.admin.take().is_some() {
        plan.refused.push("an account is not made this way".into());
    }
    (plan, action)
}

/// How the last wish ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Granted {
    /// When root took it.
    pub at: Option<Timestamp>,
    /// How the new Wi-Fi network does, where one was named: `trying`, `up`, `back` (it did not come up, and the one before is used
    /// again), `absent` (there is no Wi-Fi device; it is not kept).
    pub wifi: Option<String>,
    /// What was done or refused, a sentence each.
    pub said: Vec<String>,
}

impl Granted {
    /// Lines are read, at most.
    const MOST: usize = 32;

    /// Parses root's words: a `key=value` line each; `wifi` and `at` count as they come last.
    pub fn parse(text: &str) -> Self {
        let mut granted = Self::default();
        for (key, value) in text.lines().take(Self::MOST).filter_map(|line| line.split_once('=')) {
            match key {
                "at" => {
                    granted.at =
                        value.parse::<i64>().ok().filter(|s| (0..1 << 40).contains(s)).map(|s| Timestamp(s * 1_000_000))
                }
                "wifi" => granted.wifi = Some(value.to_owned()),
                "said" => granted.said.push(value.to_owned()),
                _ => {}
            }
        }
        granted
    }
}

/// The system as an owner sees it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SystemFacts {
    /// The box's name in the network.
    pub hostname: String,
    /// The time zone.
    pub time_zone: Option<String>,
    /// The Wi-Fi network that is set, by its name.
    pub ssid: Option<String>,
    /// How strong the strongest Wi-Fi device hears it.
    pub signal_dbm: Option<i32>,
    /// The fingerprint of the SSH key that may come in.
    pub ssh_key: Option<String>,
    /// Why perch cannot restart itself, if that is so.
    pub no_restart: Option<String>,
    /// Why the system cannot be changed from here, if that is so.
    pub not_ours: Option<String>,
    /// How the last change ended.
    pub last: Option<Granted>,
}

/// The level of the strongest device in the text of `/proc/net/wireless`, dBm.
pub fn strongest(wireless: &str) -> Option<i32> {
    let level = |line: &str| {
        let (_, figures) = line.split_once(':')?;
        figures.split_ascii_whitespace().nth(2)?.trim_end_matches('.').parse::<i32>().ok()
    };
    wireless.lines().filter_map(level).filter(|dbm| (-120..0).contains(dbm)).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0mHYyGPqZtDpyzLxI2bPqUqTXwZ1yQhQ3mQm2y0h8B";

    fn change() -> SystemChange {
        SystemChange {
            hostname: Some("Shop".into()),
            time_zone: Some("Europe/Zurich".into()),
            wifi: Some(WifiChange {
                ssid: "Café \"x\"".into(),
                password: Some(Secret::new("p@ss \\word".into())),
                country: "ch".into(),
            }),
            ssh_key: Some(KEY.into()),
        }
    }

    #[test]
    fn wishes_are_checked_before_they_are_asked() {
        let wishes = Wishes::to_change(&change()).expect("right");
        let text = wishes.text();
        let lines: Vec<_> = text.expose().lines().collect();
        assert_eq!(lines.len(), 6);
        assert_eq!(lines[3], r#"wifi.password = "p@ss \\word""#);
        assert!(!format!("{wishes:?}").contains("p@ss"));
        for (wrong, want) in [
            (SystemChange { hostname: Some("a b".into()), ..Default::default() }, "hostname = \"a b\": must be"),
            (
                SystemChange { time_zone: Some("../etc/shadow".into()), ..Default::default() },
                "must be like Europe/Zurich",
            ),
            (
                SystemChange { ssh_key: Some("command=\"sh\" ssh-rsa AAAA".into()), ..Default::default() },
                "ssh.authorized_key",
            ),
            (SystemChange::default(), "nothing is to be changed"),
            (
                SystemChange {
                    wifi: Some(WifiChange {
                        ssid: "x".into(),
                        password: Some(Secret::new("short".into())),
                        country: "CH".into(),
                    }),
                    ..Default::default()
                },
                "wifi.password: must be 8 to 63",
            ),
        ] {
            let e = Wishes::to_change(&wrong).expect_err("wrong").to_string();
            assert!(e.contains(want) && !e.contains("short"), "{e}");
        }
    }

    #[test]
    fn root_makes_no_account_and_knows_two_actions() {
        let text = |key: &str, value: &str| (key.to_owned(), Value::Text(Secret::new(value.to_owned())));
        let (plan, action) =
            taken(&[text("admin.name", "eve"), text("admin.password", "long enough 12"), text("action", "reboot")]);
        assert!(plan.admin.is_none() && plan.refused.len() == 1);
        assert_eq!(action, Some(Action::Reboot));
        assert_eq!(taken(&[text("action", "format")]).1, None);
        assert!(Wishes::to_act(Action::Restart).is_none());
        assert_eq!(Wishes::to_act(Action::Shutdown).expect("asked").text().expose(), "action = \"shutdown\"\n");
    }

    #[test]
    fn what_root_said() {
        let said = Granted::parse("at=1800000000\nchanged=wifi\nwifi=trying\nsaid=Wi-Fi is set up.\nwifi=back\n");
        assert_eq!((said.wifi.as_deref(), said.said.len()), (Some("back"), 1));
        assert_eq!(said.at, Some(Timestamp(1_800_000_000_000_000)));
    }

    #[test]
    fn the_signal_of_wi_fi() {
        let text = "Inter-| sta-|   Quality        |\n face | tus | link level noise |\n wlan0: 0000   54.  -56.  -256        0\n wlan1: 0000 30. -80. -256 0\n";
        assert_eq!(strongest(text), Some(-56));
        assert_eq!(strongest("Inter-|\n"), None);
    }

    proptest! {
        #[test]
        fn whatever_root_is_said_to_have_said_is_read(text in "\\PC*|(at|wifi|said)=.*\n.*") {
            let granted = Granted::parse(&text);
            prop_assert!(granted.said.len() <= Granted::MOST);
            strongest(&text);
        }
    }
}
