//! Which sound card an ALSA name means, and what is said where it is not there or has no microphone. The cards are found by `media`.

use perch_base::{Error, ErrorKind, Result};

/// A sound card as the kernel lists it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SoundCard {
    /// Its number, given anew at each start and each plugging in.
    pub number: u32,
    /// Its id, such as `Device`: made of the model's name, and stays.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// The numbers of its devices that sound comes out of.
    pub captures: Vec<u32>,
    /// The sample rates it says, as the kernel writes them; empty where it says none.
    pub rates: String,
}

impl SoundCard {
    /// The source that names its device `device` best: sample rate and format are converted where the card has others.
    pub fn best_name(&self, device: u32) -> String {
        format!("alsa:plughw:CARD={},DEV={device}", self.id)
    }
}

/// A card as an ALSA name says it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Card<'a> {
    Number(u32),
    Id(&'a str),
}

/// An ALSA name that names a card: `hw:1,0`, `plughw:CARD=Device,DEV=0`, `hw:Device`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Named<'a> {
    card: Card<'a>,
    device: u32,
}

/// Kinds of names that name a card and nothing that others could share.
const OF_A_CARD: [&str; 7] = ["hw", "plughw", "sysdefault", "front", "dsnoop", "default", "iec958"];

/// `None` for a name of another kind (`default`, `pulse`), which the box's own sound configuration explains.
fn named(device: &str) -> Option<Named<'_>> {
    let (kind, rest) = device.split_once(':')?;
    if !OF_A_CARD.contains(&kind) {
        return None;
    }
    let (mut card, mut number) = (None, 0);
    for (at, part) in rest.split(',').enumerate() {
        match part.split_once('=') {
            Some(("CARD", id)) => card = Some(id),
            Some(("DEV", digits)) => number = digits.parse().ok()?,
            Some(_) => {}
            None if at == 0 => card = Some(part),
            None if at == 1 => number = part.parse().ok()?,
            None => {}
        }
    }
    let card = card.filter(|card| !card.is_empty())?;
    let card = card.parse().map_or(Card::Id(card), Card::Number);
    Some(Named { card, device: number })
}

/// The card and its device that the ALSA name `device` means; `None` where it names none, and it is left to ALSA to find one. Errors with
/// `Unavailable` where there is no such card, and with `Invalid` where it has no microphone; both say what there is.
pub fn find<'a>(device: &str, cards: &'a [SoundCard]) -> Result<Option<(&'a SoundCard, u32)>> {
    let there = list(cards);
    let Some(Named { card, device: number }) = named(device) else {
        return match cards.iter().any(|c| !c.captures.is_empty()) {
            true => Ok(None),
            false => {
                Err(Error::new(ErrorKind::Unavailable, format!("there is no microphone for {device}: plug one in")))
            }
        };
    };
    let found = cards.iter().find(|c| match card {
        Card::Number(n) => c.number == n,
        Card::Id(id) => c.id == id,
    });
    let Some(found) = found else {
        let message = format!("there is no sound card for {device}: plug the microphone in; {there}");
        return Err(Error::new(ErrorKind::Unavailable, message));
    };
    if found.captures.is_empty() {
        return Err(Error::invalid(format!("the sound card {} has no microphone; {there}", found.id)));
    }
    if !found.captures.contains(&number) {
        let devices: Vec<_> = found.captures.iter().map(u32::to_string).collect();
        let message =
            format!("the sound card {} has no microphone DEV={number}: it has DEV={}", found.id, devices.join(", "));
        return Err(Error::invalid(message));
    }
    Ok(Some((found, number)))
}

/// What to write instead of a name that holds a card's number; `None` where it holds none.
pub fn lasting_name(device: &str, cards: &[SoundCard]) -> Option<String> {
    let Named { card: Card::Number(number), device } = named(device)? else { return None };
    let card = cards.iter().find(|c| c.number == number)?;
    Some(card.best_name(device))
}

/// Microphones that a sentence names.
const MAX_NAMED: usize = 4;

fn list(cards: &[SoundCard]) -> String {
    let with_sound = cards.iter().filter_map(|c| Some(c.best_name(*c.captures.first()?)));
    let names: Vec<_> = with_sound.take(MAX_NAMED).collect();
    match names.as_slice() {
        [] => "there is no microphone".into(),
        names => format!("there is {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cards() -> [SoundCard; 3] {
        let card = |number, id: &str, captures: &[u32]| SoundCard {
            number,
            id: id.into(),
            captures: captures.to_vec(),
            ..SoundCard::default()
        };
        [card(0, "Headphones", &[]), card(1, "Device", &[0]), card(2, "C920", &[0, 1])]
    }

    #[test]
    fn a_card_is_found_by_its_id_and_its_number() {
        for (device, want) in [
            ("hw:1,0", Some((1, 0))),
            ("hw:1", Some((1, 0))),
            ("plughw:2,1", Some((2, 1))),
            ("hw:CARD=Device,DEV=0", Some((1, 0))),
            ("plughw:CARD=C920,DEV=1", Some((2, 1))),
            ("plughw:DEV=1,CARD=C920", Some((2, 1))),
            ("sysdefault:CARD=C920", Some((2, 0))),
            ("hw:C920", Some((2, 0))),
            ("default", None),
            ("pulse", None),
            ("hw:", None),
        ] {
            let cards = cards();
            let found = find(device, &cards).expect(device);
            assert_eq!(found.map(|(card, device)| (card.number, device)), want, "{device}");
        }
        assert_eq!(lasting_name("hw:2,1", &cards()).as_deref(), Some("alsa:plughw:CARD=C920,DEV=1"));
        assert_eq!([lasting_name("hw:CARD=C920", &cards()), lasting_name("hw:7", &cards())], [None, None]);
    }

    #[test]
    fn what_is_missing_is_said_with_what_there_is() {
        let there = "there is alsa:plughw:CARD=Device,DEV=0, alsa:plughw:CARD=C920,DEV=0";
        for (device, kind, want) in [
            ("hw:CARD=Gone,DEV=0", ErrorKind::Unavailable, format!("plug the microphone in; {there}")),
            ("hw:9", ErrorKind::Unavailable, format!("no sound card for hw:9: plug the microphone in; {there}")),
            ("hw:0,0", ErrorKind::Invalid, format!("the sound card Headphones has no microphone; {there}")),
            ("hw:2,7", ErrorKind::Invalid, "has no microphone DEV=7: it has DEV=0, 1".into()),
        ] {
            let e = find(device, &cards()).expect_err(device);
            assert!(e.kind() == kind && e.message().contains(&want), "{device}: {e:?}");
        }
        let none = &cards()[..1];
        assert!(find("default", none).expect_err("none").message().contains("no microphone for default: plug one in"));
        assert!(find("hw:5", none).expect_err("none").message().ends_with("there is no microphone"));
    }
}
