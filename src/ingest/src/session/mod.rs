//! A session with a camera as a machine: `now` and what came in, what is to be sent, opened and waited for out.
