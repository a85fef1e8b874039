//! What is learned of a camera's manner, and outlives a session: which request keeps a session alive, and what it does not bear.

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
pub(crate) enum Sign {
    /// `GET_PARAMETER` without a body: what RFC 2326 10.8 is for.
    GetParameter,
    /// `SET_PARAMETER` without a body.
    SetParameter,
    /// `OPTIONS`: any request renews a session.
    Options,
}

impl Sign {
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
pub(crate) struct Manner {
    /// Signs of life that it refuses, does not answer, or ends a session at.
    pub refused: Vec<Sign>,
    /// It answers no sign of life: the last one is sent without waiting for an answer.
    pub is_mute: bool,
    /// It bears no `OPTIONS` before `DESCRIBE`.
    pub skips_options: bool,
    /// It bears no `Range` in `PLAY`.
    pub skips_range: bool,
    /// Where the box may choose: by UDP.
    pub prefers_udp: bool,
}

impl Manner {
    /// What is sent to keep a session alive; nothing where it bears nothing.
    pub fn sign(&self, methods: Methods) -> Option<Sign> {
        let first = match methods {
            Methods { get_parameter: true, .. } => Sign::GetParameter,
            Methods { set_parameter: true, .. } => Sign::SetParameter,
            _ => Sign::Options,
        };
        // A camera that does not name GET_PARAMETER may know it all the same.
        let order = [first, Sign::Options, Sign::GetParameter];
        order.into_iter().find(|sign| !self.refused.contains(sign))
    }

    /// It refused a sign of life or closed at it: the next one.
    pub fn refuses(&mut self, sign: Sign) {
        if !self.refused.contains(&sign) {
            self.refused.push(sign);
        }
    }

    /// It did not answer a sign of life and goes on: the next one, or, when there is none, this one without waiting.
    pub fn ignores(&mut self, sign: Sign, methods: Methods) {
        let mut next = self.clone();
        next.refuses(sign);
        match next.sign(methods) {
            Some(_) => *self = next,
            None => self.is_mute = true,
        }
    }

    /// It ended a session as if nothing had kept it alive: another way is tried, or all of them again.
    pub fn expired(&mut self, sign: Option<Sign>, methods: Methods) {
        if let Some(sign) = sign {
            self.refuses(sign);
        }
        if self.sign(methods).is_none() {
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
        let mut manner = Manner::default();
        assert_eq!(manner.sign(both), Some(Sign::GetParameter));
        manner.refuses(Sign::GetParameter);
        manner.refuses(Sign::GetParameter);
        assert_eq!(manner.sign(both), Some(Sign::Options));
        manner.refuses(Sign::Options);
        assert_eq!(manner.sign(both), None);
        // Nothing was sent, and it ended the session in its time: from the beginning.
        manner.expired(None, both);
        assert_eq!(manner, Manner::default());
    }

    #[test]
    fn what_is_named_decides() {
        let manner = Manner::default();
        assert_eq!(manner.sign(Methods::parse("set_parameter")), Some(Sign::SetParameter));
        assert_eq!(manner.sign(Methods::default()), Some(Sign::Options));
        let mut manner = Manner::default();
        manner.expired(Some(Sign::Options), Methods::default());
        assert_eq!(manner.sign(Methods::default()), Some(Sign::GetParameter));
    }

    #[test]
    fn a_mute_camera_is_sent_the_last_one_all_the_same() {
        let methods = Methods::parse("GET_PARAMETER");
        let mut manner = Manner::default();
        manner.ignores(Sign::GetParameter, methods);
        assert_eq!((manner.sign(methods), manner.is_mute), (Some(Sign::Options), false));
        manner.ignores(Sign::Options, methods);
        assert_eq!((manner.sign(methods), manner.is_mute), (Some(Sign::Options), true));
    }
}
