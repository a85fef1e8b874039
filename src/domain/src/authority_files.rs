//! The box's certificate authority as the files that systems take: which there are, what each is called and where it is found. All are
//! public: whoever connects by TLS is shown the authority anyway.

use std::fmt::Write as _;

/// One of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorityFile {
    /// PEM (RFC 7468): for programs, and whoever reads it.
    Pem,
    /// DER: Windows, Android, Macs and Firefox open it.
    Der,
    /// A configuration profile for iPhones and iPads.
    Profile,
}

impl AuthorityFile {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Pem, Self::Der, Self::Profile];

    /// Where it is found.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Pem => "/api/v1/ca.pem",
            Self::Der => "/api/v1/ca.crt",
            Self::Profile => "/api/v1/ca.mobileconfig",
        }
    }

    /// The file at this path.
    pub fn at(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|file| file.path() == path)
    }

    /// What it is called where it is saved.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pem => "perch-ca.pem",
            Self::Der => "perch-ca.crt",
            Self::Profile => "perch-ca.mobileconfig",
        }
    }

    /// Its media type: by this systems know that they are to offer its installation.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Pem => "application/x-pem-file",
            Self::Der => "application/x-x509-ca-cert",
            Self::Profile => "application/x-apple-aspen-config",
        }
    }

    /// `Content-Disposition`. Those that a system installs are no attachments: Safari offers a profile only where it may show it, and
    /// Firefox then asks whether the authority is to be trusted.
    pub const fn disposition(self) -> &'static str {
        match self {
            Self::Pem => "attachment; filename=\"perch-ca.pem\"",
            Self::Der => "inline; filename=\"perch-ca.crt\"",
            Self::Profile => "inline; filename=\"perch-ca.mobileconfig\"",
        }
    }
}

/// The profile (Apple's Configuration Profile Reference: a root certificate payload) of an authority in PEM with this fingerprint, 64
/// hex digits. It is the same each time: an authority that is installed twice replaces itself.
pub fn profile(ca_pem: &str, ca_sha256: &str) -> String {
    let base64: String = ca_pem.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    let base64: String = base64.chars().filter(|c| c.is_ascii_alphanumeric() || "+/=".contains(*c)).collect();
    let (certificate, whole) = (uuid(ca_sha256, 0), uuid(ca_sha256, 32));
    let name = "Certificate of the Perch box";
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <plist version=\"1.0\">\n<dict>\n\
         <key>PayloadContent</key>\n<array>\n<dict>\n\
         <key>PayloadCertificateFileName</key>\n<string>perch-ca.crt</string>\n<key>PayloadContent</key>\n<data>\n",
    );
    for line in base64.as_bytes().chunks(64) {
        out.push_str(&String::from_utf8_lossy(line));
        out.push('\n');
    }
    let _ = write!(
        out,
        "</data>\n\
         <key>PayloadDescription</key>\n<string>Lets this device trust your own box, so that browsers no longer warn.</string>\n\
         <key>PayloadDisplayName</key>\n<string>{name}</string>\n\
         <key>PayloadIdentifier</key>\n<string>perch.authority.{certificate}</string>\n\
         <key>PayloadType</key>\n<string>com.apple.security.root</string>\n\
         <key>PayloadUUID</key>\n<string>{certificate}</string>\n\
         <key>PayloadVersion</key>\n<integer>1</integer>\n</dict>\n</array>\n\
         <key>PayloadDescription</key>\n<string>The certificate authority of your own Perch box. Its SHA-256 fingerprint: {fingerprint}</string>\n\
         <key>PayloadDisplayName</key>\n<string>{name}</string>\n\
         <key>PayloadIdentifier</key>\n<string>perch.profile.{whole}</string>\n\
         <key>PayloadRemovalDisallowed</key>\n<false/>\n\
         <key>PayloadType</key>\n<string>Configuration</string>\n\
         <key>PayloadUUID</key>\n<string>{whole}</string>\n\
         <key>PayloadVersion</key>\n<integer>1</integer>\n</dict>\n</plist>\n",
        fingerprint = fingerprint(ca_sha256),
    );
    out
}

/// A UUID of version 8 (RFC 9562, section 5.8) out of 32 of the hex digits from `at` on.
fn uuid(hex: &str, at: usize) -> String {
    let mut digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).skip(at).take(32).collect();
    digits.resize(32, b'0');
    digits[12] = b'8';
    digits[16] = b"89AB"[usize::from(digits[16]) % 4];
    let text = String::from_utf8_lossy(&digits).to_ascii_uppercase();
    [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
}

/// A fingerprint as people compare it: pairs of capital hex digits.
pub fn fingerprint(sha256: &str) -> String {
    let pairs: Vec<_> = sha256.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).to_uppercase()).collect();
    pairs.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str = "-----BEGIN CERTIFICATE-----\nMIIB/zCC+Q==\n-----END CERTIFICATE-----\n";

    #[test]
    fn each_file_is_found_where_it_says() {
        for file in AuthorityFile::ALL {
            assert_eq!(AuthorityFile::at(file.path()), Some(file));
            assert!(file.disposition().contains(&format!("\"{}\"", file.name())), "{file:?}");
        }
        for path in ["/", "/api/v1/ca", "/api/v1/ca.pem/", "/API/v1/ca.pem"] {
            assert_eq!(AuthorityFile::at(path), None, "{path}");
        }
    }

    #[test]
    fn a_profile_is_the_same_each_time_and_another_for_another_box() {
        let (a, b) = ("0123456789abcdef".repeat(4), "fedcba9876543210".repeat(4));
        let one = profile(PEM, &a);
        assert_eq!(one, profile(PEM, &a));
        assert!(one.contains("<data>\nMIIB/zCC+Q==\n</data>") && one.contains("com.apple.security.root"), "{one}");
        let uuids = |text: &str| -> Vec<String> {
            let after = text.split("<key>PayloadUUID</key>\n<string>").skip(1);
            after.filter_map(|rest| rest.split('<').next()).map(str::to_owned).collect()
        };
        let (of_one, of_other) = (uuids(&one), uuids(&profile(PEM, &b)));
        assert_eq!(of_one.len(), 2);
        assert!(of_one[0] != of_other[0] && of_one[1] != of_other[1]);
        for uuid in of_one.iter().chain(&of_other) {
            let parts: Vec<_> = uuid.split('-').map(str::len).collect();
            assert_eq!(parts, [8, 4, 4, 4, 12], "{uuid}");
            assert!(uuid[14..15] == *"8" && "89AB".contains(&uuid[19..20]), "{uuid}");
        }
    }

    #[test]
    fn nothing_foreign_gets_into_a_profile() {
        let odd = profile("-----BEGIN X-----\nMII</data><key>x</key>\n", "zz");
        assert!(odd.contains("<data>\nMII/datakeyx/key\n</data>"), "{odd}");
    }

    #[test]
    fn fingerprints_are_pairs() {
        assert_eq!(fingerprint("ab01ff"), "AB:01:FF");
    }
}
