//! The keys of the settings whose values name files. A backup takes their content along, a bundle for a supporter leaves their names out, and
//! the page names no new ones: one list, so that none of the three forgets a key.

/// Files of cameras' passwords, which the box writes itself.
pub const PASSWORD_FILES: [&str; 2] = ["password_file", "sub_password_file"];

/// Files that only somebody at the box may name.
pub const FILES_BY_HAND: [&str; 5] =
    ["secret_file", "ca_file", "dns_hook_secret_file", "access_key_file", "secret_key_file"];

/// Secrets that may be written into a setting and are never shown again, each with the key of the file that the box moves it into.
pub const WRITE_ONLY: [(&str, &str); 2] = [("access_key", "access_key_file"), ("secret_key", "secret_key_file")];

/// Whether the value of this key is a secret itself.
pub fn is_write_only(key: &str) -> bool {
    WRITE_ONLY.iter().any(|(secret, _)| *secret == key)
}

/// Whether what this key says is the name of a file that the box reads.
pub fn names_a_file(key: &str) -> bool {
    PASSWORD_FILES.contains(&key) || FILES_BY_HAND.contains(&key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::sentences;

    #[test]
    fn every_key_that_names_a_file_is_known() {
        let known = sentences::keys().map(|key| key.rsplit('.').next().unwrap_or(key));
        let by_name: Vec<_> = known.filter(|key| key.ends_with("_file")).collect();
        assert!(by_name.len() >= 5, "{by_name:?}");
        for key in by_name {
            assert!(names_a_file(key), "{key}");
        }
        assert!(!names_a_file("name"));
    }
}
