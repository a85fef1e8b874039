//! What a person needs to pair: the address, the one-time password, the CA's fingerprint and a QR code, as text for a console.

use perch_base::Result;
use perch_base::time::Timestamp;
use perch_domain::ports::IssuedCode;
use perch_domain::running::RunningBox;
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

/// The card as text. The QR code leads to HTTPS, because it carries the password; what a person types leads to the page that prepares for
/// the browser's warning, where there is one.
pub fn render(running: &RunningBox, code: &IssuedCode, now: Timestamp) -> Result<String> {
    let RunningBox { base_url, plain_urls, ca_sha256, .. } = running;
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
    let open = if plain_urls.is_empty() { base_url.clone() } else { plain_urls.join(" or ") };
    Ok(format!(
        "\n{qr}\n\n  Pair a phone: scan the code, or open {open}\n  \
         Your browser will warn: choose Advanced, Proceed. The certificate is the box's own.\n  \
         One-time password: {left} {right}   (once, within {minutes} minutes)\n  \
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

    #[test]
    fn shows_address_password_and_fingerprint() {
        let code = IssuedCode {
            otp: Secret::new("12345678".into()),
            made_at: Timestamp(0),
            expires_at: Timestamp(300_000_000),
        };
        let running = |plain_urls: &[&str]| RunningBox {
            base_url: "https://localhost:8443".into(),
            plain_urls: plain_urls.iter().map(|url| (*url).to_owned()).collect(),
            ca_sha256: "ab".repeat(32),
            rtsp_port: None,
            cameras: None,
        };
        let card = render(&running(&[]), &code, Timestamp(0)).expect("renders");
        assert!(card.contains("1234 5678") && card.contains("within 5 minutes"), "{card}");
        assert!(card.contains("or open https://localhost:8443\n"), "{card}");
        assert!(card.contains("Your browser will warn: choose Advanced, Proceed."), "{card}");
        assert!(card.contains("AB:AB") && card.contains('█'));
        let card = render(&running(&["http://perch-1234.local", "http://192.168.1.20"]), &code, Timestamp(0));
        let card = card.expect("renders");
        assert!(card.contains("or open http://perch-1234.local or http://192.168.1.20\n"), "{card}");
        assert!(card.lines().all(|line| line.chars().count() < 100), "wider than a screen: {card}");
    }
}
