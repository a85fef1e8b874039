// Limits that the box's OpenAPI document sets, put in when the page is built (vite.config.ts).
declare const __PASSWORD_MIN__: number;

/** Characters that a password must have at least. */
export const PASSWORD_MIN = __PASSWORD_MIN__;
