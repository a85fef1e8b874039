// What a made-up box writes into the page that it serves, as src/api/src/ui.rs does it. Never part of a build.

/** Without a box behind the page: eight digits for five minutes, as a box that nobody configured. */
const FACTS = { OTP_DIGITS: 8, OTP_TTL_S: 300 };

/** The page as it is served; `claimed` says whether somebody had ever paired. */
export const served = (html, claimed = true) =>
  Object.entries({ ...FACTS, CLAIMED: claimed, BOX_NAME: claimed ? 'Mock box' : '' }).reduce(
    (page, [name, value]) => page.replace(`__PERCH_${name}__`, String(value)),
    html,
  );
