//! Whether a browser's request comes from the box's own page. Browsers send the cookie with a request whoever's page made them ask; so
//! what such a request may do hangs on what it says of where it comes from.

/// What a browser says of the page that made the request (`Sec-Fetch-Site`; Fetch Metadata Request Headers, section 2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchSite {
    /// A page of the box.
    SameOrigin,
    /// No page: a person typed the address, or opened a bookmark.
    NoPage,
    /// A page of another site, or something unknown.
    Elsewhere,
}

impl FetchSite {
    /// Reads the header's value.
    pub fn parse(value: &[u8]) -> Self {
        match value {
            b"same-origin" => Self::SameOrigin,
            b"none" => Self::NoPage,
            _ => Self::Elsewhere,
        }
    }
}

/// What a request says of where it comes from. Old browsers and programs say little or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// Whether it asks for a change: its method is not GET, HEAD or OPTIONS (RFC 9110, section 9.2.1).
    pub asks_change: bool,
    /// What the browser says.
    pub site: Option<FetchSite>,
    /// Whether its `Origin` is the box as the request addressed it.
    pub is_own_origin: Option<bool>,
}

impl Provenance {
    /// Whether a request counts whose credential is a cookie: one that asks for a change must prove that it comes from the page, one that
    /// only reads must not say the opposite.
    pub fn may_use_cookie(&self) -> bool {
        let is_foreign = self.is_own_origin == Some(false);
        match self.site {
            Some(FetchSite::SameOrigin) => !is_foreign,
            Some(FetchSite::NoPage) => !self.asks_change && !is_foreign,
            Some(FetchSite::Elsewhere) => false,
            None if self.asks_change => self.is_own_origin == Some(true),
            None => !is_foreign,
        }
    }

    /// Whether a request counts that needs no credential: one that asks for a change (to pair, to sign in) must not say that it comes from
    /// another page.
    pub fn may_be_anybody_s(&self) -> bool {
        !self.asks_change || (self.site != Some(FetchSite::Elsewhere) && self.is_own_origin != Some(false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_use_the_cookie() {
        /// What it says; whether it counts when it reads and when it changes something, by cookie; and the change without a credential.
        type Row = (Option<&'static str>, Option<bool>, bool, bool, bool);
        let rows: [Row; 15] = [
            (Some("same-origin"), None, true, true, true),
            (Some("same-origin"), Some(true), true, true, true),
            (Some("same-origin"), Some(false), false, false, false),
            (Some("none"), None, true, false, true),
            (Some("none"), Some(true), true, false, true),
            (Some("none"), Some(false), false, false, false),
            (Some("same-site"), None, false, false, false),
            (Some("same-site"), Some(true), false, false, false),
            (Some("cross-site"), None, false, false, false),
            (Some("cross-site"), Some(true), false, false, false),
            (Some("cross-site"), Some(false), false, false, false),
            (Some("nonsense"), Some(true), false, false, false),
            // Browsers from before the header, and programs.
            (None, None, true, false, true),
            (None, Some(true), true, true, true),
            (None, Some(false), false, false, false),
        ];
        for (site, is_own_origin, reads, changes, without) in rows {
            let site = site.map(|text| FetchSite::parse(text.as_bytes()));
            let of = |asks_change| Provenance { asks_change, site, is_own_origin };
            let got = (of(false).may_use_cookie(), of(true).may_use_cookie(), of(true).may_be_anybody_s());
            assert_eq!(got, (reads, changes, without), "{site:?}, own origin: {is_own_origin:?}");
            assert!(of(false).may_be_anybody_s(), "what only reads and is public is nobody's secret");
        }
    }
}
