// What the box wrote into the page it served, so that nothing has to be asked for before somebody is signed in.
const { boxName, claimed, otpDigits, otpTtlS } = document.documentElement.dataset;

/** What the box is called; empty while nobody owns it: a stranger need not know. */
export const BOX_NAME = boxName ?? '';
/** Digits of a pairing code, `[access] otp_digits`. */
export const OTP_DIGITS = Number(otpDigits);
/** How long a pairing code is valid, `[access] otp_ttl_s`. */
export const OTP_TTL_S = Number(otpTtlS);
/** Whether anybody had ever paired with this box when the page was served. */
export const WAS_CLAIMED = claimed !== 'false';
