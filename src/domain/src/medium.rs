//! How worn what the recordings lie on is: an SD card, an eMMC or another disk, from what the kernel tells of it. What is free on it is
//! `disk`'s to judge.

use crate::text::as_told;
use serde::{Deserialize, Serialize};

/// What a disk is made of, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediumKind {
    /// A card that is plugged in.
    SdCard,
    /// A chip that is soldered in.
    Emmc,
    /// Something else, such as a USB disk.
    Other,
}

perch_base::all_of!(MediumKind { SdCard, Emmc, Other });

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wear {
    /// It does not tell.
    Unknown,
    /// It tells of nothing bad.
    Good,
    /// Near its end.
    Worn,
    /// The file system on it had errors.
    Failing,
}

perch_base::all_of!(Wear { Unknown, Good, Worn, Failing });

/// What the kernel says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediumFacts {
    /// What it is.
    pub kind: MediumKind,
    /// Its maker's name for it (CID register); may be empty.
    pub name: String,
    /// When it was made, `MM/YYYY` (CID register); may be empty.
    pub made: String,
    /// How much of its life is used, in tenths that have begun, 1 to 11 (JEDEC JESD84-B51, `DEVICE_LIFE_TIME_EST_TYP_A` and `_B`, the worse);
    /// 11 is more than it was made for.
    pub life_tenths: Option<u8>,
    /// Of the blocks that are kept for those that fail, 1: normal, 2: 80 %, 3: 90 % are used (`PRE_EOL_INFO`).
    pub reserve: Option<u8>,
    /// Errors that the file system counted since it was last repaired (ext4); `None`: it does not count.
    pub file_system_errors: Option<u64>,
}

/// What people are told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Medium {
    /// What it is.
    pub kind: MediumKind,
    /// Its name and when it was made, such as `SC32G, 08/2023`; may be empty.
    pub name: String,
    /// How it is.
    pub wear: Wear,
    /// The same in a sentence, with what to do, without a full stop.
    pub says: String,
}

/// The last of ten tenths: its life is nearly over.
const LAST_TENTH: u8 = 10;

impl MediumFacts {
    /// What two values of the `life_time` of the kernel (`0x03 0x01`) say: the worse; `None` where neither says anything.
    pub fn life_tenths(text: &str) -> Option<u8> {
        text.split_whitespace().filter_map(hex).filter(|tenths| (1..=11).contains(tenths)).max()
    }

    /// What the kernel's `pre_eol_info` (`0x01`) says; `None` where it is not defined.
    pub fn reserve(text: &str) -> Option<u8> {
        hex(text.trim()).filter(|reserve| (1..=3).contains(reserve))
    }

    fn noun(&self) -> &'static str {
        match self.kind {
            MediumKind::SdCard => "card",
            MediumKind::Emmc => "storage chip",
            MediumKind::Other => "disk",
        }
    }

    /// What people are told.
    pub fn judged(&self) -> Medium {
        let noun = self.noun();
        let is_over = self.reserve == Some(3) || self.life_tenths > Some(LAST_TENTH);
        let is_near = self.reserve == Some(2) || self.life_tenths == Some(LAST_TENTH);
        let errors = self.file_system_errors.unwrap_or(0);
        let (wear, says) = if errors > 0 {
            let counted = if errors == 1 { "an error".into() } else { format!("{errors} errors") };
            let what = format!(
                "The {noun} gives up, or lost power while it was written: its file system has {counted}. Make a backup of \
                the settings, save the recordings that matter, and replace it"
            );
            (Wear::Failing, what)
        } else if is_over {
            (Wear::Worn, format!("The {noun} is worn out: make a backup of the settings and replace it now"))
        } else if is_near {
            (Wear::Worn, format!("The {noun} is worn: replace it soon, and make a backup of the settings before"))
        } else if let Some(tenths) = self.life_tenths {
            let (from, to) = ((tenths - 1) * 10, tenths * 10);
            (Wear::Good, format!("{from} to {to} % of what the {noun} can be written are used"))
        } else if self.reserve.is_some() {
            (Wear::Good, format!("The {noun} reports no wear"))
        } else if self.kind == MediumKind::SdCard {
            let what = "The card does not tell how worn it is; few SD cards do. Replace it every two or three years, and \
                at once where recordings have gaps that the disk made";
            (Wear::Unknown, what.into())
        } else {
            (Wear::Unknown, format!("The {noun} does not tell how worn it is"))
        };
        let named = [&self.name, &self.made].map(|text| as_told(text));
        let named: Vec<_> = named.into_iter().filter(|text| !text.is_empty()).collect();
        Medium { kind: self.kind, name: named.join(", "), wear, says }
    }
}

fn hex(text: &str) -> Option<u8> {
    u8::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_writes_is_read_and_nothing_is_made_up() {
        for (text, want) in [
            ("0x01 0x01\n", Some(1)),
            ("0x03 0x0b", Some(11)),
            ("0x00 0x02", Some(2)),
            ("0x00 0x00", None),
            ("0x0c 0xff", None),
            ("", None),
            ("3 4", None),
            ("0x1ff", None),
        ] {
            assert_eq!(MediumFacts::life_tenths(text), want, "{text:?}");
        }
        for (text, want) in [("0x01\n", Some(1)), ("0x03", Some(3)), ("0x00", None), ("0x04", None), ("x", None)] {
            assert_eq!(MediumFacts::reserve(text), want, "{text:?}");
        }
    }

    #[test]
    fn a_worn_medium_is_told_of_the_worst_first_and_what_is_not_known_is_said() {
        use MediumKind::{Emmc, Other, SdCard};
        use Wear::{Failing, Good, Unknown, Worn};
        type Case<'a> = (MediumKind, Option<u8>, Option<u8>, Option<u64>, Wear, &'a str);
        let cases: &[Case] = &[
            (Emmc, Some(1), Some(1), Some(0), Good, "0 to 10 % of what the storage chip can be written are used"),
            (Emmc, Some(9), Some(1), None, Good, "80 to 90 % of what the storage chip can be written are used"),
            (Emmc, Some(10), Some(1), None, Worn, "The storage chip is worn: replace it soon, and"),
            (Emmc, Some(2), Some(2), None, Worn, "The storage chip is worn: replace it soon, and"),
            (Emmc, Some(11), Some(1), None, Worn, "The storage chip is worn out: make"),
            (Emmc, Some(1), Some(3), None, Worn, "The storage chip is worn out: make"),
            (Emmc, None, Some(1), None, Good, "The storage chip reports no wear"),
            (
                SdCard,
                Some(11),
                None,
                Some(1),
                Failing,
                "The card gives up, or lost power while it was written: its file system has an error.",
            ),
            (
                SdCard,
                None,
                None,
                Some(12),
                Failing,
                "The card gives up, or lost power while it was written: its file system has 12 errors.",
            ),
            (SdCard, None, None, Some(0), Unknown, "The card does not tell how worn it is; few SD cards do."),
            (Other, None, None, None, Unknown, "The disk does not tell how worn it is"),
        ];
        for (kind, life_tenths, reserve, file_system_errors, wear, says) in cases {
            let facts = MediumFacts {
                kind: *kind,
                name: "SC32G\n".into(),
                made: "08/2023".into(),
                life_tenths: *life_tenths,
                reserve: *reserve,
                file_system_errors: *file_system_errors,
            };
            let told = facts.judged();
            assert_eq!((told.wear, told.name.as_str()), (*wear, "SC32G, 08/2023"), "{facts:?}");
            assert!(told.says.starts_with(says), "{}", told.says);
        }
    }
}
