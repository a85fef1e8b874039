//! What a person needs to pair: the address, the one-time password, the CA's fingerprint and a QR code, as text for a console.

use perch_base::Result;
use perch_domain::ports::IssuedCode;
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

/// The card as text.
pub fn render(base_url: &str, code: &IssuedCode, ca_sha256: &str, now: perch_base::time::Timestamp) -> Result<String> {
    let url = perch_api::pairing_url(base_url, code.otp.expose(), ca_sha256);
    let qr = QrCode::with_error_correction_level(&url, EcLevel::L)
        .map_err(|e| perch_base::Error::internal("the QR code cannot be made").with_source(e))?
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .build();
    let otp = code.otp.expose();
    let (left, right) = otp.split_at(otp.len() / 2);
    let minutes = (code.expires_at.micros_since(now) + 59_999_999) / 60_000_000;
    Ok(format!(
        "\n{qr}\n\n  Pair a phone: scan the code, or open {base_url}\n  One-time password: {left} {right}   (once, within {minutes} minutes)\n  \
         The box's own certificate authority, SHA-256:\n  {}\n",
        fingerprint(ca_sha256)
    ))
}

fn fingerprint(hex: &str) -> String {
    let pairs: Vec<_> = hex.as_bytes().chunks(2).map(|c| String::from_utf8_lossy(c).to_uppercase()).collect();
    pairs.chunks(16).map(|line| line.join(":")).collect::<Vec<_>>().join("\n  ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use perch_base::secret::Secret;
    use perch_base::time::Timestamp;

    #[test]
    fn shows_address_password_and_fingerprint() {
        let code = IssuedCode { otp: Secret::new("12345678".into()), expires_at: Timestamp(300_000_000) };
        let card = render("https://localhost:8443", &code, &"ab".repeat(32), Timestamp(0)).expect("renders");
        assert!(
            card.contains("1234 5678") && card.contains("https://localhost:8443") && card.contains("within 5 minutes")
        );
        assert!(card.contains("AB:AB") && card.contains('█'));
    }
}
