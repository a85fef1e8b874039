//! What is learned of a camera's quirks, and outlives a session: which request keeps a session alive, and what it does not bear.

/// The methods that a camera says it knows (`Public`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Methods {
    get_parameter: bool,
    set_parameter: bool,
}

impl Methods {
    /// Reads `OPTIONS, DESCRIBE, …`.
    pub fn parse(header: &str) -> Self {
        let has = |name: &str| header.split([',', ' ', ';']).any(|word| word.trim().eq_ignore_ascii_case(name));
        Self { get_parameter: has("GET_PARAMETER"), set_parameter: has("SET_PARAMETER") }
    }
}

/// A request that keeps a session alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeepAlive {
    /// `GET_PARAMETER` without a body: what RFC 2326 10.8 is for.
    GetParameter,
    /// `SET_PARAMETER` without a body.
    SetParameter,
    /// `OPTIONS`: any request renews a session.
    Options,
}

impl KeepAlive {
    /// The method's name.
    pub fn method(self) -> &'static str {
        match self {
            Self::GetParameter => "GET_PARAMETER",
            Self::SetParameter => "SET_PARAMETER",
            Self::Options => "OPTIONS",
        }
    }
}

/// See the module. The default knows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Quirks {
    /// Keep-alives that it refuses, does not answer, or ends a session at.
    pub refused: Vec<KeepAlive>,
    /// It answers no keep-alive: the last one is sent without waiting for an answer.
    pub is_mute: bool,
    /// It bears no `OPTIONS` before `DESCRIBE`.
    pub skips_options: bool,
    /// It bears no `Range` in `PLAY`.
    pub skips_range: bool,
    /// Where the box may choose: by UDP.
    pub prefers_udp: bool,
}

impl Quirks {
    /// What is sent to keep a session alive; nothing where it bears nothing.
    pub fn keep_alive(&self, methods: Methods) -> Option<KeepAlive> {
        let first = match methods {
            Methods { get_parameter: true, .. } => KeepAlive::GetParameter,
            Methods { set_parameter: true, .. } => KeepAlive::SetParameter,
            _ => KeepAlive::Options,
        };
        // A camera that does not name GET_PARAMETER may know it all the same.
        let order = [first, KeepAlive::Options, KeepAlive::GetParameter];
        order.into_iter().find(|keep_alive| !self.refused.contains(keep_alive))
    }

    /// It refused a keep-alive or closed at it: the next one.
    pub fn refuses(&mut self, keep_alive: KeepAlive) {
        if !self.refused.contains(&keep_alive) {
            self.refused.push(keep_alive);
        }
    }

    /// It did not answer a keep-alive and goes on: the next one, or, when there is none, this one without waiting.
    pub fn ignores(&mut self, keep_alive: KeepAlive, methods: Methods) {
        let mut next = self.clone();
        next.refuses(keep_alive);
        match next.keep_alive(methods) {
            Some(_) => *self = next,
            None => self.is_mute = true,
        }
    }

    /// It ended a session as if nothing had kept it alive: another way is tried, or all of them again.
    pub fn expired(&mut self, keep_alive: Option<KeepAlive>, methods: Methods) {
        if let Some(keep_alive) = keep_alive {
            self.refuses(keep_alive);
        }
        if self.keep_alive(methods).is_none() {
            self.refused.clear();
            self.is_mute = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sign_after_the_other() {
        let both = Methods::parse("OPTIONS, DESCRIBE,GET_PARAMETER , SET_PARAMETER");
        let mut quirks = Quirks::default();
        assert_eq!(quirks.keep_alive(both), Some(KeepAlive::GetParameter));
        quirks.refuses(KeepAlive::GetParameter);
        quirks.refuses(KeepAlive::GetParameter);
        assert_eq!(quirks.keep_alive(both), Some(KeepAlive::Options));
        quirks.refuses(KeepAlive::Options);
        assert_eq!(quirks.keep_alive(both), None);
        // Nothing was sent, and it ended the session in its time: from the beginning.
        quirks.expired(None, both);
        assert_eq!(quirks, Quirks::default());
    }

    #[test]
    fn what_is_named_decides() {
        let quirks = Quirks::default();
        assert_eq!(quirks.keep_alive(Methods::parse("set_parameter")), Some(KeepAlive::SetParameter));
        assert_eq!(quirks.keep_alive(Methods::default()), Some(KeepAlive::Options));
        let mut quirks = Quirks::default();
        quirks.expired(Some(KeepAlive::Options), Methods::default());
        assert_eq!(quirks.keep_alive(Methods::default()), Some(KeepAlive::GetParameter));
    }

    #[test]
    fn a_mute_camera_is_sent_the_last_one_all_the_same() {
        let methods = Methods::parse("GET_PARAMETER");
        let mut quirks = Quirks::default();
        quirks.ignores(KeepAlive::GetParameter, methods);
        assert_eq!((quirks.keep_alive(methods), quirks.is_mute), (Some(KeepAlive::Options), false));
        quirks.ignores(KeepAlive::Options, methods);
        assert_eq!((quirks.keep_alive(methods), quirks.is_mute), (Some(KeepAlive::Options), true));
    }
}
